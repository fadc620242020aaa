//! What can be awaited where asyncio takes "an awaitable": coroutines, tasks, loop futures.

#![expect(unnameable_types, reason = "the hidden half of traits that others do not implement")]

use crate::error::CancelledError;
use crate::future::Future as LoopFuture;
use crate::loop_tasks::LoopTasks;
use crate::task::{CallbackKey, Task, spawn_on};
use crate::waits::Link;
use std::future::{Future, IntoFuture};
use std::panic::Location;

/// A coroutine (any std future), a [`Task`], or a loop [`Future`](LoopFuture).
///
/// # asyncio
///
/// "Awaitable objects". Not to be implemented by others.
pub trait Ensure: IntoFuture + Sized {
    /// Ends it now: gives the result if it is done; otherwise cancels it, waits for its end, and gives what it came to, if it
    /// was not cancelled. A coroutine never starts.
    #[doc(hidden)]
    fn end_now(self) -> impl Future<Output = Option<Self::Output>>;
}

impl<F: Future> Ensure for F {
    async fn end_now(self) -> Option<F::Output> {
        drop(self);
        // As asyncio, which waits for the end of a task that never began.
        crate::yield_now().await;
        None
    }
}

impl<T: 'static> Ensure for Task<T> {
    async fn end_now(mut self) -> Option<Result<T, CancelledError>> {
        if !self.done() {
            self.cancel();
            // A cancellation of the waiting task ends this wait, and goes no further.
            wait_for_end(&mut self).await;
            if self.cancelled() {
                return None;
            }
        }
        Some(self.take_result())
    }
}

/// Waits until a task is done, and leaves its result where it is.
async fn wait_for_end<T: 'static>(task: &mut Task<T>) {
    let ended = LoopFuture::<()>::new();
    let tell = ended.clone();
    let key = task.add_done_callback(move |_| {
        let _ = tell.set_result(());
    });
    let _ = ended.await;
    task.remove_done_callback(key);
}

impl<T: Clone + 'static> Ensure for LoopFuture<T> {
    async fn end_now(self) -> Option<Result<T, CancelledError>> {
        if !self.done() {
            self.cancel();
            crate::yield_now().await;
            return None;
        }
        Some(self.await)
    }
}

/// What [`gather`](crate::gather) and its kin take: as [`Ensure`], with coroutines becoming tasks.
pub trait Gatherable {
    /// What the coroutine, task or future returns.
    type Value: 'static;
    /// What it is in the result: the value of a coroutine; of a task or future, a `Result` with its cancellation.
    type Output;

    #[doc(hidden)]
    fn into_source(self, location: &'static Location<'static>) -> Source<Self::Value>;

    /// `Err` where the cancellation cannot be a value.
    #[doc(hidden)]
    fn output(result: Result<Self::Value, CancelledError>) -> Result<Self::Output, CancelledError>;
}

impl<F: Future + 'static> Gatherable for F {
    type Value = F::Output;
    type Output = F::Output;

    fn into_source(self, location: &'static Location<'static>) -> Source<F::Output> {
        Source::Task(spawn_on(&LoopTasks::running(), self, location))
    }

    fn output(result: Result<F::Output, CancelledError>) -> Result<F::Output, CancelledError> {
        result
    }
}

impl<T: 'static> Gatherable for Task<T> {
    type Value = T;
    type Output = Result<T, CancelledError>;

    fn into_source(self, _: &'static Location<'static>) -> Source<T> {
        Source::Task(self)
    }

    fn output(result: Result<T, CancelledError>) -> Result<Self::Output, CancelledError> {
        Ok(result)
    }
}

impl<T: Clone + 'static> Gatherable for LoopFuture<T> {
    type Value = T;
    type Output = Result<T, CancelledError>;

    fn into_source(self, _: &'static Location<'static>) -> Source<T> {
        Source::Future(self, T::clone)
    }

    fn output(result: Result<T, CancelledError>) -> Result<Self::Output, CancelledError> {
        Ok(result)
    }
}

/// Where a value will come from.
#[derive(Debug)]
#[doc(hidden)]
#[non_exhaustive]
pub enum Source<T: 'static> {
    Task(Task<T>),
    Future(LoopFuture<T>, fn(&T) -> T),
}

impl<T: 'static> Source<T> {
    pub(crate) fn done(&self) -> bool {
        match self {
            Self::Task(task) => task.done(),
            Self::Future(future, _) => future.done(),
        }
    }

    pub(crate) fn link(&self) -> Link {
        match self {
            Self::Task(task) => Link::Task(task.to_any().task),
            Self::Future(future, _) => Link::Target(future.target()),
        }
    }

    pub(crate) fn on_done(&self, call: impl FnOnce() + 'static) -> CallbackKey {
        match self {
            Self::Task(task) => task.add_done_callback(move |_| call()),
            Self::Future(future, _) => future.add_done_callback(move |_| call()),
        }
    }

    pub(crate) fn forget(&self, key: CallbackKey) -> usize {
        match self {
            Self::Task(task) => task.remove_done_callback(key),
            Self::Future(future, _) => future.remove_done_callback(key),
        }
    }

    /// Whether both are the same task or future.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Task(this), Self::Task(other)) => this.to_any() == other.to_any(),
            (Self::Future(this, _), Self::Future(other, _)) => this.is_same(other),
            _ => false,
        }
    }

    /// Whether it is a task that has panicked, with nobody told yet.
    pub(crate) fn panicked(&self) -> bool {
        match self {
            Self::Task(task) => task.has_unseen_panic(),
            Self::Future(..) => false,
        }
    }

    /// The result of what is done.
    pub(crate) fn take(&self) -> Result<T, CancelledError> {
        match self {
            Self::Task(task) => task.take_result(),
            Self::Future(future, clone) => future.result_with(*clone),
        }
    }
}
