//! `Sender` and `Receiver`: the two ends of a queue, which shut it down when they are gone.
//!
//! Invariants:
//! 1. When the last sender is dropped, the queue is shut down: receivers get what is left, and then its end.
//! 2. When the last receiver is dropped, it is shut down at once: what is left is dropped, and senders get their items back.

use crate::core::{Core, Get};
use crate::error::{GetError, PutError, QueueShutDown};
use crate::queue::Queue;
use crate::statistics::QueueStatistics;
use crate::storage::Fifo;
use asyncio_tasks::Wait;
use futures_core::Stream;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

impl<T> Queue<T> {
    /// Makes two halves of the queue, each of which can be cloned.
    ///
    /// When the last sender is dropped, receivers get what is left, and then its end. When the last receiver is dropped, so is what is left,
    /// and senders get their items back.
    ///
    /// # asyncio
    ///
    /// No counterpart.
    #[must_use]
    pub fn split(self) -> (Sender<T>, Receiver<T>) {
        let shared = Rc::new(Shared { core: self.core, senders: Cell::new(1), receivers: Cell::new(1) });
        (Sender { shared: shared.clone() }, Receiver { shared, wait: None })
    }
}

struct Shared<T> {
    core: Core<Fifo<T>>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
}

/// The end of a queue where items are put; see [`Queue::split`].
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// As [`Queue::put`].
    ///
    /// # Cancel safety
    ///
    /// As that of [`Queue::put`].
    ///
    /// # Errors
    ///
    /// If the queue is shut down, or no receiver is left. The item comes back.
    pub fn put(&self, item: T) -> impl Future<Output = Result<(), QueueShutDown<T>>> + Unpin {
        self.shared.core.put(item)
    }

    /// As [`Queue::put_nowait`].
    ///
    /// # Errors
    ///
    /// If the queue is shut down or no receiver is left, or else if the queue is full. The item comes back.
    pub fn put_nowait(&self, item: T) -> Result<(), PutError<T>> {
        self.shared.core.put_nowait(item)
    }

    /// As [`Queue::join`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: there is nothing to lose.
    pub async fn join(&self) {
        self.shared.core.join().await;
    }

    /// As [`Queue::shutdown`].
    pub fn shutdown(&self, immediate: bool) {
        self.shared.core.shutdown(immediate);
    }

    /// Whether the queue was shut down, or no receiver is left.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.shared.core.is_shut_down()
    }

    /// As [`Queue::statistics`].
    #[must_use]
    pub fn statistics(&self) -> QueueStatistics {
        self.shared.core.statistics()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.set(self.shared.senders.get() + 1);
        Self { shared: self.shared.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let left = self.shared.senders.get() - 1;
        self.shared.senders.set(left);
        if left == 0 {
            self.shared.core.shutdown(false);
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.core.describe("Sender", f)
    }
}

/// The end of a queue where items are taken, also as a `Stream`; see [`Queue::split`].
///
/// Clones compete for the items. [`next`](Self::next) and [`get`](Self::get) give their place among those who wait up when they are
/// dropped. `Stream::poll_next` knows no such end: a stream that was polled and then let be keeps its place until it is polled again or
/// the receiver is dropped. It keeps no item from the others, but costs each item a wake-up more.
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    /// Of the stream.
    wait: Option<Wait>,
}

impl<T> Receiver<T> {
    /// As [`Queue::get`].
    ///
    /// # Cancel safety
    ///
    /// As that of [`Queue::get`].
    ///
    /// # Errors
    ///
    /// If the queue is shut down or no sender is left, and nothing is left in the queue.
    pub fn get(&self) -> impl Future<Output = Result<T, QueueShutDown>> + Unpin {
        self.shared.core.get()
    }

    /// As [`get`](Self::get), with the end as `None`: `while let Some(item) = receiver.next().await` is asyncio's `async for`.
    ///
    /// # Cancel safety
    ///
    /// As that of [`Queue::get`].
    #[expect(clippy::should_implement_trait, reason = "it is the name that streams have for it")]
    #[inline]
    pub fn next(&mut self) -> impl Future<Output = Option<T>> + Unpin {
        Next { get: self.shared.core.get() }
    }

    /// As [`Queue::get_nowait`].
    ///
    /// # Errors
    ///
    /// If the queue is empty.
    pub fn get_nowait(&self) -> Result<T, GetError> {
        self.shared.core.get_nowait()
    }

    /// As [`Queue::get_many`].
    ///
    /// # Cancel safety
    ///
    /// As that of [`Queue::get_many`].
    ///
    /// # Errors
    ///
    /// If the queue is shut down or no sender is left, and nothing is left in the queue.
    pub async fn get_many(&self, items: &mut Vec<T>, limit: usize) -> Result<usize, QueueShutDown> {
        self.shared.core.get_many(items, limit).await
    }

    /// As [`Queue::task_done`].
    ///
    /// # Panics
    ///
    /// If it is called more often than items were put.
    #[track_caller]
    pub fn task_done(&self) {
        if let Err(error) = self.shared.core.task_done() {
            panic!("{error}");
        }
    }

    /// As [`Queue::shutdown`].
    pub fn shutdown(&self, immediate: bool) {
        self.shared.core.shutdown(immediate);
    }

    /// As [`Queue::statistics`].
    #[must_use]
    pub fn statistics(&self) -> QueueStatistics {
        self.shared.core.statistics()
    }
}

/// Gets an item as soon as there is one, or the end. Not an `async fn`, for it is in the innermost loop of programs, and `Unpin`.
struct Next<'a, T> {
    get: Get<'a, Fifo<T>>,
}

impl<T> Future for Next<'_, T> {
    type Output = Option<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.get).poll(cx).map(Result::ok)
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Self { shared, wait } = &mut *self;
        shared.core.poll_next(wait, cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.shared.core.qsize(), None)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.set(self.shared.receivers.get() + 1);
        Self { shared: self.shared.clone(), wait: None }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.core.leave_stream(&mut self.wait);
        let left = self.shared.receivers.get() - 1;
        self.shared.receivers.set(left);
        if left == 0 {
            self.shared.core.shutdown(true);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.core.describe("Receiver", f)
    }
}
