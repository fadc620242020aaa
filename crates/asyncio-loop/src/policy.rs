//! Which loop is the current one, and who makes new ones.
//!
//! Two slots for each thread: the loop that is *running* in it, and the one that was *set* for it. And one slot for the
//! process: the policy, which makes loops for whoever does not care what they stand on.
//!
//! Invariants:
//! 1. The running loop of a thread is set exactly while it runs.
//! 2. A forked child sees neither slot of its parent.

use crate::builder::LoopBuilder;
use crate::error::NoLoopError;
use crate::event_loop::EventLoop;
use asyncio_driver::fork_generation;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::LocalKey;

thread_local! {
    static RUNNING: RefCell<Option<Slot>> = const { RefCell::new(None) };
    static SET: RefCell<Option<Slot>> = const { RefCell::new(None) };
}

struct Slot {
    event_loop: EventLoop,
    /// The process in which the slot was filled, counted in forks.
    generation: u32,
}

impl Slot {
    fn new(event_loop: EventLoop) -> Self {
        Self { event_loop, generation: fork_generation() }
    }

    /// What is in a slot of this thread; nothing while the thread ends.
    fn read(slot: &'static LocalKey<RefCell<Option<Self>>>) -> Option<EventLoop> {
        slot.try_with(|slot| Self::get(slot.borrow().as_ref()).cloned()).ok().flatten()
    }

    fn get(slot: Option<&Self>) -> Option<&EventLoop> {
        slot.filter(|slot| slot.generation == fork_generation()).map(|slot| &slot.event_loop)
    }
}

/// The loop that is running in this thread.
///
/// # Panics
///
/// If none is: the call must come from a callback or a task. [`try_get_running_loop`] tells instead.
///
/// # asyncio
///
/// [`asyncio.get_running_loop`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.get_running_loop). Same, with
/// a panic for its `RuntimeError`.
#[must_use]
#[track_caller]
pub fn get_running_loop() -> EventLoop {
    match try_get_running_loop() {
        Ok(event_loop) => event_loop,
        Err(error) => panic!("{error}"),
    }
}

/// The loop that is running in this thread, if one is.
///
/// # Errors
///
/// [`NoLoopError::NotRunning`].
pub fn try_get_running_loop() -> Result<EventLoop, NoLoopError> {
    Slot::read(&RUNNING).ok_or(NoLoopError::NotRunning)
}

/// The loop that is running in this thread, or else the one that [`set_event_loop`] has set for it.
///
/// # Errors
///
/// [`NoLoopError::NotSet`] if there is neither. None is made implicitly.
///
/// # asyncio
///
/// [`asyncio.get_event_loop`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.get_event_loop) as of 3.14. Same.
pub fn get_event_loop() -> Result<EventLoop, NoLoopError> {
    try_get_running_loop().or_else(|_| Slot::read(&SET).ok_or(NoLoopError::NotSet))
}

/// Sets, or with `None` unsets, the loop that [`get_event_loop`] gives in this thread while none is running.
///
/// # asyncio
///
/// [`asyncio.set_event_loop`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.set_event_loop). Same.
pub fn set_event_loop(event_loop: Option<&EventLoop>) {
    let previous = SET.replace(event_loop.cloned().map(Slot::new));
    drop(previous);
}

/// Makes a loop by the policy: by default, one on the best driver of the platform. It is not set as the current one.
///
/// # Errors
///
/// What the policy reports; by default, that no descriptor is left.
///
/// # asyncio
///
/// [`asyncio.new_event_loop`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.new_event_loop). Same.
pub fn new_event_loop() -> io::Result<EventLoop> {
    get_event_loop_policy().new_event_loop()
}

/// Makes the loops of a process, so that one line puts a program on another driver.
///
/// # asyncio
///
/// [`asyncio.AbstractEventLoopPolicy`](https://docs.python.org/3/library/asyncio-policy.html). Differs: the thread's current
/// loop is not the policy's business, only how loops are made is.
pub trait EventLoopPolicy: Send + Sync + fmt::Debug {
    /// Makes a loop.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being made.
    fn new_event_loop(&self) -> io::Result<EventLoop>;
}

/// The policy that is there from the start: loops on the best driver of the platform.
///
/// # asyncio
///
/// [`asyncio.DefaultEventLoopPolicy`](https://docs.python.org/3/library/asyncio-policy.html#asyncio.DefaultEventLoopPolicy). Same.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DefaultEventLoopPolicy;

impl EventLoopPolicy for DefaultEventLoopPolicy {
    fn new_event_loop(&self) -> io::Result<EventLoop> {
        LoopBuilder::new().build()
    }
}

static POLICY: RwLock<Option<Arc<dyn EventLoopPolicy>>> = RwLock::new(None);

/// Sets the policy of the process; `None` goes back to the default.
///
/// # asyncio
///
/// [`asyncio.set_event_loop_policy`](https://docs.python.org/3/library/asyncio-policy.html#asyncio.set_event_loop_policy),
/// deprecated there in favour of loop factories. Same; a loop factory is better here, too, except for programs that must
/// put loops which others make on another driver.
pub fn set_event_loop_policy(policy: Option<Arc<dyn EventLoopPolicy>>) {
    let previous = std::mem::replace(&mut *POLICY.write().unwrap_or_else(PoisonError::into_inner), policy);
    drop(previous);
}

/// The policy of the process.
///
/// # asyncio
///
/// [`asyncio.get_event_loop_policy`](https://docs.python.org/3/library/asyncio-policy.html#asyncio.get_event_loop_policy). Same.
#[must_use]
pub fn get_event_loop_policy() -> Arc<dyn EventLoopPolicy> {
    let policy = POLICY.read().unwrap_or_else(PoisonError::into_inner).clone();
    policy.unwrap_or_else(|| Arc::new(DefaultEventLoopPolicy))
}

/// Keeps a loop in the thread's running slot.
#[derive(Debug)]
pub(crate) struct RunningLoop(());

impl RunningLoop {
    /// `None` if another loop is running in this thread.
    pub(crate) fn set(event_loop: &EventLoop) -> Option<Self> {
        if try_get_running_loop().is_ok() {
            return None;
        }
        let parents = RUNNING.replace(Some(Slot::new(event_loop.clone())));
        drop(parents); // With nothing borrowed: it may be a forked child's last of its parent's loop.
        Some(Self(()))
    }
}

impl Drop for RunningLoop {
    fn drop(&mut self) {
        let previous = RUNNING.take();
        drop(previous);
    }
}
