//! `PendingItem`: what a loop has left to do, each thing with the place in the program that it comes from.
//!
//! For tests that must leave nothing behind, and for finding out what keeps a program from ending.

use crate::event_loop::EventLoop;
use crate::exception::ExceptionContext;
use crate::ready_queue::Entry;
use crate::step::Runnable;
use asyncio_driver::Signal;
use std::fmt;
use std::panic::Location;

/// One thing that a loop would still do, or that it waits for; see [`EventLoop::pending`].
///
/// Shown as one line: `timer set at src/main.rs:7:5`.
///
/// # asyncio
///
/// None.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PendingItem {
    kind: PendingKind,
    location: Option<&'static Location<'static>>,
}

/// What kind of thing is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PendingKind {
    /// A callback that is ready to run, or something of an upper floor that is: a step of a task.
    Ready,
    /// A timer that has not come due.
    Timer,
    /// A descriptor whose reader is watched; its number.
    Reader(u64),
    /// A descriptor whose writer is watched; its number.
    Writer(u64),
    /// An endpoint of a transport, a server or the like.
    Source,
    /// A signal that is handled.
    Signal(Signal),
    /// A trigger that may be fired yet.
    Trigger,
}

impl PendingItem {
    pub(crate) const fn new(kind: PendingKind, location: Option<&'static Location<'static>>) -> Self {
        Self { kind, location }
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> PendingKind {
        self.kind
    }

    /// Where in the program it was scheduled, set or added, if that is known.
    #[must_use]
    pub const fn location(&self) -> Option<&'static Location<'static>> {
        self.location
    }
}

/// As it is displayed, so that a test that finds some names them.
impl fmt::Debug for PendingItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{self}>")
    }
}

impl fmt::Display for PendingItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            PendingKind::Ready => f.write_str("callback scheduled"),
            PendingKind::Timer => f.write_str("timer set"),
            PendingKind::Reader(fd) => write!(f, "reader of descriptor {fd} added"),
            PendingKind::Writer(fd) => write!(f, "writer of descriptor {fd} added"),
            PendingKind::Source => f.write_str("endpoint registered"),
            PendingKind::Signal(signal) => write!(f, "handler of {signal} added"),
            PendingKind::Trigger => f.write_str("trigger created"),
        }?;
        match self.location {
            Some(location) => write!(f, " at {location}"),
            None => f.write_str(" somewhere"),
        }
    }
}

impl EventLoop {
    /// Lists what the loop would still do, or waits for: ready callbacks, timers, watched descriptors, endpoints, signal
    /// handlers and triggers, in this order.
    ///
    /// What was cancelled is not pending; what other threads have sent is. In debug mode, [`close`](Self::close) reports this list if it is not empty.
    ///
    /// ```
    /// let event_loop = asyncio_loop::new_event_loop()?;
    /// event_loop.call_later(60, || ());
    /// let report: Vec<String> = event_loop.pending().iter().map(ToString::to_string).collect();
    /// assert!(report[0].starts_with("timer set at "), "{report:?}");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # asyncio
    ///
    /// None; asyncio has `all_tasks` for tasks.
    #[must_use]
    pub fn pending(&self) -> Vec<PendingItem> {
        self.receive();
        let core = &*self.core;
        let mut items = Vec::new();
        {
            let (ready, timers) = (core.ready.borrow(), core.timers.borrow());
            // The inner `None` is a step that does not know where it comes from.
            let call = |call| ready.calls().get(call).map(|call| Some(call.location));
            let step = |entry: &Entry| match entry {
                Entry::Step(step) => Some(step.location()),
                Entry::Stored(stored) => stored.as_call().and_then(call),
            };
            let due = |entry: &Entry| match entry {
                Entry::Stored(stored) => stored.as_timer().and_then(|timer| timers.get(timer)).and_then(step),
                Entry::Step(_) => None,
            };
            let queued = ready.iter().filter_map(|entry| step(entry).or_else(|| due(entry)));
            items.extend(queued.map(|location| PendingItem::new(PendingKind::Ready, location)));
            let set = timers.values().filter_map(step);
            items.extend(set.map(|location| PendingItem::new(PendingKind::Timer, location)));
        }
        items.extend(core.watches.borrow().pending());
        let sources = core.sources.borrow().len();
        items.extend(std::iter::repeat_n(PendingItem::new(PendingKind::Source, None), sources));
        items.extend(core.signals.borrow().pending());
        let triggers = core.triggers.borrow();
        let live = triggers.iter().filter(|(trigger, _)| !trigger.is_abandoned());
        items.extend(live.map(|(_, watcher)| PendingItem::new(PendingKind::Trigger, watcher.location())));
        items
    }

    /// Reports what is lost by closing the loop now.
    pub(crate) fn report_pending(&self) {
        let items = self.pending();
        if items.is_empty() {
            return;
        }
        let list: Vec<String> = items.iter().map(ToString::to_string).collect();
        let report = ExceptionContext::new(format!("an event loop was closed with {} things pending", items.len()));
        self.call_exception_handler(report.with("pending", list.join(", ")));
    }
}
