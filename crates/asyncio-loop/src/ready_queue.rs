//! `ReadyQueue`: what runs next, in the order in which it became ready.
//!
//! One first-in-first-out queue for everything: callbacks, steps of tasks, ready descriptors, due timers. An entry is two
//! words. The closures of `call_soon` lie in a table beside it, so that they can be cancelled in place: a cancelled one is
//! dropped at once, and its entry is passed over when its turn comes.
//!
//! Invariants:
//! 1. Entries come out in the order in which they went in.
//! 2. A call runs at most once, and not after it was cancelled.
//!
//! Absent on purpose: running anything. Popped work is handed to the loop, with nothing borrowed.

use crate::calls::Calls;
use crate::step::Step;
use asyncio_driver::Token;
use std::collections::VecDeque;

/// What is ready to run.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    entries: VecDeque<Entry>,
    calls: Calls,
}

/// A place in the queue.
#[derive(Debug)]
pub(crate) enum Entry {
    /// One step of something that runs again and again.
    Step(Step),
    /// Something in a table, unless it was cancelled.
    Stored(Stored),
}

/// Where a cancellable entry lies: one word, so that an entry is two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored(Token);

/// Marks the slots of timers; no table has so many slots.
const TIMER: u32 = 1 << 31;

impl Stored {
    /// A closure in the table of calls.
    pub(crate) const fn call(token: Token) -> Self {
        Self(token)
    }

    /// A step that the timers keep until it is its turn.
    pub(crate) const fn timer(token: Token) -> Self {
        Self(Token::new(token.slot() | TIMER, token.generation()))
    }

    /// The call that is meant, if it is not a timer.
    pub(crate) const fn as_call(self) -> Option<Token> {
        if self.0.slot() & TIMER == 0 { Some(self.0) } else { None }
    }

    /// The timer that is meant, if it is one.
    pub(crate) const fn as_timer(self) -> Option<Token> {
        if self.0.slot() & TIMER == 0 { None } else { Some(Token::new(self.0.slot() & !TIMER, self.0.generation())) }
    }
}

impl ReadyQueue {
    /// Appends an entry.
    #[inline]
    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
    }

    /// Appends an entry, if there is one.
    pub(crate) fn extend(&mut self, entry: Option<Entry>) {
        self.entries.extend(entry);
    }

    /// The closures, in the queue or not.
    pub(crate) const fn calls(&self) -> &Calls {
        &self.calls
    }

    /// As `calls`.
    pub(crate) const fn calls_mut(&mut self) -> &mut Calls {
        &mut self.calls
    }

    /// Takes the next entry.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    /// What is in the queue, cancelled or not, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives memory back after a peak; called when the loop is idle.
    pub(crate) fn trim(&mut self) {
        self.calls.trim();
        if self.entries.is_empty() && self.entries.capacity() > TRIM_ABOVE {
            self.entries = VecDeque::new();
        }
    }
}

/// A queue of this capacity is not worth giving back.
const TRIM_ABOVE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_two_words() {
        assert_eq!(size_of::<Entry>(), 2 * size_of::<usize>());
    }
}
