//! What this thread is doing: which task's step is running, and inside which catch scope.
//!
//! Invariants:
//! 1. `TASK` is the address of a cell that is alive: whoever sets it holds a reference until it is set back.
//! 2. Whoever sets `TASK` or `SCOPE` sets it back, also when the code inside panics: both are set by guards.

use crate::raw::{Header, TaskRef};
use crate::waits::NO_SLOT;
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

thread_local! {
    static TASK: Cell<Option<NonNull<Header>>> = const { Cell::new(None) };
    static SCOPE: Cell<u32> = const { Cell::new(NO_SLOT) };
    static THREAD: Cell<u64> = const { Cell::new(0) };
}

/// The task whose step is running on this thread.
#[inline]
#[expect(unsafe_code, reason = "the address of the current task is kept without a count")]
pub(crate) fn current() -> Option<TaskRef> {
    // SAFETY: by invariant 1 the cell is alive, and thread-locals stay on their thread.
    TASK.get().map(|task| unsafe { TaskRef::from_address(task) })
}

/// The task whose step is running on this thread, if `waker` is its own.
#[inline]
pub(crate) fn current_owner_of(waker: &Waker) -> Option<TaskRef> {
    current().filter(|task| task.owns_waker(waker))
}

/// Puts whoever polls with `cx` at the end of the ready queue.
#[inline]
#[expect(unsafe_code, reason = "the address of the current task is kept without a count")]
pub(crate) fn yield_to_others(cx: &Context<'_>) {
    match TASK.get() {
        Some(task) if task.as_ptr().cast_const().cast() == cx.waker().data() => {
            // SAFETY: by invariant 1 the cell is alive, and thread-locals stay on their thread.
            unsafe { TaskRef::borrowed(task) }.schedule();
        }
        _ => cx.waker().wake_by_ref(),
    }
}

/// Whether a step of this task is running on this thread.
pub(crate) fn is_current(task: &TaskRef) -> bool {
    TASK.get() == Some(task.address())
}

/// Makes `task` the current one, outside of any scope, until the guard is dropped.
pub(crate) fn enter_task(task: &TaskRef) -> CurrentTask<'_> {
    CurrentTask { _task: task, previous: (TASK.replace(Some(task.address())), SCOPE.replace(NO_SLOT)) }
}

/// See [`enter_task`].
pub(crate) struct CurrentTask<'a> {
    _task: &'a TaskRef,
    previous: (Option<NonNull<Header>>, u32),
}

impl Drop for CurrentTask<'_> {
    fn drop(&mut self) {
        TASK.set(self.previous.0);
        SCOPE.set(self.previous.1);
    }
}

/// The innermost scope that is being polled, `NO_SLOT` if none is.
pub(crate) fn current_scope() -> u32 {
    SCOPE.get()
}

/// Makes `scope` the innermost one until the guard is dropped.
pub(crate) fn enter_scope(scope: u32) -> CurrentScope {
    CurrentScope(SCOPE.replace(scope))
}

/// See [`enter_scope`].
pub(crate) struct CurrentScope(u32);

impl Drop for CurrentScope {
    fn drop(&mut self) {
        SCOPE.set(self.0);
    }
}

/// A number for this thread that no other thread ever has.
pub(crate) fn current_thread_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    match THREAD.get() {
        0 => {
            // Relaxed: the number itself is all that is shared.
            let new = NEXT.fetch_add(1, Ordering::Relaxed);
            THREAD.set(new);
            new
        }
        id => id,
    }
}
