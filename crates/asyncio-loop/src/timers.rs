//! `Timers`: what is due when, as a plain state machine: no clock, no callback, no I/O.
//!
//! Almost all timers are timeouts that are cancelled long before they are due, so setting and cancelling must cost next to
//! nothing, whatever the number of live timers. Hence two structures. Whatever is due in a later *tick* (2^20 ns, about a
//! millisecond) hangs in a hierarchical wheel of 8 levels of 64 lists: setting and cancelling relinks a list node. When
//! its tick begins, a timer moves down and finally into a small heap, which puts the timers of the current tick in exact
//! order.
//!
//! Invariants:
//! 1. `next_due(now)` never gives a timer whose deadline is after `now`: no timer is early, by not even a nanosecond.
//! 2. Timers come out ordered by deadline, those with equal deadlines in the order in which they were set.
//! 3. Every timer in the wheel has a later tick than `self.tick`, every timer in the heap has not. A timer's level is
//!    that of the highest group of six bits in which its tick differs from `self.tick`, so within a level all
//!    timers lie at higher indices than the current one, and lower levels are due before higher ones.
//! 4. Memory is bounded by the highest number of timers that were live at a time: the wheel forgets a cancelled timer at
//!    once, the heap at the latest when half of its entries are cancelled. `trim` gives it back when there are none.
//! 5. A timer that is due keeps its value until [`take`](Timers::take): it can be cancelled until the very last moment.
//!
//! Absent on purpose: what a timer does. The loop appends what is due to its ready queue.

use asyncio_driver::{Slots, Token};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Deadlines in nanoseconds of a driver's clock. Signed, because a deadline before the start of the clock still has its
/// place before one at the start.
pub(crate) type Nanos = i64;

/// The pending timers of a loop, each with a value to hand out when it is due.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    nodes: Slots<Node<T>>,
    /// Timers of the current tick and before; entries whose node is gone are stale.
    near: BinaryHeap<Reverse<(Nanos, u64, Token)>>,
    stale: usize,
    levels: Box<[Level; LEVELS]>,
    /// The tick up to which the wheel has been turned.
    tick: u64,
    next_seq: u64,
}

#[derive(Debug)]
struct Node<T> {
    when: Nanos,
    seq: u64,
    /// Neighbours in the list of the wheel, by slot; `NONE` at the ends.
    prev: u32,
    next: u32,
    place: Place,
    value: T,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Near,
    Due,
    Wheel { level: u8, index: u8 },
}

#[derive(Debug)]
struct Level {
    /// Bit `i` is set exactly while list `i` is not empty.
    occupied: u64,
    /// Bit `i` is set if the earliest timer of list `i` may have been cancelled.
    inexact: u64,
    heads: [Head; SLOTS],
}

#[derive(Clone, Copy, Debug)]
struct Head {
    first: u32,
    /// No timer of the list is due before this.
    earliest: Nanos,
}

const TICK_BITS: u32 = 20;
const LEVEL_BITS: u32 = 6;
const LEVELS: usize = 8;
const SLOTS: usize = 1 << LEVEL_BITS;
const NONE: u32 = u32::MAX;
const EMPTY: Head = Head { first: NONE, earliest: Nanos::MAX };
/// Below this many stale entries the heap is left alone.
const STALE_MIN: usize = 64;
/// A list of this length is not searched for its earliest timer.
const LONG_LIST: usize = 32;
/// A heap of this capacity is not worth giving back.
const TRIM_ABOVE: usize = 1024;

impl<T> Timers<T> {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Slots::new(),
            near: BinaryHeap::new(),
            stale: 0,
            levels: Box::new([const { Level { occupied: 0, inexact: 0, heads: [EMPTY; SLOTS] } }; LEVELS]),
            tick: 0,
            next_seq: 0,
        }
    }

    /// Sets a timer. The token names it until it is cancelled or comes out.
    pub(crate) fn insert(&mut self, when: Nanos, value: T) -> Token {
        let seq = self.next_seq;
        self.next_seq += 1;
        let token = self.nodes.insert(Node { when, seq, prev: NONE, next: NONE, place: Place::Near, value });
        self.place(token.slot());
        token
    }

    /// Takes a timer out before it is due. `None` if it has come out or was cancelled already.
    pub(crate) fn cancel(&mut self, token: Token) -> Option<T> {
        let node = self.nodes.remove(token)?;
        match node.place {
            Place::Near => self.forget_near(),
            Place::Due => {}
            Place::Wheel { level, index } => self.unlink(&node, level, index),
        }
        Some(node.value)
    }

    /// When the earliest timer is due; never later than that, and earlier only if it hung in a long list and was cancelled.
    pub(crate) fn next_deadline(&mut self) -> Option<Nanos> {
        self.drop_stale();
        if let Some(Reverse((when, _, _))) = self.near.peek() {
            return Some(*when);
        }
        let (level, index) = self.first_list()?;
        if self.levels[level].inexact & (1 << index) != 0 {
            self.find_earliest(level, index);
        }
        Some(self.levels[level].heads[index].earliest)
    }

    /// The next timer that is due at `now`, earliest first; each is given once.
    pub(crate) fn next_due(&mut self, now: Nanos) -> Option<(Token, &T)> {
        self.turn(tick_of(now));
        self.drop_stale();
        let Reverse((when, _, token)) = *self.near.peek()?;
        if when > now {
            return None;
        }
        self.near.pop();
        let node = self.nodes.get_mut(token)?;
        node.place = Place::Due;
        Some((token, &node.value))
    }

    /// Takes out a timer that is due. `None` if it was cancelled.
    pub(crate) fn take(&mut self, token: Token) -> Option<T> {
        self.nodes.remove(token).map(|node| node.value)
    }

    /// The values of the timers that are set and not yet due, in no particular order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().filter(|(_, node)| !matches!(node.place, Place::Due)).map(|(_, node)| &node.value)
    }

    /// The value of a timer, due or not, if it is still there.
    pub(crate) fn get(&self, token: Token) -> Option<&T> {
        self.nodes.get(token).map(|node| &node.value)
    }

    /// For when a timer was set, due or not, if it is still there.
    pub(crate) fn when(&self, token: Token) -> Option<Nanos> {
        self.nodes.get(token).map(|node| node.when)
    }

    /// How many timers are set, or due and not yet taken.
    pub(crate) const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Gives memory back after a peak; called when the loop is idle.
    pub(crate) fn trim(&mut self) {
        self.nodes.trim();
        if self.nodes.is_empty() && self.near.capacity() > TRIM_ABOVE {
            self.near = BinaryHeap::new();
            self.stale = 0;
        }
    }

    /// Removes all timers and returns their values, in no particular order.
    pub(crate) fn clear(&mut self) -> Vec<T> {
        let tokens: Vec<Token> = self.nodes.iter().map(|(token, _)| token).collect();
        tokens.into_iter().filter_map(|token| self.cancel(token)).collect()
    }

    /// Puts the node in `slot`, which is in no list, where invariant 3 wants it.
    fn place(&mut self, slot: u32) {
        let Some((token, node)) = self.nodes.in_slot_mut(slot) else { return };
        let tick = tick_of(node.when);
        if tick <= self.tick {
            node.place = Place::Near;
            self.near.push(Reverse((node.when, node.seq, token)));
            return;
        }
        let level = (63 - (tick ^ self.tick).leading_zeros()) / LEVEL_BITS;
        let index = (tick >> (level * LEVEL_BITS)) as usize % SLOTS;
        let list = &mut self.levels[level as usize];
        list.occupied |= 1 << index;
        let head = &mut list.heads[index];
        head.earliest = head.earliest.min(node.when);
        let second = std::mem::replace(&mut head.first, slot);
        (node.prev, node.next) = (NONE, second);
        node.place = Place::Wheel { level: level as u8, index: index as u8 };
        if let Some((_, second)) = self.nodes.in_slot_mut(second) {
            second.prev = slot;
        }
    }

    /// Takes a node that has left its slot out of its list.
    fn unlink(&mut self, node: &Node<T>, level: u8, index: u8) {
        let list = &mut self.levels[usize::from(level)];
        list.inexact |= u64::from(list.heads[usize::from(index)].earliest == node.when) << index;
        if let Some((_, next)) = self.nodes.in_slot_mut(node.next) {
            next.prev = node.prev;
        }
        if let Some((_, previous)) = self.nodes.in_slot_mut(node.prev) {
            previous.next = node.next;
            return;
        }
        list.heads[usize::from(index)].first = node.next;
        if node.next == NONE {
            list.heads[usize::from(index)] = EMPTY;
            list.occupied &= !(1 << index);
            list.inexact &= !(1 << index);
        }
    }

    /// Looks up the earliest timer of a list after a cancellation, unless the list is long: then a wait that ends too
    /// early is cheaper, for it moves the list down.
    fn find_earliest(&mut self, level: usize, index: usize) {
        let mut slot = self.levels[level].heads[index].first;
        let mut earliest = Nanos::MAX;
        for _ in 0..LONG_LIST {
            let Some((_, node)) = self.nodes.in_slot_mut(slot) else { break };
            earliest = earliest.min(node.when);
            slot = node.next;
        }
        if slot == NONE {
            self.levels[level].heads[index].earliest = earliest;
            self.levels[level].inexact &= !(1 << index);
        }
    }

    /// Turns the wheel to the tick `target`: moves every timer that may be due by then towards the heap.
    fn turn(&mut self, target: u64) {
        if target <= self.tick {
            return;
        }
        while let Some((level, index)) = self.first_list() {
            let shift = level as u32 * LEVEL_BITS;
            let upper = u64::MAX << (shift + LEVEL_BITS);
            let start = (self.tick & upper) | ((index as u64) << shift);
            if start > target {
                break;
            }
            self.tick = start;
            let list = &mut self.levels[level];
            list.occupied &= !(1 << index);
            list.inexact &= !(1 << index);
            let mut slot = std::mem::replace(&mut list.heads[index], EMPTY).first;
            while let Some((_, node)) = self.nodes.in_slot_mut(slot) {
                let next = node.next;
                self.place(slot);
                slot = next;
            }
        }
        // No list begins in between, so every timer of the wheel keeps its level and index (invariant 3).
        self.tick = target;
    }

    /// Level and index of the list that is due first.
    fn first_list(&self) -> Option<(usize, usize)> {
        let level = self.levels.iter().position(|level| level.occupied != 0)?;
        Some((level, self.levels[level].occupied.trailing_zeros() as usize))
    }

    /// Removes cancelled timers from the top of the heap.
    fn drop_stale(&mut self) {
        while self.stale > 0 {
            let Some(Reverse((_, _, token))) = self.near.peek() else { break };
            if self.nodes.get(*token).is_some() {
                break;
            }
            self.near.pop();
            self.stale -= 1;
        }
    }

    /// Notes that a timer in the heap was cancelled, and rebuilds the heap when half of it is stale (invariant 4).
    fn forget_near(&mut self) {
        self.stale += 1;
        if self.stale > STALE_MIN && self.stale * 2 > self.near.len() {
            let nodes = &self.nodes;
            self.near.retain(|Reverse((_, _, token))| nodes.get(*token).is_some());
            self.stale = 0;
        }
    }
}

/// The tick that a deadline lies in; everything before the start of the clock is in the first.
fn tick_of(when: Nanos) -> u64 {
    u64::try_from(when).unwrap_or(0) >> TICK_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Nanos = 1_000_000;

    fn due<T>(timers: &mut Timers<T>, now: Nanos) -> Vec<T> {
        std::iter::from_fn(|| {
            let token = timers.next_due(now)?.0;
            timers.take(token)
        })
        .collect()
    }

    #[test]
    fn equal_deadlines_come_out_in_the_order_in_which_they_were_set() {
        let mut timers = Timers::new();
        for n in 0..100 {
            timers.insert(50 * MS, n);
        }
        assert_eq!(due(&mut timers, 50 * MS - 1), [0; 0]);
        // These join the same tick, and the same deadline, from the other side of the wheel.
        for n in 100..200 {
            timers.insert(50 * MS, n);
        }
        assert_eq!(due(&mut timers, 50 * MS), (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn a_deadline_before_the_start_of_the_clock_has_its_place() {
        let mut timers = Timers::new();
        timers.insert(0, "zero");
        timers.insert(-5, "minus five");
        timers.insert(Nanos::MIN, "long ago");
        assert_eq!(due(&mut timers, 0), ["long ago", "minus five", "zero"]);
    }

    #[test]
    fn never_is_never_due() {
        let mut timers = Timers::new();
        timers.insert(Nanos::MAX, ());
        assert_eq!(timers.next_deadline(), Some(Nanos::MAX));
        assert_eq!(due(&mut timers, Nanos::MAX - 1).len(), 0);
        assert_eq!(due(&mut timers, Nanos::MAX).len(), 1);
    }

    #[test]
    fn cancelled_timers_leave_no_garbage() {
        let mut timers = Timers::new();
        for n in 0..1_000_000 {
            // Both in the heap (due now) and in the wheel (due later).
            let token = timers.insert(if n % 2 == 0 { 0 } else { n * MS }, n);
            assert_eq!(timers.cancel(token), Some(n));
            assert_eq!(timers.cancel(token), None);
        }
        assert_eq!(timers.len(), 0);
        assert!(timers.near.len() <= 2 * STALE_MIN + 2, "{} stale entries", timers.near.len());
        assert!(timers.levels.iter().all(|level| level.occupied == 0));
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn a_due_timer_can_be_cancelled_until_it_is_taken() {
        let mut timers = Timers::new();
        let token = timers.insert(5, "due");
        assert_eq!(timers.next_due(5), Some((token, &"due")));
        assert_eq!(timers.next_due(5), None);
        assert_eq!((timers.cancel(token), timers.take(token)), (Some("due"), None));
    }

    #[test]
    fn a_peak_is_given_back() {
        let mut timers = Timers::new();
        let tokens: Vec<_> = (0..100_000).map(|n| timers.insert(n, n)).collect();
        for token in tokens {
            timers.cancel(token);
        }
        timers.trim();
        assert!(timers.near.capacity() <= TRIM_ABOVE);
        assert_eq!(format!("{:?}", timers.nodes).matches("Free").count(), 0);
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert(Nanos),
        Cancel(usize),
        Advance(Nanos),
    }

    fn op() -> impl Strategy<Value = Op> {
        // Delays of every magnitude, so that all levels of the wheel take part.
        let delay = (0_u32..62, any::<u64>()).prop_map(|(bits, n)| (n % (1 << bits)) as Nanos);
        prop_oneof![
            4 => delay.clone().prop_map(Op::Insert),
            1 => (-100_i64..100).prop_map(Op::Insert),
            2 => any::<usize>().prop_map(Op::Cancel),
            2 => (0_u32..58, any::<u64>()).prop_map(|(bits, n)| Op::Advance((n % (1 << bits)) as Nanos)),
        ]
    }

    proptest! {
        /// The model is a sorted list of (deadline, order of setting).
        #[test]
        fn timers_behave_like_a_sorted_list(ops in proptest::collection::vec(op(), 1..200)) {
            let mut timers = Timers::new();
            let mut model: Vec<(Nanos, usize)> = Vec::new();
            let mut tokens = Vec::new();
            let mut now: Nanos = 0;
            for op in ops {
                match op {
                    Op::Insert(delay) => {
                        let when = now.saturating_add(delay);
                        model.push((when, tokens.len()));
                        tokens.push(timers.insert(when, tokens.len()));
                    }
                    Op::Cancel(n) if !tokens.is_empty() => {
                        let n = n % tokens.len();
                        let known = model.iter().position(|(_, order)| *order == n);
                        prop_assert_eq!(timers.cancel(tokens[n]), known.map(|at| model.remove(at).1));
                    }
                    Op::Cancel(_) => {}
                    Op::Advance(by) => {
                        now = now.saturating_add(by);
                        model.sort_unstable();
                        let split = model.partition_point(|(when, _)| *when <= now);
                        let expected: Vec<usize> = model.drain(..split).map(|(_, order)| order).collect();
                        prop_assert_eq!(due(&mut timers, now), expected);
                    }
                }
                prop_assert_eq!(timers.len(), model.len());
                let earliest = model.iter().map(|(when, _)| *when).min();
                match timers.next_deadline() {
                    // No list of this test is long, except by chance.
                    Some(deadline) if model.len() <= LONG_LIST => prop_assert_eq!(earliest, Some(deadline)),
                    Some(deadline) => prop_assert!(earliest.is_some_and(|earliest| deadline <= earliest)),
                    None => prop_assert_eq!(earliest, None),
                }
            }
        }
    }
}
