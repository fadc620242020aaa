//! Catch scopes: the places in a coroutine to which a cancellation can be delivered.
//!
//! Unwinding is dropping. A cancellation drops the coroutine from its innermost await outwards, up to the innermost catch
//! scope around it, which then goes on; without any scope, the whole coroutine is dropped. A scope registers here when it
//! is first polled, under the scope that is being polled then, and leaves when it is done or dropped.
//!
//! Which scope is meant when several branches of one task wait at once (`join!`)? The innermost one that is around *all*
//! of them: starting at the task, go inwards for as long as there is exactly one way.
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
use crate::waits::NO_SLOT;
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
        self.enter(cx);
        if let Some(error) = self.take_told() {
            return Poll::Ready(Err(error));
        }
        let _inside = self.id.map(|id| enter_scope(id.slot()));
        inside.poll(cx).map(Ok)
    }

    /// Registers the scope, if the current task has not yet got it.
    pub(crate) fn enter(&mut self, cx: &Context<'_>) {
        if let Some(id) = self.id {
            let is_here = SCOPES.with_borrow(|scopes| scopes.get(id).is_some_and(|scope| is_current(&scope.task)));
            if is_here {
                set_waker(id, cx);
                return;
            }
            // The future was moved to another task.
            self.leave();
        }
        let Some(task) = current() else { return };
        let parent = current_scope();
        let id = SCOPES.with_borrow_mut(|scopes| {
            let scope = Scope {
                task: task.clone(),
                parent,
                first_child: NO_SLOT,
                previous: NO_SLOT,
                next: NO_SLOT,
                told: None,
                waker: None,
            };
            let id = scopes.insert(scope);
            let next = first_child(scopes, &task, parent);
            set_first_child(scopes, &task, parent, id.slot());
            if let Some((_, after)) = scopes.in_slot_mut(next) {
                after.previous = id.slot();
            }
            if let Some(scope) = scopes.get_mut(id) {
                scope.next = next;
            }
            id
        });
        self.id = Some(id);
        set_waker(id, cx);
    }

    /// Unregisters the scope. What is inside it must be gone, or finished.
    pub(crate) fn leave(&mut self) {
        let Some(id) = self.id.take() else { return };
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
        drop(gone);
    }

    /// Takes what was delivered to this scope.
    pub(crate) fn take_told(&self) -> Option<CancelledError> {
        let id = self.id?;
        SCOPES.with_borrow_mut(|scopes| scopes.get_mut(id)?.told.take())
    }
}

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Delivers a cancellation to the scope of `task` that it is meant for. Gives it back if that is the task itself.
pub(crate) fn tell(task: &TaskRef, error: CancelledError) -> Result<(), CancelledError> {
    let mut slot = task.state.if_extra(|extra| extra.first_scope).unwrap_or(NO_SLOT);
    let waker = SCOPES.with_borrow_mut(|scopes| {
        let mut target = None;
        // Inwards for as long as there is one way.
        while let Some((id, scope)) = scopes.in_slot_mut(slot)
            && scope.next == NO_SLOT
        {
            target = Some(id);
            slot = scope.first_child;
        }
        let Some(scope) = target.and_then(|id| scopes.get_mut(id)) else { return Err(error) };
        scope.told = Some(error);
        Ok(scope.waker.clone())
    })?;
    if let Some(waker) = waker {
        waker.wake();
    }
    Ok(())
}

/// Notes whom to wake when this scope is told something, unless that is the task itself.
fn set_waker(id: Token, cx: &Context<'_>) {
    let old = SCOPES.with_borrow_mut(|scopes| {
        let scope = scopes.get_mut(id)?;
        if scope.task.owns_waker(cx.waker()) {
            return scope.waker.take();
        }
        if scope.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return None;
        }
        scope.waker.replace(cx.waker().clone())
    });
    drop(old);
}

fn first_child(scopes: &mut Slots<Scope>, task: &TaskRef, parent: u32) -> u32 {
    match scopes.in_slot_mut(parent) {
        Some((_, scope)) => scope.first_child,
        None => task.state.if_extra(|extra| extra.first_scope).unwrap_or(NO_SLOT),
    }
}

fn set_first_child(scopes: &mut Slots<Scope>, task: &TaskRef, parent: u32, child: u32) {
    match scopes.in_slot_mut(parent) {
        Some((_, scope)) => scope.first_child = child,
        None => task.state.with_extra(|extra| extra.first_scope = child),
    }
}

/// Cuts scopes off that were moved out of the one that has left; they register anew when they are polled.
fn orphan(scopes: &mut Slots<Scope>, first: u32) {
    let mut slot = first;
    while let Some((_, scope)) = scopes.in_slot_mut(slot) {
        slot = scope.next;
        (scope.parent, scope.previous, scope.next) = (NO_SLOT, NO_SLOT, NO_SLOT);
    }
}
