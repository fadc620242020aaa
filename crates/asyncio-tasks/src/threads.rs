//! Coroutines from other threads: `run_coroutine_threadsafe`, and cancelling from anywhere.

use crate::error::CancelledError;
use crate::loop_tasks::LoopTasks;
use crate::raw::TaskRef;
use crate::task::{AnyTask, spawn_on};
use asyncio_loop::{ClosedError, LoopHandle, get_running_loop};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What floor 2 adds to [`LoopHandle`]: coroutines from other threads.
pub trait LoopHandleExt {
    /// Runs the coroutine that `make` makes as a task of the loop, from any thread, and gives its result to this one.
    ///
    /// The coroutine is made on the loop's thread, so it need not be `Send`; its result must be.
    ///
    /// # Errors
    ///
    /// [`ClosedError`] if the loop was closed.
    ///
    /// # asyncio
    ///
    /// [`asyncio.run_coroutine_threadsafe`](https://docs.python.org/3/library/asyncio-task.html#asyncio.run_coroutine_threadsafe).
    /// Differs: takes a function that makes the coroutine.
    #[track_caller]
    fn run_coroutine_threadsafe<M, F>(&self, make: M) -> Result<ThreadFuture<F::Output>, ClosedError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static;
}

impl LoopHandleExt for LoopHandle {
    #[track_caller]
    fn run_coroutine_threadsafe<M, F>(&self, make: M) -> Result<ThreadFuture<F::Output>, ClosedError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let location = Location::caller();
        let shared = Arc::new(Shared {
            state: Mutex::new(ThreadState::Pending),
            changed: Condvar::new(),
            waker: Mutex::new(None),
        });
        let abandoned = Abandoned(shared.clone());
        let target = CancelTarget::new();
        let id = target.id;
        self.post(move || {
            let shared = abandoned.0.clone();
            if !matches!(*shared.lock(), ThreadState::Pending) {
                return; // Cancelled before it began.
            }
            let tasks = LoopTasks::of(&get_running_loop());
            match catch_unwind(AssertUnwindSafe(make)) {
                Ok(coroutine) => {
                    let returned = shared.clone();
                    let body = async move { returned.finish(ThreadState::Done(Ok(coroutine.await))) };
                    let task = spawn_on(&tasks, body, location);
                    let registered = CancelTarget::register(id, &task.to_any());
                    // It is dropped without a call if the loop is closed.
                    task.add_done_callback(move |task| {
                        drop(registered);
                        if let Some(panic) = task.take_unseen_panic() {
                            shared.finish(ThreadState::Done(Err(panic)));
                        }
                        drop(abandoned);
                    });
                }
                Err(panic) => shared.finish(ThreadState::Done(Err(panic))),
            }
        })?;
        Ok(ThreadFuture { shared, event_loop: self.clone(), target: id })
    }
}

/// The result of a coroutine that runs on a loop in another thread: a task of this thread's loop awaits it, a thread without a
/// loop blocks in [`result`](Self::result).
///
/// Dropping it detaches; the coroutine runs on. The panic of the coroutine goes on in whoever asks.
///
/// # Cancel safety
///
/// Awaited by `&mut`, nothing is lost by dropping the await. A task that is cancelled while it awaits this does not cancel the
/// coroutine; [`cancel`](Self::cancel) does.
///
/// # asyncio
///
/// The `concurrent.futures.Future` of `run_coroutine_threadsafe`. Differs: it is awaited as it is, without `wrap_future`.
pub struct ThreadFuture<T> {
    shared: Arc<Shared<T>>,
    event_loop: LoopHandle,
    target: u64,
}

struct Shared<T> {
    state: Mutex<ThreadState<T>>,
    changed: Condvar,
    /// Who awaits it; written before the state is looked at, and taken after the state is written.
    waker: Mutex<Option<Waker>>,
}

enum ThreadState<T> {
    Pending,
    Done(std::thread::Result<T>),
    Cancelled,
    Taken,
}

/// Why a [`ThreadFuture`] has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ThreadFutureError {
    /// It was cancelled, from either side, or the loop was closed.
    #[error("cancelled")]
    Cancelled,
    /// The time was over; ask again later.
    #[error("timed out")]
    TimedOut,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, ThreadState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, new: ThreadState<T>) {
        let mut state = self.lock();
        let old = if matches!(*state, ThreadState::Pending) { std::mem::replace(&mut *state, new) } else { new };
        drop(state);
        self.tell();
        drop(old);
    }

    /// Wakes whoever blocks, or awaits, with nothing locked.
    fn tell(&self) {
        self.changed.notify_all();
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Counts as cancelled if there is no result when this is dropped: with the message that was to make the coroutine, or when
/// its task has ended.
struct Abandoned<T>(Arc<Shared<T>>);

impl<T> Drop for Abandoned<T> {
    fn drop(&mut self) {
        self.0.finish(ThreadState::Cancelled);
    }
}

impl<T> ThreadFuture<T> {
    /// Blocks this thread until the result is there. Do not call it on the loop's own thread, where it would never be.
    ///
    /// # Errors
    ///
    /// [`ThreadFutureError::Cancelled`].
    ///
    /// # Panics
    ///
    /// With the panic of the coroutine.
    pub fn result(self) -> Result<T, ThreadFutureError> {
        let mut state = self.shared.lock();
        while matches!(*state, ThreadState::Pending) {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        take(state)
    }

    /// As [`result`](Self::result), for at most `timeout`. After [`ThreadFutureError::TimedOut`] it can be asked again.
    ///
    /// # Errors
    ///
    /// [`ThreadFutureError::Cancelled`] and [`ThreadFutureError::TimedOut`].
    ///
    /// # Panics
    ///
    /// With the panic of the coroutine.
    pub fn result_timeout(&self, timeout: Duration) -> Result<T, ThreadFutureError> {
        let state = self.shared.lock();
        let is_pending = |state: &mut ThreadState<T>| matches!(*state, ThreadState::Pending);
        let waited = self.shared.changed.wait_timeout_while(state, timeout, is_pending);
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() { Err(ThreadFutureError::TimedOut) } else { take(state) }
    }

    /// Whether there is a result, or it was cancelled.
    #[must_use]
    pub fn done(&self) -> bool {
        !matches!(*self.shared.lock(), ThreadState::Pending)
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        matches!(*self.shared.lock(), ThreadState::Cancelled)
    }

    /// Cancels: this side counts as cancelled at once, the task on the loop is asked to end. `false` if it is done.
    #[expect(clippy::must_use_candidate, reason = "a request that comes too late is seldom of interest")]
    pub fn cancel(&self) -> bool {
        {
            let mut state = self.shared.lock();
            if !matches!(*state, ThreadState::Pending) {
                return false;
            }
            *state = ThreadState::Cancelled;
        }
        self.shared.tell();
        let target = self.target;
        // If the loop was closed, its tasks are gone.
        let _ = self.event_loop.post(move || CancelTarget::cancel(target, None));
        true
    }
}

impl<T> Future for ThreadFuture<T> {
    type Output = Result<T, ThreadFutureError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = Some(cx.waker().clone());
        let old = std::mem::replace(&mut *self.shared.waker.lock().unwrap_or_else(PoisonError::into_inner), waker);
        drop(old);
        let state = self.shared.lock();
        if matches!(*state, ThreadState::Pending) { Poll::Pending } else { Poll::Ready(take(state)) }
    }
}

fn take<T>(mut state: MutexGuard<'_, ThreadState<T>>) -> Result<T, ThreadFutureError> {
    let outcome = match std::mem::replace(&mut *state, ThreadState::Taken) {
        ThreadState::Done(result) => result,
        ThreadState::Pending | ThreadState::Cancelled | ThreadState::Taken => {
            *state = ThreadState::Cancelled;
            return Err(ThreadFutureError::Cancelled);
        }
    };
    drop(state);
    outcome.map_err(|panic| std::panic::resume_unwind(panic))
}

impl<T> fmt::Debug for ThreadFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadFuture").field("done", &self.done()).finish_non_exhaustive()
    }
}

/// Cancels a task from any thread. Clones are for the same task.
///
/// # asyncio
///
/// `loop.call_soon_threadsafe(task.cancel)`.
#[derive(Clone, Debug)]
pub struct CancelHandle {
    event_loop: LoopHandle,
    target: Arc<CancelTarget>,
}

impl CancelHandle {
    /// Asks the task to end, if it has not: a message to its loop.
    pub fn cancel(&self) {
        let id = self.target.id;
        let _ = self.event_loop.post(move || CancelTarget::cancel(id, None));
    }

    /// As [`cancel`](Self::cancel), with a message.
    pub fn cancel_with(&self, message: &str) {
        let (id, error) = (self.target.id, CancelledError::new(Some(message)));
        let _ = self.event_loop.post(move || CancelTarget::cancel(id, Some(error)));
    }
}

impl AnyTask {
    /// What cancels this task from other threads.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        // All handles of a task have one number, for the table must not grow with them.
        let known = self.task.state.if_extra(|extra| extra.cancel_target).flatten();
        let target = known.map_or_else(CancelTarget::new, |id| CancelTarget { id });
        if known.is_none() && !self.done() {
            let id = target.id;
            self.task.state.with_extra(|extra| extra.cancel_target = Some(id));
            let registered = CancelTarget::register(id, self);
            self.add_done_callback(move |_| drop(registered));
        }
        CancelHandle { event_loop: self.get_loop().handle(), target: Arc::new(target) }
    }
}

/// A task under a number that may travel; the task itself stays in a table of its thread.
#[derive(Debug)]
struct CancelTarget {
    id: u64,
}

thread_local! {
    static TARGETS: RefCell<BTreeMap<u64, TaskRef>> = const { RefCell::new(BTreeMap::new()) };
}

impl CancelTarget {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // Relaxed: the number itself is all that is shared.
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    fn register(id: u64, task: &AnyTask) -> Registered {
        let previous = TARGETS.with_borrow_mut(|targets| targets.insert(id, task.task.clone()));
        drop(previous);
        Registered(id)
    }

    fn cancel(id: u64, error: Option<CancelledError>) {
        let task = TARGETS.with_borrow(|targets| targets.get(&id).cloned());
        if let Some(task) = task {
            task.cancel(error.unwrap_or_default());
        }
    }
}

/// An entry of the table, which goes with it.
struct Registered(u64);

impl Drop for Registered {
    fn drop(&mut self) {
        // The table is gone at the end of the thread.
        let removed = TARGETS.try_with(|targets| targets.borrow_mut().remove(&self.0));
        drop(removed);
    }
}
