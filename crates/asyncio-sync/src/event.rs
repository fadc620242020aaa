//! `Event`: a flag that tasks can wait for. Start here: the smallest complete primitive, and the others are built like it.
//!
//! Invariants:
//! 1. Nobody waits whose wait began while the flag was set.
//! 2. `set` decides the wake-up of everybody who waits then; a `clear` afterwards takes nobody's back.
//!
//! Absent on purpose: fairness and cancellation. They are [`WaitQueue`]'s, floor 2.

use asyncio_tasks::{Wait, WaitQueue, WaiterState};
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A flag that is set or not, and that tasks can wait for. Not set at first.
///
/// # Examples
///
/// ```
/// use asyncio_sync::Event;
/// use std::rc::Rc;
///
/// asyncio_tasks::run(async {
///     let event = Rc::new(Event::new());
///     let waiter = asyncio_tasks::create_task({
///         let event = event.clone();
///         async move { event.wait().await }
///     });
///     event.set();
///     waiter.await
/// });
/// ```
///
/// # asyncio
///
/// [`asyncio.Event`](https://docs.python.org/3/library/asyncio-sync.html#asyncio.Event). Same; it belongs to a thread instead of a
/// loop.
#[derive(Debug, Default)]
pub struct Event {
    is_set: Cell<bool>,
    waiters: WaitQueue,
}

impl Event {
    /// An event that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it is set.
    ///
    /// # asyncio
    ///
    /// `Event.is_set`. Same.
    #[must_use]
    pub const fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Sets the flag and wakes everybody who waits, in the order of arrival. Does nothing if it is set already.
    ///
    /// # asyncio
    ///
    /// `Event.set`. Same.
    pub fn set(&self) {
        if !self.is_set.replace(true) {
            self.waiters.wake_all();
        }
    }

    /// Takes the flag down. Whoever was woken by `set` stays so.
    ///
    /// # asyncio
    ///
    /// `Event.clear`. Same.
    pub fn clear(&self) {
        self.is_set.set(false);
    }

    /// Waits until the flag is set; does not wait at all if it is.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: there is nothing to lose.
    ///
    /// # asyncio
    ///
    /// `Event.wait`. Same, without the `True`.
    pub const fn wait(&self) -> EventWait<'_> {
        EventWait { event: self, wait: None }
    }

    /// A snapshot, for tests and for looking at a program that hangs.
    #[must_use]
    pub fn statistics(&self) -> EventStatistics {
        EventStatistics { is_set: self.is_set.get(), tasks_waiting: self.waiters.waiting() }
    }
}

/// What an [`Event`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventStatistics {
    /// Whether it is set.
    pub is_set: bool,
    /// How many tasks wait, those not counted that have been woken or cancelled.
    pub tasks_waiting: usize,
}

/// Waits for an [`Event`]; see [`Event::wait`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct EventWait<'a> {
    event: &'a Event,
    wait: Option<Wait>,
}

impl Future for EventWait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(wait) = &mut self.wait {
            if Pin::new(&mut *wait).poll(cx).is_ready() {
                self.wait = None;
                return Poll::Ready(());
            }
            if wait.state() != WaiterState::Cancelled {
                return Poll::Pending;
            }
            // The future was kept beyond a cancellation, by reference: it looks, and waits anew.
            self.wait = None;
        }
        if self.event.is_set() {
            return Poll::Ready(());
        }
        self.wait = Some(self.event.waiters.wait_now(cx));
        Poll::Pending
    }
}
