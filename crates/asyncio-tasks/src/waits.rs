//! Waits: the places where tasks are suspended, and how a cancellation reaches them.
//!
//! Whoever waits for something of ours (a lock, a timer, a future, a task) has a record here. It says who is to be
//! resumed, and whether the matter is decided. The records of a thread lie in one table, so that waiting allocates nothing
//! and needs no pointer: a record that is gone is not found.
//!
//! A task knows the records that it is suspended in: one, unless it waits for several things at once (`join!`). Cancelling a
//! suspended task cancels these waits. That is asyncio's `fut_waiter`.
//!
//! Invariants:
//! 1. A wait is decided once: it leaves `Waiting` (or `Forwarded`) for `Decided` or `Cancelled` and never comes back.
//! 2. A record is in its task's list exactly while it exists (which may be longer than the wait), and in at most one queue.
//! 3. Nothing is borrowed while a waker is called or a cancellation is passed on.
//!
//! Absent on purpose: fairness. That is the order of a [`WaitQueue`](crate::WaitQueue).

mod cancelling;
mod held;
mod queue;
mod rare;

pub(crate) use cancelling::cancel_all;
pub(crate) use held::{Holder, held};
pub(crate) use queue::QueueEnds;

use crate::current::{current, current_owner_of, current_scope};
use crate::error::CancelledError;
use crate::raw::TaskRef;
use crate::task_state::Flags;
use asyncio_driver::{Slots, Token};
use asyncio_loop::{ExceptionContext, Step, TimerKey, TokenStep};
use rare::Rare;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};

/// Names a wait.
pub(crate) type WaitId = Token;

/// The slot of no wait and no scope.
pub(crate) const NO_SLOT: u32 = u32::MAX;

/// What has become of a wait. As wide as the other fields of a record, so that one is moved in whole words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum WaitState {
    /// Nothing yet.
    Waiting,
    /// A request was passed on to what is waited for, and accepted there.
    Forwarded,
    /// What was waited for has come; the one who waits will be resumed with it.
    Decided,
    /// The wait was given up by a cancellation, which is delivered when the task is resumed.
    Cancelled,
}

/// What passes a cancellation on, where that is more than giving up the wait.
pub(crate) trait CancelTarget {
    /// As `Future.cancel`: whether the request was accepted.
    fn cancel(self: Rc<Self>, error: &CancelledError) -> bool;

    /// What is waited for, for those who look on.
    fn awaited(&self, found: &mut Vec<Awaited>);
}

/// What somebody waits for, as far as it is known.
#[derive(Debug)]
pub(crate) enum Awaited {
    Task(TaskRef),
    /// A loop future, and where it was created.
    Future(&'static Location<'static>),
}

/// What tells whom a wait is for, without a link by which a cancellation could go there.
pub(crate) trait Observed {
    fn awaited(&self, found: &mut Vec<Awaited>);
}

#[derive(Debug)]
struct Wait {
    state: WaitState,
    /// The task that is suspended here, unless it is a foreign executor's. A record that has ended, and is in the list of its
    /// task for a while, see `end`, has none.
    task: Option<TaskRef>,
    /// The task that is awaited, if it is one and the wait is linked to it.
    awaited: Option<TaskRef>,
    rare: Option<Box<Rare>>,
    /// The next wait of the same task.
    sibling: u32,
    /// The catch scope that it was last polled in; `NO_SLOT` if none.
    scope: u32,
    /// Neighbours in a queue; or, of a wait for a timer, that timer's token.
    previous: u32,
    next: u32,
}

thread_local! {
    static WAITS: RefCell<Slots<Wait>> = const { RefCell::new(Slots::new()) };
}

/// What a wait is linked to: where a cancellation goes.
pub(crate) enum Link {
    /// Nowhere: the wait is given up.
    None,
    Task(TaskRef),
    Target(Rc<dyn CancelTarget>),
    /// Nowhere, either; but this knows what is waited for.
    Observed(Weak<dyn Observed>),
}

impl Link {
    /// Passes a cancellation on; says whether it was accepted.
    pub(crate) fn cancel(&self, error: &CancelledError) -> bool {
        match self {
            Self::None | Self::Observed(_) => false,
            Self::Task(task) => !task.state.has(Flags::PASSING_ON) && task.cancel(error.clone()),
            Self::Target(target) => target.clone().cancel(error),
        }
    }
}

impl Link {
    /// What it leads to, if that is not done.
    pub(crate) fn awaited(&self, found: &mut Vec<Awaited>) {
        match self {
            Self::None => {}
            Self::Task(task) if task.state.is_done() => {}
            Self::Task(task) => found.push(Awaited::Task(task.clone())),
            Self::Target(target) => target.awaited(found),
            Self::Observed(observed) => {
                if let Some(observed) = observed.upgrade() {
                    observed.awaited(found);
                }
            }
        }
    }
}

/// Begins to wait on behalf of whoever polls with `cx`.
// Inlined: what `link` is decides which of the records it is.
#[inline]
pub(crate) fn begin(cx: &Context<'_>, link: Link) -> WaitId {
    match (current_owner_of(cx.waker()), link) {
        (Some(task), Link::None) => begin_plain(task, None),
        (Some(task), Link::Task(awaited)) => begin_plain(task, Some(awaited)),
        (task, link) => begin_rare(cx, task.is_some(), link),
    }
}

#[inline(never)]
fn begin_plain(task: TaskRef, awaited: Option<TaskRef>) -> WaitId {
    WAITS.with_borrow_mut(|waits| insert(waits, Wait::plain(task, awaited)))
}

#[inline(never)]
fn begin_rare(cx: &Context<'_>, is_owner: bool, link: Link) -> WaitId {
    let wait = Wait::rare(cx, is_owner, link);
    WAITS.with_borrow_mut(|waits| insert(waits, wait))
}

impl Wait {
    /// A record of a task that polls with its own waker, in no list yet.
    // Always, as `insert`: a record is written where it stays, not handed on in pieces.
    #[inline(always)]
    fn plain(task: TaskRef, awaited: Option<TaskRef>) -> Self {
        Self {
            state: WaitState::Waiting,
            sibling: task.state.first_wait.get(),
            scope: current_scope(),
            task: Some(task),
            awaited,
            rare: None,
            previous: NO_SLOT,
            next: NO_SLOT,
        }
    }

    /// Whether it was given up by a cancellation that has been delivered since. (While that is in flight, other branches of the task may
    /// be polled, and this one with them.)
    fn is_given_up(&self) -> bool {
        let is_in_flight = |task: &TaskRef| task.state.has(Flags::IN_FLIGHT);
        self.state == WaitState::Cancelled && !self.task.as_ref().is_some_and(is_in_flight)
    }

    /// A record of whoever polls with `cx`, in no list yet.
    fn rare(cx: &Context<'_>, is_owner: bool, link: Link) -> Self {
        let waker = if is_owner { None } else { Some(cx.waker().clone()) };
        let (awaited, target, observed) = match link {
            Link::None => (None, None, None),
            Link::Task(task) => (Some(task), None, None),
            Link::Target(target) => (None, Some(target), None),
            Link::Observed(observed) => (None, None, Some(observed)),
        };
        let task = current();
        Self {
            state: WaitState::Waiting,
            sibling: task.as_ref().map_or(NO_SLOT, |task| task.state.first_wait.get()),
            scope: current_scope(),
            task,
            awaited,
            rare: Some(Rare { waker, target, observed }.boxed()),
            previous: NO_SLOT,
            next: NO_SLOT,
        }
    }
}

/// Puts a record that was just made into the table and at the head of its task's list.
#[inline(always)]
fn insert(waits: &mut Slots<Wait>, wait: Wait) -> WaitId {
    if let Some(task) = &wait.task {
        task.state.first_wait.set(waits.next_token().slot());
    }
    waits.insert(wait)
}

/// Says that the wait goes on, on behalf of whoever polls with `cx` now.
pub(crate) fn renew(id: WaitId, cx: &Context<'_>) {
    let (old, is_foreign) = WAITS.with_borrow_mut(|waits| {
        let Some(wait) = waits.get_mut(id) else { return (None, false) };
        wait.scope = current_scope();
        if wait.task.as_ref().is_some_and(|task| task.owns_waker(cx.waker())) {
            return (wait.rare.as_mut().and_then(|rare| rare.waker.take()), false);
        }
        let waker = wait.rare.as_ref().and_then(|rare| rare.waker.as_ref());
        (None, !waker.is_some_and(|waker| waker.will_wake(cx.waker())))
    });
    drop(old);
    if is_foreign {
        let waker = cx.waker().clone();
        let old = WAITS.with_borrow_mut(|waits| {
            waits.get_mut(id)?.rare.get_or_insert_with(|| Rare::default().boxed()).waker.replace(waker)
        });
        drop(old);
    }
    adopt(id);
}

/// Moves a wait to the task that polls it now, if it was begun by another one.
fn adopt(id: WaitId) {
    let new = current();
    let moved = WAITS.with_borrow_mut(|waits| {
        let wait = waits.get_mut(id)?;
        if wait.task == new {
            return None;
        }
        let old = wait.task.take();
        if let Some(old) = &old {
            unlink(waits, id, old);
        }
        let wait = waits.get_mut(id)?;
        wait.sibling = new.as_ref().map_or(NO_SLOT, |task| task.state.first_wait.get());
        wait.task = new.clone();
        if let Some(new) = &new {
            new.state.first_wait.set(id.slot());
        }
        old
    });
    drop(moved);
}

/// What has become of a wait; `Decided` if it is gone, as all are at the end of the thread. `Cancelled` only when the cancellation has been
/// delivered.
pub(crate) fn state(id: WaitId) -> WaitState {
    let state = |wait: &Wait| match wait.state {
        WaitState::Cancelled if !wait.is_given_up() => WaitState::Waiting,
        state => state,
    };
    let state = WAITS.try_with(|waits| waits.borrow().get(id).map(state));
    state.ok().flatten().unwrap_or(WaitState::Decided)
}

/// Ends a wait, which must not be in a queue any more.
///
/// A wait that is not at the head of its task's list stays there, ended, until the one before it ends: so a task that waits
/// for a million things at once does not search its list a million times. Each takes along the ended ones behind it, so
/// what stays is bounded by how many the task has waited for at once.
pub(crate) fn end(id: WaitId) {
    // The table is gone at the end of the thread, and with it the waits.
    let gone = WAITS.try_with(|waits| end_in(&mut waits.borrow_mut(), id));
    drop(gone);
}

/// What is to be dropped when the table is not borrowed any more.
struct Ended {
    _task: Option<TaskRef>,
    _awaited: Option<TaskRef>,
    rare: Option<Box<Rare>>,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(rare) = self.rare.take() {
            Rare::recycle(rare);
        }
    }
}

/// Takes a record out of the table and out of its task's list. Mostly nothing is left that would run code of others when dropped.
fn end_in(waits: &mut Slots<Wait>, id: WaitId) -> Option<Ended> {
    let wait = waits.get(id)?;
    let is_first = wait.task.as_ref().is_none_or(|task| task.state.first_wait.get() == id.slot());
    let (task, awaited, rare) = if is_first {
        let Wait { task, awaited, rare, sibling, .. } = waits.remove(id)?;
        if let Some(task) = &task {
            task.state.first_wait.set(remove_ended(waits, sibling));
        }
        (task, awaited, rare)
    } else {
        let after = remove_ended(waits, wait.sibling);
        let wait = waits.get_mut(id)?;
        (wait.state, wait.sibling) = (WaitState::Decided, after);
        (wait.task.take(), wait.awaited.take(), wait.rare.take())
    };
    let (task, awaited) = (task.and_then(TaskRef::release), awaited.and_then(TaskRef::release));
    let is_empty = task.is_none() && awaited.is_none() && rare.is_none();
    if is_empty { None } else { Some(Ended { _task: task, _awaited: awaited, rare }) }
}

/// Removes the ended waits at the beginning of a list; gives what is then the first.
fn remove_ended(waits: &mut Slots<Wait>, mut first: u32) -> u32 {
    while let Some((ended, wait)) = waits.in_slot_mut(first)
        && wait.task.is_none()
    {
        first = wait.sibling;
        waits.remove(ended);
    }
    first
}

/// What whoever is polled again finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// It is over, and ended: what was waited for has come.
    Decided,
    /// It goes on.
    Waiting,
    /// It was given up by a cancellation, which has been delivered; the future was kept beyond that, by reference. The record is still
    /// there, for the one who waits to take back what it has registered; then it waits anew.
    GivenUp,
}

/// Looks at a wait that is in no queue, on behalf of whoever polls with `cx`.
pub(crate) fn look(id: WaitId, cx: &Context<'_>) -> Look {
    let (look, gone) = WAITS.with_borrow_mut(|waits| match waits.get(id) {
        None => (Look::Decided, None),
        Some(wait) if wait.state == WaitState::Decided => (Look::Decided, end_in(waits, id)),
        Some(wait) if wait.is_given_up() => (Look::GivenUp, None),
        Some(_) => (Look::Waiting, None),
    });
    drop(gone);
    if look == Look::Waiting {
        renew(id, cx);
    }
    look
}

/// Remembers the timer of a wait that is in no queue.
pub(crate) fn set_timer(id: WaitId, timer: TimerKey) {
    let token = timer.token();
    WAITS.with_borrow_mut(|waits| {
        if let Some(wait) = waits.get_mut(id) {
            (wait.previous, wait.next) = (token.slot(), token.generation());
        }
    });
}

/// The timer of a wait.
pub(crate) fn timer_of(id: WaitId) -> Option<TimerKey> {
    let found = WAITS.try_with(|waits| {
        let waits = waits.borrow();
        let wait = waits.get(id)?;
        Some(TimerKey::of_token(Token::new(wait.previous, wait.next)))
    });
    found.ok().flatten()
}

/// Takes a wait out of the list of its task.
fn unlink(waits: &mut Slots<Wait>, id: WaitId, task: &TaskRef) {
    let after = waits.get(id).map_or(NO_SLOT, |wait| wait.sibling);
    if task.state.first_wait.get() == id.slot() {
        // Whoever is first takes along the ended ones behind it.
        task.state.first_wait.set(remove_ended(waits, after));
        return;
    }
    let mut slot = task.state.first_wait.get();
    while let Some((_, wait)) = waits.in_slot_mut(slot) {
        if wait.sibling == id.slot() {
            wait.sibling = after;
            return;
        }
        slot = wait.sibling;
    }
}

/// Decides a wait and resumes who waits. `false` if it was decided before.
pub(crate) fn wake(id: WaitId) -> bool {
    settle(id, None)
}

/// Decides a wait for something that can itself end cancelled, and resumes who waits. `false` if it was decided before.
pub(crate) fn settle(id: WaitId, cancelled: Option<&CancelledError>) -> bool {
    // The table is gone at the end of the thread, and with it the waits.
    let resume = WAITS.try_with(|waits| settle_in(waits.borrow_mut().get_mut(id)?, cancelled));
    resume.ok().flatten().map(Resume::go).is_some()
}

/// As `settle`, for the wait in a slot, which exists.
pub(crate) fn settle_slot(slot: u32, cancelled: Option<&CancelledError>) {
    // As in `settle`.
    let resume = WAITS.try_with(|waits| settle_in(waits.borrow_mut().in_slot_mut(slot)?.1, cancelled));
    if let Ok(Some(resume)) = resume {
        resume.go();
    }
}

#[inline]
fn settle_in(wait: &mut Wait, cancelled: Option<&CancelledError>) -> Option<Resume> {
    match wait.state {
        WaitState::Waiting => {
            wait.state = WaitState::Decided;
            Some(Resume::of(wait))
        }
        WaitState::Forwarded => Some(settle_forwarded(wait, cancelled)),
        WaitState::Decided | WaitState::Cancelled => None,
    }
}

/// A request was passed on to what was waited for, and accepted there.
#[cold]
fn settle_forwarded(wait: &mut Wait, cancelled: Option<&CancelledError>) -> Resume {
    // Cancelled because this task asked for it: then it is this task that is cancelled. Otherwise it is a value.
    if let (Some(error), Some(task)) = (cancelled, &wait.task) {
        wait.state = WaitState::Cancelled;
        task.state.with_extra(|extra| extra.accepted = Some(error.clone()));
    } else {
        wait.state = WaitState::Decided;
    }
    // A task that waits for the end of what it has cancelled is not polled meanwhile: a combinator inside it may have
    // been woken before, in vain, and then passes on no other wake-up. So the task itself is resumed, too.
    let frozen = wait.task.clone();
    match (Resume::of(wait), frozen) {
        (Resume::Waker(waker), Some(task)) => Resume::Both(waker, task),
        (resume, _) => resume,
    }
}

/// Who is to be resumed.
enum Resume {
    Task(TaskRef),
    Waker(Waker),
    Both(Waker, TaskRef),
    Nobody,
}

impl Resume {
    /// Of a wait that is over: nobody else will wake it.
    fn of(wait: &mut Wait) -> Self {
        if let Some(waker) = wait.rare.as_mut().and_then(|rare| rare.waker.take()) {
            return Self::Waker(waker);
        }
        wait.task.clone().map_or(Self::Nobody, Self::Task)
    }

    fn go(self) {
        match self {
            Self::Task(task) => task.schedule(),
            Self::Waker(waker) => wake_foreign(waker),
            Self::Both(waker, task) => {
                wake_foreign(waker);
                task.schedule();
            }
            Self::Nobody => {}
        }
    }
}

/// Wakes somebody else's waker. Its panic is reported: whoever has decided a wait has others to tell.
fn wake_foreign(waker: Waker) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake()))
        && let Ok(event_loop) = asyncio_loop::try_get_running_loop()
    {
        event_loop.call_exception_handler(ExceptionContext::new("a waker panicked").with_panic(payload));
    }
}

/// What the waits of a task say about a cancellation that is in flight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flight {
    /// Something has yet to end.
    pub(crate) outstanding: bool,
    /// A wait was given up.
    pub(crate) cancelled: bool,
}

/// Looks at the waits of a task.
pub(crate) fn flight(task: &TaskRef) -> Flight {
    let mut flight = Flight::default();
    WAITS.with_borrow_mut(|waits| {
        let mut slot = task.state.first_wait.get();
        while let Some((_, wait)) = waits.in_slot_mut(slot) {
            flight.outstanding |= wait.state == WaitState::Forwarded;
            flight.cancelled |= wait.state == WaitState::Cancelled;
            slot = wait.sibling;
        }
    });
    flight
}

/// The undecided waits of a task, innermost first, each with what it is for; with nothing if that is a queue, the time, or
/// not ours. For those who look on.
pub(crate) fn of_task(task: &TaskRef) -> Vec<(WaitId, Vec<Awaited>)> {
    let mut records = Vec::new();
    WAITS.with_borrow_mut(|waits| {
        let mut slot = task.state.first_wait.get();
        while let Some((id, wait)) = waits.in_slot_mut(slot) {
            slot = wait.sibling;
            let is_open = matches!(wait.state, WaitState::Waiting | WaitState::Forwarded);
            if is_open && wait.task.is_some() {
                let rare = wait.rare.as_ref();
                let target = rare.and_then(|rare| rare.target.clone());
                let observed = rare.and_then(|rare| rare.observed.clone());
                let links =
                    [wait.awaited.clone().map(Link::Task), target.map(Link::Target), observed.map(Link::Observed)];
                records.push((id, links));
            }
        }
    });
    let awaited = |(id, links): (WaitId, [Option<Link>; 3])| {
        let mut found = Vec::new();
        links.iter().flatten().for_each(|link| link.awaited(&mut found));
        (id, found)
    };
    records.into_iter().map(awaited).collect()
}

/// The slot of a wait's record and the task that waits, if the wait is undecided.
pub(crate) fn waiter_in(slot: u32) -> Option<(WaitId, TaskRef)> {
    WAITS.with_borrow_mut(|waits| {
        let (id, wait) = waits.in_slot_mut(slot)?;
        Some((id, wait.task.clone()?))
    })
}

/// The scopes in which a task has given up its waits.
pub(crate) fn scopes_of_cancelled(task: &TaskRef) -> Vec<u32> {
    let mut scopes = Vec::new();
    WAITS.with_borrow_mut(|waits| {
        let mut slot = task.state.first_wait.get();
        while let Some((_, wait)) = waits.in_slot_mut(slot) {
            if wait.state == WaitState::Cancelled {
                scopes.push(wait.scope);
            }
            slot = wait.sibling;
        }
    });
    scopes.dedup();
    scopes
}

/// The step that decides a wait: what timers and callbacks schedule.
pub(crate) fn wake_step(wait: WaitId) -> Step {
    struct Wake;
    impl TokenStep for Wake {
        fn run(wait: WaitId) {
            wake(wait);
        }
    }
    Step::of_token::<Wake>(wait)
}
