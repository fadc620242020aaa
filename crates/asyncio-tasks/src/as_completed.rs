//! `as_completed`: tasks in the order in which they end.

use crate::ensure::{Gatherable, Source};
use crate::error::TimeoutError;
use crate::sleep::running_loop;
use crate::task::CallbackKey;
use crate::wait_queue::{Wait, WaitQueue, WaiterState};
use asyncio_loop::{Delay, EventLoop, IntoTimeout, TimerKey};
use futures_core::Stream;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Gives `items` (coroutines, tasks, futures) in the order in which they are done; coroutines become tasks here and now.
///
/// `next().await` gives each as its result, as [`gather`](crate::gather) would: `None` after the last,
/// `Some(Err(TimeoutError))` when the [`timeout`](AsCompleted::timeout) has passed. It is a `Stream`, too. Iterating
/// (`for next in completed`) gives as many futures as there are items, each for the next one that is done, to be awaited in
/// any order. An item that is given twice counts once. What is done already comes as soon as it is waited for.
///
/// Nothing is cancelled, neither by the timeout nor by leaving early.
///
/// # Cancel safety
///
/// Cancel safe: an item leaves in the poll that returns it.
///
/// # Panics
///
/// If no loop is running in this thread. With the panic of an item.
///
/// # asyncio
///
/// [`asyncio.as_completed`](https://docs.python.org/3/library/asyncio-task.html#asyncio.as_completed). Differs: gives results
/// with the index of the item ([`next_indexed`](AsCompleted::next_indexed)) rather than the task itself.
#[track_caller]
pub fn as_completed<G: Gatherable + 'static>(items: impl IntoIterator<Item = G>) -> AsCompleted<G> {
    let location = Location::caller();
    let mut sources: Vec<Source<G::Value>> = Vec::new();
    for source in items.into_iter().map(|item| item.into_source(location)) {
        if !sources.iter().any(|other| other.is_same(&source)) {
            sources.push(source);
        }
    }
    let shared = Rc::new(Shared {
        done: RefCell::default(),
        to_do: Cell::new(sources.len()),
        taken: Cell::new(0),
        waiters: WaitQueue::new(),
        timed_out: Cell::new(false),
        sources,
        keys: RefCell::default(),
        timer: RefCell::default(),
    });
    for (at, source) in shared.sources.iter().enumerate() {
        let weak = Rc::downgrade(&shared);
        let key = source.on_done(move || {
            if let Some(shared) = weak.upgrade() {
                shared.item_done(at);
            }
        });
        shared.keys.borrow_mut().push(key);
    }
    AsCompleted { shared, wait: None }
}

/// Items in the order in which they are done; see [`as_completed`].
#[must_use = "it does nothing unless it is asked for the next"]
pub struct AsCompleted<G: Gatherable> {
    shared: Rc<Shared<G>>,
    wait: Option<Wait>,
}

/// An item that is done, with its index.
type Indexed<G> = Result<(usize, <G as Gatherable>::Output), TimeoutError>;

struct Shared<G: Gatherable> {
    sources: Vec<Source<G::Value>>,
    keys: RefCell<Vec<CallbackKey>>,
    /// Which are done and not taken yet.
    done: RefCell<VecDeque<usize>>,
    /// How many are not known to be done.
    to_do: Cell<usize>,
    taken: Cell<usize>,
    waiters: WaitQueue,
    timed_out: Cell<bool>,
    timer: RefCell<Option<(EventLoop, TimerKey)>>,
}

impl<G: Gatherable + 'static> AsCompleted<G> {
    /// Gives up on what is not done after this long: seconds, a `Duration`, or `None`. The time runs from this call.
    ///
    /// # Panics
    ///
    /// If `timeout` is NaN, or no loop is running in this thread.
    #[track_caller]
    pub fn timeout(self, timeout: impl IntoTimeout) -> Self {
        if let Some(delay) = timeout.into_timeout() {
            self.shared.limit(&self.shared, delay);
        }
        self
    }

    /// The next one that is done: its result, `None` after the last.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`TimeoutError`] when the limit has passed and nothing that is done is left.
    pub async fn next(&mut self) -> Option<Result<G::Output, TimeoutError>> {
        self.next_indexed().await.map(|next| next.map(|(_, output)| output))
    }

    /// As [`next`](Self::next), with the index of the item.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn next_indexed(&mut self) -> Option<Result<(usize, G::Output), TimeoutError>> {
        std::future::poll_fn(|cx| self.poll_next_indexed(cx)).await
    }

    fn poll_next_indexed(&mut self, cx: &mut Context<'_>) -> Poll<Option<Indexed<G>>> {
        self.shared.poll(&mut self.wait, cx)
    }

    /// How many have not been given yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.sources.len() - self.shared.taken.get()
    }

    /// Whether all have been given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<G: Gatherable + 'static> Shared<G> {
    fn limit(&self, this: &Rc<Self>, delay: Delay) {
        let event_loop = running_loop();
        let weak = Rc::downgrade(this);
        let when = event_loop.nanos().saturating_add(delay.as_nanos());
        let expire = Rc::new(Expire(Box::new(move || {
            if let Some(shared) = weak.upgrade() {
                shared.expire();
            }
        })));
        let timer = event_loop.schedule_at(when, expire);
        *self.timer.borrow_mut() = Some((event_loop, timer));
    }

    fn item_done(&self, at: usize) {
        if self.timed_out.get() {
            return; // Too late.
        }
        self.to_do.set(self.to_do.get() - 1);
        self.done.borrow_mut().push_back(at);
        self.waiters.wake_next();
        if self.to_do.get() == 0 {
            self.stop_timer();
        }
    }

    fn expire(&self) {
        self.timed_out.set(true);
        self.waiters.wake_all();
    }

    fn poll(&self, wait: &mut Option<Wait>, cx: &mut Context<'_>) -> Poll<Option<Indexed<G>>> {
        loop {
            if wait.is_none() {
                if self.taken.get() == self.sources.len() {
                    return Poll::Ready(None);
                }
                let next = self.done.borrow_mut().pop_front();
                if let Some(at) = next {
                    self.taken.set(self.taken.get() + 1);
                    return match G::output(self.sources[at].take()) {
                        Ok(output) => Poll::Ready(Some(Ok((at, output)))),
                        Err(error) => {
                            crate::catch::raise(Some(error));
                            Poll::Pending
                        }
                    };
                }
                if self.timed_out.get() {
                    return Poll::Ready(Some(Err(TimeoutError)));
                }
            }
            let waiting = wait.get_or_insert_with(|| self.waiters.wait());
            // One that was kept beyond a cancellation looks again.
            if Pin::new(&mut *waiting).poll(cx).is_pending() && waiting.state() != WaiterState::Cancelled {
                return Poll::Pending;
            }
            *wait = None;
        }
    }
}

impl<G: Gatherable> Shared<G> {
    fn stop_timer(&self) {
        if let Some((event_loop, timer)) = self.timer.take() {
            event_loop.unschedule(timer);
        }
    }
}

impl<G: Gatherable> Drop for Shared<G> {
    fn drop(&mut self) {
        for (source, key) in self.sources.iter().zip(self.keys.take()) {
            source.forget(key);
        }
        self.stop_timer();
    }
}

/// The end of the time limit.
struct Expire(Box<dyn Fn()>);

impl asyncio_loop::Runnable for Expire {
    fn run(self: Rc<Self>) {
        (self.0)();
    }
}

impl<G: Gatherable + 'static> Stream for AsCompleted<G> {
    type Item = Result<G::Output, TimeoutError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_next_indexed(cx).map(|next| next.map(|result| result.map(|(_, output)| output)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl<G: Gatherable + 'static> IntoIterator for AsCompleted<G> {
    type Item = NextCompleted<G>;
    type IntoIter = NextCompletedIter<G>;

    fn into_iter(self) -> NextCompletedIter<G> {
        NextCompletedIter { left: self.len(), shared: self.shared }
    }
}

/// Iterates over futures, each for the next item that is done; see [`as_completed`].
pub struct NextCompletedIter<G: Gatherable> {
    shared: Rc<Shared<G>>,
    left: usize,
}

impl<G: Gatherable> Iterator for NextCompletedIter<G> {
    type Item = NextCompleted<G>;

    fn next(&mut self) -> Option<NextCompleted<G>> {
        self.left = self.left.checked_sub(1)?;
        Some(NextCompleted { shared: self.shared.clone(), wait: None })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// The result of the next item that is done; see [`as_completed`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct NextCompleted<G: Gatherable> {
    shared: Rc<Shared<G>>,
    wait: Option<Wait>,
}

impl<G: Gatherable + 'static> Future for NextCompleted<G> {
    type Output = Result<G::Output, TimeoutError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        match ready!(this.shared.poll(&mut this.wait, cx)) {
            Some(next) => Poll::Ready(next.map(|(_, output)| output)),
            // There are as many of these as items, so this was polled after it was done.
            None => Poll::Pending,
        }
    }
}

macro_rules! debug {
    ($($name:ident),*) => {$(
        impl<G: Gatherable> fmt::Debug for $name<G> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("taken", &self.shared.taken.get()).finish_non_exhaustive()
            }
        }
    )*};
}

debug!(AsCompleted, NextCompletedIter, NextCompleted);
