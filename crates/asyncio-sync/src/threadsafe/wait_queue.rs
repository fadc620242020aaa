//! `WaitQueue`: tasks and threads that wait for their turn, oldest first. Events and queues wait here; a semaphore counts, and has a
//! list of its own.
//!
//! A thin shell around `event-listener`, which has the list. Wakers are called while that list is locked: a waker must
//! not come back to the same queue from within `wake`. Those of asyncio's loops, and of every executor that only schedules,
//! do not.
//!
//! Invariants:
//! 1. A wait is in the queue from the moment at which it is made until it is done, left or dropped.
//! 2. Each wait is woken at most once. What becomes of a wake-up whose wait is not awaited to its end is the primitive's affair,
//!    which learns of it by `leave`.

use asyncio_loop::IntoDelay;
use asyncio_tasks::current_task;
use event_listener::{Event as Listeners, EventListener, IntoNotification as _, Listener as _};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Tasks and threads that wait, oldest first.
///
/// For authors of synchronisation primitives; [`asyncio_tasks::WaitQueue`] across threads. Whoever changes what others wait for
/// does so first and calls `wake_…` then; whoever waits makes its [`Wait`] first and looks then whether it must wait at all.
/// So no wake-up is lost: a sequentially consistent fence is in both.
///
/// Wakers are called while its list is locked: a waker must not come back to the same queue from within `wake`, nor be the last that holds
/// a [`Wait`] in it. Those of executors that only schedule do not.
///
/// # asyncio
///
/// None.
pub struct WaitQueue {
    listeners: Listeners,
}

impl WaitQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self { listeners: Listeners::new() }
    }

    /// Takes a place in the queue, at once: the place counts before anybody polls it, or blocks.
    pub fn wait(&self) -> Wait {
        Wait { listener: Some(self.listeners.listen()) }
    }

    /// Wakes the first one that was not woken yet; says whether there was one.
    pub fn wake_next(&self) -> bool {
        self.listeners.notify(1.additional()) == 1
    }

    /// Wakes everybody who is in the queue now, in order.
    pub fn wake_all(&self) {
        self.listeners.notify(usize::MAX);
    }

    /// How many are in the queue, those included who were woken and have not run since.
    #[must_use]
    pub fn len(&self) -> usize {
        self.listeners.total_listeners()
    }

    /// Whether nobody is in the queue.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// A place in a [`WaitQueue`]: awaited by a task, or blocked on by a thread.
///
/// # Cancel safety
///
/// Dropping it gives up the place. Whether it had been woken is told by [`leave`](Self::leave).
#[must_use = "a wait that is dropped has given up its place"]
pub struct Wait {
    /// Absent once it is done.
    listener: Option<EventListener>,
}

impl Wait {
    /// Gives up the place, as dropping does; says whether it had been woken, which is then the caller's to pass on.
    #[must_use]
    pub fn leave(mut self) -> bool {
        self.discard()
    }

    /// Blocks this thread until it is woken.
    ///
    /// # Panics
    ///
    /// In a task: its loop would stand still.
    #[track_caller]
    pub fn block(mut self) {
        assert_outside_of_tasks();
        if let Some(listener) = self.listener.take() {
            listener.wait();
        }
    }

    /// Blocks this thread until it is woken, or a time is reached; says whether it was woken. If not, the place is given up.
    ///
    /// # Panics
    ///
    /// In a task: its loop would stand still.
    #[track_caller]
    pub fn block_until(mut self, deadline: Instant) -> bool {
        assert_outside_of_tasks();
        self.listener.take().is_none_or(|listener| listener.wait_deadline(deadline).is_some())
    }

    /// When `timeout` is over, for [`block_until`](Self::block_until). A thread that blocks has no loop, and so no clock but the system's.
    ///
    /// # Panics
    ///
    /// If it is NaN.
    #[expect(clippy::disallowed_methods, reason = "a thread that blocks has no loop, and so no other clock")]
    #[track_caller]
    #[must_use]
    pub fn deadline(timeout: impl IntoDelay) -> Instant {
        let nanos = u64::try_from(timeout.into_delay().as_nanos()).unwrap_or(0);
        let now = Instant::now();
        // Where a clock ends sooner than the 292 years of a delay, a year is as good.
        now.checked_add(Duration::from_nanos(nanos)).unwrap_or(now + Duration::from_secs(365 * 24 * 3600))
    }
}

impl Wait {
    fn discard(&mut self) -> bool {
        self.listener.take().is_some_and(EventListener::discard)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // By itself, the listener would wake the next one.
        self.discard();
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(listener) = &mut self.listener else { return Poll::Ready(()) };
        let outcome = Pin::new(listener).poll(cx);
        if outcome.is_ready() {
            self.listener = None;
        }
        outcome
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("is_done", &self.listener.is_none()).finish()
    }
}

#[track_caller]
pub(super) fn assert_outside_of_tasks() {
    assert!(current_task().is_none(), "a task must not block its loop: await instead, or block in `to_thread`");
}
