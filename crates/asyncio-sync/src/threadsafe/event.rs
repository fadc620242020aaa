//! `Event`: a flag that tasks and threads can wait for.
//!
//! Invariants are those of the local [`Event`](crate::Event), and:
//! 1. The flag is written before anybody is woken, and read after a place in the queue was taken: a `set` is seen, or wakes.
//!
//! Checked by loom models beside this file.

use super::wait_queue::{Wait, WaitQueue};
use crate::event::EventStatistics;
use asyncio_loop::IntoDelay;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(all(test, asyncio_loom))]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(all(test, asyncio_loom)))]
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that is set or not, and that tasks and threads can wait for. Not set at first.
///
/// # asyncio
///
/// As [`asyncio_sync::Event`](crate::Event), and `threading.Event` at the same time.
#[derive(Debug)]
pub struct Event {
    is_set: AtomicBool,
    waiters: WaitQueue,
}

impl Event {
    /// An event that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self { is_set: AtomicBool::new(false), waiters: WaitQueue::new() }
    }

    /// Whether it is set. What happened before the `set` has happened for the caller, too.
    ///
    /// # asyncio
    ///
    /// `Event.is_set`. Same.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    /// Sets the flag and wakes everybody who waits, in the order of arrival. Does nothing if it is set already.
    ///
    /// # asyncio
    ///
    /// `Event.set`. Same, from any thread.
    pub fn set(&self) {
        if !self.is_set.swap(true, Ordering::SeqCst) {
            self.waiters.wake_all();
        }
    }

    /// Takes the flag down. Whoever was woken by `set` stays so.
    ///
    /// # asyncio
    ///
    /// `Event.clear`. Same, from any thread.
    pub fn clear(&self) {
        self.is_set.store(false, Ordering::SeqCst);
    }

    /// Waits until the flag is set; does not wait at all if it is.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: there is nothing to lose.
    ///
    /// # asyncio
    ///
    /// `Event.wait`. Same, without the `True`.
    pub const fn wait(&self) -> EventWait<'_> {
        EventWait { event: self, wait: None }
    }

    /// Blocks this thread until the flag is set; does not block if it is.
    ///
    /// # Panics
    ///
    /// If it has to wait, in a task.
    ///
    /// # asyncio
    ///
    /// `threading.Event.wait`. Same, without the `True`.
    #[track_caller]
    pub fn wait_blocking(&self) {
        if let Some(wait) = self.begin() {
            wait.block();
        }
    }

    /// Blocks this thread until the flag is set, for at most `timeout`; says whether it was.
    ///
    /// # Panics
    ///
    /// If it has to wait, in a task; or if `timeout` is NaN.
    ///
    /// # asyncio
    ///
    /// `threading.Event.wait(timeout)`. Same.
    #[track_caller]
    pub fn wait_blocking_timeout(&self, timeout: impl IntoDelay) -> bool {
        let deadline = Wait::deadline(timeout);
        self.begin().is_none_or(|wait| wait.block_until(deadline))
    }

    /// A snapshot, for tests and for looking at a program that hangs. Those who were woken count until they have run.
    #[must_use]
    pub fn statistics(&self) -> EventStatistics {
        EventStatistics { is_set: self.is_set(), tasks_waiting: self.waiters.len() }
    }

    /// A place in the queue, unless the flag is set.
    fn begin(&self) -> Option<Wait> {
        if self.is_set() {
            return None;
        }
        let wait = self.waiters.wait();
        // Set in between: then there may be nobody left who wakes this one.
        (!self.is_set()).then_some(wait)
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

/// Waits for an [`Event`]; see [`Event::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct EventWait<'a> {
    event: &'a Event,
    wait: Option<Wait>,
}

impl Future for EventWait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.wait.is_none() {
            self.wait = self.event.begin();
        }
        let Some(wait) = &mut self.wait else { return Poll::Ready(()) };
        let outcome = Pin::new(wait).poll(cx);
        if outcome.is_ready() {
            self.wait = None;
        }
        outcome
    }
}
