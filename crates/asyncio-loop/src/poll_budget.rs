//! `PollBudget`: how long the driver may go unpolled while callbacks are ready.
//!
//! asyncio asks the system for events once in each iteration. A system call costs more than ten callbacks, so a loop
//! that is busy with callbacks asks less often, within bounds that this budget keeps: after [`MAX_CALLBACKS`] callbacks,
//! or [`MAX_NANOS`] after it last asked, whichever is first; then at the end of the iteration under way.
//!
//! Looking at the clock is not free either. While callbacks are short it is looked at every [`LOOK_MAX`] of them; as soon
//! as that turns out to have been too seldom, after each one.

use crate::timers::Nanos;

/// The bounds, and what has been used of them since the driver was polled.
#[derive(Debug)]
pub(crate) struct PollBudget {
    callbacks: u32,
    until_look: u32,
    look_every: u32,
    /// A time just before the last poll, or since then: from here the time bound is measured.
    since: Option<Nanos>,
    spent: bool,
}

/// After so many callbacks the driver is polled.
pub(crate) const MAX_CALLBACKS: u32 = 64;
/// After so long the driver is polled: 0.1 ms.
pub(crate) const MAX_NANOS: Nanos = 100_000;
/// The clock is looked at after at most so many callbacks.
const LOOK_MAX: u32 = 8;

impl PollBudget {
    pub(crate) const fn new() -> Self {
        Self { callbacks: 0, until_look: 1, look_every: 1, since: None, spent: false }
    }

    /// The driver has been polled, and has perhaps waited. `now` is given if the clock was looked at for the timers.
    pub(crate) fn polled(&mut self, waited: bool, now: Option<Nanos>) {
        self.callbacks = 0;
        // If the budget was spent, the clock was looked at just before.
        if waited || !self.spent || now.is_some() {
            self.since = now;
        }
        self.spent = false;
        self.until_look = self.look_every;
    }

    /// An iteration has run so many callbacks.
    pub(crate) fn ran(&mut self, callbacks: u32, clock: impl FnOnce() -> Nanos) {
        self.callbacks = self.callbacks.saturating_add(callbacks);
        self.until_look = self.until_look.saturating_sub(callbacks);
        let is_last = self.callbacks >= MAX_CALLBACKS;
        // Also when the count decides, or else long callbacks would never make the clock a frequent sight.
        if self.until_look == 0 || is_last {
            self.look(clock(), is_last);
        }
    }

    /// Whether the driver must be polled before the next iteration.
    pub(crate) const fn is_spent(&self) -> bool {
        self.spent
    }

    fn look(&mut self, now: Nanos, is_last: bool) {
        self.spent = is_last;
        if let Some(since) = self.since {
            let elapsed = now - since;
            self.spent |= elapsed >= MAX_NANOS;
            // Short callbacks: look half as often. Long ones: look after each.
            self.look_every = if elapsed * 4 < MAX_NANOS { (self.look_every * 2).min(LOOK_MAX) } else { 1 };
        }
        if self.since.is_none() || self.spent {
            self.since = Some(now);
        }
        self.until_look = self.look_every;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs callbacks of the given length until the budget is spent; gives their number.
    fn run(budget: &mut PollBudget, now: &mut Nanos, each: Nanos) -> u32 {
        budget.polled(false, None);
        let mut callbacks = 0;
        while !budget.is_spent() {
            *now += each;
            callbacks += 1;
            budget.ran(1, || *now);
        }
        callbacks
    }

    #[test]
    fn short_callbacks_are_bounded_by_their_number() {
        let (mut budget, mut now) = (PollBudget::new(), 0);
        for _ in 0..5 {
            assert_eq!(run(&mut budget, &mut now, 10), MAX_CALLBACKS);
        }
    }

    #[test]
    fn long_callbacks_are_bounded_by_time() {
        let (mut budget, mut now) = (PollBudget::new(), 0);
        run(&mut budget, &mut now, 10);
        // Short ones before have made the clock a rare sight, once.
        let first = run(&mut budget, &mut now, MAX_NANOS);
        assert!(first <= 2 * LOOK_MAX, "{first}");
        for _ in 0..5 {
            assert_eq!(run(&mut budget, &mut now, MAX_NANOS), 1);
        }
    }

    #[test]
    fn the_clock_is_looked_at_seldom_while_callbacks_are_short() {
        let mut budget = PollBudget::new();
        let mut looks = 0;
        for n in 0..64_000 {
            budget.ran(1, || {
                looks += 1;
                n
            });
            if budget.is_spent() {
                budget.polled(false, None);
            }
        }
        assert!(looks <= 64_000 / i64::from(LOOK_MAX) + 10, "{looks}");
    }
}
