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
use concurrent_queue::ConcurrentQueue;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

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
        let call = Arc::new(RemoteCall { callback: Mutex::new(Some(RemoteCallback::new(callback))) });
        let handle = RemoteCallHandle { call: call.clone() };
        self.post(move || call.run())?;
        Ok(handle)
    }

    /// As [`call_soon_threadsafe`](Self::call_soon_threadsafe), but gives no handle to cancel the call with.
    ///
    /// If the callback is small (at most four words) and the caller's context has no variable set, one call in 31
    /// allocates: the queue grows by blocks.
    ///
    /// # Errors
    ///
    /// [`ClosedError`] if the loop was closed or dropped; the callback is dropped.
    #[track_caller]
    pub fn post<F: FnOnce() + Send + 'static>(&self, callback: F) -> Result<(), ClosedError> {
        let message = Message {
            callback: RemoteCallback::new(callback),
            context: ContextSnapshot::current().to_send(),
            location: Location::caller(),
        };
        self.inbox.queue.push(message).map_err(|_| ClosedError)?;
        self.inbox.notify();
        Ok(())
    }

    /// Whether the loop was closed, or dropped.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inbox.queue.is_closed()
    }
}

/// A call from another thread that can be taken back.
///
/// # asyncio
///
/// The handle of `call_soon_threadsafe`, whose cancel and run exclude each other since 3.14. Same.
#[derive(Debug)]
pub struct RemoteCallHandle {
    call: Arc<RemoteCall>,
}

impl RemoteCallHandle {
    /// Prevents the call. `false` if it has begun, or was cancelled before. May be called from any thread.
    pub fn cancel(&self) -> bool {
        self.call.take().is_some()
    }
}

#[derive(Debug)]
struct RemoteCall {
    callback: Mutex<Option<RemoteCallback>>,
}

impl RemoteCall {
    fn run(&self) {
        if let Some(callback) = self.take() {
            callback.into_local().call();
        }
    }

    /// Whoever takes the callback decides what becomes of it, outside of the lock.
    fn take(&self) -> Option<RemoteCallback> {
        self.callback.lock().unwrap_or_else(PoisonError::into_inner).take()
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
    queue: ConcurrentQueue<Message>,
    state: WakeState,
    /// Some poke source has something to say.
    poked: AtomicBool,
    notifier: Arc<dyn Notify>,
}

#[derive(Debug)]
pub(crate) struct Message {
    callback: RemoteCallback,
    context: Option<SendContext>,
    location: &'static Location<'static>,
}

impl Message {
    /// The callback, the context to call it in, and where it was scheduled.
    pub(crate) fn into_parts(self) -> (Callback, ContextSnapshot, &'static Location<'static>) {
        let context = self.context.map(ContextSnapshot::from).unwrap_or_default();
        (self.callback.into_local(), context, self.location)
    }
}

impl Inbox {
    pub(crate) fn new(notifier: Arc<dyn Notify>) -> Self {
        Self { queue: ConcurrentQueue::unbounded(), state: WakeState::new(), poked: AtomicBool::new(false), notifier }
    }

    pub(crate) const fn state(&self) -> &WakeState {
        &self.state
    }

    /// Makes a trigger whose flag the loop looks at after a poke.
    pub(crate) fn trigger(self: &Arc<Self>) -> Trigger {
        Trigger { flag: Arc::new(AtomicBool::new(false)), inbox: self.clone() }
    }

    /// The messages that are there now, oldest first. Later ones notify again.
    pub(crate) fn take_messages(&self) -> impl Iterator<Item = Message> {
        let mut left = self.queue.len();
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            self.queue.pop().ok()
        })
    }

    /// Whether a poke has come in since this was asked last.
    pub(crate) fn take_poked(&self) -> bool {
        // Acquire: pairs with `poke`, so that the flags set before it are seen.
        self.poked.load(Ordering::Relaxed) && self.poked.swap(false, Ordering::AcqRel)
    }

    /// Accepts no more messages, and gives those that are there, to be dropped.
    pub(crate) fn close(&self) -> Vec<Message> {
        self.queue.close();
        self.queue.try_iter().collect()
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
