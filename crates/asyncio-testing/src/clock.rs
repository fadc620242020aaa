//! `VirtualClock`: time that passes only when nothing else can happen.
//!
//! Invariants:
//! 1. Time never goes back.
//! 2. A driver jumps to a deadline only if no [`ClockHold`] is alive; then it jumps exactly there.
//! 3. Whatever could end a wait that blocks for real (a notification, a change by a script, the end of a hold) raises
//!    `epoch` under the lock, so a waiter that looked before and blocks after cannot miss it.
//!
//! Absent on purpose: timers. A loop has its own; a script's changes are kept by the driver.

use asyncio_driver::{LoopTime, TimeHold};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A handle to a clock that tests own: clones tell the same time, on any thread.
///
/// The drivers on this clock jump to the next deadline when nothing is ready; a test may also [`advance`](Self::advance)
/// it by hand.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    start: LoopTime,
    now: LoopTime,
    holds: usize,
    epoch: Epoch,
}

/// How often anything has changed that a waiter has to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl VirtualClock {
    /// A clock at [`LoopTime::ZERO`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A clock at `start`.
    #[must_use]
    pub fn starting_at(start: LoopTime) -> Self {
        let clock = Self::new();
        {
            let mut state = clock.lock();
            state.start = start;
            state.now = start;
        }
        clock
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> LoopTime {
        self.lock().now
    }

    /// How much virtual time has passed since the clock was made.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        let state = self.lock();
        state.now.saturating_since(state.start)
    }

    /// Lets `duration` pass at once, whatever runs.
    ///
    /// What is due then happens when the driver waits next.
    pub fn advance(&self, duration: Duration) {
        let mut state = self.lock();
        state.now = state.now + duration;
        self.change(state);
    }

    /// Keeps drivers from jumping while something that they cannot see, such as a thread, may still wake them.
    ///
    /// A wait with nothing ready then blocks for real, until it is notified or the last hold is dropped.
    pub fn hold(&self) -> ClockHold {
        self.lock().holds += 1;
        ClockHold(self.clone())
    }

    /// Lets time pass until `time`, if it has not come yet.
    pub(crate) fn jump_to(&self, time: LoopTime) {
        let mut state = self.lock();
        if time > state.now {
            state.now = time;
            self.change(state);
        }
    }

    /// Tells whoever blocks to look again.
    pub(crate) fn touch(&self) {
        let state = self.lock();
        self.change(state);
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.lock().epoch
    }

    /// If time is held, blocks until something has changed since `seen`, and says that it was.
    pub(crate) fn block_if_held(&self, seen: Epoch) -> bool {
        let mut state = self.lock();
        if state.holds == 0 {
            return false;
        }
        while state.epoch == seen {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    fn change(&self, mut state: MutexGuard<'_, State>) {
        state.epoch.0 += 1;
        drop(state);
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A number or two are written under the lock: nothing that a panic could leave half done.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a [`VirtualClock`] from jumping for as long as it lives. It may be dropped on any thread.
#[derive(Debug)]
#[must_use = "time is free to jump again when this is dropped"]
pub struct ClockHold(VirtualClock);

impl TimeHold for ClockHold {}

impl Drop for ClockHold {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.holds -= 1;
        self.0.change(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_tell_the_same_time() {
        let clock = VirtualClock::starting_at(LoopTime::from_nanos(7));
        let clone = clock.clone();
        clock.advance(Duration::from_secs(1));
        assert_eq!((clone.now(), clone.elapsed()), (LoopTime::from_nanos(1_000_000_007), Duration::from_secs(1)));
        clone.jump_to(LoopTime::ZERO);
        assert_eq!(clock.elapsed(), Duration::from_secs(1), "time does not go back");
    }
}
