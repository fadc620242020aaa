//! `WaitQueue`: tasks that wait for their turn, oldest first. The one place where waiting is made fair.
//!
//! Every primitive above is a few lines on top of this: a lock wakes the head of its queue, an event everybody, a queue the
//! next one who was not woken yet. A waiter keeps its place until its task has run again; what it does then, or when it is
//! dropped instead, is the primitive's affair, which learns by [`Wait::state`] whether it had been woken.
//!
//! Works under any executor: where no task of ours is polling, the waker of the poll is used.
//!
//! Invariants:
//! 1. A wait is in the queue from its first poll until it is done or dropped, in order of arrival.
//! 2. Each wait is woken at most once. A wait that was cancelled is not woken any more.

use crate::waits::{self, Holder, QueueEnds, WaitId, WaitState};
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Tasks that wait, oldest first. Clones are the same queue.
///
/// For authors of synchronisation primitives.
///
/// # asyncio
///
/// The `deque` of futures that each of its primitives keeps.
#[derive(Clone)]
pub struct WaitQueue {
    ends: Rc<QueueEnds>,
}

/// What has become of a [`Wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaiterState {
    /// It has not been polled, or is done: it is in no queue.
    Absent,
    /// It waits.
    Waiting,
    /// It was woken, and its task has not run since.
    Woken,
    /// Its task was cancelled while it waited, and has not run since.
    Cancelled,
}

impl WaitQueue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self { ends: Rc::new(QueueEnds::new()) }
    }

    /// Waits to be woken. The place in the queue is taken at the first poll.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives up the place. Whether it had been woken is to be asked before, by [`Wait::state`].
    pub fn wait(&self) -> Wait {
        Wait { queue: self.clone(), id: None }
    }

    /// As [`wait`](Self::wait), with the place taken now, on behalf of whoever polls with `cx`: as if it had been polled once.
    pub fn wait_now(&self, cx: &Context<'_>) -> Wait {
        let id = Some(self.ends.begin(cx));
        Wait { queue: self.clone(), id }
    }

    /// Wakes the one at the head, unless it has been woken or cancelled already; says whether it did.
    #[inline]
    pub fn wake_head(&self) -> bool {
        self.ends.wake_head()
    }

    /// Wakes the first one that has neither been woken nor cancelled; says whether there was one.
    #[inline]
    pub fn wake_next(&self) -> bool {
        self.ends.wake_next()
    }

    /// Wakes everybody who is in the queue now, in order; says how many.
    pub fn wake_all(&self) -> usize {
        // Whoever comes while others are woken, which may run any code, is not meant.
        let present = self.waiting();
        (0..present).take_while(|_| self.wake_next()).count()
    }

    /// Says that whoever is running holds what this queue is for, and where it was acquired: those who wait here wait for that
    /// task. Nothing waits differently for it; a [`TaskDump`](crate::TaskDump) tells it, and finds circles by it.
    #[inline]
    pub fn set_holder(&self, location: &'static Location<'static>) {
        self.ends.set_holder(Some(Holder::current(location)));
    }

    /// Says that nobody holds what this queue is for.
    #[inline]
    pub fn clear_holder(&self) {
        self.ends.set_holder(None);
    }

    /// Where what this queue is for was acquired, if somebody holds it.
    #[must_use]
    pub fn held_since(&self) -> Option<&'static Location<'static>> {
        self.ends.holder().map(|holder| holder.location)
    }

    /// How many are in the queue, woken and cancelled ones included.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether nobody is in the queue.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether everybody in the queue was cancelled; so it is if nobody is in it.
    #[must_use]
    pub fn all_cancelled(&self) -> bool {
        self.ends.count(1, |state| state != WaitState::Cancelled) == 0
    }

    /// How many have neither been woken nor cancelled.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.ends.count(usize::MAX, |state| state == WaitState::Waiting)
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitQueue").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// A place in a [`WaitQueue`]. It is `Unpin`, so that a primitive can hold it in a future of its own.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Wait {
    queue: WaitQueue,
    id: Option<WaitId>,
}

impl Wait {
    /// What has become of it.
    #[must_use]
    pub fn state(&self) -> WaiterState {
        match self.id.map(waits::state) {
            None => WaiterState::Absent,
            Some(WaitState::Waiting | WaitState::Forwarded) => WaiterState::Waiting,
            Some(WaitState::Decided) => WaiterState::Woken,
            Some(WaitState::Cancelled) => WaiterState::Cancelled,
        }
    }

    /// Gives up the place, as dropping does.
    pub fn leave(&mut self) {
        if let Some(id) = self.id.take() {
            self.queue.ends.end(id);
        }
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(id) = self.id else {
            self.id = Some(self.queue.ends.begin(cx));
            return Poll::Pending;
        };
        match self.queue.ends.end_if_decided(id) {
            WaitState::Decided => {
                self.id = None;
                return Poll::Ready(());
            }
            WaitState::Waiting | WaitState::Forwarded => waits::renew(id, cx),
            WaitState::Cancelled => {}
        }
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("state", &self.state()).finish()
    }
}
