//! `Token` and `Slots`: names for registered sources that are never taken for one another.
//!
//! An event can outlive its source: the kernel fills a batch, the first callback of the batch closes the descriptor that
//! the second event is about, and a new source moves into its place. A token therefore carries the generation of its slot,
//! and a look-up with an old generation finds nothing.
//!
//! Invariants:
//! 1. A slot's generation grows each time it is emptied, so `get` with the token of a removed value gives `None`.
//! 2. A slot whose generations are used up (2^32 - 1 removals) is never filled again: no token is ever given out twice.
//! 3. Free slots are a stack: the slot that was emptied last, which is still in the cache, is filled first.
//!
//! Absent on purpose: descriptors and drivers. `Slots` holds whatever its owner keeps for each source.

use std::mem;

/// Names one registration of a source: a slot, and which of the slot's tenants is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    slot: u32,
    generation: u32,
}

impl Token {
    /// The token of the given slot and generation; [`Slots`] makes all others.
    #[must_use]
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// The index of the slot.
    #[must_use]
    pub const fn slot(self) -> u32 {
        self.slot
    }

    /// Which tenant of the slot is meant.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// The token as one word, for kernels that hand a word back.
    ///
    /// `u64::MAX` is the word of no token that [`Slots`] gives out, so a driver may use it for its notifier.
    #[must_use]
    pub const fn to_word(self) -> u64 {
        ((self.generation as u64) << 32) | self.slot as u64
    }

    /// The token that [`to_word`](Self::to_word) made `word` of.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the low half is the slot")]
    pub const fn from_word(word: u64) -> Self {
        Self { slot: word as u32, generation: (word >> 32) as u32 }
    }
}

/// A table of values under [`Token`]s: constant time, no allocation once it has grown to its peak.
#[derive(Debug)]
pub struct Slots<T> {
    entries: Vec<Entry<T>>,
    /// Head of the list of free slots; `NONE` if there is none.
    free: u32,
    len: usize,
    /// The generation of a slot that is new: above all generations that `trim` has forgotten.
    first_generation: u32,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Full(T),
    Free { next: u32 },
}

const NONE: u32 = u32::MAX;
/// A table of this size is not worth giving back.
const TRIM_ABOVE: usize = 1024;

impl<T> Slots<T> {
    /// An empty table; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), free: NONE, len: 0, first_generation: 0 }
    }

    /// Puts `value` in a slot and names it.
    ///
    /// # Panics
    ///
    /// If 2^32 - 1 slots are in use.
    #[inline]
    pub fn insert(&mut self, value: T) -> Token {
        self.len += 1;
        if let Some(entry) = self.entries.get_mut(self.free as usize)
            && let State::Free { next } = entry.state
        {
            let token = Token::new(self.free, entry.generation);
            self.free = next;
            // A free slot has nothing to be dropped; the compiler does not see it.
            mem::forget(mem::replace(&mut entry.state, State::Full(value)));
            return token;
        }
        let slot =
            u32::try_from(self.entries.len()).ok().filter(|&slot| slot != NONE).expect("fewer than 2^32 - 1 slots");
        self.entries.push(Entry { generation: self.first_generation, state: State::Full(value) });
        Token::new(slot, self.first_generation)
    }

    /// What the next value that is put in will be named: for values that know their own name.
    #[must_use]
    #[inline]
    pub fn next_token(&self) -> Token {
        match self.entries.get(self.free as usize) {
            Some(entry) => Token::new(self.free, entry.generation),
            None => Token::new(u32::try_from(self.entries.len()).unwrap_or(NONE), self.first_generation),
        }
    }

    /// The value that `token` names, unless it was removed.
    #[must_use]
    #[inline]
    pub fn get(&self, token: Token) -> Option<&T> {
        match self.entries.get(token.slot as usize) {
            Some(Entry { generation, state: State::Full(value) }) if *generation == token.generation => Some(value),
            _ => None,
        }
    }

    /// The value that `token` names, unless it was removed.
    #[inline]
    pub fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        match self.entries.get_mut(token.slot as usize) {
            Some(Entry { generation, state: State::Full(value) }) if *generation == token.generation => Some(value),
            _ => None,
        }
    }

    /// Removes and returns the value that `token` names, unless it was removed before.
    #[inline]
    pub fn remove(&mut self, token: Token) -> Option<T> {
        let entry = self.entries.get_mut(token.slot as usize)?;
        if entry.generation != token.generation || matches!(entry.state, State::Free { .. }) {
            return None;
        }
        self.len -= 1;
        entry.generation += 1;
        let reusable = entry.generation != u32::MAX;
        let next = if reusable { mem::replace(&mut self.free, token.slot) } else { NONE };
        match mem::replace(&mut entry.state, State::Free { next }) {
            State::Full(value) => Some(value),
            State::Free { .. } => None,
        }
    }

    /// Whatever is in the given slot, with its token: for owners that link slots to one another.
    #[inline]
    pub fn in_slot_mut(&mut self, slot: u32) -> Option<(Token, &mut T)> {
        match self.entries.get_mut(slot as usize) {
            Some(Entry { generation, state: State::Full(value) }) => Some((Token::new(slot, *generation), value)),
            _ => None,
        }
    }

    /// Gives the memory of a peak back, if the table is empty and large. Tokens stay unique.
    pub fn trim(&mut self) {
        if self.len > 0 || self.entries.len() <= TRIM_ABOVE {
            return;
        }
        let newest = self.entries.iter().map(|entry| entry.generation).max().unwrap_or(0);
        // Generations that are nearly used up stay where they are: they retire slot by slot (invariant 2).
        if newest < u32::MAX / 2 {
            self.first_generation = newest + 1;
            self.entries = Vec::new();
            self.free = NONE;
        }
    }

    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tokens and values, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (Token, &T)> {
        self.entries.iter().enumerate().filter_map(|(slot, entry)| match &entry.state {
            State::Full(value) => Some((Token::new(u32::try_from(slot).ok()?, entry.generation), value)),
            State::Free { .. } => None,
        })
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_value_is_not_found_under_its_old_token() {
        let mut slots = Slots::new();
        let next = slots.next_token();
        let old = slots.insert("old");
        assert_eq!(next, old);
        assert_eq!(slots.remove(old), Some("old"));
        let next = slots.next_token();
        let new = slots.insert("new");
        assert_eq!(next, new);
        assert_eq!(new.slot(), old.slot(), "the slot is used again");
        assert_eq!((slots.get(old), slots.get(new)), (None, Some(&"new")));
        assert_eq!(slots.remove(old), None);
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn a_worn_out_slot_is_retired() {
        let mut slots = Slots::new();
        let token = slots.insert(());
        slots.entries[0].generation = u32::MAX - 1;
        assert_eq!(slots.remove(Token::new(token.slot(), u32::MAX - 1)), Some(()));
        assert_eq!(slots.insert(()).slot(), 1);
    }

    #[test]
    fn a_trimmed_table_gives_out_new_tokens() {
        let mut slots = Slots::new();
        let tokens: Vec<_> = (0..=TRIM_ABOVE).map(|n| slots.insert(n)).collect();
        slots.trim();
        assert_eq!(slots.len(), tokens.len(), "a table in use is left alone");
        for token in &tokens {
            slots.remove(*token);
        }
        slots.trim();
        assert_eq!(slots.entries.capacity(), 0);
        let new = slots.insert(7);
        assert_eq!((slots.get(tokens[0]), slots.get(new)), (None, Some(&7)));
    }

    #[test]
    fn words_name_the_same_token() {
        let token = Token::new(7, 9);
        assert_eq!(Token::from_word(token.to_word()), token);
    }
}
