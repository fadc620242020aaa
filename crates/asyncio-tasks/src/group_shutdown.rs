//! `TaskGroup::shutdown`: an end in two phases. Children that listen finish what they are at; when the grace is over, the
//! others are cancelled.
//!
//! Absent on purpose: a list of who listens. Whoever wants to know waits, or asks, and the group waits for all children anyway.

use crate::sleep::running_loop;
use crate::task_group::TaskGroup;
use crate::wait_queue::{Wait, WaitQueue, WaiterState};
use asyncio_loop::{IntoTimeout, TimerHandle};
use std::cell::{Cell, RefCell};
use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

/// The first phase of a group's end.
#[derive(Debug, Default)]
pub(crate) struct Shutdown {
    is_stopping: Cell<bool>,
    listeners: WaitQueue,
    /// When the second phase begins.
    cut: RefCell<Option<TimerHandle>>,
}

impl Shutdown {
    /// The block has ended.
    pub(crate) fn finish(&self) {
        let cut = self.cut.take();
        if let Some(cut) = cut {
            cut.cancel();
        }
    }
}

impl<E: 'static> TaskGroup<E> {
    /// Ends the group softly: whoever waits for [`stopping`](Self::stopping) is told, and may finish what it is at. What has
    /// not ended after `grace` (seconds, a `Duration`, or `None` for no limit) is cancelled, as by [`cancel`](Self::cancel).
    ///
    /// The body is told and cut off in the same way; new children are taken until then, for some may be needed to finish. The block
    /// ends as soon as all have ended: with the value of the body, if it has one.
    ///
    /// Called again, it moves the time of the cut. Does nothing if the block has ended.
    ///
    /// ```
    /// # asyncio_tasks::run(async {
    /// use asyncio_tasks::{TaskGroup, sleep};
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    ///
    /// let jobs = Rc::new(Cell::new(0));
    /// let count = jobs.clone();
    /// let outcome = TaskGroup::<String>::scope(async |group| {
    ///     let told = group.clone();
    ///     group.create_task(async move {
    ///         while !told.is_stopping() {
    ///             sleep(0.001).await; // A job, which is never left half done.
    ///             count.set(count.get() + 1);
    ///         }
    ///         Ok(())
    ///     });
    ///     sleep(0.005).await;
    ///     group.shutdown(5);
    ///     Ok("drained")
    /// });
    /// assert_eq!(outcome.await.unwrap(), "drained");
    /// assert!(jobs.get() >= 1);
    /// # });
    /// ```
    ///
    /// # Panics
    ///
    /// If `grace` is NaN, or if no loop is running in this thread.
    ///
    /// # asyncio
    ///
    /// None. Trio's users ask for it (soft cancellation).
    #[track_caller]
    pub fn shutdown(&self, grace: impl IntoTimeout) {
        let grace = grace.into_timeout();
        if self.inner.finished.get() {
            return;
        }
        let shutdown = &self.inner.shutdown;
        shutdown.is_stopping.set(true);
        let cut = grace.map(|grace| {
            // Not the group itself: its last handle may go before the time has come.
            let inner = Rc::downgrade(&self.inner);
            running_loop().call_later(grace, move || {
                if let Some(inner) = inner.upgrade() {
                    Self { inner }.cancel();
                }
            })
        });
        let old = shutdown.cut.replace(cut);
        if let Some(old) = old {
            old.cancel();
        }
        shutdown.listeners.wake_all();
    }

    /// Waits until [`shutdown`](Self::shutdown) is called; done at once if it was.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # asyncio
    ///
    /// None.
    pub async fn stopping(&self) {
        let mut wait: Option<Wait> = None;
        std::future::poll_fn(|cx| {
            while !self.is_stopping() {
                let waiting = wait.get_or_insert_with(|| self.inner.shutdown.listeners.wait());
                // One that was kept beyond a cancellation looks again.
                if Pin::new(&mut *waiting).poll(cx).is_pending() && waiting.state() != WaiterState::Cancelled {
                    return Poll::Pending;
                }
                wait = None;
            }
            Poll::Ready(())
        })
        .await;
    }

    /// Whether [`shutdown`](Self::shutdown) was called.
    ///
    /// # asyncio
    ///
    /// None.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.inner.shutdown.is_stopping.get()
    }
}
