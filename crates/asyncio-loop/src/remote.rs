//! `LoopHandle`: the side of a loop that other threads may touch.
//!
//! Everything that comes from elsewhere comes through here: calls from other threads, and pokes, which are calls agreed
//! upon beforehand (signals, [`Trigger`]s) and cost no memory. What comes in joins the loop's one ready queue at its end,
//! in order of arrival.
//!
//! Invariants:
//! 1. A call that was accepted runs once, or is dropped when the loop is closed or dropped; after that none is accepted.
//! 2. Calls of one thread run in the order in which they were made.
//! 3. A call that happened before a `call_soon` of the loop's own thread runs before it: the loop looks at its inbox
//!    before it appends to its ready queue.
//! 4. No system call is made unless the loop sleeps (see `wake_state`).
//!
//! Absent on purpose: anything that waits for an answer. Floor 2 and the executor bridge build that on top.

use crate::ClosedError;
use crate::callback::{Callback, RemoteCallback};
use crate::context::{ContextSnapshot, SendContext};
use crate::wake_state::WakeState;
use asyncio_driver::Notify;
use std::collections::VecDeque;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Schedules calls on a loop from any thread. Cheap to clone; does not keep the loop alive.
///
/// # asyncio
///
/// The loop itself, of which `call_soon_threadsafe` and `run_coroutine_threadsafe` may be used by other threads. Differs:
/// an [`EventLoop`](crate::EventLoop) cannot leave its thread; this handle can do just what is safe.
#[derive(Clone, Debug)]
pub struct LoopHandle {
    inbox: Arc<Inbox>,
}

impl LoopHandle {
    pub(crate) const fn new(inbox: Arc<Inbox>) -> Self {
        Self { inbox }
    }

    /// Calls `callback` on the loop's thread, in the caller's context, after all that is ready there.
    ///
    /// Wakes the loop if it sleeps. May be called from the loop's own thread, too. Not from an OS signal handler, for it may
    /// allocate: make a [`Trigger`] beforehand and fire that.
    ///
    /// # Errors
    ///
    /// [`ClosedError`] if the loop was closed or dropped; the callback is dropped.
    ///
    /// # asyncio
    ///
    /// [`loop.call_soon_threadsafe`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.call_soon_threadsafe).
    /// Same, with an error that is a value.
    #[track_caller]
    pub fn call_soon_threadsafe<F: FnOnce() + Send + 'static>(
        &self,
        callback: F,
    ) -> Result<RemoteCallHandle, ClosedError> {
        let number = self.send(RemoteCallback::new(callback), Location::caller())?;
        Ok(RemoteCallHandle { inbox: self.inbox.clone(), number })
    }

    /// As [`call_soon_threadsafe`](Self::call_soon_threadsafe), but gives no handle to cancel the call with.
    ///
    /// If the callback is small (at most four words) and the caller's context has no variable set, nothing is allocated
    /// once the inbox has grown to its peak.
    ///
    /// # Errors
    ///
    /// [`ClosedError`] if the loop was closed or dropped; the callback is dropped.
    #[track_caller]
    pub fn post<F: FnOnce() + Send + 'static>(&self, callback: F) -> Result<(), ClosedError> {
        self.send(RemoteCallback::new(callback), Location::caller()).map(drop)
    }

    /// Puts a message into the inbox, and gives its number.
    fn send(&self, callback: RemoteCallback, location: &'static Location<'static>) -> Result<u64, ClosedError> {
        let context = ContextSnapshot::current().to_send().map(Box::new);
        let number = self.inbox.push(Message { callback, context, location })?;
        self.inbox.notify();
        Ok(number)
    }

    /// Whether the loop was closed, or dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inbox.lock().is_closed
    }
}

/// A call from another thread that can be taken back.
///
/// # asyncio
///
/// The handle of `call_soon_threadsafe`, whose cancel and run exclude each other since 3.14. Differs: says whether it was in
/// time; that is until the loop takes the call over, in the iteration in which it runs.
#[derive(Debug)]
pub struct RemoteCallHandle {
    inbox: Arc<Inbox>,
    number: u64,
}

impl RemoteCallHandle {
    /// Prevents the call, and drops the callback and its context here. `false` if the loop has taken it over already, or it was cancelled
    /// before: then it has run, or will in the iteration under way. May be called from any thread.
    pub fn cancel(&self) -> bool {
        let call = self.inbox.take_back(self.number);
        call.is_some()
    }
}

/// A callback, agreed upon beforehand, that can be requested from anywhere, also from an OS signal handler.
///
/// Requests coalesce: the callback runs at least once after each, but perhaps once for several.
///
/// # asyncio
///
/// What Python's signal wake-up descriptor does for asyncio, made available. Known elsewhere as `uv_async_send`.
#[derive(Clone, Debug)]
pub struct Trigger {
    flag: Arc<AtomicBool>,
    inbox: Arc<Inbox>,
}

impl Trigger {
    /// Requests the callback. Does nothing if the loop was closed or dropped.
    ///
    /// Allocates nothing, takes no lock, and is async-signal-safe if the driver's notifier is
    /// ([`notify_in_signal_handler`](asyncio_driver::Capabilities::notify_in_signal_handler)), provided that the handler does
    /// not drop the last clone of this trigger.
    pub fn fire(&self) {
        // Release: pairs with the loop's swap, which then sees what the caller wrote before.
        self.flag.store(true, Ordering::Release);
        self.inbox.poke();
    }
}

/// What other threads have sent to a loop.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    state: WakeState,
    /// Some poke source has something to say.
    poked: AtomicBool,
    notifier: Arc<dyn Notify>,
}

/// A plain queue under a lock beats one without: a flood of messages is taken over by exchanging two buffers.
#[derive(Debug, Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// The number of the first message.
    first: u64,
    is_closed: bool,
}

#[derive(Debug)]
pub(crate) struct Message {
    callback: RemoteCallback,
    context: Option<Box<SendContext>>,
    location: &'static Location<'static>,
}

impl Message {
    /// Whether it was cancelled: then it holds nothing any more.
    pub(crate) const fn is_taken_back(&self) -> bool {
        self.callback.is_empty()
    }

    /// The callback, the context to call it in, and where it was scheduled.
    pub(crate) fn into_parts(self) -> (Callback, ContextSnapshot, &'static Location<'static>) {
        let context = self.context.map(|context| ContextSnapshot::from(*context)).unwrap_or_default();
        (self.callback.into_local(), context, self.location)
    }
}

impl Inbox {
    pub(crate) fn new(notifier: Arc<dyn Notify>) -> Self {
        Self { queue: Mutex::default(), state: WakeState::new(), poked: AtomicBool::new(false), notifier }
    }

    pub(crate) const fn state(&self) -> &WakeState {
        &self.state
    }

    /// Appends a message, and gives its number: those of a queue are consecutive.
    fn push(&self, message: Message) -> Result<u64, ClosedError> {
        let mut queue = self.lock();
        if queue.is_closed {
            drop(queue);
            // With nothing locked: what the callback holds may come back here.
            drop(message);
            return Err(ClosedError);
        }
        let number = queue.first + queue.messages.len() as u64;
        queue.messages.push_back(message);
        Ok(number)
    }

    /// What a message holds that the loop has not taken over; the message stays behind, taken back.
    fn take_back(&self, number: u64) -> Option<(RemoteCallback, Option<Box<SendContext>>)> {
        let mut queue = self.lock();
        let at = usize::try_from(number.checked_sub(queue.first)?).ok()?;
        let message = queue.messages.get_mut(at)?;
        (!message.is_taken_back()).then(|| (message.callback.take(), message.context.take()))
    }

    /// Nothing that is done under this lock can panic half-way.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a trigger whose flag the loop looks at after a poke.
    pub(crate) fn trigger(self: &Arc<Self>) -> Trigger {
        Trigger { flag: Arc::new(AtomicBool::new(false)), inbox: self.clone() }
    }

    /// Moves what is there into `arrived`, which is empty, oldest first. Later messages notify again.
    ///
    /// The two buffers change places, so neither is ever freed and the lock is held for a moment only.
    pub(crate) fn take_messages(&self, arrived: &mut VecDeque<Message>) {
        debug_assert!(arrived.is_empty(), "messages would be overtaken");
        let mut queue = self.lock();
        queue.first += queue.messages.len() as u64;
        std::mem::swap(&mut queue.messages, arrived);
    }

    /// Whether a poke has come in since this was asked last.
    pub(crate) fn take_poked(&self) -> bool {
        // Acquire: pairs with `poke`, so that the flags set before it are seen.
        self.poked.load(Ordering::Relaxed) && self.poked.swap(false, Ordering::AcqRel)
    }

    /// Accepts no more messages, and gives those that are there, to be dropped.
    pub(crate) fn close(&self) -> VecDeque<Message> {
        let mut queue = self.lock();
        queue.is_closed = true;
        std::mem::take(&mut queue.messages)
    }

    fn notify(&self) {
        if self.state.notify() {
            self.notifier.notify();
        }
    }

    fn poke(&self) {
        self.poked.store(true, Ordering::Release);
        self.notify();
    }
}

impl Trigger {
    /// Whether the loop alone knows it, and has nothing left to do for it.
    pub(crate) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.flag) == 1 && !self.flag.load(Ordering::Acquire)
    }

    /// Whether it was fired since this was asked last.
    pub(crate) fn take(&self) -> bool {
        self.flag.load(Ordering::Relaxed) && self.flag.swap(false, Ordering::AcqRel)
    }
}

/// Lets the OS part of signal handling poke the loop.
#[derive(Debug)]
pub(crate) struct Poker(pub(crate) Arc<Inbox>);

impl Notify for Poker {
    fn notify(&self) {
        self.0.poke();
    }
}
