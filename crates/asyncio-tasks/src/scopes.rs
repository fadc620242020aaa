//! Catch scopes: the places in a coroutine to which a cancellation can be delivered.
//!
//! Unwinding is dropping. A cancellation drops the coroutine from its innermost await outwards, up to the innermost catch
//! scope around it, which then goes on; without any scope, the whole coroutine is dropped. A scope registers here when it
//! is first polled, under the scope that is being polled then, and leaves when it is done or dropped.
//!
//! Which scope is meant when several branches of one task wait at once (`join!`)? The innermost one that is around *all*
//! of them: starting at the task, go inwards for as long as there is exactly one way, and no wait that was given up lies
//! beside it. An error that the task raises itself goes to the scope that it is raised in. A request of a timeout or a group is
//! about its own scope: waits beside that are not given up, and the search begins there.
//!
//! Invariants:
//! 1. A record's parent is the scope (or task) that was being polled when it registered.
//! 2. A scope that is told gets its error at its next poll, and is woken for that, so that a combinator which polls only
//!    what was woken finds it.
//!
//! Absent on purpose: what a scope makes of a cancellation. Timeouts, groups and `catch_cancelled` decide that.

use crate::current::{current, current_scope, enter_scope, is_current};
use crate::error::CancelledError;
use crate::raw::TaskRef;
use crate::waits::{self, NO_SLOT};
use asyncio_driver::{Slots, Token};
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

#[derive(Debug)]
struct Scope {
    task: TaskRef,
    /// The scope around this one; `NO_SLOT` for the task itself.
    parent: u32,
    first_child: u32,
    previous: u32,
    next: u32,
    /// What is to be delivered at the next poll.
    told: Option<CancelledError>,
    /// To be woken in place of the task.
    waker: Option<Waker>,
}

thread_local! {
    static SCOPES: RefCell<Slots<Scope>> = const { RefCell::new(Slots::new()) };
}

/// Keeps a scope registered; part of the future that is the scope, dropped after what is inside it.
#[derive(Debug, Default)]
pub(crate) struct ScopeGuard {
    id: Option<Token>,
}

impl ScopeGuard {
    pub(crate) const fn new() -> Self {
        Self { id: None }
    }

    /// Polls what is inside the scope. `Ready(Err)` is a cancellation that was delivered here: the inside must then be
    /// dropped, before anything else is done.
    ///
    /// Outside of any task there are no cancellations, and this is a plain poll.
    pub(crate) fn poll<F: Future>(
        &mut self,
        inside: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<F::Output, CancelledError>> {
        match self.enter(cx) {
            Some(error) => Poll::Ready(Err(error)),
            None => self.poll_inside(inside, cx).map(Ok),
        }
    }

    /// Polls what is inside the scope, which was entered.
    pub(crate) fn poll_inside<F: Future>(&self, inside: Pin<&mut F>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _inside = self.id.map(|id| enter_scope(id.slot()));
        inside.poll(cx)
    }

    /// Registers the scope, if the current task has not yet got it. Gives what was delivered to it.
    #[must_use]
    pub(crate) fn enter(&mut self, cx: &Context<'_>) -> Option<CancelledError> {
        let mut told = None;
        if let Some(id) = self.id {
            match enter_again(id, cx.waker()) {
                Entered::Plainly => return None,
                Entered::Told(error) => return Some(error),
                Entered::NeedsWaker => {
                    set_waker(id, cx.waker());
                    return SCOPES.with_borrow_mut(|scopes| scopes.get_mut(id)?.told.take());
                }
                // The future was moved to another scope or task, and takes along what it was told.
                Entered::Elsewhere => told = self.take_out(),
            }
        }
        let Some(task) = current() else { return told };
        let needs_waker = !task.owns_waker(cx.waker());
        let id = SCOPES.with_borrow_mut(|scopes| {
            let parent = current_scope();
            let next = first_child(scopes, &task, parent);
            let slot = scopes.next_token().slot();
            set_first_child(scopes, &task, parent, slot);
            if let Some((_, after)) = scopes.in_slot_mut(next) {
                after.previous = slot;
            }
            let (first_child, previous) = (NO_SLOT, NO_SLOT);
            scopes.insert(Scope { task, parent, first_child, previous, next, told: None, waker: None })
        });
        self.id = Some(id);
        if needs_waker {
            set_waker(id, cx.waker());
        }
        told
    }

    /// Unregisters the scope. What is inside it must be gone, or finished.
    pub(crate) fn leave(&mut self) {
        drop(self.take_out());
    }

    /// Unregisters the scope; gives what it was told and has not heard.
    fn take_out(&mut self) -> Option<CancelledError> {
        let id = self.id.take()?;
        // The table is gone at the end of the thread, and with it the scopes.
        let gone = SCOPES.try_with(|scopes| {
            let mut scopes = scopes.borrow_mut();
            let gone = scopes.remove(id)?;
            if let Some((_, previous)) = scopes.in_slot_mut(gone.previous) {
                previous.next = gone.next;
            } else if first_child(&mut scopes, &gone.task, gone.parent) == id.slot() {
                set_first_child(&mut scopes, &gone.task, gone.parent, gone.next);
            }
            if let Some((_, next)) = scopes.in_slot_mut(gone.next) {
                next.previous = gone.previous;
            }
            orphan(&mut scopes, gone.first_child);
            Some(gone)
        });
        gone.ok().flatten()?.told
    }

    /// Where it is registered; another one after it was moved.
    pub(crate) const fn id(&self) -> Option<Token> {
        self.id
    }
}

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Delivers a cancellation to the scope of `task` that it is meant for, which is `within` or lies in it. Gives it back if
/// that is the task itself.
pub(crate) fn tell(task: &TaskRef, within: Option<Token>, error: CancelledError) -> Result<(), CancelledError> {
    let mut slot = task.state.first_scope.get();
    if slot == NO_SLOT {
        return Err(error);
    }
    let given_up = waits::scopes_of_cancelled(task);
    let mut target = NO_SLOT;
    SCOPES.with_borrow_mut(|scopes| {
        let limit = within.and_then(|id| scopes.get(id).filter(|scope| scope.task == *task).map(|_| id.slot()));
        if let Some((_, scope)) = limit.and_then(|limit| scopes.in_slot_mut(limit)) {
            slot = scope.first_child;
        }
        target = limit.unwrap_or(NO_SLOT);
        while let Some((_, scope)) = scopes.in_slot_mut(slot)
            && scope.next == NO_SLOT
        {
            let inner = scope.first_child;
            let mut given_up = given_up.iter();
            let mut is_beside =
                |wait| limit.is_none_or(|limit| is_around(scopes, limit, wait)) && !is_around(scopes, slot, wait);
            if given_up.any(|wait| is_beside(*wait)) {
                break;
            }
            target = slot;
            slot = inner;
        }
    });
    tell_scope(target, error)
}

/// Delivers a cancellation to the scope in `slot`. Gives it back if there is none.
pub(crate) fn tell_scope(slot: u32, error: CancelledError) -> Result<(), CancelledError> {
    let waker = SCOPES.with_borrow_mut(|scopes| {
        let Some((_, scope)) = scopes.in_slot_mut(slot) else { return Err(error) };
        scope.told = Some(error);
        // It is set anew at the next poll.
        Ok(scope.waker.take())
    })?;
    if let Some(waker) = waker {
        waker.wake();
    }
    Ok(())
}

/// The innermost scope that is being polled.
pub(crate) fn current_id() -> Option<Token> {
    SCOPES.with_borrow_mut(|scopes| scopes.in_slot_mut(current_scope()).map(|(id, _)| id))
}

/// Whether the scope in slot `inner` is `outer`, or lies in it.
pub(crate) fn is_in(outer: Token, inner: u32) -> bool {
    SCOPES.with_borrow_mut(|scopes| scopes.get(outer).is_some() && is_around(scopes, outer.slot(), inner))
}

/// The innermost scope around both; `None` stands for the task.
pub(crate) fn around_both(one: Option<Token>, other: Option<Token>) -> Option<Token> {
    let (one, other) = (one?, other?);
    SCOPES.with_borrow_mut(|scopes| {
        let mut at = scopes.get(one).map(|_| one)?;
        while !is_around(scopes, at.slot(), other.slot()) {
            let parent = scopes.get(at)?.parent;
            at = scopes.in_slot_mut(parent).map(|(id, _)| id)?;
        }
        Some(at)
    })
}

/// Whether `inner` is `outer`, or lies in it.
fn is_around(scopes: &mut Slots<Scope>, outer: u32, inner: u32) -> bool {
    let mut at = inner;
    while at != outer {
        let Some((_, scope)) = scopes.in_slot_mut(at) else { return false };
        at = scope.parent;
    }
    true
}

/// What is found when a scope is polled again.
enum Entered {
    Plainly,
    Told(CancelledError),
    /// Its waker is another one, or is to be dropped.
    NeedsWaker,
    /// It was registered under another task or scope.
    Elsewhere,
}

fn enter_again(id: Token, waker: &Waker) -> Entered {
    SCOPES.with_borrow_mut(|scopes| {
        let is_here = |scope: &&mut Scope| scope.parent == current_scope() && is_current(&scope.task);
        let Some(scope) = scopes.get_mut(id).filter(is_here) else { return Entered::Elsewhere };
        if scope.waker.is_some() || !scope.task.owns_waker(waker) {
            return Entered::NeedsWaker;
        }
        scope.told.take().map_or(Entered::Plainly, Entered::Told)
    })
}

/// Notes whom to wake when this scope is told something, unless that is the task itself.
fn set_waker(id: Token, waker: &Waker) {
    let (old, is_foreign) = SCOPES.with_borrow_mut(|scopes| {
        let Some(scope) = scopes.get_mut(id) else { return (None, false) };
        if scope.task.owns_waker(waker) {
            return (scope.waker.take(), false);
        }
        (None, !scope.waker.as_ref().is_some_and(|own| own.will_wake(waker)))
    });
    drop(old);
    if is_foreign {
        let waker = waker.clone();
        let old = SCOPES.with_borrow_mut(|scopes| scopes.get_mut(id)?.waker.replace(waker));
        drop(old);
    }
}

fn first_child(scopes: &mut Slots<Scope>, task: &TaskRef, parent: u32) -> u32 {
    match scopes.in_slot_mut(parent) {
        Some((_, scope)) => scope.first_child,
        None => task.state.first_scope.get(),
    }
}

fn set_first_child(scopes: &mut Slots<Scope>, task: &TaskRef, parent: u32, child: u32) {
    match scopes.in_slot_mut(parent) {
        Some((_, scope)) => scope.first_child = child,
        None => task.state.first_scope.set(child),
    }
}

/// The parent of a scope that was cut off: neither a scope nor a task, so that it is nowhere when it is polled.
const NO_PARENT: u32 = NO_SLOT - 1;

/// Cuts scopes off that were moved out of the one that has left; they register anew when they are polled.
fn orphan(scopes: &mut Slots<Scope>, first: u32) {
    let mut slot = first;
    while let Some((_, scope)) = scopes.in_slot_mut(slot) {
        slot = scope.next;
        (scope.parent, scope.previous, scope.next) = (NO_PARENT, NO_SLOT, NO_SLOT);
    }
}
