//! `Core`: what all queues between threads have in common: who waits for what, what is unfinished, and the end.
//!
//! Invariants:
//! 1. An item is in `items` or in the hands of one task or thread: it leaves in the step that returns it, and arrives in the step
//!    that says so.
//! 2. For each item that is put, a waiting getter is woken, and for each that is taken a waiting putter; after that, not
//!    before. One that was woken and leaves without having looked wakes the next one, if there is still something to be had.
//! 3. An item is counted as unfinished before it can be taken. Who waits for the count to be 0 is woken when it is.
//! 4. Nothing is locked while an item is dropped.
//!
//! Checked by loom models beside this file. Absent on purpose: the order of the items, which is `storage`'s.

use super::attempts::{block_until, poll_until};
use super::storage::SharedStorage;
use crate::error::{GetError, PutError, QueueEmpty, QueueFull, QueueShutDown, TaskDoneError};
use crate::statistics::QueueStatistics;
use asyncio_sync::threadsafe::{Wait, WaitQueue};
use concurrent_queue::{PopError, PushError};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

#[cfg(all(test, asyncio_loom))]
use loom::sync::atomic::{AtomicUsize, Ordering};
#[cfg(not(all(test, asyncio_loom)))]
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct Core<S> {
    items: S,
    /// 0: there is no bound.
    maxsize: usize,
    getters: WaitQueue,
    putters: WaitQueue,
    joiners: WaitQueue,
    unfinished: AtomicUsize,
    peak: AtomicUsize,
}

impl<S: SharedStorage> Core<S> {
    pub(crate) fn new(maxsize: usize) -> Self {
        Self {
            items: S::new(maxsize),
            maxsize,
            getters: WaitQueue::new(),
            putters: WaitQueue::new(),
            joiners: WaitQueue::new(),
            unfinished: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        }
    }

    pub(crate) fn put_nowait(&self, item: S::Item) -> Result<(), PutError<S::Item>> {
        self.unfinished.fetch_add(1, Ordering::SeqCst);
        let error = match self.items.push(item) {
            Ok(()) => {
                // Only for statistics, so no order is needed.
                let len = self.items.len();
                if len > self.peak.load(Ordering::Relaxed) {
                    self.peak.fetch_max(len, Ordering::Relaxed);
                }
                self.getters.wake_next();
                return Ok(());
            }
            Err(PushError::Full(item)) => PutError::Full(QueueFull(item)),
            Err(PushError::Closed(item)) => PutError::ShutDown(QueueShutDown(item)),
        };
        // It was none. (Somebody who says "done" once too often may have been faster.)
        let _ = self.finish(1);
        Err(error)
    }

    pub(crate) fn get_nowait(&self) -> Result<S::Item, GetError> {
        match self.items.pop() {
            Ok(item) => {
                self.putters.wake_next();
                Ok(item)
            }
            Err(PopError::Empty) => Err(QueueEmpty.into()),
            Err(PopError::Closed) => Err(QueueShutDown(()).into()),
        }
    }

    pub(crate) const fn put(&self, item: S::Item) -> Put<'_, S> {
        Put { core: self, item: Some(item), wait: None }
    }

    pub(crate) const fn get(&self) -> Get<'_, S> {
        Get { core: self, wait: None }
    }

    /// Puts an item, for as long as that takes, or until `deadline`.
    #[track_caller]
    pub(crate) fn put_blocking(&self, item: S::Item, deadline: Option<Instant>) -> Result<(), PutError<S::Item>> {
        let mut place = Some(item);
        match block_until(&self.putters, deadline, || self.attempt_put(&mut place)) {
            Some(outcome) => outcome.map_err(PutError::ShutDown),
            None => Err(QueueFull(place.take().expect("what was not put is here")).into()),
        }
    }

    /// Gets an item, for as long as that takes, or until `deadline`.
    #[track_caller]
    pub(crate) fn get_blocking(&self, deadline: Option<Instant>) -> Result<S::Item, GetError> {
        match block_until(&self.getters, deadline, || self.attempt_get()) {
            Some(outcome) => outcome.map_err(GetError::ShutDown),
            None => Err(QueueEmpty.into()),
        }
    }

    /// Puts the item, unless there is no room; then it stays where it is.
    fn attempt_put(&self, place: &mut Option<S::Item>) -> Option<Result<(), QueueShutDown<S::Item>>> {
        match self.put_nowait(place.take().expect("a `put` that was polled after it was done")) {
            Ok(()) => Some(Ok(())),
            Err(PutError::ShutDown(error)) => Some(Err(error)),
            Err(PutError::Full(QueueFull(item))) => {
                *place = Some(item);
                None
            }
        }
    }

    fn attempt_get(&self) -> Option<Result<S::Item, QueueShutDown>> {
        match self.get_nowait() {
            Ok(item) => Some(Ok(item)),
            Err(GetError::ShutDown(error)) => Some(Err(error)),
            Err(GetError::Empty(_)) => None,
        }
    }

    /// Appends what is there to `items`, at most `limit`; says how many.
    fn take_many(&self, items: &mut Vec<S::Item>, limit: usize) -> usize {
        let before = items.len();
        while items.len() - before < limit
            && let Ok(item) = self.get_nowait()
        {
            items.push(item);
        }
        items.len() - before
    }

    pub(crate) async fn get_many(&self, items: &mut Vec<S::Item>, limit: usize) -> Result<usize, QueueShutDown> {
        if limit == 0 {
            return Ok(0);
        }
        let first = self.get().await?;
        items.push(first);
        Ok(1 + self.take_many(items, limit - 1))
    }

    pub(crate) fn task_done(&self) -> Result<(), TaskDoneError> {
        self.finish(1)
    }

    /// Counts so many items as done.
    fn finish(&self, count: usize) -> Result<(), TaskDoneError> {
        let counted = self.unfinished.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(count));
        if counted.map_err(|_| TaskDoneError)? == count {
            self.joiners.wake_all();
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        self.unfinished.load(Ordering::SeqCst) == 0
    }

    /// A place among those who wait for the work to be done, unless it is.
    fn begin_join(&self) -> Option<Wait> {
        if self.is_finished() {
            return None;
        }
        let wait = self.joiners.wait();
        // Done in between: then there may be nobody left who wakes this one.
        (!self.is_finished()).then_some(wait)
    }

    pub(crate) async fn join(&self) {
        // Who was woken does not look again: it was done at some time.
        if let Some(wait) = self.begin_join() {
            wait.await;
        }
    }

    #[track_caller]
    pub(crate) fn join_blocking(&self) {
        if let Some(wait) = self.begin_join() {
            wait.block();
        }
    }

    pub(crate) fn shutdown(&self, immediate: bool) {
        self.items.close();
        if immediate {
            // One by one: what a destructor does finds nothing locked, and what others take meanwhile is theirs.
            while let Ok(item) = self.items.pop() {
                let _ = self.finish(1);
                drop(item);
            }
        }
        self.getters.wake_all();
        self.putters.wake_all();
    }

    pub(crate) fn qsize(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn empty(&self) -> bool {
        self.qsize() == 0
    }

    pub(crate) fn full(&self) -> bool {
        self.maxsize > 0 && self.qsize() >= self.maxsize
    }

    pub(crate) const fn maxsize(&self) -> usize {
        self.maxsize
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.items.is_closed()
    }

    pub(crate) fn statistics(&self) -> QueueStatistics {
        QueueStatistics {
            qsize: self.qsize(),
            maxsize: self.maxsize,
            peak_size: self.peak.load(Ordering::Relaxed),
            unfinished_tasks: self.unfinished.load(Ordering::SeqCst),
            tasks_waiting_get: self.getters.len(),
            tasks_waiting_put: self.putters.len(),
            is_shut_down: self.is_shut_down(),
        }
    }

    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("maxsize", &self.maxsize)
            .field("qsize", &self.qsize())
            .field("getters", &self.getters.len())
            .field("putters", &self.putters.len())
            .field("unfinished_tasks", &self.unfinished.load(Ordering::SeqCst))
            .field("is_shut_down", &self.is_shut_down())
            .finish()
    }
}

/// Puts an item as soon as there is room.
pub(crate) struct Put<'a, S: SharedStorage> {
    core: &'a Core<S>,
    item: Option<S::Item>,
    wait: Option<Wait>,
}

// The item is not pinned: it is only ever moved into the queue, or back.
impl<S: SharedStorage> Unpin for Put<'_, S> {}

impl<S: SharedStorage> Future for Put<'_, S> {
    type Output = Result<(), QueueShutDown<S::Item>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { core, item, wait } = &mut *self;
        poll_until(&core.putters, wait, cx, || core.attempt_put(item))
    }
}

impl<S: SharedStorage> Drop for Put<'_, S> {
    fn drop(&mut self) {
        if self.wait.take().is_some_and(Wait::leave) && !self.core.full() {
            self.core.putters.wake_next();
        }
    }
}

/// Gets an item as soon as there is one.
pub(crate) struct Get<'a, S: SharedStorage> {
    core: &'a Core<S>,
    wait: Option<Wait>,
}

impl<S: SharedStorage> Future for Get<'_, S> {
    type Output = Result<S::Item, QueueShutDown>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { core, wait } = &mut *self;
        poll_until(&core.getters, wait, cx, || core.attempt_get())
    }
}

impl<S: SharedStorage> Drop for Get<'_, S> {
    fn drop(&mut self) {
        if self.wait.take().is_some_and(Wait::leave) && !self.core.empty() {
            self.core.getters.wake_next();
        }
    }
}
