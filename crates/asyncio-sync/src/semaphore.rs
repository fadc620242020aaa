//! `Semaphore` and `BoundedSemaphore`: a number of permits, first come, first served.
//!
//! Invariants:
//! 1. A permit is in one place: in `value`, with a waiter that was woken, or with whoever acquired it.
//! 2. A woken waiter that leaves without its permit puts it back, and whoever leaves the queue hands out what is there.
//! 3. Nobody passes the queue: a permit is taken at once only if nobody is in the queue but those who were cancelled.

use asyncio_tasks::{Wait, WaitQueue, WaiterState};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Permits for so many tasks at a time, in the order in which they come.
///
/// # Examples
///
/// ```
/// use asyncio_sync::Semaphore;
///
/// asyncio_tasks::run(async {
///     let semaphore = Semaphore::new(2);
///     let (first, second) = (semaphore.acquire().await, semaphore.acquire().await);
///     assert!(semaphore.locked());
///     drop(first);
///     assert!(semaphore.try_acquire().is_some());
///     drop(second);
/// });
/// ```
///
/// # asyncio
///
/// [`asyncio.Semaphore`](https://docs.python.org/3/library/asyncio-sync.html#asyncio.Semaphore). Differs: `acquire` gives a permit instead of
/// `True`, so that there is no `release` to forget; it belongs to a thread instead of a loop; a negative number does not compile.
pub struct Semaphore {
    core: Core,
}

/// A [`Semaphore`] that never has more permits than at first: releasing one too many is an error.
///
/// # asyncio
///
/// [`asyncio.BoundedSemaphore`](https://docs.python.org/3/library/asyncio-sync.html#asyncio.BoundedSemaphore). As for [`Semaphore`].
pub struct BoundedSemaphore {
    core: Core,
}

impl Semaphore {
    /// A semaphore with `value` permits.
    #[must_use]
    pub fn new(value: usize) -> Self {
        Self { core: Core::new(value, usize::MAX) }
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
    #[inline]
    pub const fn acquire(&self) -> SemaphoreAcquire<'_> {
        SemaphoreAcquire { core: &self.core, wait: None }
    }

    /// Takes a permit, if `acquire` would not have to wait.
    ///
    /// # asyncio
    ///
    /// No counterpart.
    #[must_use]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.core.try_acquire()
    }

    /// Whether `acquire` would have to wait: there is no permit, or somebody waits already.
    ///
    /// # asyncio
    ///
    /// `Semaphore.locked`. Same.
    #[must_use]
    pub fn locked(&self) -> bool {
        self.core.locked()
    }

    /// Adds a permit: one that was given up by [`SemaphorePermit::forget`], or a new one. It goes to the first one who waits, if
    /// anybody does. Never more than `usize::MAX` are to be had: one more is lost.
    ///
    /// # asyncio
    ///
    /// `Semaphore.release`. Same.
    pub fn release(&self) {
        let _ = self.core.release();
    }

    /// A snapshot, for tests and for looking at a program that hangs.
    #[must_use]
    pub fn statistics(&self) -> SemaphoreStatistics {
        self.core.statistics()
    }
}

impl BoundedSemaphore {
    /// A semaphore with `value` permits, and never more.
    #[must_use]
    pub fn new(value: usize) -> Self {
        Self { core: Core::new(value, value) }
    }

    /// As [`Semaphore::acquire`].
    ///
    /// # Cancel safety
    ///
    /// As that of [`Semaphore::acquire`].
    #[inline]
    pub const fn acquire(&self) -> SemaphoreAcquire<'_> {
        SemaphoreAcquire { core: &self.core, wait: None }
    }

    /// As [`Semaphore::try_acquire`].
    #[must_use]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.core.try_acquire()
    }

    /// As [`Semaphore::locked`].
    #[must_use]
    pub fn locked(&self) -> bool {
        self.core.locked()
    }

    /// Gives a permit back that was given up by [`SemaphorePermit::forget`]. It goes to the first one who waits, if anybody does.
    ///
    /// # Errors
    ///
    /// If all permits are there: nothing has changed then.
    ///
    /// # asyncio
    ///
    /// `BoundedSemaphore.release`. Same.
    pub fn release(&self) -> Result<(), OverReleaseError> {
        if self.core.release() { Ok(()) } else { Err(OverReleaseError) }
    }

    /// A snapshot, for tests and for looking at a program that hangs.
    #[must_use]
    pub fn statistics(&self) -> SemaphoreStatistics {
        self.core.statistics()
    }
}

impl Default for Semaphore {
    /// One permit, as in asyncio.
    fn default() -> Self {
        Self::new(1)
    }
}

impl Default for BoundedSemaphore {
    /// One permit, as in asyncio.
    fn default() -> Self {
        Self::new(1)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("value", &self.core.value.get())
            .field("waiters", &self.core.waiters.len())
            .finish()
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedSemaphore")
            .field("value", &self.core.value.get())
            .field("bound", &self.core.bound)
            .field("waiters", &self.core.waiters.len())
            .finish()
    }
}

/// What a [`Semaphore`] or [`BoundedSemaphore`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SemaphoreStatistics {
    /// How many permits are to be had.
    pub value: usize,
    /// How many there may be, if they are bounded.
    pub bound: Option<usize>,
    /// How many tasks wait, those not counted that have been woken or cancelled.
    pub tasks_waiting: usize,
}

/// All permits of the [`BoundedSemaphore`] were there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bounded semaphore released too many times")]
#[non_exhaustive]
pub struct OverReleaseError;

/// A permit of a [`Semaphore`] or [`BoundedSemaphore`]; dropping it gives it back.
#[derive(Debug)]
#[must_use = "dropping the permit gives it back"]
pub struct SemaphorePermit<'a> {
    core: &'a Core,
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
    #[inline]
    fn drop(&mut self) {
        // Somebody may have released in its place; there is nobody here whom that could be reported to.
        let _ = self.core.release();
    }
}

struct Core {
    value: Cell<usize>,
    bound: usize,
    waiters: WaitQueue,
}

impl Core {
    fn new(value: usize, bound: usize) -> Self {
        Self { value: Cell::new(value), bound, waiters: WaitQueue::new() }
    }

    #[inline]
    fn locked(&self) -> bool {
        self.value.get() == 0 || !(self.waiters.is_empty() || self.waiters.all_cancelled())
    }

    #[inline]
    fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        (!self.locked()).then(|| {
            self.value.set(self.value.get() - 1);
            SemaphorePermit { core: self }
        })
    }

    /// Puts a permit back and hands it out; says whether it was missing. One too many changes nothing.
    #[inline]
    fn release(&self) -> bool {
        let is_missing = self.put_back();
        if is_missing {
            self.hand_out_one();
        }
        is_missing
    }

    #[inline]
    fn put_back(&self) -> bool {
        let value = self.value.get();
        if value < self.bound {
            self.value.set(value + 1);
        }
        value < self.bound
    }

    /// Hands a permit, which is there, to the first one who waits.
    #[inline]
    fn hand_out_one(&self) -> bool {
        // Counted before anybody is woken, for that may run any code.
        self.value.set(self.value.get() - 1);
        let is_handed_out = self.waiters.wake_next();
        if !is_handed_out {
            self.value.set(self.value.get() + 1);
        }
        is_handed_out
    }

    fn hand_out_all(&self) {
        while self.value.get() > 0 && self.hand_out_one() {}
    }

    fn statistics(&self) -> SemaphoreStatistics {
        let bound = (self.bound != usize::MAX).then_some(self.bound);
        SemaphoreStatistics { value: self.value.get(), bound, tasks_waiting: self.waiters.waiting() }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.statistics().fmt(f)
    }
}

/// Acquires a permit; see [`Semaphore::acquire`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct SemaphoreAcquire<'a> {
    core: &'a Core,
    wait: Option<Wait>,
}

impl<'a> SemaphoreAcquire<'a> {
    /// As `poll`, where somebody has to wait.
    fn poll_queued(&mut self, cx: &mut Context<'_>) -> Poll<SemaphorePermit<'a>> {
        let core = self.core;
        if let Some(wait) = &mut self.wait {
            if Pin::new(&mut *wait).poll(cx).is_ready() {
                self.wait = None;
                // The permit was taken out of `value` by whoever woke this task.
                core.hand_out_all();
                return Poll::Ready(SemaphorePermit { core });
            }
            if wait.state() != WaiterState::Cancelled {
                return Poll::Pending;
            }
            // The future was kept beyond a cancellation, by reference: it waits anew.
            self.leave();
            if let Some(permit) = core.try_acquire() {
                return Poll::Ready(permit);
            }
        }
        self.wait = Some(core.waiters.wait_now(cx));
        Poll::Pending
    }

    /// Leaves the queue without a permit.
    #[cold]
    fn leave(&mut self) {
        let Some(wait) = self.wait.take() else { return };
        if wait.state() == WaiterState::Woken {
            // Unless somebody has released in its place meanwhile.
            let _ = self.core.put_back();
        }
        drop(wait);
        self.core.hand_out_all();
    }
}

impl<'a> Future for SemaphoreAcquire<'a> {
    type Output = SemaphorePermit<'a>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SemaphorePermit<'a>> {
        if self.wait.is_none()
            && let Some(permit) = self.core.try_acquire()
        {
            return Poll::Ready(permit);
        }
        self.poll_queued(cx)
    }
}

impl Drop for SemaphoreAcquire<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.wait.is_some() {
            self.leave();
        }
    }
}
