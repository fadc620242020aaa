//! `Subscriber`: one who gets every item of a broadcast, at his own pace.

use super::{BroadcastStatistics, Kept, Shared, Taken};
use crate::error::{QueueEmpty, QueueShutDown};
use asyncio_tasks::{Wait, WaiterState};
use futures_core::Stream;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// The end of a [`Broadcast`](crate::Broadcast) where items are taken, also as a `Stream`.
///
/// A clone subscribes for itself, and goes on where this one is. Dropping it takes what it has yet to take off the account.
pub struct Subscriber<T> {
    shared: Rc<Shared<T>>,
    /// The number of the item that is next.
    next: u64,
    /// Of the stream.
    wait: Option<Wait>,
}

/// A subscriber of a lossy broadcast was too slow: items were dropped that it had not taken. The next one is the oldest that is
/// still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the subscriber lags, and has lost {lost} items")]
#[non_exhaustive]
pub struct Lagged {
    /// How many items it has lost since it last took one, or was told.
    pub lost: u64,
}

/// Why [`Subscriber::get`] has got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastGetError {
    /// Items are lost; get again.
    #[error(transparent)]
    Lagged(#[from] Lagged),
    /// The broadcast is shut down, or nobody is left who could put, and everything was taken.
    #[error(transparent)]
    ShutDown(#[from] QueueShutDown),
}

/// Why [`Subscriber::get_nowait`] has got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BroadcastGetNowaitError {
    /// Items are lost; get again.
    #[error(transparent)]
    Lagged(#[from] Lagged),
    /// Await `get`, or try again after a `put`.
    #[error(transparent)]
    Empty(#[from] QueueEmpty),
    /// The broadcast is shut down, or nobody is left who could put, and everything was taken.
    #[error(transparent)]
    ShutDown(#[from] QueueShutDown),
}

impl<T> Subscriber<T> {
    pub(super) const fn new(shared: Rc<Shared<T>>, next: u64) -> Self {
        Self { shared, next, wait: None }
    }

    /// How many items are there to be taken, those not counted that are lost.
    #[must_use]
    pub fn qsize(&self) -> usize {
        let state = self.shared.state.borrow();
        usize::try_from(state.end() - self.next.max(state.first)).unwrap_or(usize::MAX)
    }

    /// As [`Broadcast::statistics`](crate::Broadcast::statistics).
    #[must_use]
    pub fn statistics(&self) -> BroadcastStatistics {
        self.shared.statistics()
    }

    /// Gives up waiting. Nobody has to be told: an item is there for each.
    fn leave(&mut self) {
        self.wait = None;
    }

    /// Takes this subscriber's part in every item from number `next` on by `change`.
    fn account(&self, change: impl Fn(usize) -> usize) -> Vec<Kept<T>> {
        let state = &mut *self.shared.state.borrow_mut();
        state.subscribers = change(state.subscribers);
        let from = usize::try_from(self.next.saturating_sub(state.first)).unwrap_or(usize::MAX).min(state.kept.len());
        for kept in state.kept.range_mut(from..) {
            kept.remaining = change(kept.remaining);
        }
        state.prune()
    }
}

impl<T: Clone> Subscriber<T> {
    /// Takes the next item; waits until there is one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an item is taken in the very poll that returns it.
    ///
    /// # Errors
    ///
    /// If items were lost, which is told once, or the broadcast has ended.
    pub fn get(&mut self) -> BroadcastNext<'_, T> {
        BroadcastNext { subscriber: self }
    }

    /// As [`get`](Self::get), with the end as `None`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: an item is taken in the very poll that returns it.
    pub async fn next(&mut self) -> Option<Result<T, Lagged>> {
        match self.get().await {
            Ok(item) => Some(Ok(item)),
            Err(BroadcastGetError::Lagged(lagged)) => Some(Err(lagged)),
            Err(BroadcastGetError::ShutDown(_)) => None,
        }
    }

    /// Takes the next item, if there is one. If cloning it panics, it counts as taken.
    ///
    /// # Errors
    ///
    /// If items were lost, which is told once, or there is none.
    pub fn get_nowait(&mut self) -> Result<T, BroadcastGetNowaitError> {
        let mut state = self.shared.state.borrow_mut();
        if self.next < state.first && !state.kept.is_empty() {
            let lost = state.first - self.next;
            self.next = state.first;
            return Err(Lagged { lost }.into());
        }
        let Some(taken) = state.take(self.next) else {
            let is_shut_down = state.is_shut_down;
            return Err(if is_shut_down { QueueShutDown(()).into() } else { QueueEmpty.into() });
        };
        drop(state);
        self.next += 1;
        Ok(match taken {
            Taken::Clone(item) => (*item).clone(),
            Taken::Last(kept) => {
                self.shared.has_left(1);
                kept.into_item()
            }
        })
    }

    fn poll_get(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, BroadcastGetError>> {
        if let Some(wait) = &mut self.wait {
            // One that was kept beyond a cancellation, by reference, looks, and waits anew.
            if Pin::new(&mut *wait).poll(cx).is_pending() && wait.state() != WaiterState::Cancelled {
                return Poll::Pending;
            }
            self.wait = None;
        }
        match self.get_nowait() {
            Ok(item) => Poll::Ready(Ok(item)),
            Err(BroadcastGetNowaitError::Lagged(lagged)) => Poll::Ready(Err(lagged.into())),
            Err(BroadcastGetNowaitError::ShutDown(error)) => Poll::Ready(Err(error.into())),
            Err(BroadcastGetNowaitError::Empty(_)) => {
                self.wait = Some(self.shared.getters.wait_now(cx));
                Poll::Pending
            }
        }
    }
}

impl<T: Clone> Stream for Subscriber<T> {
    type Item = Result<T, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(match ready!(self.poll_get(cx)) {
            Ok(item) => Some(Ok(item)),
            Err(BroadcastGetError::Lagged(lagged)) => Some(Err(lagged)),
            Err(BroadcastGetError::ShutDown(_)) => None,
        })
    }
}

impl<T> Clone for Subscriber<T> {
    fn clone(&self) -> Self {
        let pruned = self.account(|count| count + 1);
        debug_assert!(pruned.is_empty(), "nobody has taken anything");
        Self::new(self.shared.clone(), self.next)
    }
}

impl<T> Drop for Subscriber<T> {
    fn drop(&mut self) {
        self.leave();
        let pruned = self.account(|count| count - 1);
        self.shared.has_left(pruned.len());
        drop(pruned);
    }
}

impl<T> fmt::Debug for Subscriber<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").field("qsize", &self.qsize()).finish_non_exhaustive()
    }
}

/// Takes the next item; see [`Subscriber::get`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct BroadcastNext<'a, T> {
    subscriber: &'a mut Subscriber<T>,
}

impl<T: Clone> Future for BroadcastNext<'_, T> {
    type Output = Result<T, BroadcastGetError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.subscriber.poll_get(cx)
    }
}

impl<T> Drop for BroadcastNext<'_, T> {
    fn drop(&mut self) {
        self.subscriber.leave();
    }
}

impl<T> fmt::Debug for BroadcastNext<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastNext").field("subscriber", &self.subscriber).finish()
    }
}

impl From<Lagged> for io::Error {
    fn from(error: Lagged) -> Self {
        Self::other(error)
    }
}

impl From<BroadcastGetError> for io::Error {
    fn from(error: BroadcastGetError) -> Self {
        match error {
            BroadcastGetError::Lagged(error) => error.into(),
            BroadcastGetError::ShutDown(error) => error.into(),
        }
    }
}

impl From<BroadcastGetNowaitError> for io::Error {
    fn from(error: BroadcastGetNowaitError) -> Self {
        match error {
            BroadcastGetNowaitError::Lagged(error) => error.into(),
            BroadcastGetNowaitError::Empty(error) => error.into(),
            BroadcastGetNowaitError::ShutDown(error) => error.into(),
        }
    }
}
