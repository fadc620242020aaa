//! `Attention`: what the end of an iteration has to look at, in one word, so that mostly it is one look.
//!
//! Absent on purpose: what comes from other threads. That is `WakeState`'s.

use std::cell::Cell;

/// Reasons for not simply going on with the ready queue.
#[derive(Debug)]
pub(crate) struct Attention(Cell<u8>);

/// One of them, or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reason(u8);

impl Reason {
    /// `stop` was called.
    pub(crate) const STOPPING: Self = Self(1);
    /// `interrupt` was called.
    pub(crate) const INTERRUPTED: Self = Self(1 << 1);
    /// A timer was set whose time has come, as far as the loop knows.
    pub(crate) const TIMERS_DUE: Self = Self(1 << 2);
    /// Debug mode: each callback is timed.
    pub(crate) const DEBUG: Self = Self(1 << 3);
    /// The driver is polled in each iteration.
    pub(crate) const POLL_ALWAYS: Self = Self(1 << 4);
    /// Somebody wants to know the loop's progress: each step is noted.
    pub(crate) const PROGRESS: Self = Self(1 << 5);
    /// The callback under way has deferred something until it is back.
    pub(crate) const DEFERRED: Self = Self(1 << 6);
    /// Whatever makes steps be run with a look at them.
    pub(crate) const WATCH_STEPS: Self = Self(Self::DEBUG.0 | Self::PROGRESS.0);
    /// Whatever makes the driver be polled before the next callback.
    pub(crate) const POLL_NOW: Self = Self(Self::POLL_ALWAYS.0 | Self::STOPPING.0 | Self::TIMERS_DUE.0);
}

impl Attention {
    pub(crate) const fn new() -> Self {
        Self(Cell::new(0))
    }

    /// Whether there is no reason at all.
    #[inline]
    pub(crate) const fn is_calm(&self) -> bool {
        self.0.get() == 0
    }

    /// Whether there is the reason; of several, any.
    #[inline]
    pub(crate) const fn has(&self, reason: Reason) -> bool {
        self.0.get() & reason.0 != 0
    }

    pub(crate) fn set(&self, reason: Reason, is_set: bool) {
        let others = self.0.get() & !reason.0;
        self.0.set(if is_set { others | reason.0 } else { others });
    }

    /// Clears a reason; says whether it was set.
    pub(crate) fn take(&self, reason: Reason) -> bool {
        let was_set = self.has(reason);
        self.set(reason, false);
        was_set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_independent() {
        let attention = Attention::new();
        assert!(attention.is_calm());
        attention.set(Reason::STOPPING, true);
        attention.set(Reason::DEBUG, true);
        assert!(attention.take(Reason::STOPPING) && !attention.take(Reason::STOPPING));
        assert!(attention.has(Reason::DEBUG) && !attention.is_calm());
        attention.set(Reason::DEBUG, false);
        assert!(attention.is_calm());
    }
}
