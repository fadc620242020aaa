//! `Future`: a result that will be there later, set by hand.
//!
//! The loop future of asyncio: low-level, single-threaded, with callbacks. Not to be confused with the `Future` trait of
//! std, which everything that can be awaited implements.

use crate::error::{CancelledError, InvalidStateError};
use crate::loop_tasks::{LoopTasks, schedule_in};
use crate::task::{CallbackKey, ResultError, next_key, remove_callback};
use crate::task_state::DoneCallback;
use crate::waits::{self, Awaited, CancelTarget, Link, Look, WaitId};
use asyncio_loop::{ContextSnapshot, EventLoop};
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::future::IntoFuture;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A result that will be set later. Clones are the same future.
///
/// Any number of tasks may await it, by value or by reference; each gets a clone of the result, in the order in which they
/// began to wait. `Err(CancelledError)` means that somebody cancelled the future. Awaiting *links*: cancelling a task that
/// waits for a future cancels the future, for everybody; [`shield`](crate::shield) prevents that.
///
/// # Cancel safety
///
/// Dropping the future that awaits it loses nothing.
///
/// # asyncio
///
/// [`asyncio.Future`](https://docs.python.org/3/library/asyncio-future.html#asyncio.Future). Differs: an exception is the
/// `Err` of a future of `Result`.
pub struct Future<T: 'static> {
    inner: Rc<Inner<T>>,
}

struct Inner<T> {
    /// Set once. Nothing is borrowed while it is cloned, which may be any code.
    outcome: OnceCell<Result<T, CancelledError>>,
    callbacks: RefCell<Callbacks>,
    tasks: Rc<LoopTasks>,
    location: &'static Location<'static>,
}

/// Whom to tell; nobody, once the future is done. Most futures have one who waits.
#[derive(Default)]
struct Callbacks {
    first: Option<DoneCallback>,
    more: Vec<DoneCallback>,
}

/// The result could not be set, for the future is done already. The value comes back.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the future is done already")]
#[expect(clippy::exhaustive_structs, reason = "it is just the value that comes back")]
pub struct SetResultError<T>(pub T);

impl<T> fmt::Debug for SetResultError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetResultError(..)")
    }
}

impl<T> From<SetResultError<T>> for InvalidStateError {
    fn from(_: SetResultError<T>) -> Self {
        Self::Done
    }
}

impl<T: 'static> Future<T> {
    /// A future of the running loop.
    ///
    /// # Panics
    ///
    /// If no loop is running in this thread. [`LoopTasksExt::create_future`](crate::LoopTasksExt::create_future) makes one
    /// for any loop.
    #[must_use]
    #[track_caller]
    #[expect(clippy::new_without_default, reason = "it needs a running loop")]
    pub fn new() -> Self {
        Self::on(LoopTasks::running(), Location::caller())
    }

    pub(crate) fn on(tasks: Rc<LoopTasks>, location: &'static Location<'static>) -> Self {
        let (outcome, callbacks) = (OnceCell::new(), RefCell::default());
        Self { inner: Rc::new(Inner { outcome, callbacks, tasks, location }) }
    }

    /// Sets the result and schedules whoever waits for it.
    ///
    /// # Errors
    ///
    /// If the future is done; the value comes back.
    ///
    /// # asyncio
    ///
    /// [`Future.set_result`](https://docs.python.org/3/library/asyncio-future.html#asyncio.Future.set_result). Same.
    pub fn set_result(&self, value: T) -> Result<(), SetResultError<T>> {
        match self.inner.outcome.set(Ok(value)) {
            Ok(()) => {
                self.inner.tell(None);
                Ok(())
            }
            Err(Ok(value)) => Err(SetResultError(value)),
            Err(Err(_)) => unreachable!("what comes back is what was to be set"),
        }
    }

    /// Cancels the future: whoever waits for it is told so at once. `false` if it is done.
    ///
    /// # asyncio
    ///
    /// [`Future.cancel`](https://docs.python.org/3/library/asyncio-future.html#asyncio.Future.cancel). Same; the message is
    /// [`cancel_with`](Self::cancel_with).
    #[expect(clippy::must_use_candidate, reason = "a request that comes too late is seldom of interest")]
    pub fn cancel(&self) -> bool {
        self.inner.clone().cancel(&CancelledError::default())
    }

    /// As [`cancel`](Self::cancel), with a message for whoever waits.
    #[expect(clippy::must_use_candidate, reason = "a request that comes too late is seldom of interest")]
    pub fn cancel_with(&self, message: &str) -> bool {
        self.inner.clone().cancel(&CancelledError::new(Some(message)))
    }

    /// Whether it has a result or was cancelled.
    #[must_use]
    pub fn done(&self) -> bool {
        self.inner.outcome.get().is_some()
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        matches!(self.inner.outcome.get(), Some(Err(_)))
    }

    /// The result.
    ///
    /// # Errors
    ///
    /// [`ResultError::NotDone`] and [`ResultError::Cancelled`].
    ///
    /// # asyncio
    ///
    /// [`Future.result`](https://docs.python.org/3/library/asyncio-future.html#asyncio.Future.result). Same.
    pub fn result(&self) -> Result<T, ResultError>
    where
        T: Clone,
    {
        match self.inner.outcome.get() {
            None => Err(ResultError::NotDone),
            Some(Ok(value)) => Ok(value.clone()),
            Some(Err(error)) => Err(error.clone().into()),
        }
    }

    /// Calls `callback` once the future is done, by an entry of the ready queue, in a copy of the context of now. Callbacks
    /// run in the order in which they were added; if the future is done already, `callback` is scheduled right away.
    ///
    /// # asyncio
    ///
    /// [`Future.add_done_callback`](https://docs.python.org/3/library/asyncio-future.html#asyncio.Future.add_done_callback). Same.
    #[track_caller]
    pub fn add_done_callback(&self, callback: impl FnOnce(&Self) + 'static) -> CallbackKey {
        let key = next_key();
        if self.done() {
            let future = self.clone();
            self.get_loop().call_soon(move || callback(&future));
        } else {
            // Weak: the future owns the callback. `tell` keeps it alive until then.
            let inner = Rc::downgrade(&self.inner);
            let call = Box::new(move || {
                if let Some(inner) = inner.upgrade() {
                    callback(&Self { inner });
                }
            });
            self.inner.add(DoneCallback::Call { key, context: ContextSnapshot::current(), call });
        }
        CallbackKey(key)
    }

    /// Takes a callback back that has not been scheduled yet; gives how many there were: one or none.
    ///
    /// # asyncio
    ///
    /// [`Future.remove_done_callback`](https://docs.python.org/3/library/asyncio-future.html#asyncio.Future.remove_done_callback).
    /// Differs: by key, since closures cannot be compared.
    #[expect(clippy::must_use_candidate, reason = "most callers know")]
    pub fn remove_done_callback(&self, key: CallbackKey) -> usize {
        let removed = {
            let Callbacks { first, more } = &mut *self.inner.callbacks.borrow_mut();
            let is_first = matches!(first, Some(DoneCallback::Call { key: other, .. }) if *other == key.0);
            if is_first { first.take() } else { remove_callback(more, key) }
        };
        usize::from(removed.is_some())
    }

    /// The loop that the future belongs to.
    #[must_use]
    pub fn get_loop(&self) -> EventLoop {
        self.inner.tasks.event_loop().clone()
    }

    /// Where in the program the future was created.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.inner.location
    }

    /// Whether both are the same future.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.inner, &other.inner)
    }

    /// The error of a future that was cancelled.
    #[must_use]
    pub fn cancelled_error(&self) -> Option<CancelledError> {
        self.inner.outcome.get().and_then(|outcome| outcome.as_ref().err().cloned())
    }

    pub(crate) fn target(&self) -> Rc<dyn CancelTarget> {
        self.inner.clone()
    }

    /// The result of a future that is done; one that is not counts as cancelled.
    pub(crate) fn result_with(&self, clone: fn(&T) -> T) -> Result<T, CancelledError> {
        match self.inner.outcome.get() {
            Some(Ok(value)) => Ok(clone(value)),
            Some(Err(error)) => Err(error.clone()),
            None => Err(CancelledError::default()),
        }
    }

    /// Registers a wait to be settled when the future is done.
    pub(crate) fn add_waiter(&self, wait: WaitId) {
        self.inner.add(DoneCallback::Wait(wait));
    }

    /// Takes back what `add_waiter` has registered.
    pub(crate) fn remove_waiter(&self, wait: WaitId) {
        let Callbacks { first, more } = &mut *self.inner.callbacks.borrow_mut();
        let is_it = |entry: &DoneCallback| matches!(entry, DoneCallback::Wait(other) if *other == wait);
        if first.as_ref().is_some_and(is_it) {
            *first = None;
        } else {
            more.retain(|entry| !is_it(entry));
        }
    }
}

impl<T, E> Future<Result<T, E>> {
    /// Sets an `Err` as the result.
    ///
    /// # Errors
    ///
    /// If the future is done; the error comes back, as the `Err` of the result.
    ///
    /// # asyncio
    ///
    /// [`Future.set_exception`](https://docs.python.org/3/library/asyncio-future.html#asyncio.Future.set_exception). Same.
    pub fn set_exception(&self, error: E) -> Result<(), SetResultError<Result<T, E>>> {
        self.set_result(Err(error))
    }
}

impl<T: 'static> Inner<T> {
    /// Registers a callback of a future that is not done.
    fn add(&self, callback: DoneCallback) {
        let Callbacks { first, more } = &mut *self.callbacks.borrow_mut();
        // The order of registration is the order of the call: once there are more, the first place stays empty.
        if first.is_none() && more.is_empty() {
            *first = Some(callback);
        } else {
            more.push(callback);
        }
    }

    /// The future is done: tells everybody.
    fn tell(self: &Rc<Self>, cancelled: Option<&CancelledError>) {
        let Callbacks { first, more } = self.callbacks.take();
        for callback in first.into_iter().chain(more) {
            match callback {
                DoneCallback::Wait(_) => callback.tell(self.tasks.event_loop(), cancelled),
                DoneCallback::Call { context, call, .. } => {
                    let this = self.clone();
                    schedule_in(self.tasks.event_loop(), context, move || {
                        call();
                        drop(this);
                    });
                }
            }
        }
    }
}

impl<T: 'static> CancelTarget for Inner<T> {
    fn cancel(self: Rc<Self>, error: &CancelledError) -> bool {
        let is_first = self.outcome.set(Err(error.clone())).is_ok();
        if is_first {
            self.tell(Some(error));
        }
        is_first
    }

    fn awaited(&self, found: &mut Vec<Awaited>) {
        if self.outcome.get().is_none() {
            found.push(Awaited::Future(self.location));
        }
    }
}

impl<T> Clone for Future<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for Future<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.inner.outcome.get() {
            None => "pending",
            Some(Ok(_)) => "finished",
            Some(Err(_)) => "cancelled",
        };
        let location = self.inner.location.to_string();
        f.debug_struct("Future").field("state", &state).field("created_at", &location).finish()
    }
}

/// Waits for a [`Future`]; what `future.await` makes.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Await<T: 'static> {
    future: Future<T>,
    wait: Option<WaitId>,
}

impl<T: Clone + 'static> IntoFuture for Future<T> {
    type Output = Result<T, CancelledError>;
    type IntoFuture = Await<T>;

    fn into_future(self) -> Await<T> {
        Await { future: self, wait: None }
    }
}

impl<T: Clone + 'static> IntoFuture for &Future<T> {
    type Output = Result<T, CancelledError>;
    type IntoFuture = Await<T>;

    fn into_future(self) -> Await<T> {
        self.clone().into_future()
    }
}

impl<T: Clone + 'static> std::future::Future for Await<T> {
    type Output = Result<T, CancelledError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if let Some(wait) = this.wait {
            match waits::look(wait, cx) {
                Look::Decided => this.wait = None,
                Look::Waiting => return Poll::Pending,
                Look::GivenUp => this.end(),
            }
        }
        match this.future.result() {
            Ok(value) => Poll::Ready(Ok(value)),
            Err(ResultError::Cancelled(error)) => Poll::Ready(Err(error)),
            Err(ResultError::NotDone) => {
                let wait = waits::begin(cx, Link::Target(this.future.inner.clone()));
                this.future.add_waiter(wait);
                this.wait = Some(wait);
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Await<T> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<T> Await<T> {
    fn end(&mut self) {
        if let Some(wait) = self.wait.take() {
            self.future.remove_waiter(wait);
            waits::end(wait);
        }
    }
}

impl<T> fmt::Debug for Await<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Await").field("future", &self.future).finish_non_exhaustive()
    }
}
