//! `Level`: whether a cancel scope is cancelled, who is around it, and what it does about that. The state under `CancelScope`.
//!
//! Invariants:
//! 1. A scope counts as one request of its task at most (`cancelling()`), which it takes back when it is left.
//! 2. A scope makes no request while a shield inside it is entered; what it owes is made up for when the shield is left.
//! 3. Of several cancelled scopes around one another, the outermost that is not behind a shield takes the cancellation.
//!
//! Absent on purpose: polling. This knows what is inside only as a scope of the task's.

use crate::current::{current, is_current};
use crate::error::CancelledError;
use crate::raw::TaskRef;
use crate::task_state::Flags;
use asyncio_driver::Token;
use asyncio_loop::TimerHandle;
use std::cell::{Cell, RefCell};
use std::iter;
use std::rc::Rc;
use std::task::Context;

/// What a cancel scope is at.
pub(crate) struct Level {
    pub(crate) when: Cell<Option<i64>>,
    pub(crate) is_shield: Cell<bool>,
    pub(crate) is_cancelled: Cell<bool>,
    pub(crate) has_expired: Cell<bool>,
    pub(crate) is_caught: Cell<bool>,
    /// What is inside is being polled.
    is_polling: Cell<bool>,
    /// How many shields inside are entered.
    shields: Cell<u32>,
    phase: RefCell<Phase>,
}

enum Phase {
    Created,
    Active(Active),
    Left,
}

/// A scope that is entered.
struct Active {
    task: TaskRef,
    scope: Option<Token>,
    parent: Option<Rc<Level>>,
    /// As a shield: from whom it hides what is inside.
    hidden: Option<Hidden>,
    /// `cancelling()` on entry.
    requests: u32,
    /// One request of the task's is this scope's.
    has_requested: bool,
    timer: Option<TimerHandle>,
}

thread_local! {
    /// The innermost scope that is being polled.
    static INNERMOST: RefCell<Option<Rc<Level>>> = const { RefCell::new(None) };
}

impl Level {
    pub(crate) const fn new(when: Option<i64>) -> Self {
        Self {
            when: Cell::new(when),
            is_shield: Cell::new(false),
            is_cancelled: Cell::new(false),
            has_expired: Cell::new(false),
            is_caught: Cell::new(false),
            is_polling: Cell::new(false),
            shields: Cell::new(0),
            phase: RefCell::new(Phase::Created),
        }
    }

    /// Enters the scope.
    ///
    /// # Panics
    ///
    /// If not inside a task, or if it was entered before.
    pub(crate) fn enter(self: &Rc<Self>) {
        let task = current().expect("a cancel scope must be used inside a task");
        let is_new = matches!(*self.phase.borrow(), Phase::Created);
        assert!(is_new, "a cancel scope has already been entered");
        let (requests, parent) = (task.state.requests(), innermost());
        let hidden = self.is_shield.get().then(|| Hidden::from(parent.clone()));
        let active = Active { task, scope: None, parent, hidden, requests, has_requested: false, timer: None };
        *self.phase.borrow_mut() = Phase::Active(active);
        // What has come already is told at the first wait.
        self.is_polling.set(true);
        self.set_timer();
        self.is_polling.set(false);
    }

    /// Leaves the scope; takes back its request. `true` if a cancellation that came out of it was its own, and no other is around.
    pub(crate) fn leave(self: &Rc<Self>) -> bool {
        let around = if self.is_shield.get() { None } else { ancestors(self).next() };
        let is_wanted_around = audible(around).any(|scope| scope.is_cancelled.get());
        let Phase::Active(active) = self.phase.replace(Phase::Left) else { return false };
        drop(active.hidden);
        if let Some(timer) = active.timer {
            timer.cancel();
        }
        // It may not have come to a request of its own: one of a scope further in was first, and passed through.
        let others = if active.has_requested { active.task.uncancel() } else { active.task.state.requests() };
        self.is_cancelled.get() && others <= active.requests && !is_wanted_around
    }

    /// Moves the deadline.
    pub(crate) fn reschedule(self: &Rc<Self>, when: Option<i64>) {
        self.when.set(when);
        self.set_timer();
    }

    /// What `look` makes of the scope, while it is entered.
    fn active<R>(&self, look: impl FnOnce(&mut Active) -> R) -> Option<R> {
        match &mut *self.phase.borrow_mut() {
            Phase::Active(active) => Some(look(active)),
            Phase::Created | Phase::Left => None,
        }
    }

    pub(crate) fn cancel(&self) {
        if matches!(*self.phase.borrow(), Phase::Left) || self.is_cancelled.replace(true) {
            return;
        }
        // What is running hears of it when it waits.
        if !self.is_polling.get() {
            self.request();
        }
    }

    /// Asks the task to end what is inside, unless a shield is in between.
    fn request(&self) {
        if self.shields.get() > 0 {
            return;
        }
        let asked = self.active(|active| {
            let has_requested = std::mem::replace(&mut active.has_requested, true);
            (active.task.clone(), active.scope, has_requested)
        });
        let Some((task, scope, has_requested)) = asked else { return };
        // It counts once. (Somebody inside may have taken it back.)
        let is_counted = has_requested && task.state.requests() > 0;
        task.cancel_within(scope, CancelledError::default());
        if is_counted {
            task.uncancel();
        }
    }

    /// What is inside waits: if the scope is cancelled, it is not to.
    pub(crate) fn insist(&self, cx: &Context<'_>) {
        if !self.is_cancelled.get() || self.shields.get() > 0 {
            return;
        }
        let Some((task, has_requested)) = self.active(|active| (active.task.clone(), active.has_requested)) else {
            return;
        };
        let under_way = [Flags::MUST_CANCEL, Flags::IN_FLIGHT, Flags::RAISED];
        if !under_way.into_iter().any(|flag| task.state.has(flag)) {
            self.request();
        } else if !has_requested {
            // Something else is on its way, perhaps to another branch of the task.
            cx.waker().wake_by_ref();
        }
    }

    /// The scope was registered, or anew because it was moved, perhaps to another task.
    pub(crate) fn adopt(&self, scope: Option<Token>) {
        let is_moved = self.active(|active| active.scope != scope).unwrap_or(false);
        let (true, Some(task)) = (is_moved, current()) else { return };
        let parent = innermost();
        let hidden = self.is_shield.get().then(|| Hidden::from(parent.clone()));
        let old = self.active(|active| {
            active.scope = scope;
            let around = (std::mem::replace(&mut active.parent, parent), std::mem::replace(&mut active.hidden, hidden));
            if active.task == task {
                return (None, Some(around));
            }
            active.requests = task.state.requests();
            let had_requested = std::mem::take(&mut active.has_requested);
            (Some((std::mem::replace(&mut active.task, task), had_requested)), Some(around))
        });
        if let Some((Some((old, true)), _)) = &old {
            old.uncancel();
        }
    }

    /// Sets the timer anew, or cancels at once if the time has come.
    fn set_timer(self: &Rc<Self>) {
        let old = self.active(|active| active.timer.take()).flatten();
        if let Some(old) = old {
            old.cancel();
        }
        let Some(when) = self.when.get() else { return };
        let Some(event_loop) = self.active(|active| active.task.state.tasks.event_loop().clone()) else { return };
        if when <= event_loop.nanos() {
            return self.expire();
        }
        let scope = Rc::downgrade(self);
        let timer = event_loop.call_at(when as f64 / 1e9, move || {
            if let Some(scope) = scope.upgrade() {
                scope.expire();
            }
        });
        self.active(|active| active.timer = Some(timer));
    }

    fn expire(&self) {
        if !self.is_cancelled.get() {
            self.has_expired.set(true);
            self.cancel();
        }
    }
}

/// The earliest deadline that is heard of here, in seconds; see [`effective_deadline`](crate::effective_deadline).
pub(crate) fn effective_deadline() -> f64 {
    let deadlines = audible(innermost()).map(|scope| match scope.when.get() {
        _ if scope.is_cancelled.get() => f64::NEG_INFINITY,
        Some(nanos) => nanos as f64 / 1e9,
        None => f64::INFINITY,
    });
    deadlines.fold(f64::INFINITY, f64::min)
}

/// The innermost scope around what is running.
fn innermost() -> Option<Rc<Level>> {
    let scope = INNERMOST.with_borrow(Clone::clone)?;
    // The step of another task may run inside that of this one.
    scope.active(|active| is_current(&active.task)).unwrap_or(false).then_some(scope)
}

/// The scopes around `scope`, innermost first.
fn ancestors(scope: &Rc<Level>) -> impl Iterator<Item = Rc<Level>> {
    let parent = |scope: &Rc<Level>| scope.active(|active| active.parent.clone()).flatten();
    iter::successors(parent(scope), parent)
}

/// `scope` and those around it, innermost first, up to a shield, whose own cancellation can still be heard.
fn audible(scope: Option<Rc<Level>>) -> impl Iterator<Item = Rc<Level>> {
    let outwards = |scope: &Rc<Level>| if scope.is_shield.get() { None } else { ancestors(scope).next() };
    iter::successors(scope, outwards)
}

/// Keeps scopes from requesting anything while this lives: what a shield does to those around it, and what code of ours does that
/// was told, and waits for others to end.
pub(crate) struct Hidden(Vec<Rc<Level>>);

impl Hidden {
    /// From all the scopes around the current step.
    pub(crate) fn here() -> Self {
        Self::from(innermost())
    }

    /// From `scope` and all those around it.
    fn from(scope: Option<Rc<Level>>) -> Self {
        let around = scope.iter().flat_map(ancestors).collect::<Vec<_>>();
        let scopes: Vec<_> = scope.into_iter().chain(around).collect();
        scopes.iter().for_each(|scope| scope.shields.set(scope.shields.get() + 1));
        Self(scopes)
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        self.0.iter().for_each(|scope| scope.shields.set(scope.shields.get() - 1));
    }
}

/// Makes a scope the innermost one until this is dropped.
pub(crate) struct Polling {
    level: Rc<Level>,
    previous: Option<Rc<Level>>,
}

impl Polling {
    pub(crate) fn begin(level: &Rc<Level>) -> Self {
        level.is_polling.set(true);
        let previous = INNERMOST.replace(Some(level.clone()));
        Self { level: level.clone(), previous }
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.level.is_polling.set(false);
        let this = INNERMOST.replace(self.previous.take());
        drop(this);
    }
}
