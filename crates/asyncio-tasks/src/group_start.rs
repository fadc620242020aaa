//! `TaskGroup::start`: a child that says when it is ready, and with what.
//!
//! Invariants:
//! 1. Until a child is ready its end is told to whoever has started it, and to nobody else; from then on it is a child like any other.
//! 2. Whoever starts is told exactly once: the value, or why there is none.

use crate::catch::catch_cancelled;
use crate::task::AnyTask;
use crate::task_group::{TaskGroup, TaskGroupError};
use crate::wait_queue::WaitQueue;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::rc::Rc;

/// Why a child that was started has not become ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError<E> {
    /// It has failed before.
    #[error("the child failed before it was ready")]
    Failed(#[source] E),
    /// It has ended, without an error, and without having been ready.
    #[error("the child ended without having been ready")]
    NeverReady,
    /// It was cancelled, or has panicked; the group is told of a panic.
    #[error("the child was cancelled before it was ready")]
    Cancelled,
    /// The group takes no more children.
    #[error(transparent)]
    Refused(#[from] TaskGroupError),
}

/// With what a child says that it is ready; see [`TaskGroup::start`].
pub struct Ready<R> {
    tell: Rc<dyn Fn(R)>,
}

impl<R> Ready<R> {
    /// Says that the child is ready, with a value for whoever waits for that: the port of a server, say.
    ///
    /// # asyncio
    ///
    /// None; Trio's `task_status.started(value)`.
    pub fn set(self, value: R) {
        (self.tell)(value);
    }
}

impl<R> fmt::Debug for Ready<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").finish_non_exhaustive()
    }
}

impl<E: 'static> TaskGroup<E> {
    /// Runs a child, and waits until it says that it is ready: gives the value that it says it with. Then it runs on as a child of
    /// the group.
    ///
    /// ```
    /// # asyncio_tasks::run(async {
    /// use asyncio_tasks::{Ready, TaskGroup, sleep};
    ///
    /// async fn serve(ready: Ready<u16>) -> Result<(), String> {
    ///     sleep(0.001).await; // It binds, and listens.
    ///     ready.set(8080);
    ///     sleep(60).await; // It serves, until the group is cancelled.
    ///     Ok(())
    /// }
    ///
    /// let outcome = TaskGroup::<String>::scope(async |group| {
    ///     let port = group.start(serve).await.map_err(|error| error.to_string())?;
    ///     assert_eq!(port, 8080);
    ///     group.cancel();
    ///     Ok(port)
    /// });
    /// assert_eq!(outcome.await.unwrap(), 8080);
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// If the child fails, ends, or is cancelled before it is ready, or if the group takes no more children. Such a failure is
    /// told here only: the group does not fail by it. (Pass it on by `?` for that.)
    ///
    /// # Cancel safety
    ///
    /// If whoever waits is cancelled, the child is cancelled, and awaited. If the future is dropped before the child is ready, the
    /// child is cancelled.
    ///
    /// # asyncio
    ///
    /// None; Trio's `nursery.start`.
    pub async fn start<R, T, F>(&self, child: impl FnOnce(Ready<R>) -> F) -> Result<R, StartError<E>>
    where
        R: 'static,
        T: 'static,
        F: Future<Output = Result<T, E>> + 'static,
    {
        let start = Rc::new(Start {
            told: RefCell::new(None),
            is_over: Cell::new(false),
            is_given_up: Cell::new(false),
            waiter: WaitQueue::new(),
        });
        let teller = start.clone();
        let coroutine = child(Ready { tell: Rc::new(move |value| teller.tell(Ok(value))) });
        let end = EndOfStart(start.clone());
        let mut task = self.try_create_task(async move {
            let outcome = coroutine.await;
            // After it was ready, or when nobody waits to be told, an error is the group's.
            if end.0.is_over.get() || end.0.is_given_up.get() {
                return outcome.map(drop);
            }
            end.0.tell(Err(outcome.err().map_or(StartError::NeverReady, StartError::Failed)));
            Ok(())
        })?;
        let _abandoned = CancelUnlessOver { start: &start, child: task.to_any() };
        loop {
            let told = start.told.take();
            if let Some(told) = told {
                return told;
            }
            let Err(error) = catch_cancelled(start.waiter.wait()).await else { continue };
            if !start.is_over.get() {
                start.is_given_up.set(true);
                task.cancel();
                // Its clean-up may take its time; another request ends the wait for it.
                let _ = (&mut task).await;
            }
            error.reraise().await;
        }
    }
}

/// What child and starter share until the child is ready.
struct Start<R, E> {
    told: RefCell<Option<Result<R, StartError<E>>>>,
    is_over: Cell<bool>,
    /// Whoever has started the child waits for it no more.
    is_given_up: Cell<bool>,
    waiter: WaitQueue,
}

impl<R, E> Start<R, E> {
    fn tell(&self, outcome: Result<R, StartError<E>>) {
        if !self.is_over.replace(true) {
            *self.told.borrow_mut() = Some(outcome);
            self.waiter.wake_all();
        }
    }
}

/// Part of the child: tells whoever waits if the child is dropped, by a cancellation or a panic.
struct EndOfStart<R, E>(Rc<Start<R, E>>);

impl<R, E> Drop for EndOfStart<R, E> {
    fn drop(&mut self) {
        self.0.tell(Err(StartError::Cancelled));
    }
}

/// Part of the starter: cancels a child for which nobody waits any more.
struct CancelUnlessOver<'a, R, E> {
    start: &'a Start<R, E>,
    child: AnyTask,
}

impl<R, E> Drop for CancelUnlessOver<'_, R, E> {
    fn drop(&mut self) {
        if !self.start.is_over.get() {
            self.start.is_given_up.set(true);
            self.child.cancel();
        }
    }
}
