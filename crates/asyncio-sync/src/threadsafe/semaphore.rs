//! `Semaphore`: a number of permits for tasks and threads, first come, first served.
//!
//! To be woken is to have a permit: `release` hands it over, so nobody who comes later can take it.
//!
//! Invariants:
//! 1. A permit is in one place: in `value`, with a wait that was woken, or with whoever acquired it.
//! 2. While `value` is not 0, everybody in the queue has been woken. Both change under one lock, so nobody passes the queue.
//! 3. A wait that was woken and leaves releases its permit.
//!
//! Checked by loom models beside this file.

use super::wait_queue::{Wait, WaitQueue};
use crate::semaphore::SemaphoreStatistics;
use asyncio_loop::IntoDelay;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

#[cfg(all(test, asyncio_loom))]
use loom::sync::{Mutex, MutexGuard};
#[cfg(not(all(test, asyncio_loom)))]
use std::sync::{Mutex, MutexGuard};

/// Permits for so many tasks and threads at a time, in the order in which they come.
///
/// # Examples
///
/// ```
/// use asyncio_sync::threadsafe::Semaphore;
///
/// let semaphore = Semaphore::new(1);
/// let permit = semaphore.acquire_blocking();
/// assert!(semaphore.acquire_blocking_timeout(0).is_none());
/// drop(permit);
/// asyncio_tasks::run(async move { drop(semaphore.acquire().await) });
/// ```
///
/// # asyncio
///
/// As [`asyncio_sync::Semaphore`](crate::Semaphore), and `threading.Semaphore` at the same time. Differs from the latter: it is fair.
pub struct Semaphore {
    value: Mutex<usize>,
    waiters: WaitQueue,
}

impl Semaphore {
    /// A semaphore with `value` permits.
    #[must_use]
    pub fn new(value: usize) -> Self {
        Self { value: Mutex::new(value), waiters: WaitQueue::new() }
    }

    /// Waits until there is a permit and takes it. Dropping it gives it back.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A dropped `acquire` loses its place in the queue; a permit that was handed to it passes to the next one.
    ///
    /// # asyncio
    ///
    /// `Semaphore.acquire`. Same, with a permit in place of `True`.
    pub const fn acquire(&self) -> SemaphoreAcquire<'_> {
        SemaphoreAcquire { semaphore: self, wait: None }
    }

    /// Takes a permit, if `acquire` would not have to wait.
    ///
    /// # asyncio
    ///
    /// No counterpart; `acquire(blocking=False)` in `threading`.
    #[must_use]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        let mut value = self.lock();
        *value = value.checked_sub(1)?;
        Some(SemaphorePermit { semaphore: self })
    }

    /// Blocks this thread until there is a permit, and takes it.
    ///
    /// # Panics
    ///
    /// If it has to wait, in a task.
    ///
    /// # asyncio
    ///
    /// `threading.Semaphore.acquire`. Same, with a permit in place of `True`.
    #[track_caller]
    pub fn acquire_blocking(&self) -> SemaphorePermit<'_> {
        if let Some(wait) = self.take_or_wait() {
            wait.block();
        }
        SemaphorePermit { semaphore: self }
    }

    /// Blocks this thread until there is a permit, for at most `timeout`, and takes it.
    ///
    /// # Panics
    ///
    /// If it has to wait, in a task; or if `timeout` is NaN.
    ///
    /// # asyncio
    ///
    /// `threading.Semaphore.acquire(timeout)`. Same, with an `Option` in place of a truth value.
    #[track_caller]
    pub fn acquire_blocking_timeout(&self, timeout: impl IntoDelay) -> Option<SemaphorePermit<'_>> {
        let deadline = Wait::deadline(timeout);
        let is_acquired = self.take_or_wait().is_none_or(|wait| wait.block_until(deadline));
        is_acquired.then(|| SemaphorePermit { semaphore: self })
    }

    /// Whether `acquire` would have to wait.
    ///
    /// # asyncio
    ///
    /// `Semaphore.locked`. Differs: a permit is handed over when it is released, never left for those who wait; so this is whether there is
    /// none.
    #[must_use]
    pub fn locked(&self) -> bool {
        *self.lock() == 0
    }

    /// Adds a permit: one that was given up by [`SemaphorePermit::forget`], or a new one. It goes to the first one who waits, if
    /// anybody does. Never more than `usize::MAX` are to be had: one more is lost.
    ///
    /// # asyncio
    ///
    /// `Semaphore.release`. Same, from any thread.
    pub fn release(&self) {
        // Under the lock: nobody can find no permit, and take a place in the queue, between the two.
        let mut value = self.lock();
        if !self.waiters.wake_next() {
            *value = value.saturating_add(1);
        }
    }

    /// A snapshot, for tests and for looking at a program that hangs. Those who were woken count until they have run.
    #[must_use]
    pub fn statistics(&self) -> SemaphoreStatistics {
        SemaphoreStatistics { value: *self.lock(), bound: None, tasks_waiting: self.waiters.len() }
    }

    /// Takes a permit, or a place in the queue.
    fn take_or_wait(&self) -> Option<Wait> {
        let mut value = self.lock();
        match value.checked_sub(1) {
            Some(left) => {
                *value = left;
                None
            }
            None => Some(self.waiters.wait()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, usize> {
        // A number cannot be left half done by a panic.
        self.value.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Default for Semaphore {
    /// One permit, as in asyncio.
    fn default() -> Self {
        Self::new(1)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("value", &*self.lock()).field("waiters", &self.waiters.len()).finish()
    }
}

/// A permit of a [`Semaphore`]; dropping it, on any thread, gives it back.
#[derive(Debug)]
#[must_use = "dropping the permit gives it back"]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
}

impl SemaphorePermit<'_> {
    /// Does not give the permit back: `release` does.
    ///
    /// # asyncio
    ///
    /// What `acquire` does there.
    pub fn forget(self) {
        std::mem::forget(self);
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        self.semaphore.release();
    }
}

/// Acquires a permit; see [`Semaphore::acquire`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct SemaphoreAcquire<'a> {
    semaphore: &'a Semaphore,
    wait: Option<Wait>,
}

impl<'a> Future for SemaphoreAcquire<'a> {
    type Output = SemaphorePermit<'a>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SemaphorePermit<'a>> {
        let semaphore = self.semaphore;
        if self.wait.is_none() {
            self.wait = semaphore.take_or_wait();
        }
        if let Some(wait) = &mut self.wait {
            if Pin::new(wait).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.wait = None;
        }
        Poll::Ready(SemaphorePermit { semaphore })
    }
}

impl Drop for SemaphoreAcquire<'_> {
    fn drop(&mut self) {
        if self.wait.take().is_some_and(Wait::leave) {
            self.semaphore.release();
        }
    }
}
