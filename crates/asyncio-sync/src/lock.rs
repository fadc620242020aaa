//! `Lock`: one task at a time, first come, first served.
//!
//! Invariants:
//! 1. The data is borrowed mutably exactly while the lock is `Guarded`: by its guard, which is the only one.
//! 2. While the lock is unlocked and anybody waits, the head of the queue is woken, or cancelled and about to leave; leaving, it
//!    wakes the next head. So no wake-up is lost.
//! 3. Nobody passes the queue: the lock is taken at once only if nobody is in the queue but those who were cancelled.
//!
//! Absent on purpose: ownership. As in asyncio, a lock is not re-entrant, and anybody may release it. Where it was acquired, and by
//! which task, is written down for those who look at a program that hangs, and decides nothing.

use asyncio_tasks::{Wait, WaitQueue, WaiterState};
use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Lets one task at a time go on, in the order in which they came. May guard data; `Lock::default()` guards nothing.
///
/// A task that releases the lock and acquires it again is behind all who have waited.
///
/// # Examples
///
/// ```
/// use asyncio_sync::Lock;
///
/// let total = asyncio_tasks::run(async {
///     let lock = Lock::new(1);
///     *lock.acquire().await += 1; // Released at once: nobody has kept the guard.
///     *lock.acquire().await
/// });
/// assert_eq!(total, 2);
/// ```
///
/// # asyncio
///
/// [`asyncio.Lock`](https://docs.python.org/3/library/asyncio-sync.html#asyncio.Lock). Differs: it guards data; `acquire` gives a guard
/// instead of `True`, so that there is no `release` to forget; it belongs to a thread instead of a loop.
pub struct Lock<T = ()> {
    state: Cell<State>,
    waiters: WaitQueue,
    data: RefCell<T>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Unlocked,
    /// Locked, and a guard will release it.
    Guarded,
    /// Locked without a guard: the data is borrowed by nobody.
    Bare,
}

impl<T> Lock<T> {
    /// An unlocked lock that guards `data`.
    #[must_use]
    pub fn new(data: T) -> Self {
        Self { state: Cell::default(), waiters: WaitQueue::new(), data: RefCell::new(data) }
    }

    /// Waits until the lock is free and takes it. Dropping the guard releases it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A dropped `acquire` loses its place in the queue; if the lock had been handed to it, the next one gets it.
    ///
    /// # asyncio
    ///
    /// `Lock.acquire`. Same, with a guard in place of `True`.
    #[inline]
    #[track_caller]
    pub const fn acquire(&self) -> LockAcquire<'_, T> {
        self.acquire_at(Location::caller())
    }

    /// As `acquire`, of a caller at `location`.
    #[inline]
    pub(crate) const fn acquire_at(&self, location: &'static Location<'static>) -> LockAcquire<'_, T> {
        LockAcquire { lock: self, location, wait: None }
    }

    /// Takes the lock, if `acquire` would not have to wait.
    ///
    /// # asyncio
    ///
    /// No counterpart.
    #[must_use]
    #[track_caller]
    pub fn try_acquire(&self) -> Option<LockGuard<'_, T>> {
        let location = Location::caller();
        self.is_free().then(|| self.take(location))
    }

    /// Whether it is locked. It is not while it is being handed over: after a release, until the next task has run.
    ///
    /// # asyncio
    ///
    /// `Lock.locked`. Same.
    #[must_use]
    pub fn locked(&self) -> bool {
        self.state.get() != State::Unlocked
    }

    /// Releases a lock whose guard was given up by [`LockGuard::forget`]. Any task, and any callback, may do this.
    ///
    /// # Errors
    ///
    /// If it is not locked, or by a guard.
    ///
    /// # asyncio
    ///
    /// `Lock.release`. Differs: what a guard holds, only the guard releases.
    pub fn release(&self) -> Result<(), ReleaseError> {
        match self.state.get() {
            State::Unlocked => Err(ReleaseError::NotAcquired),
            State::Guarded => Err(ReleaseError::Guarded),
            State::Bare => {
                self.unlock();
                Ok(())
            }
        }
    }

    /// The data, without locking: whoever has the lock for himself needs not wait.
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    /// The data.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }

    /// A snapshot, for tests and for looking at a program that hangs.
    #[must_use]
    pub fn statistics(&self) -> LockStatistics {
        LockStatistics {
            locked: self.locked(),
            tasks_waiting: self.waiters.waiting(),
            acquired_at: self.waiters.held_since(),
        }
    }

    /// Where it was acquired; where this is called from, if it is not locked.
    #[track_caller]
    pub(crate) fn acquired_at(&self) -> &'static Location<'static> {
        self.waiters.held_since().unwrap_or_else(Location::caller)
    }

    #[inline]
    fn is_free(&self) -> bool {
        self.state.get() == State::Unlocked && (self.waiters.is_empty() || self.waiters.all_cancelled())
    }

    #[inline]
    fn take(&self, location: &'static Location<'static>) -> LockGuard<'_, T> {
        // The borrow comes first: it panics if the data's own `Debug` acquires the lock, which then is not held by nobody.
        let data = Some(self.data.borrow_mut());
        self.state.set(State::Guarded);
        self.waiters.set_holder(location);
        LockGuard { lock: self, data }
    }

    #[inline]
    fn unlock(&self) {
        self.state.set(State::Unlocked);
        self.waiters.clear_holder();
        self.waiters.wake_head();
    }
}

impl Default for Lock {
    /// A lock that guards nothing. (Of no other type, so that `Lock::default()` needs no annotation.)
    fn default() -> Self {
        Self::new(())
    }
}

impl<T: fmt::Debug> fmt::Debug for Lock<T> {
    /// Shows the data if nobody holds the lock. The `Debug` of the data must not acquire it: that panics.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Lock");
        match self.data.try_borrow() {
            Ok(data) => debug.field("data", &data),
            Err(_) => debug.field("data", &format_args!("<locked>")),
        };
        debug.field("locked", &self.locked()).field("waiters", &self.waiters.len()).finish()
    }
}

impl<T> From<T> for Lock<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

/// What a [`Lock`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockStatistics {
    /// Whether it is locked.
    pub locked: bool,
    /// How many tasks wait, those not counted that have been woken or cancelled.
    pub tasks_waiting: usize,
    /// Where it was acquired, if it is locked.
    pub acquired_at: Option<&'static Location<'static>>,
}

/// Why [`Lock::release`] did not release the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// It is not locked.
    #[error("lock is not acquired")]
    NotAcquired,
    /// A guard holds it, and will release it when it is dropped.
    #[error("lock is held by a guard")]
    Guarded,
}

/// The lock is yours until this is dropped; gives access to the data.
#[must_use = "dropping the guard releases the lock"]
pub struct LockGuard<'a, T = ()> {
    lock: &'a Lock<T>,
    /// Present until the guard is dropped.
    data: Option<RefMut<'a, T>>,
}

impl<T> LockGuard<'_, T> {
    /// Keeps the lock locked without a guard: [`Lock::release`] releases it.
    ///
    /// # asyncio
    ///
    /// What `acquire` does there.
    pub fn forget(mut guard: Self) {
        guard.data = None;
        guard.lock.state.set(State::Bare);
    }
}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.data.as_deref().expect("the data is there until the guard is dropped")
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.data.as_deref_mut().expect("the data is there until the guard is dropped")
    }
}

impl<T> Drop for LockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // The borrow ends first: whoever is woken may take the lock at once.
        if self.data.take().is_some() {
            self.lock.unlock();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for LockGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Acquires a [`Lock`]; see [`Lock::acquire`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct LockAcquire<'a, T = ()> {
    lock: &'a Lock<T>,
    /// Who asks for it.
    location: &'static Location<'static>,
    wait: Option<Wait>,
}

impl<'a, T> LockAcquire<'a, T> {
    /// As `poll`, where somebody has to wait.
    fn poll_queued(&mut self, cx: &mut Context<'_>) -> Poll<LockGuard<'a, T>> {
        let lock = self.lock;
        if let Some(wait) = &mut self.wait {
            if Pin::new(&mut *wait).poll(cx).is_ready() {
                self.wait = None;
                return Poll::Ready(lock.take(self.location));
            }
            if wait.state() != WaiterState::Cancelled {
                return Poll::Pending;
            }
            // The future was kept beyond a cancellation, by reference: it waits anew.
            self.leave();
            if lock.is_free() {
                return Poll::Ready(lock.take(self.location));
            }
        }
        self.wait = Some(lock.waiters.wait_now(cx));
        Poll::Pending
    }

    /// Leaves the queue without the lock.
    #[cold]
    fn leave(&mut self) {
        self.wait = None;
        if !self.lock.locked() {
            self.lock.waiters.wake_head();
        }
    }
}

impl<'a, T> Future for LockAcquire<'a, T> {
    type Output = LockGuard<'a, T>;

    // Always: a guard that is returned through memory, in small pieces and then as a whole, costs more than all the rest.
    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<LockGuard<'a, T>> {
        if self.wait.is_none() && self.lock.is_free() {
            return Poll::Ready(self.lock.take(self.location));
        }
        self.poll_queued(cx)
    }
}

impl<T> Drop for LockAcquire<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.wait.is_some() {
            self.leave();
        }
    }
}

impl<T> fmt::Debug for LockAcquire<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockAcquire").field("wait", &self.wait).finish_non_exhaustive()
    }
}
