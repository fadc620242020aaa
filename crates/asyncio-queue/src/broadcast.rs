//! `Broadcast` and `Subscriber`: every subscriber gets every item. Whoever is too slow holds all others up, or loses items and is
//! told how many: that is the one choice.
//!
//! Items are numbered. One that is kept knows how many subscribers have yet to take it; when the last one does, it is his, and
//! there is room. Each subscriber has the number of the item that is next for him.
//!
//! Invariants:
//! 1. `kept` has the items `first..first + kept.len()`. Of an item `n`, `remaining` is the number of subscribers with
//!    `next <= n`; of the oldest it is not 0.
//! 2. Until an immediate shutdown, `next >= first` for every subscriber of a lossless broadcast; in a lossy one, `first - next` is what
//!    he has lost.
//! 3. For each item that leaves, a waiting putter is woken; for each that comes, every waiting getter. A putter that was woken and
//!    leaves without having looked wakes the next one, if there is still room.
//! 4. Nothing is borrowed while anybody is woken or an item is cloned or dropped.
//!
//! Absent on purpose: threads.

mod subscriber;

pub use subscriber::{BroadcastGetError, BroadcastGetNowaitError, BroadcastNext, Lagged, Subscriber};

use crate::error::{PutError, QueueFull, QueueShutDown};
use asyncio_tasks::{Wait, WaitQueue, WaiterState};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The end of a broadcast where items are put; each [`Subscriber`] gets all of them, in order.
///
/// Clones put into the same broadcast; when the last one is dropped, it is shut down: subscribers get what is left, and then its
/// end. An item that nobody subscribes to is dropped. One that several subscribers take is cloned for all but the last, and moves to
/// the heap when the first one takes it.
///
/// # Examples
///
/// ```
/// use asyncio_queue::Broadcast;
///
/// asyncio_tasks::run(async {
///     let news = Broadcast::lossy(2);
///     let (mut quick, mut slow) = (news.subscribe(), news.subscribe());
///     for n in 1..=3 {
///         news.put(n).await?;
///         assert_eq!(quick.next().await, Some(Ok(n)));
///     }
///     assert_eq!(slow.next().await.unwrap().unwrap_err().lost, 1);
///     assert_eq!(slow.next().await, Some(Ok(2)));
///     Ok::<_, asyncio_queue::QueueShutDown<i32>>(())
/// })?;
/// # Ok::<_, asyncio_queue::QueueShutDown<i32>>(())
/// ```
///
/// # asyncio
///
/// None. Trio's users ask for it.
pub struct Broadcast<T> {
    shared: Rc<Shared<T>>,
}

/// What is done when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The slowest subscriber is waited for.
    Lossless,
    /// The oldest item is dropped.
    Lossy,
}

struct Shared<T> {
    mode: Mode,
    /// 0: there is no bound.
    maxsize: usize,
    state: RefCell<State<T>>,
    getters: WaitQueue,
    putters: WaitQueue,
    senders: Cell<usize>,
}

struct State<T> {
    kept: VecDeque<Kept<T>>,
    /// The number of the oldest item in `kept`, or of the next to come.
    first: u64,
    subscribers: usize,
    is_shut_down: bool,
    peak: usize,
    lost: u64,
}

/// An item and for how many it is. It is in one of two places.
struct Kept<T> {
    /// Nobody has taken it yet.
    fresh: Option<T>,
    /// Somebody has, and cloned it with nothing borrowed.
    shared: Option<Rc<T>>,
    remaining: usize,
}

impl<T> Kept<T> {
    /// The item, to be cloned as soon as nothing is borrowed any more.
    fn share(&mut self) -> Option<Rc<T>> {
        if let Some(item) = self.fresh.take() {
            self.shared = Some(Rc::new(item));
        }
        self.shared.clone()
    }
}

impl<T: Clone> Kept<T> {
    fn into_item(self) -> T {
        // It is cloned only if it left while others were cloning it, which had got us here.
        let item = self.fresh.or_else(|| self.shared.map(Rc::unwrap_or_clone));
        item.expect("it is in one of two places")
    }
}

impl<T: Clone> Broadcast<T> {
    /// A broadcast that keeps at most `maxsize` items; 0 means without a bound. `put` waits for the slowest subscriber.
    #[must_use]
    pub fn new(maxsize: usize) -> Self {
        Self::with_mode(Mode::Lossless, maxsize)
    }

    /// A broadcast that keeps at most `maxsize` items; 0 means without a bound. `put` never waits: the oldest item makes room, and
    /// whoever had not taken it is told that he [lags](Lagged).
    #[must_use]
    pub fn lossy(maxsize: usize) -> Self {
        Self::with_mode(Mode::Lossy, maxsize)
    }

    fn with_mode(mode: Mode, maxsize: usize) -> Self {
        let state = State { kept: VecDeque::new(), first: 0, subscribers: 0, is_shut_down: false, peak: 0, lost: 0 };
        let shared = Shared {
            mode,
            maxsize,
            state: RefCell::new(state),
            getters: WaitQueue::new(),
            putters: WaitQueue::new(),
            senders: Cell::new(1),
        };
        Self { shared: Rc::new(shared) }
    }

    /// A new subscriber, who gets what is put from now on.
    #[must_use = "what nobody subscribes to is dropped"]
    pub fn subscribe(&self) -> Subscriber<T> {
        let mut state = self.shared.state.borrow_mut();
        state.subscribers += 1;
        Subscriber::new(self.shared.clone(), state.end())
    }

    /// Puts an item for all who subscribe. If it is lossless, waits while there is no room.
    ///
    /// Takes the room if there is any, also if others wait for some: they have been woken, and look again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A dropped `put` has put nothing, and its item is dropped with it; if it had been woken, the next one is.
    ///
    /// # Errors
    ///
    /// If it is shut down, before or during the wait. The item comes back.
    pub fn put(&self, item: T) -> impl Future<Output = Result<(), QueueShutDown<T>>> + Unpin {
        BroadcastPut { shared: &self.shared, item: Some(item), wait: None }
    }

    /// Puts an item, if there is room; there always is if it is lossy.
    ///
    /// # Errors
    ///
    /// If it is shut down, or else if it is full. The item comes back.
    pub fn put_nowait(&self, item: T) -> Result<(), PutError<T>> {
        self.shared.put_nowait(item)
    }
}

impl<T> Broadcast<T> {
    /// Ends it: nothing can be put any more. Subscribers get what is left, unless `immediate`, which drops it all. Everybody who waits is
    /// woken.
    pub fn shutdown(&self, immediate: bool) {
        self.shared.shutdown(immediate);
    }

    /// Whether it was shut down.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.shared.state.borrow().is_shut_down
    }

    /// A snapshot, for tests and for looking at a program that hangs.
    #[must_use]
    pub fn statistics(&self) -> BroadcastStatistics {
        self.shared.statistics()
    }
}

impl<T> Clone for Broadcast<T> {
    fn clone(&self) -> Self {
        self.shared.senders.set(self.shared.senders.get() + 1);
        Self { shared: self.shared.clone() }
    }
}

impl<T> Drop for Broadcast<T> {
    fn drop(&mut self) {
        let left = self.shared.senders.get() - 1;
        self.shared.senders.set(left);
        if left == 0 {
            self.shared.shutdown(false);
        }
    }
}

impl<T> fmt::Debug for Broadcast<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broadcast").field("statistics", &self.statistics()).finish()
    }
}

/// A snapshot of a [`Broadcast`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BroadcastStatistics {
    /// How many items are kept, because a subscriber has yet to take them.
    pub qsize: usize,
    /// How many there may be; 0 if there is no bound.
    pub maxsize: usize,
    /// How many there were at most.
    pub peak_size: usize,
    /// How many subscribe.
    pub subscribers: usize,
    /// How many items were dropped before all who subscribed had taken them.
    pub lost: u64,
    /// How many tasks wait for an item, those not counted that have been woken or cancelled.
    pub tasks_waiting_get: usize,
    /// How many tasks wait for room, those not counted that have been woken or cancelled.
    pub tasks_waiting_put: usize,
    /// Whether it was shut down.
    pub is_shut_down: bool,
}

impl<T> State<T> {
    /// The number of the next item to come.
    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// Takes out the oldest items, as long as nobody has yet to take them.
    fn prune(&mut self) -> Vec<Kept<T>> {
        let taken = self.kept.iter().take_while(|kept| kept.remaining == 0).count();
        self.first += taken as u64;
        self.kept.drain(..taken).collect()
    }

    /// Takes an item for one of those who have yet to take it, if it is kept.
    fn take(&mut self, number: u64) -> Option<Taken<T>> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let kept = self.kept.get_mut(place)?;
        if kept.remaining > 1 {
            kept.remaining -= 1;
            return kept.share().map(Taken::Clone);
        }
        // Nobody has yet to take it but this one; so nobody has yet to take an older one, and it is the oldest.
        self.first += 1;
        self.kept.pop_front().map(Taken::Last)
    }
}

/// How an item was taken.
enum Taken<T> {
    /// Others have yet to take it: it is to be cloned.
    Clone(Rc<T>),
    /// It has left.
    Last(Kept<T>),
}

impl<T> Shared<T> {
    /// Whether an item could be put without waiting.
    fn has_room(&self) -> bool {
        self.maxsize == 0 || self.mode == Mode::Lossy || self.state.borrow().kept.len() < self.maxsize
    }

    fn put_nowait(&self, item: T) -> Result<(), PutError<T>> {
        if self.state.borrow().is_shut_down {
            return Err(QueueShutDown(item).into());
        }
        if !self.has_room() {
            return Err(QueueFull(item).into());
        }
        if self.state.borrow().subscribers == 0 {
            // It leaves in the moment in which it comes.
            self.has_left(1);
            return Ok(());
        }
        let lost = self.push(item);
        self.getters.wake_all();
        drop(lost);
        Ok(())
    }

    /// Adds an item, which somebody subscribes to; gives back what was dropped for it.
    fn push(&self, item: T) -> Option<Kept<T>> {
        let state = &mut *self.state.borrow_mut();
        let new = Kept { fresh: Some(item), shared: None, remaining: state.subscribers };
        let lost = if self.maxsize > 0 && state.kept.len() >= self.maxsize { state.kept.pop_front() } else { None };
        if lost.is_some() {
            state.first += 1;
            state.lost += 1;
        }
        state.kept.push_back(new);
        state.peak = state.peak.max(state.kept.len());
        lost
    }

    /// Tells those who wait for room that so many items have left.
    fn has_left(&self, count: usize) {
        for _ in 0..count {
            self.putters.wake_next();
        }
    }

    fn shutdown(&self, immediate: bool) {
        let dropped = {
            let state = &mut *self.state.borrow_mut();
            state.is_shut_down = true;
            if immediate {
                state.first = state.end();
                std::mem::take(&mut state.kept)
            } else {
                VecDeque::new()
            }
        };
        self.getters.wake_all();
        self.putters.wake_all();
        drop(dropped);
    }

    fn statistics(&self) -> BroadcastStatistics {
        let state = self.state.borrow();
        BroadcastStatistics {
            qsize: state.kept.len(),
            maxsize: self.maxsize,
            peak_size: state.peak,
            subscribers: state.subscribers,
            lost: state.lost,
            tasks_waiting_get: self.getters.waiting(),
            tasks_waiting_put: self.putters.waiting(),
            is_shut_down: state.is_shut_down,
        }
    }
}

/// Puts an item as soon as there is room.
struct BroadcastPut<'a, T> {
    shared: &'a Shared<T>,
    item: Option<T>,
    wait: Option<Wait>,
}

// The item is not pinned: it is only ever moved into the broadcast, or back.
impl<T> Unpin for BroadcastPut<'_, T> {}

impl<T> BroadcastPut<'_, T> {
    /// Gives up waiting for room.
    fn leave(&mut self) {
        let was_woken = self.wait.take().is_some_and(|wait| wait.state() == WaiterState::Woken);
        if was_woken && self.shared.has_room() {
            self.shared.putters.wake_next();
        }
    }
}

impl<T> Future for BroadcastPut<'_, T> {
    type Output = Result<(), QueueShutDown<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Some(wait) = &mut this.wait {
            if Pin::new(&mut *wait).poll(cx).is_ready() {
                this.wait = None;
            } else if wait.state() == WaiterState::Cancelled {
                // The future was kept beyond a cancellation, by reference: it looks, and waits anew.
                this.leave();
            } else {
                return Poll::Pending;
            }
        }
        let item = this.item.take().expect("a `put` that was polled after it was done");
        match this.shared.put_nowait(item) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(PutError::ShutDown(error)) => Poll::Ready(Err(error)),
            Err(PutError::Full(QueueFull(item))) => {
                this.item = Some(item);
                this.wait = Some(this.shared.putters.wait_now(cx));
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for BroadcastPut<'_, T> {
    fn drop(&mut self) {
        self.leave();
    }
}
