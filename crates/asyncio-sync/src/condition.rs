//! `Condition`: tasks that hold a lock wait until another one, which holds it then, says that something has changed.
//!
//! Invariants:
//! 1. `wait` returns, or is unwound by a cancellation, with the lock held. Only a wait that is dropped for another reason leaves
//!    its guard without the lock, for nothing can wait in a destructor.
//! 2. A wait that ends in any other way than by returning notifies one other waiter, for it may have been notified itself.
//!
//! Absent on purpose: the lock's order, which is [`Lock`]'s.

use crate::lock::{Lock, LockAcquire, LockGuard, LockStatistics, ReleaseError};
use asyncio_tasks::{CancelScope, WaitQueue, catch_cancelled};
use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A lock, and a place where those who hold it can wait to be notified by others who hold it.
///
/// Several conditions may share one lock: [`Condition::with_lock`].
///
/// # Examples
///
/// ```
/// use asyncio_sync::Condition;
/// use std::rc::Rc;
///
/// asyncio_tasks::run(async {
///     let condition = Rc::new(Condition::new(Vec::new()));
///     let consumer = asyncio_tasks::create_task({
///         let condition = condition.clone();
///         async move {
///             let mut items = condition.acquire().await;
///             items.wait_for(|items| !items.is_empty()).await;
///             items.pop()
///         }
///     });
///     asyncio_tasks::yield_now().await;
///     {
///         let mut items = condition.acquire().await;
///         items.push(9);
///         items.notify(1);
///     }
///     assert_eq!(consumer.await, Ok(Some(9)));
/// });
/// ```
///
/// # asyncio
///
/// [`asyncio.Condition`](https://docs.python.org/3/library/asyncio-sync.html#asyncio.Condition). Differs: the lock guards data, and the
/// guard has the methods that need the lock, so they cannot fail. `wait`, `notify` and `release` of the condition itself are those
/// without a guard.
#[derive(Debug)]
pub struct Condition<T = ()> {
    lock: Rc<Lock<T>>,
    waiters: WaitQueue,
}

impl<T> Condition<T> {
    /// A condition with a lock of its own, which guards `data`.
    #[must_use]
    pub fn new(data: T) -> Self {
        Self::with_lock(Rc::new(Lock::new(data)))
    }

    /// A condition of a lock that others may use, too.
    ///
    /// # asyncio
    ///
    /// `Condition(lock)`. Same.
    #[must_use]
    pub fn with_lock(lock: Rc<Lock<T>>) -> Self {
        Self { lock, waiters: WaitQueue::new() }
    }

    /// The lock.
    #[must_use]
    pub const fn lock(&self) -> &Rc<Lock<T>> {
        &self.lock
    }

    /// Acquires the lock. The guard can wait and notify.
    ///
    /// # Cancel safety
    ///
    /// As that of [`Lock::acquire`].
    ///
    /// # asyncio
    ///
    /// `Condition.acquire`. Same, with a guard in place of `True`.
    #[track_caller]
    pub fn acquire(&self) -> ConditionAcquire<'_, T> {
        ConditionAcquire { condition: self, acquire: self.lock.acquire() }
    }

    /// Takes the lock, if `acquire` would not have to wait.
    #[must_use]
    #[track_caller]
    pub fn try_acquire(&self) -> Option<ConditionGuard<'_, T>> {
        self.lock.try_acquire().map(|guard| ConditionGuard { condition: self, guard: Some(guard) })
    }

    /// As [`Lock::locked`].
    #[must_use]
    pub fn locked(&self) -> bool {
        self.lock.locked()
    }

    /// As [`Lock::release`].
    ///
    /// # Errors
    ///
    /// If it is not locked, or by a guard.
    pub fn release(&self) -> Result<(), ReleaseError> {
        self.lock.release()
    }

    /// As [`ConditionGuard::wait`], for a lock that is held without a guard.
    ///
    /// # Cancel safety
    ///
    /// A cancellation goes on only when the lock is held again, without a guard as before. Dropped in any other way, the lock
    /// is not held.
    ///
    /// # Errors
    ///
    /// If it is not locked, or by a guard. Nothing has been waited for then.
    ///
    /// # asyncio
    ///
    /// `Condition.wait`. Same.
    pub async fn wait(&self) -> Result<(), ReleaseError> {
        let location = self.lock.acquired_at();
        self.lock.release()?;
        self.wait_and_reacquire(location, LockGuard::forget).await;
        Ok(())
    }

    /// Wakes the first `n` tasks that wait and have not been woken. They go on when they have got the lock.
    ///
    /// # Errors
    ///
    /// If nobody holds the lock.
    ///
    /// # asyncio
    ///
    /// `Condition.notify`. Same.
    pub fn notify(&self, n: usize) -> Result<(), NotifyError> {
        if !self.locked() {
            return Err(NotifyError);
        }
        for _ in 0..n {
            if !self.waiters.wake_next() {
                break;
            }
        }
        Ok(())
    }

    /// Wakes all tasks that wait.
    ///
    /// # Errors
    ///
    /// If nobody holds the lock.
    ///
    /// # asyncio
    ///
    /// `Condition.notify_all`. Same.
    pub fn notify_all(&self) -> Result<(), NotifyError> {
        self.notify(usize::MAX)
    }

    /// A snapshot, for tests and for looking at a program that hangs.
    #[must_use]
    pub fn statistics(&self) -> ConditionStatistics {
        ConditionStatistics { tasks_waiting: self.waiters.waiting(), lock: self.lock.statistics() }
    }

    /// Waits to be notified, then for the lock, whatever happens, and hands it to `keep`. The lock, which had been acquired at
    /// `location`, has been released.
    async fn wait_and_reacquire<'a>(
        &'a self,
        location: &'static Location<'static>,
        keep: impl FnOnce(LockGuard<'a, T>),
    ) {
        let unless_returned = NotifyAnother(&self.waiters);
        let mut cancelled = catch_cancelled(self.waiters.wait()).await.err();
        let guard = loop {
            // A cancel scope around, which has been heard, would insist at each turn of this loop.
            let shield = cancelled.as_ref().map(|_| CancelScope::new().shield());
            let acquired = catch_cancelled(async {
                let acquire = self.lock.acquire_at(location);
                match &shield {
                    Some(shield) => shield.run(acquire).await.expect("nobody cancels the shield"),
                    None => acquire.await,
                }
            });
            match acquired.await {
                Ok(guard) => break guard,
                // Waits for the lock all the same; the last request is the one that counts.
                Err(error) => cancelled = Some(error),
            }
        };
        keep(guard);
        if let Some(error) = cancelled {
            error.reraise().await;
        }
        std::mem::forget(unless_returned);
    }
}

impl Default for Condition {
    /// A condition whose lock guards nothing.
    fn default() -> Self {
        Self::new(())
    }
}

/// Invariant 2.
struct NotifyAnother<'a>(&'a WaitQueue);

impl Drop for NotifyAnother<'_> {
    fn drop(&mut self) {
        self.0.wake_next();
    }
}

/// What a [`Condition`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConditionStatistics {
    /// How many tasks wait to be notified, those not counted that have been notified or cancelled.
    pub tasks_waiting: usize,
    /// What its lock is doing.
    pub lock: LockStatistics,
}

/// Nobody holds the lock of the condition that was to be notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot notify on an unlocked condition")]
#[non_exhaustive]
pub struct NotifyError;

/// The lock of a condition is yours until this is dropped; gives access to the data.
#[must_use = "dropping the guard releases the lock"]
pub struct ConditionGuard<'a, T = ()> {
    condition: &'a Condition<T>,
    /// Absent only during a wait, and after one that was dropped.
    guard: Option<LockGuard<'a, T>>,
}

impl<T> ConditionGuard<'_, T> {
    /// Releases the lock, waits to be notified, and takes the lock again.
    ///
    /// It may return without a notification: look at the data again, or use [`wait_for`](Self::wait_for).
    ///
    /// # Cancel safety
    ///
    /// A cancellation of the task goes on only when the lock is held again, even if that takes long; so destructors and catch scopes around this
    /// find it held. One other waiter is notified then. If the future is dropped in any other way (by a `select!`), the guard is
    /// left without the lock and must not be used but to be dropped or to [`reacquire`](Self::reacquire).
    ///
    /// # Panics
    ///
    /// If the guard was left without the lock.
    ///
    /// # asyncio
    ///
    /// `Condition.wait`. Same.
    pub async fn wait(&mut self) {
        let condition = self.condition;
        let location = condition.lock.acquired_at();
        drop(self.guard.take().expect(LOST));
        let place = &mut self.guard;
        condition.wait_and_reacquire(location, |guard| *place = Some(guard)).await;
    }

    /// Waits until `predicate` holds; does not wait, nor release the lock, if it does.
    ///
    /// # Cancel safety
    ///
    /// As that of [`wait`](Self::wait).
    ///
    /// # asyncio
    ///
    /// `Condition.wait_for`. Same; the predicate says `true` or `false`, so there is no value to return.
    pub async fn wait_for(&mut self, mut predicate: impl FnMut(&mut T) -> bool) {
        while !predicate(self) {
            self.wait().await;
        }
    }

    /// Wakes the first `n` tasks that wait and have not been woken. They go on when they have got the lock.
    ///
    /// # Panics
    ///
    /// If the guard was left without the lock, and nobody else holds it.
    ///
    /// # asyncio
    ///
    /// `Condition.notify`. Same.
    pub fn notify(&self, n: usize) {
        self.condition.notify(n).expect(LOST);
    }

    /// Wakes all tasks that wait.
    ///
    /// # Panics
    ///
    /// As [`notify`](Self::notify).
    ///
    /// # asyncio
    ///
    /// `Condition.notify_all`. Same.
    pub fn notify_all(&self) {
        self.notify(usize::MAX);
    }

    /// Takes the lock again, if a wait was dropped (by a `select!`) that had released it.
    ///
    /// # Cancel safety
    ///
    /// As that of [`Lock::acquire`].
    ///
    /// # asyncio
    ///
    /// No counterpart: nothing there is dropped without being cancelled.
    pub async fn reacquire(&mut self) {
        if self.guard.is_none() {
            self.guard = Some(self.condition.lock.acquire().await);
        }
    }

    /// As [`LockGuard::forget`].
    ///
    /// # Panics
    ///
    /// If the guard was left without the lock.
    pub fn forget(guard: Self) {
        LockGuard::forget(guard.guard.expect(LOST));
    }
}

/// The guard was used although a wait had been dropped.
const LOST: &str = "the lock was lost when a `wait` was dropped: call `reacquire` first";

impl<T> Deref for ConditionGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().expect(LOST)
    }
}

impl<T> DerefMut for ConditionGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect(LOST)
    }
}

impl<T: fmt::Debug> fmt::Debug for ConditionGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.guard.fmt(f)
    }
}

/// Acquires the lock of a [`Condition`]; see [`Condition::acquire`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct ConditionAcquire<'a, T = ()> {
    condition: &'a Condition<T>,
    acquire: LockAcquire<'a, T>,
}

impl<'a, T> Future for ConditionAcquire<'a, T> {
    type Output = ConditionGuard<'a, T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ConditionGuard<'a, T>> {
        let condition = self.condition;
        Pin::new(&mut self.acquire).poll(cx).map(|guard| ConditionGuard { condition, guard: Some(guard) })
    }
}
