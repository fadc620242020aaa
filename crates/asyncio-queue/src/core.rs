//! `Core`: what all queues have in common: the bound, who waits for what, what is unfinished, and the end.
//!
//! Invariants:
//! 1. An item is in `items` or in the hands of one task: it leaves in the poll that returns it, and arrives in the poll that says
//!    so.
//! 2. For each item that is put, a waiting getter is woken, and for each that is taken a waiting putter. One that was woken and leaves
//!    without having looked wakes the next one, if there is still something to be had. A getter that is a stream may have been let
//!    be, and never look: for each of those, one more is woken.
//! 3. `finished` is set exactly while nothing is unfinished.
//! 4. Nothing is borrowed while anybody is woken or an item is dropped.
//!
//! Absent on purpose: the order of the items, which is `storage`'s.

use crate::error::{GetError, PutError, QueueEmpty, QueueFull, QueueShutDown, TaskDoneError};
use crate::statistics::QueueStatistics;
use crate::storage::Storage;
use asyncio_sync::Event;
use asyncio_tasks::{Wait, WaitQueue, WaiterState};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) struct Core<S> {
    items: RefCell<S>,
    /// 0: there is no bound.
    maxsize: usize,
    getters: WaitQueue,
    /// How many of the getters are streams.
    streams: Cell<usize>,
    putters: WaitQueue,
    unfinished: Cell<usize>,
    finished: Event,
    is_shut_down: Cell<bool>,
    peak: Cell<usize>,
}

impl<S: Storage> Core<S> {
    pub(crate) fn new(maxsize: usize) -> Self {
        let finished = Event::new();
        finished.set();
        Self {
            items: RefCell::default(),
            maxsize,
            getters: WaitQueue::new(),
            streams: Cell::new(0),
            putters: WaitQueue::new(),
            unfinished: Cell::new(0),
            finished,
            is_shut_down: Cell::new(false),
            peak: Cell::new(0),
        }
    }

    pub(crate) fn put_nowait(&self, item: S::Item) -> Result<(), PutError<S::Item>> {
        if self.is_shut_down.get() {
            return Err(QueueShutDown(item).into());
        }
        if self.full() {
            return Err(QueueFull(item).into());
        }
        self.push(item);
        Ok(())
    }

    pub(crate) fn get_nowait(&self) -> Result<S::Item, GetError> {
        match self.pop() {
            Some(item) => Ok(item),
            None if self.is_shut_down.get() => Err(QueueShutDown(()).into()),
            None => Err(QueueEmpty.into()),
        }
    }

    pub(crate) const fn put(&self, item: S::Item) -> Put<'_, S> {
        Put { core: self, item: Some(item), wait: None }
    }

    pub(crate) const fn get(&self) -> Get<'_, S> {
        Get { core: self, wait: None }
    }

    /// As `put_nowait`, but waits while the queue is full. The item is gone when it is done.
    #[inline]
    pub(crate) fn poll_put(
        &self,
        item: &mut Option<S::Item>,
        wait: &mut Option<Wait>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), QueueShutDown<S::Item>>> {
        if wait.is_some() && poll_wait(wait, cx, |wait| self.leave_putters(wait)).is_pending() {
            return Poll::Pending;
        }
        if self.full() && !self.is_shut_down.get() {
            *wait = Some(self.putters.wait_now(cx));
            return Poll::Pending;
        }
        let item = item.take().expect("a `put` that was polled after it was done");
        if self.is_shut_down.get() {
            return Poll::Ready(Err(QueueShutDown(item)));
        }
        self.push(item);
        Poll::Ready(Ok(()))
    }

    /// As `get_nowait`, but waits while the queue is empty.
    #[inline]
    pub(crate) fn poll_get(
        &self,
        wait: &mut Option<Wait>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Item, QueueShutDown>> {
        if wait.is_some() && poll_wait(wait, cx, |wait| self.leave_getters(wait)).is_pending() {
            return Poll::Pending;
        }
        if let Some(item) = self.pop() {
            return Poll::Ready(Ok(item));
        }
        if self.is_shut_down.get() {
            return Poll::Ready(Err(QueueShutDown(())));
        }
        *wait = Some(self.getters.wait_now(cx));
        Poll::Pending
    }

    /// As `poll_get`, for a stream: whoever polled it may let it be, with its wait in the queue.
    pub(crate) fn poll_next(&self, wait: &mut Option<Wait>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let was_waiting = wait.is_some();
        let outcome = self.poll_get(wait, cx);
        self.count_stream(was_waiting, wait.is_some());
        outcome.map(Result::ok)
    }

    /// Ends the wait of a stream.
    pub(crate) fn leave_stream(&self, wait: &mut Option<Wait>) {
        self.count_stream(wait.is_some(), false);
        self.leave_getters(wait);
    }

    fn count_stream(&self, was_waiting: bool, is_waiting: bool) {
        self.streams.set(self.streams.get() + usize::from(is_waiting) - usize::from(was_waiting));
    }

    /// Tells those who wait that there is an item: the next one, and as many more as there are streams among them.
    #[inline]
    fn wake_getter(&self) {
        for _ in 0..=self.streams.get() {
            if !self.getters.wake_next() {
                break;
            }
        }
    }

    /// Gives up waiting for room.
    pub(crate) fn leave_putters(&self, wait: &mut Option<Wait>) {
        if leave(wait) && !self.full() {
            self.putters.wake_next();
        }
    }

    /// Gives up waiting for an item.
    pub(crate) fn leave_getters(&self, wait: &mut Option<Wait>) {
        if leave(wait) && !self.empty() {
            self.wake_getter();
        }
    }

    #[inline]
    fn push(&self, item: S::Item) {
        let len = {
            let mut items = self.items.borrow_mut();
            items.push(item);
            items.len()
        };
        if len > self.peak.get() {
            self.peak.set(len);
        }
        let unfinished = self.unfinished.get();
        self.unfinished.set(unfinished + 1);
        if unfinished == 0 {
            self.finished.clear();
        }
        self.wake_getter();
    }

    #[inline]
    fn pop(&self) -> Option<S::Item> {
        let item = self.items.borrow_mut().pop()?;
        self.putters.wake_next();
        Some(item)
    }

    /// Appends what is there to `items`, at most `limit`; says how many.
    pub(crate) fn take_many(&self, items: &mut Vec<S::Item>, limit: usize) -> usize {
        let before = items.len();
        while items.len() - before < limit
            && let Some(item) = self.pop()
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
        let unfinished = self.unfinished.get().checked_sub(1).ok_or(TaskDoneError)?;
        self.unfinished.set(unfinished);
        if unfinished == 0 {
            self.finished.set();
        }
        Ok(())
    }

    pub(crate) async fn join(&self) {
        self.finished.wait().await;
    }

    pub(crate) fn shutdown(&self, immediate: bool) {
        self.is_shut_down.set(true);
        let dropped = if immediate { self.items.take() } else { S::default() };
        if immediate {
            self.unfinished.set(self.unfinished.get().saturating_sub(dropped.len()));
            if self.unfinished.get() == 0 {
                self.finished.set();
            }
        }
        self.getters.wake_all();
        self.putters.wake_all();
    }

    pub(crate) fn qsize(&self) -> usize {
        self.items.borrow().len()
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

    pub(crate) const fn is_shut_down(&self) -> bool {
        self.is_shut_down.get()
    }

    pub(crate) fn statistics(&self) -> QueueStatistics {
        QueueStatistics {
            qsize: self.qsize(),
            maxsize: self.maxsize,
            peak_size: self.peak.get(),
            unfinished_tasks: self.unfinished.get(),
            tasks_waiting_get: self.getters.waiting(),
            tasks_waiting_put: self.putters.waiting(),
            is_shut_down: self.is_shut_down.get(),
        }
    }

    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("maxsize", &self.maxsize)
            .field("qsize", &self.qsize())
            .field("getters", &self.getters.len())
            .field("putters", &self.putters.len())
            .field("unfinished_tasks", &self.unfinished.get())
            .field("is_shut_down", &self.is_shut_down.get())
            .finish()
    }
}

/// `Ready` if there is something to look at: it was woken.
fn poll_wait(place: &mut Option<Wait>, cx: &mut Context<'_>, leave: impl FnOnce(&mut Option<Wait>)) -> Poll<()> {
    let Some(wait) = place else { return Poll::Ready(()) };
    if Pin::new(&mut *wait).poll(cx).is_ready() {
        *place = None;
    } else if wait.state() == WaiterState::Cancelled {
        // The future was kept beyond a cancellation, by reference: it looks, and waits anew.
        leave(place);
    } else {
        return Poll::Pending;
    }
    Poll::Ready(())
}

/// Leaves the queue of those who wait; says whether a wake-up has to be passed on.
fn leave(wait: &mut Option<Wait>) -> bool {
    wait.take().is_some_and(|wait| wait.state() == WaiterState::Woken)
}

/// Puts an item as soon as there is room.
pub(crate) struct Put<'a, S: Storage> {
    core: &'a Core<S>,
    item: Option<S::Item>,
    wait: Option<Wait>,
}

// The item is not pinned: it is only ever moved into the queue, or back.
impl<S: Storage> Unpin for Put<'_, S> {}

impl<S: Storage> Future for Put<'_, S> {
    type Output = Result<(), QueueShutDown<S::Item>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { core, item, wait } = &mut *self;
        core.poll_put(item, wait, cx)
    }
}

impl<S: Storage> Drop for Put<'_, S> {
    #[inline]
    fn drop(&mut self) {
        if self.wait.is_some() {
            self.core.leave_putters(&mut self.wait);
        }
    }
}

/// Gets an item as soon as there is one.
pub(crate) struct Get<'a, S: Storage> {
    core: &'a Core<S>,
    wait: Option<Wait>,
}

impl<S: Storage> Future for Get<'_, S> {
    type Output = Result<S::Item, QueueShutDown>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { core, wait } = &mut *self;
        core.poll_get(wait, cx)
    }
}

impl<S: Storage> Drop for Get<'_, S> {
    #[inline]
    fn drop(&mut self) {
        if self.wait.is_some() {
            self.core.leave_getters(&mut self.wait);
        }
    }
}
