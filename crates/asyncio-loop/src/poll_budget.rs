//! `PollBudget`: how long the driver may go unpolled while callbacks are ready.
//!
//! asyncio asks the system for events once in each iteration. A system call costs more than ten callbacks, so a loop
//! that is busy with callbacks asks less often, within bounds that this budget keeps: after [`MAX_CALLBACKS`] callbacks,
//! or [`MAX_NANOS`] after it last asked, whichever is first; then at the end of the iteration under way.
//!
//! Looking at the clock is not free either. While callbacks are short it is looked at every [`LOOK_MAX`] of them; as soon
//! as that turns out to have been too seldom, after each one.

use crate::timers::Nanos;
use std::cell::Cell;

/// The bounds, and what has been used of them since the driver was polled.
#[derive(Debug)]
pub(crate) struct PollBudget {
    /// How many callbacks may run before anything else is to be looked at.
    left: Cell<u32>,
    /// What `left` was at first.
    granted: Cell<u32>,
    /// How many had run before that.
    callbacks: Cell<u32>,
    look_every: Cell<u32>,
    /// A time just before the last poll, or since then: from here the time bound is measured.
    since: Cell<Option<Nanos>>,
    spent: Cell<bool>,
    /// How many have run that were not counted yet: nothing was ready after them, so that it has hardly ever to be done.
    owed: Cell<u32>,
}

/// After so many callbacks the driver is polled.
pub(crate) const MAX_CALLBACKS: u32 = 64;
/// After so long the driver is polled: 0.1 ms.
pub(crate) const MAX_NANOS: Nanos = 100_000;
/// A step that goes on for so long should let others run: 1 ms.
const OVERDUE_NANOS: Nanos = 1_000_000;
/// The clock is looked at after at most so many callbacks.
const LOOK_MAX: u32 = 8;

impl PollBudget {
    pub(crate) const fn new() -> Self {
        Self {
            left: Cell::new(1),
            granted: Cell::new(1),
            callbacks: Cell::new(0),
            look_every: Cell::new(1),
            since: Cell::new(None),
            spent: Cell::new(false),
            owed: Cell::new(0),
        }
    }

    /// The driver has been polled, and has perhaps waited. `now` is given if the clock was looked at for the timers.
    pub(crate) fn polled(&self, waited: bool, now: Option<Nanos>) {
        // If the budget was spent, the clock was looked at just before.
        if waited || !self.spent.get() || now.is_some() {
            self.since.set(now);
        }
        self.spent.set(false);
        self.callbacks.set(0);
        self.owed.set(0);
        self.grant();
    }

    /// An iteration has run so many callbacks; whether more may run before the driver is polled.
    #[inline]
    pub(crate) fn ran(&self, callbacks: u32, clock: impl FnOnce() -> Nanos) -> bool {
        if callbacks < self.left.get() {
            self.left.set(self.left.get() - callbacks);
            return true;
        }
        self.look(callbacks - self.left.get(), clock());
        !self.spent.get()
    }

    /// Whether the driver has not been polled for long, though something runs all the time.
    pub(crate) fn is_overdue(&self, now: Nanos) -> bool {
        match self.since.get() {
            Some(since) => now - since >= OVERDUE_NANOS,
            None => {
                self.since.set(Some(now));
                false
            }
        }
    }

    /// An iteration has run so many callbacks, and nothing is ready: unless something comes from elsewhere, the driver is
    /// polled next.
    #[inline]
    pub(crate) fn ran_all(&self, callbacks: u32) {
        self.owed.set(self.owed.get().saturating_add(callbacks));
    }

    /// Whether the driver must be polled before the next iteration, for which something is ready.
    #[inline]
    pub(crate) fn is_spent(&self, clock: impl FnOnce() -> Nanos) -> bool {
        let owed = self.owed.take();
        if owed > 0 {
            self.ran(owed, clock);
        }
        self.spent.get()
    }

    /// What was granted is used up, and so many more: is it time to poll the driver?
    #[inline(never)]
    fn look(&self, more: u32, now: Nanos) {
        self.callbacks.set(self.callbacks.get().saturating_add(self.granted.get()).saturating_add(more));
        let mut is_spent = self.callbacks.get() >= MAX_CALLBACKS;
        if let Some(since) = self.since.get() {
            let elapsed = now - since;
            is_spent |= elapsed >= MAX_NANOS;
            // Short callbacks: look half as often. Long ones: look after each.
            let seldom = (self.look_every.get() * 2).min(LOOK_MAX);
            self.look_every.set(if elapsed * 4 < MAX_NANOS { seldom } else { 1 });
        }
        if self.since.get().is_none() || is_spent {
            self.since.set(Some(now));
        }
        self.spent.set(is_spent);
        self.grant();
    }

    fn grant(&self) {
        let more = self.look_every.get().min(MAX_CALLBACKS.saturating_sub(self.callbacks.get())).max(1);
        self.left.set(more);
        self.granted.set(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs callbacks of the given length until the budget is spent; gives their number.
    fn run(budget: &PollBudget, now: &mut Nanos, each: Nanos) -> u32 {
        budget.polled(false, None);
        let mut callbacks = 0;
        while !budget.is_spent(|| unreachable!()) {
            *now += each;
            callbacks += 1;
            budget.ran(1, || *now);
        }
        callbacks
    }

    #[test]
    fn short_callbacks_are_bounded_by_their_number() {
        let (budget, mut now) = (PollBudget::new(), 0);
        for _ in 0..5 {
            assert_eq!(run(&budget, &mut now, 10), MAX_CALLBACKS);
        }
    }

    #[test]
    fn long_callbacks_are_bounded_by_time() {
        let (budget, mut now) = (PollBudget::new(), 0);
        run(&budget, &mut now, 10);
        // Short ones before have made the clock a rare sight, once.
        let first = run(&budget, &mut now, MAX_NANOS);
        assert!(first <= 2 * LOOK_MAX, "{first}");
        for _ in 0..5 {
            assert_eq!(run(&budget, &mut now, MAX_NANOS), 1);
        }
    }

    #[test]
    fn the_clock_is_looked_at_seldom_while_callbacks_are_short() {
        let budget = PollBudget::new();
        let mut looks = 0;
        for n in 0..64_000 {
            budget.ran(1, || {
                looks += 1;
                n
            });
            if budget.is_spent(|| unreachable!()) {
                budget.polled(false, None);
            }
        }
        assert!(looks <= 64_000 / i64::from(LOOK_MAX) + 10, "{looks}");
    }
}
