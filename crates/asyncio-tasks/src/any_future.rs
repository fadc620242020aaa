//! `AnyFuture`: a task or a loop future, whichever it is.
//!
//! asyncio's `Task` is a `Future`; here they are two types. Where both are to be in one list (`gather`, `wait`), this is what
//! they have in common.

use crate::ensure::{Ensure, Gatherable, Source};
use crate::error::CancelledError;
use crate::future::{Await, Future as LoopFuture};
use crate::task::{AnyTask, CallbackKey, Join, ResultError, Task};
use crate::wait::{TryWaitable, Waitable};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A task or a loop future, made of one by `From`, or of a coroutine by [`ensure_future`]. Clones are the same one.
///
/// # asyncio
///
/// What `asyncio.isfuture` is true of.
pub struct AnyFuture<T: 'static> {
    source: Source<T>,
}

/// Gives a task or future as it is; a coroutine becomes a task of the running loop.
///
/// # Panics
///
/// If it is a coroutine and no loop is running in this thread.
///
/// # asyncio
///
/// [`asyncio.ensure_future`](https://docs.python.org/3/library/asyncio-future.html#asyncio.ensure_future). Same.
#[track_caller]
pub fn ensure_future<G: Gatherable>(item: G) -> AnyFuture<G::Value> {
    AnyFuture { source: item.into_source(Location::caller()) }
}

impl<T: 'static> AnyFuture<T> {
    /// Asks it to end: a task at its next step, a future at once. `false` if it is done.
    #[expect(clippy::must_use_candidate, reason = "a request that comes too late is seldom of interest")]
    pub fn cancel(&self) -> bool {
        match &self.source {
            Source::Task(task) => task.cancel(),
            Source::Future(future, _) => future.cancel(),
        }
    }

    /// As [`cancel`](Self::cancel), with a message.
    #[expect(clippy::must_use_candidate, reason = "a request that comes too late is seldom of interest")]
    pub fn cancel_with(&self, message: &str) -> bool {
        match &self.source {
            Source::Task(task) => task.cancel_with(message),
            Source::Future(future, _) => future.cancel_with(message),
        }
    }

    /// Whether it has a result, has panicked, or was cancelled.
    #[must_use]
    pub fn done(&self) -> bool {
        self.source.done()
    }

    /// Whether it has ended cancelled.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        match &self.source {
            Source::Task(task) => task.cancelled(),
            Source::Future(future, _) => future.cancelled(),
        }
    }

    /// The result.
    ///
    /// # Errors
    ///
    /// [`ResultError::NotDone`] and [`ResultError::Cancelled`].
    ///
    /// # Panics
    ///
    /// With the panic of the task.
    pub fn result(&self) -> Result<T, ResultError>
    where
        T: Clone,
    {
        match &self.source {
            Source::Task(task) => task.result(),
            Source::Future(future, _) => future.result(),
        }
    }

    /// Calls `callback` once it is done, by an entry of the ready queue; see [`AnyTask`](crate::AnyTask).
    pub fn add_done_callback(&self, callback: impl FnOnce() + 'static) -> CallbackKey {
        self.source.on_done(callback)
    }

    /// Takes a callback back that has not been scheduled yet; gives how many there were: one or none.
    #[expect(clippy::must_use_candidate, reason = "most callers know")]
    pub fn remove_done_callback(&self, key: CallbackKey) -> usize {
        self.source.forget(key)
    }

    /// Whether both are the same task or future.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.source.is_same(&other.source)
    }
}

impl<T: 'static> From<Task<T>> for AnyFuture<T> {
    fn from(task: Task<T>) -> Self {
        Self { source: Source::Task(task) }
    }
}

impl<T: Clone + 'static> From<LoopFuture<T>> for AnyFuture<T> {
    fn from(future: LoopFuture<T>) -> Self {
        Self { source: Source::Future(future, T::clone) }
    }
}

impl<T: Clone + 'static> Clone for AnyFuture<T> {
    fn clone(&self) -> Self {
        match &self.source {
            Source::Task(task) => task.clone().into(),
            Source::Future(future, _) => future.clone().into(),
        }
    }
}

impl<T> fmt::Debug for AnyFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Task(task) => task.fmt(f),
            Source::Future(future, _) => future.fmt(f),
        }
    }
}

/// Waits for an [`AnyFuture`]; what awaiting it makes. It links, as awaiting a task or future does.
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct AwaitAny<T: 'static> {
    wait: Either<T>,
}

#[derive(Debug)]
enum Either<T: 'static> {
    Task(Join<T>),
    Future(Await<T>),
}

impl<T: Clone + 'static> IntoFuture for AnyFuture<T> {
    type Output = Result<T, CancelledError>;
    type IntoFuture = AwaitAny<T>;

    fn into_future(self) -> AwaitAny<T> {
        let wait = match self.source {
            Source::Task(task) => Either::Task(task.into_future()),
            Source::Future(future, _) => Either::Future(future.into_future()),
        };
        AwaitAny { wait }
    }
}

impl<T: Clone + 'static> Future for AwaitAny<T> {
    type Output = Result<T, CancelledError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().wait {
            Either::Task(join) => Pin::new(join).poll(cx),
            Either::Future(wait) => Pin::new(wait).poll(cx),
        }
    }
}

impl<T: Clone + 'static> Ensure for AnyFuture<T> {
    async fn end_now(self) -> Option<Result<T, CancelledError>> {
        match self.source {
            Source::Task(task) => task.end_now().await,
            Source::Future(future, _) => future.end_now().await,
        }
    }
}

impl<T: 'static> Gatherable for AnyFuture<T> {
    type Value = T;
    type Output = Result<T, CancelledError>;

    fn into_source(self, _: &'static Location<'static>) -> Source<T> {
        self.source
    }

    fn output(result: Result<T, CancelledError>) -> Result<Self::Output, CancelledError> {
        Ok(result)
    }
}

impl<T: 'static> Waitable for AnyFuture<T> {
    fn identity(&self) -> (Option<AnyTask>, &'static Location<'static>) {
        match &self.source {
            Source::Task(task) => task.identity(),
            Source::Future(future, _) => future.identity(),
        }
    }

    fn is_done(&self) -> bool {
        self.done()
    }

    fn on_done(&self, call: Box<dyn FnOnce()>) -> CallbackKey {
        self.add_done_callback(call)
    }

    fn forget(&self, key: CallbackKey) {
        self.remove_done_callback(key);
    }
}

impl<T: Clone + 'static, E: Clone + 'static> TryWaitable for AnyFuture<Result<T, E>> {
    fn has_failed(&self) -> bool {
        match &self.source {
            Source::Task(task) => task.has_failed(),
            Source::Future(future, _) => future.has_failed(),
        }
    }
}
