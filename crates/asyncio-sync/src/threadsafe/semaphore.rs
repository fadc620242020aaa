//! `Semaphore`: a number of permits for tasks and threads, first come, first served.
//!
//! To leave the list of those who wait is to have a permit: `release` hands it over, so nobody who comes later can take it.
//!
//! Invariants:
//! 1. A permit is in one place: in `value`, with a waiter that was taken off the list, or with whoever acquired it.
//! 2. While `value` is not 0, nobody is in the list. Both change under one lock, so nobody passes those who wait.
//! 3. A waiter that was taken off the list and leaves releases its permit.
//! 4. Nothing is locked while a waker is called, cloned or dropped. This is why the list is its own: a [`WaitQueue`](super::WaitQueue)
//!    calls wakers under the lock of its list, and here one lock has to be around both.
//!
//! Checked by loom models beside this file.

use super::wait_queue::{Wait, assert_outside_of_tasks};
use crate::semaphore::SemaphoreStatistics;
use asyncio_loop::IntoDelay;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

#[cfg(all(test, asyncio_loom))]
use loom::{
    sync::{Mutex, MutexGuard},
    thread::{self, Thread},
};
#[cfg(not(all(test, asyncio_loom)))]
use std::{
    sync::{Mutex, MutexGuard},
    thread::{self, Thread},
};

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
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    value: usize,
    /// Who waits, by number, oldest first, and how each is woken.
    waiters: BTreeMap<u64, Waker>,
    /// The number of the next one.
    next: u64,
}

impl Semaphore {
    /// A semaphore with `value` permits.
    #[must_use]
    pub fn new(value: usize) -> Self {
        Self { state: Mutex::new(State { value, waiters: BTreeMap::new(), next: 0 }) }
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
        SemaphoreAcquire { semaphore: self, number: None }
    }

    /// Takes a permit, if `acquire` would not have to wait.
    ///
    /// # asyncio
    ///
    /// No counterpart; `acquire(blocking=False)` in `threading`.
    #[must_use]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        let mut state = self.lock();
        state.value = state.value.checked_sub(1)?;
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
        match self.try_acquire() {
            Some(permit) => permit,
            None => self.block_until(None).expect("there is no time at which this ends without one"),
        }
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
        match self.try_acquire() {
            Some(permit) => Some(permit),
            None => self.block_until(Some(deadline)),
        }
    }

    /// Whether `acquire` would have to wait.
    ///
    /// # asyncio
    ///
    /// `Semaphore.locked`. Differs: a permit is handed over when it is released, never left for those who wait; so this is whether there is
    /// none.
    #[must_use]
    pub fn locked(&self) -> bool {
        self.lock().value == 0
    }

    /// Adds a permit: one that was given up by [`SemaphorePermit::forget`], or a new one. It goes to the first one who waits, if
    /// anybody does. Never more than `usize::MAX` are to be had: one more is lost.
    ///
    /// # asyncio
    ///
    /// `Semaphore.release`. Same, from any thread.
    pub fn release(&self) {
        let mut state = self.lock();
        let oldest = state.waiters.pop_first();
        if oldest.is_none() {
            state.value = state.value.saturating_add(1);
        }
        drop(state);
        if let Some((_, waker)) = oldest {
            waker.wake();
        }
    }

    /// A snapshot, for tests and for looking at a program that hangs.
    #[must_use]
    pub fn statistics(&self) -> SemaphoreStatistics {
        let state = self.lock();
        SemaphoreStatistics { value: state.value, bound: None, tasks_waiting: state.waiters.len() }
    }

    /// Blocks this thread until there is a permit, or a time is reached.
    #[track_caller]
    fn block_until(&self, deadline: Option<Instant>) -> Option<SemaphorePermit<'_>> {
        assert_outside_of_tasks();
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut acquire = self.acquire();
        while !acquire.advance(waker.clone()) {
            if !park_until(deadline) {
                // Was it handed over in the last moment?
                return acquire.give_up().then(|| SemaphorePermit { semaphore: self });
            }
        }
        Some(SemaphorePermit { semaphore: self })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing of the user's runs under the lock, so no panic can leave it half done.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
        let SemaphoreStatistics { value, tasks_waiting, .. } = self.statistics();
        f.debug_struct("Semaphore").field("value", &value).field("waiters", &tasks_waiting).finish()
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
    /// While it waits, or is about to see that it has a permit.
    number: Option<u64>,
}

impl SemaphoreAcquire<'_> {
    /// Takes a permit, or waits for one, to be woken by `waker`; says whether the permit is the caller's.
    fn advance(&mut self, waker: Waker) -> bool {
        let mut state = self.semaphore.lock();
        let number = match self.number {
            None if state.value > 0 => {
                state.value -= 1;
                return true;
            }
            None => {
                state.next += 1;
                state.next
            }
            Some(number) if !state.waiters.contains_key(&number) => {
                self.number = None;
                return true;
            }
            Some(number) => number,
        };
        self.number = Some(number);
        let old = state.waiters.insert(number, waker);
        drop(state);
        drop(old);
        false
    }

    /// Waits no longer; says whether a permit had been handed over, which is the caller's then.
    fn give_up(&mut self) -> bool {
        let Some(number) = self.number.take() else { return false };
        let waker = self.semaphore.lock().waiters.remove(&number);
        waker.is_none()
    }
}

impl<'a> Future for SemaphoreAcquire<'a> {
    type Output = SemaphorePermit<'a>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SemaphorePermit<'a>> {
        // The waker is cloned here, with nothing locked.
        let is_acquired = self.advance(cx.waker().clone());
        if is_acquired { Poll::Ready(SemaphorePermit { semaphore: self.semaphore }) } else { Poll::Pending }
    }
}

impl Drop for SemaphoreAcquire<'_> {
    fn drop(&mut self) {
        if self.give_up() {
            self.semaphore.release();
        }
    }
}

/// Wakes a thread that blocks.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks this thread until it is woken, or perhaps for no reason; `false` if the time has come.
#[cfg(not(all(test, asyncio_loom)))]
#[expect(clippy::disallowed_methods, reason = "a thread that blocks has no loop, and so no other clock")]
fn park_until(deadline: Option<Instant>) -> bool {
    let Some(deadline) = deadline else {
        thread::park();
        return true;
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        thread::park_timeout(left);
    }
    !left.is_zero()
}

/// As above. In a model there is no time.
#[cfg(all(test, asyncio_loom))]
fn park_until(_: Option<Instant>) -> bool {
    thread::park();
    true
}
