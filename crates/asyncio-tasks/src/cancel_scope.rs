//! `CancelScope`: a part of a task that can be cancelled by itself, and stays cancelled until it is left.
//!
//! A request to a task is told once, as in asyncio: whoever swallows it goes on. A scope insists. When what is inside waits
//! again although the scope is cancelled, the request is made anew, so that each further wait ends at once, until the scope is
//! left. A shield keeps a part from hearing of scopes around it.
//!
//! Built on the requests and catch scopes that timeouts are built on; what is added is who is around whom, and insisting.
//!
//! Invariants:
//! 1. A scope counts as one request of its task at most (`cancelling()`), which it takes back when it is left.
//! 2. A scope makes no request while a shield inside it is entered; what it owes is made up for when the shield is left.
//! 3. Of several cancelled scopes around one another, the outermost that is not behind a shield takes the cancellation.

use crate::catch::raise;
use crate::current::{current, is_current};
use crate::error::{CancelledError, TimeoutError};
use crate::raw::TaskRef;
use crate::scopes::ScopeGuard;
use crate::sleep::running_loop;
use crate::task_state::Flags;
use asyncio_driver::Token;
use asyncio_loop::{IntoDeadline, IntoDelay, TimerHandle};
use pin_project_lite::pin_project;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::iter;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A part of a task that can be cancelled by itself, has a deadline, or is shielded. Clones are the same scope.
///
/// It is level-triggered: once it is cancelled, every wait inside ends, also those of code that has swallowed the
/// cancellation before, until the scope is left. Clean-up that has to wait does so in a scope that is a
/// [`shield`](CancelScope::shield), with a deadline of its own.
///
/// ```
/// # asyncio_tasks::run(async {
/// use asyncio_tasks::{CancelScope, catch_cancelled, sleep};
///
/// let scope = CancelScope::after(0.001);
/// let outcome = scope.run(async {
///     let _ = catch_cancelled(sleep(60)).await; // Swallowed…
///     let clean_up = CancelScope::after(0.5).shield();
///     assert_eq!(clean_up.run(sleep(0.001)).await, Some(()), "the shield keeps the cancellation away");
///     sleep(60).await; // … but the scope insists.
///     unreachable!()
/// });
/// assert_eq!(outcome.await, None::<()>);
/// assert!(scope.cancelled_caught() && scope.expired());
/// # });
/// ```
///
/// # asyncio
///
/// None; Trio's `CancelScope`. [`timeout`](fn@crate::timeout) is asyncio's, which tells once. A request to the task itself (`task.cancel()`,
/// a timeout or a group around) is asyncio's, too: shields do not keep it away, and no scope takes it.
#[derive(Clone)]
pub struct CancelScope {
    shared: Rc<Shared>,
}

struct Shared {
    when: Cell<Option<i64>>,
    is_shield: Cell<bool>,
    is_cancelled: Cell<bool>,
    has_expired: Cell<bool>,
    is_caught: Cell<bool>,
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
    parent: Option<Rc<Shared>>,
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
    static INNERMOST: RefCell<Option<Rc<Shared>>> = const { RefCell::new(None) };
}

/// Runs `inside` for `delay` at most (seconds or a `Duration`): its value, or `None` if the time was over first.
///
/// A [`CancelScope`] with a deadline: what is inside is cancelled when the time is over, and each of its waits from then on. `None` means
/// just that: a cancellation from elsewhere goes on outwards.
///
/// # Panics
///
/// If `delay` is NaN, or if no loop is running in this thread. When polled, if not inside a task.
///
/// # Cancel safety
///
/// As safe as `inside`.
///
/// # asyncio
///
/// None; Trio's `move_on_after`.
#[track_caller]
pub fn move_on_after<F: Future>(delay: impl IntoDelay, inside: F) -> Scoped<F> {
    CancelScope::after(delay).run(inside)
}

/// As [`move_on_after`], until a time of the loop's clock, in seconds.
///
/// # Panics
///
/// If `when` is NaN. When polled, if not inside a task.
///
/// # Cancel safety
///
/// As safe as `inside`.
///
/// # asyncio
///
/// None; Trio's `move_on_at`.
#[track_caller]
pub fn move_on_at<F: Future>(when: impl IntoDeadline, inside: F) -> Scoped<F> {
    CancelScope::at(when).run(inside)
}

/// Runs `inside` for `delay` at most (seconds or a `Duration`), and fails if the time is over first.
///
/// # Errors
///
/// [`TimeoutError`] if the time was over, and nothing else.
///
/// # Panics
///
/// If `delay` is NaN, or if no loop is running in this thread. When polled, if not inside a task.
///
/// # Cancel safety
///
/// As safe as `inside`.
///
/// # asyncio
///
/// None; Trio's `fail_after`. Differs from [`timeout`](fn@crate::timeout) in that code that swallows the cancellation is cancelled again.
#[track_caller]
pub fn fail_after<F: Future>(
    delay: impl IntoDelay,
    inside: F,
) -> impl Future<Output = Result<F::Output, TimeoutError>> {
    let inside = move_on_after(delay, inside);
    async { inside.await.ok_or_else(TimeoutError::default) }
}

/// As [`fail_after`], at a time of the loop's clock, in seconds.
///
/// # Errors
///
/// As [`fail_after`].
///
/// # Panics
///
/// If `when` is NaN. When polled, if not inside a task.
///
/// # Cancel safety
///
/// As safe as `inside`.
///
/// # asyncio
///
/// None; Trio's `fail_at`.
#[track_caller]
pub fn fail_at<F: Future>(when: impl IntoDeadline, inside: F) -> impl Future<Output = Result<F::Output, TimeoutError>> {
    let inside = move_on_at(when, inside);
    async { inside.await.ok_or_else(TimeoutError::default) }
}

/// The earliest deadline of the cancel scopes around, in seconds of the loop's clock: infinity if there is none, minus infinity
/// if one of them is cancelled already. Shields hide what is around them.
///
/// What a callee can do with it: not begin what cannot be finished, or tell somebody else how long there is. (Limits of
/// [`timeout`](fn@crate::timeout) do not count.)
///
/// # asyncio
///
/// None; Trio's `current_effective_deadline`.
#[must_use]
pub fn effective_deadline() -> f64 {
    let visible = innermost();
    let deadlines = audible(visible).map(|scope| match scope.when.get() {
        _ if scope.is_cancelled.get() => f64::NEG_INFINITY,
        Some(nanos) => nanos as f64 / 1e9,
        None => f64::INFINITY,
    });
    deadlines.fold(f64::INFINITY, f64::min)
}

impl CancelScope {
    /// A scope without a deadline.
    #[must_use]
    pub fn new() -> Self {
        Self::at(None)
    }

    /// A scope that is cancelled `delay` from now: seconds, or a `Duration`.
    ///
    /// # Panics
    ///
    /// If `delay` is NaN, or if no loop is running in this thread.
    #[must_use]
    #[track_caller]
    pub fn after(delay: impl IntoDelay) -> Self {
        let delay = delay.into_delay().as_nanos();
        Self::with_deadline(Some(running_loop().nanos().saturating_add(delay)))
    }

    /// A scope that is cancelled at the time `when` of the loop's clock, in seconds; `None` for never.
    ///
    /// # Panics
    ///
    /// If `when` is NaN.
    #[must_use]
    #[track_caller]
    pub fn at(when: impl IntoDeadline) -> Self {
        Self::with_deadline(when.into_deadline())
    }

    fn with_deadline(when: Option<i64>) -> Self {
        let shared = Shared {
            when: Cell::new(when),
            is_shield: Cell::new(false),
            is_cancelled: Cell::new(false),
            has_expired: Cell::new(false),
            is_caught: Cell::new(false),
            is_polling: Cell::new(false),
            shields: Cell::new(0),
            phase: RefCell::new(Phase::Created),
        };
        Self { shared: Rc::new(shared) }
    }

    /// Makes it a shield: what is inside hears nothing of the scopes around it, only of this one and those further in. To be said
    /// before it is run.
    #[must_use]
    pub fn shield(self) -> Self {
        self.shared.is_shield.set(true);
        self
    }

    /// Runs `inside` in this scope. Gives its value; or `None` if it was cancelled by this scope, and nothing around wants it to end.
    ///
    /// What has a value in spite of the cancellation keeps it.
    ///
    /// # Panics
    ///
    /// When polled, if the scope was entered before, or if not inside a task.
    ///
    /// # Cancel safety
    ///
    /// As safe as `inside`.
    pub fn run<F: Future>(&self, inside: F) -> Scoped<F> {
        Scoped {
            inside: Some(inside),
            scope: ScopeGuard::new(),
            entered: Entered { shared: self.shared.clone(), is_entered: false },
        }
    }

    /// Cancels what is inside, now and at each further wait. Before the scope is entered: as soon as it waits. Afterwards: nothing.
    pub fn cancel(&self) {
        self.shared.cancel();
    }

    /// The deadline, in seconds of `EventLoop::time`; `None` if there is none.
    #[must_use]
    pub fn when(&self) -> Option<f64> {
        self.shared.when.get().map(|nanos| nanos as f64 / 1e9)
    }

    /// Moves the deadline, to a time of the loop's clock in seconds, or removes it. What is cancelled already stays so.
    ///
    /// # Panics
    ///
    /// If `when` is NaN.
    #[track_caller]
    pub fn reschedule(&self, when: impl IntoDeadline) {
        self.shared.when.set(when.into_deadline());
        if self.shared.active(|_| ()).is_some() {
            self.shared.set_timer();
        }
    }

    /// Whether it was cancelled, by [`cancel`](Self::cancel) or its deadline.
    #[must_use]
    pub fn cancel_called(&self) -> bool {
        self.shared.is_cancelled.get()
    }

    /// Whether it was its deadline that has cancelled it.
    #[must_use]
    pub fn expired(&self) -> bool {
        self.shared.has_expired.get()
    }

    /// Whether its cancellation has ended what was inside: [`run`](Self::run) has given `None`.
    #[must_use]
    pub fn cancelled_caught(&self) -> bool {
        self.shared.is_caught.get()
    }
}

impl Default for CancelScope {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelScope")
            .field("when", &self.when())
            .field("cancel_called", &self.cancel_called())
            .field("cancelled_caught", &self.cancelled_caught())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// What `look` makes of the scope, while it is entered.
    fn active<R>(&self, look: impl FnOnce(&mut Active) -> R) -> Option<R> {
        match &mut *self.phase.borrow_mut() {
            Phase::Active(active) => Some(look(active)),
            Phase::Created | Phase::Left => None,
        }
    }

    fn cancel(&self) {
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
        let is_counted = has_requested && task.state.requests.get() > 0;
        task.cancel_within(scope, CancelledError::default());
        if is_counted {
            task.uncancel();
        }
    }

    /// What is inside waits: if the scope is cancelled, it is not to.
    fn insist(&self, cx: &Context<'_>) {
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
    fn adopt(&self, scope: Option<Token>) {
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
            active.requests = task.state.requests.get();
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

/// The innermost scope around what is running.
fn innermost() -> Option<Rc<Shared>> {
    let scope = INNERMOST.with_borrow(Clone::clone)?;
    // The step of another task may run inside that of this one.
    scope.active(|active| is_current(&active.task)).unwrap_or(false).then_some(scope)
}

/// The scopes around `scope`, innermost first.
fn ancestors(scope: &Rc<Shared>) -> impl Iterator<Item = Rc<Shared>> {
    let parent = |scope: &Rc<Shared>| scope.active(|active| active.parent.clone()).flatten();
    iter::successors(parent(scope), parent)
}

/// `scope` and those around it, innermost first, up to a shield, whose own cancellation can still be heard.
fn audible(scope: Option<Rc<Shared>>) -> impl Iterator<Item = Rc<Shared>> {
    let outwards = |scope: &Rc<Shared>| if scope.is_shield.get() { None } else { ancestors(scope).next() };
    iter::successors(scope, outwards)
}

/// Keeps scopes from requesting anything while this lives: what a shield does to those around it, and what code of ours does that
/// was told, and waits for others to end.
pub(crate) struct Hidden(Vec<Rc<Shared>>);

impl Hidden {
    /// From all the scopes around the current step.
    pub(crate) fn here() -> Self {
        Self::from(innermost())
    }

    /// From `scope` and all those around it.
    fn from(scope: Option<Rc<Shared>>) -> Self {
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

pin_project! {
    /// What runs in a cancel scope; see [`CancelScope::run`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Scoped<F> {
        #[pin]
        inside: Option<F>,
        scope: ScopeGuard,
        entered: Entered,
    }
}

/// Leaves the scope when dropped.
struct Entered {
    shared: Rc<Shared>,
    is_entered: bool,
}

impl Entered {
    fn enter(&mut self) {
        let task = current().expect("a cancel scope must be used inside a task");
        let shared = &self.shared;
        let is_new = matches!(*shared.phase.borrow(), Phase::Created);
        assert!(is_new, "a cancel scope has already been entered");
        let (requests, parent) = (task.state.requests.get(), innermost());
        let hidden = shared.is_shield.get().then(|| Hidden::from(parent.clone()));
        let active = Active { task, scope: None, parent, hidden, requests, has_requested: false, timer: None };
        *shared.phase.borrow_mut() = Phase::Active(active);
        self.is_entered = true;
        // What has come already is told at the first wait.
        shared.is_polling.set(true);
        shared.set_timer();
        shared.is_polling.set(false);
    }

    /// Leaves the scope; takes back its request. `true` if a cancellation that came out of it was its own, and no other is around.
    fn leave(&mut self) -> bool {
        if !std::mem::take(&mut self.is_entered) {
            return false;
        }
        let shared = &self.shared;
        let around = if shared.is_shield.get() { None } else { ancestors(shared).next() };
        let is_wanted_around = audible(around).any(|scope| scope.is_cancelled.get());
        let Phase::Active(active) = shared.phase.replace(Phase::Left) else { return false };
        drop(active.hidden);
        if let Some(timer) = active.timer {
            timer.cancel();
        }
        // It may not have come to a request of its own: one of a scope further in was first, and passed through.
        let others = if active.has_requested { active.task.uncancel() } else { active.task.state.requests.get() };
        shared.is_cancelled.get() && others <= active.requests && !is_wanted_around
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Makes a scope the innermost one until this is dropped.
struct Polling {
    shared: Rc<Shared>,
    previous: Option<Rc<Shared>>,
}

impl Polling {
    fn begin(shared: &Rc<Shared>) -> Self {
        shared.is_polling.set(true);
        let previous = INNERMOST.replace(Some(shared.clone()));
        Self { shared: shared.clone(), previous }
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        self.shared.is_polling.set(false);
        let this = INNERMOST.replace(self.previous.take());
        drop(this);
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // Without an inside, a cancellation is on its way through.
        let Some(inside) = this.inside.as_mut().as_pin_mut() else { return Poll::Pending };
        if !this.entered.is_entered {
            this.entered.enter();
        }
        let shared = this.entered.shared.clone();
        // First of all: scopes further in may have been moved along, and look for this one.
        this.scope.enter(cx);
        shared.adopt(this.scope.id());
        let polled = {
            let _polling = Polling::begin(&shared);
            this.scope.poll(inside, cx)
        };
        let Poll::Ready(outcome) = polled else {
            shared.insist(cx);
            return Poll::Pending;
        };
        this.inside.set(None);
        this.scope.leave();
        let is_own = this.entered.leave();
        match outcome {
            Ok(value) => Poll::Ready(Some(value)),
            Err(_) if is_own => {
                shared.is_caught.set(true);
                Poll::Ready(None)
            }
            Err(error) => {
                raise(Some(error));
                Poll::Pending
            }
        }
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("scope", &self.scope).finish_non_exhaustive()
    }
}
