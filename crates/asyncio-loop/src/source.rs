//! Endpoints on the loop: how what an upper floor registers with the driver is told that it is ready.
//!
//! A descriptor of `add_reader` has two callbacks and is level-triggered. An endpoint of a transport has one place that
//! takes note of what was seen and says what is to run; it may be edge-triggered, and costs a slot and nothing else.
//!
//! Invariants:
//! 1. An event finds its endpoint by token: one that was removed is not told of an event from before.
//! 2. `ready` is called with the loop borrowed, so it only takes note; user code runs in the step that it gives.
//!
//! Absent on purpose: bytes, buffers and protocols, which are floor 4's.

use crate::attention::Reason;
use crate::error::ClosedError;
use crate::event_loop::EventLoop;
use crate::ready_queue::Entry;
use crate::step::Step;
use asyncio_driver::{Driver, Event, Interest, Mode, Readiness, Slots, Source, Token};
use std::any::Any;
use std::fmt;
use std::io;
use std::rc::Rc;

/// Something of an upper floor whose endpoint is registered with the driver of a loop; see [`EventLoop::add_source`].
pub trait ReadySource: Any {
    /// The driver has reported the endpoint. Gives the step that is to run for it, if none is scheduled yet.
    ///
    /// Called with the loop borrowed: it must call nothing of it, and no code of users.
    fn ready(self: Rc<Self>, readiness: Readiness) -> Option<Step>;

    /// Whether it is this source that was registered: whoever watches it, too, would take its events away.
    fn is_source(&self, source: Source<'_>) -> bool;

    /// The loop was just closed, and the endpoint is registered no more. Called once, with nothing borrowed.
    fn loop_closed(self: Rc<Self>);
}

/// Names a registration of [`EventLoop::add_source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceKey(Token);

/// The registered endpoints of a loop.
#[derive(Default)]
pub(crate) struct Sources(Slots<Rc<dyn ReadySource>>);

/// Marks the slots of endpoints, so that their tokens are none of the watches'; no table has so many slots.
const ENDPOINT: u32 = 1 << 31;

impl Sources {
    /// Takes an event, if it is for an endpoint; gives the entry of the ready queue that comes of it.
    pub(crate) fn take(&self, event: Event) -> Option<Option<Entry>> {
        if event.token.slot() & ENDPOINT == 0 {
            return None;
        }
        let token = Token::new(event.token.slot() & !ENDPOINT, event.token.generation());
        let step = self.0.get(token).and_then(|source| source.clone().ready(event.readiness));
        Some(step.map(Entry::Step))
    }

    /// Whether an endpoint has been registered as `source`.
    pub(crate) fn owns(&self, source: Source<'_>) -> bool {
        self.0.iter().any(|(_, owner)| owner.is_source(source))
    }

    pub(crate) fn all(&self) -> Vec<Rc<dyn ReadySource>> {
        self.0.iter().map(|(_, source)| source.clone()).collect()
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives memory back after a peak.
    pub(crate) fn trim(&mut self) {
        self.0.trim();
    }
}

impl SourceKey {
    /// The token under which the driver knows it.
    const fn registered(self) -> Token {
        Token::new(self.0.slot() | ENDPOINT, self.0.generation())
    }
}

/// For authors of upper floors.
impl EventLoop {
    /// Uses the driver of this loop, to make an endpoint. `with` must use nothing of the loop.
    pub fn with_driver<R>(&self, with: impl FnOnce(&mut dyn Driver) -> R) -> R {
        with(&mut **self.core.driver.borrow_mut())
    }

    /// Registers an endpoint of the driver. `owner` is told when it is ready, and lives until it is removed.
    ///
    /// # Errors
    ///
    /// [`ClosedError`] as `io::Error`, or what the driver says to [`Driver::register`].
    pub fn add_source(
        &self,
        source: Source<'_>,
        interest: Interest,
        mode: Mode,
        owner: Rc<dyn ReadySource>,
    ) -> io::Result<SourceKey> {
        if self.is_closed() {
            return Err(ClosedError.into());
        }
        let key = SourceKey(self.core.sources.borrow_mut().0.insert(owner));
        let outcome = self.with_driver(|driver| driver.register(source, key.registered(), interest, mode));
        let refused = outcome.is_err().then(|| self.core.sources.borrow_mut().0.remove(key.0));
        drop(refused); // With nothing borrowed.
        outcome.map(|()| key)
    }

    /// Changes what an endpoint waits for.
    ///
    /// # Errors
    ///
    /// What the driver says to [`Driver::modify`].
    pub fn modify_source(&self, key: SourceKey, source: Source<'_>, interest: Interest, mode: Mode) -> io::Result<()> {
        self.with_driver(|driver| driver.modify(source, key.registered(), interest, mode))
    }

    /// Removes an endpoint, before it is closed. Does nothing if the loop was closed.
    pub fn remove_source(&self, key: SourceKey, source: Source<'_>) {
        let owner = self.core.sources.borrow_mut().0.remove(key.0);
        if owner.is_some() {
            // What the driver says to that changes nothing: the endpoint is about to be closed.
            let _ = self.with_driver(|driver| driver.remove(source));
        }
    }

    /// The owners of registered endpoints that are of type `S`.
    #[must_use]
    pub fn sources<S: ReadySource>(&self) -> Vec<Rc<S>> {
        let all = self.core.sources.borrow().all();
        all.into_iter().filter_map(|source| (source as Rc<dyn Any>).downcast().ok()).collect()
    }

    /// Runs `step` when the callback or step that runs now is back, before anything else does, also if it panics. Steps that
    /// come together run in order.
    ///
    /// While the loop does not run this is [`schedule`](Self::schedule).
    #[inline]
    pub fn defer(&self, step: impl Into<Step>) {
        if self.is_running() {
            self.core.deferred.borrow_mut().push_back(step.into());
            self.core.attention.set(Reason::DEFERRED, true);
        } else {
            self.schedule(step);
        }
    }

    /// Runs what was deferred by the callback that is just back.
    pub(crate) fn run_deferred(&self) {
        while self.core.attention.has(Reason::DEFERRED) {
            let step = self.core.deferred.borrow_mut().pop_front();
            match step {
                Some(step) => step.run(),
                None => self.core.attention.set(Reason::DEFERRED, false),
            }
        }
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("len", &self.len()).finish()
    }
}
