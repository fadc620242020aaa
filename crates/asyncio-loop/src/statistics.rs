//! What a loop has done so far, and what waits in it.

use crate::event_loop::EventLoop;
use std::cell::Cell;

/// A snapshot of a loop's counters; see [`EventLoop::statistics`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoopStatistics {
    /// Iterations that were begun.
    pub iterations_total: u64,
    /// How often the driver was asked for events.
    pub polls_total: u64,
    /// Callbacks and steps that were taken from the ready queue, cancelled ones included.
    pub callbacks_total: u64,
    /// Timers that came due.
    pub timers_fired_total: u64,
    /// Callbacks and steps that are ready now.
    pub ready: usize,
    /// Timers that are set now.
    pub timers: usize,
    /// Descriptors that are watched now.
    pub watches: usize,
    /// Endpoints of transports, servers and the like that are registered now.
    pub sources: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) iterations: Counter,
    pub(crate) polls: Counter,
    pub(crate) callbacks: Counter,
    pub(crate) timers_fired: Counter,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(Cell<u64>);

impl Counter {
    pub(crate) fn bump(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.set(self.0.get().wrapping_add(n));
    }
}

impl EventLoop {
    /// What the loop has done so far, and what waits in it.
    ///
    /// # asyncio
    ///
    /// None.
    #[must_use]
    pub fn statistics(&self) -> LoopStatistics {
        let core = &*self.core;
        LoopStatistics {
            iterations_total: core.counters.iterations.get(),
            polls_total: core.counters.polls.get(),
            callbacks_total: core.counters.callbacks.get(),
            timers_fired_total: core.counters.timers_fired.get(),
            ready: core.ready.borrow().len(),
            timers: core.timers.borrow().len(),
            watches: core.watches.borrow().len(),
            sources: core.sources.borrow().len(),
        }
    }
}
