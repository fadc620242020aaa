//! `Calls`: the closures of `call_soon` and `call_later`, each under a token until it runs or is cancelled.
//!
//! A table like [`Slots`](asyncio_driver::Slots), with one difference that is worth a type: a closure is written right into
//! its place. Moving it there would cost more than all the rest of `call_soon`, because a processor cannot read back at
//! once what was just written in smaller pieces.
//!
//! Invariants: those of `Slots`. A slot's generation grows each time it is emptied, so an old token finds nothing; a slot
//! whose generations are used up is never filled again.

use crate::callback::Callback;
use crate::context::{Context, ContextSnapshot};
use asyncio_driver::Token;
use std::panic::Location;

/// Closures under tokens.
#[derive(Debug)]
pub(crate) struct Calls {
    slots: Vec<Call>,
    /// Head of the list of free slots; `NONE` if there is none.
    free: u32,
    len: usize,
    /// The generation of a slot that is new: above all generations that `trim` has forgotten.
    first_generation: u32,
}

/// A closure and what it needs to run.
#[derive(Debug)]
pub(crate) struct Call {
    /// Empty if the slot is free.
    pub(crate) callback: Callback,
    pub(crate) context: CallContext,
    pub(crate) location: &'static Location<'static>,
    generation: u32,
    next_free: u32,
}

/// The context of a call.
#[derive(Debug)]
pub(crate) enum CallContext {
    /// A copy of the values from when it was scheduled.
    Copied(ContextSnapshot),
    /// A context that was given, in which changes stay.
    Given(Context),
}

const NONE: u32 = u32::MAX;
/// A table of this size is not worth giving back.
const TRIM_ABOVE: usize = 1024;

impl Calls {
    /// Stores a closure, to be called in a copy of the current context.
    #[inline]
    pub(crate) fn insert<F: FnOnce() + 'static>(&mut self, closure: F, location: &'static Location<'static>) -> Token {
        let (token, call) = self.free_slot(location);
        call.callback.fill(closure);
        call.context = CallContext::Copied(ContextSnapshot::current());
        token
    }

    /// Stores a callback with its context. It is not empty: an empty one could never be taken out.
    pub(crate) fn insert_in(
        &mut self,
        callback: Callback,
        context: ContextSnapshot,
        location: &'static Location<'static>,
    ) -> Token {
        debug_assert!(!callback.is_empty(), "there is nothing to call");
        let (token, call) = self.free_slot(location);
        call.callback = callback;
        call.context = CallContext::Copied(context);
        token
    }

    #[inline]
    fn free_slot(&mut self, location: &'static Location<'static>) -> (Token, &mut Call) {
        if self.free == NONE {
            self.grow(location);
        }
        let slot = self.free;
        let call = &mut self.slots[slot as usize];
        self.free = call.next_free;
        self.len += 1;
        call.location = location;
        (Token::new(slot, call.generation), call)
    }

    /// Takes a closure out, to run it or to drop it, with nothing borrowed. `None` if that was done before.
    pub(crate) fn take(&mut self, token: Token) -> Option<(Callback, CallContext, &'static Location<'static>)> {
        let call = self.slots.get_mut(token.slot() as usize)?;
        if call.generation != token.generation() || call.callback.is_empty() {
            return None;
        }
        self.len -= 1;
        call.generation += 1;
        if call.generation != u32::MAX {
            call.next_free = std::mem::replace(&mut self.free, token.slot());
        }
        let context = std::mem::replace(&mut call.context, CallContext::Copied(ContextSnapshot::EMPTY));
        Some((call.callback.take(), context, call.location))
    }

    /// A call that was neither taken nor cancelled.
    pub(crate) fn get(&self, token: Token) -> Option<&Call> {
        let call = self.slots.get(token.slot() as usize)?;
        (call.generation == token.generation() && !call.callback.is_empty()).then_some(call)
    }

    /// As `get`.
    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut Call> {
        let call = self.slots.get_mut(token.slot() as usize)?;
        (call.generation == token.generation() && !call.callback.is_empty()).then_some(call)
    }

    /// Gives the memory of a peak back, if the table is empty and large. Tokens stay unique.
    pub(crate) fn trim(&mut self) {
        if self.len > 0 || self.slots.len() <= TRIM_ABOVE {
            return;
        }
        let newest = self.slots.iter().map(|call| call.generation).max().unwrap_or(0);
        if newest < u32::MAX / 2 {
            *self = Self { first_generation: newest + 1, ..Self::default() };
        }
    }

    #[cold]
    fn grow(&mut self, location: &'static Location<'static>) {
        let slot = u32::try_from(self.slots.len()).ok().filter(|&slot| slot < NONE / 2).expect("fewer than 2^31 calls");
        self.slots.push(Call {
            callback: Callback::empty(),
            context: CallContext::Copied(ContextSnapshot::EMPTY),
            location,
            generation: self.first_generation,
            next_free: NONE,
        });
        self.free = slot;
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self { slots: Vec::new(), free: NONE, len: 0, first_generation: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    fn call(calls: &mut Calls, counter: &Rc<Cell<u32>>) -> Token {
        let counter = counter.clone();
        calls.insert(move || counter.set(counter.get() + 1), Location::caller())
    }

    #[test]
    fn a_call_is_taken_once_and_its_token_names_nothing_else() {
        let (mut calls, counter) = (Calls::default(), Rc::new(Cell::new(0)));
        let old = call(&mut calls, &counter);
        calls.take(old).unwrap().0.call();
        let new = call(&mut calls, &counter);
        assert_eq!(new.slot(), old.slot(), "the slot is used again");
        assert!(calls.take(old).is_none() && calls.get(old).is_none() && calls.get(new).is_some());
        drop(calls.take(new));
        assert_eq!((counter.get(), Rc::strong_count(&counter)), (1, 1));
    }

    #[test]
    fn a_trimmed_table_gives_out_new_tokens() {
        let (mut calls, counter) = (Calls::default(), Rc::new(Cell::new(0)));
        let tokens: Vec<_> = (0..=TRIM_ABOVE).map(|_| call(&mut calls, &counter)).collect();
        calls.trim();
        assert_eq!(calls.len, tokens.len(), "a table in use is left alone");
        for token in &tokens {
            calls.take(*token);
        }
        calls.trim();
        assert_eq!(calls.slots.capacity(), 0);
        let new = call(&mut calls, &counter);
        assert!(calls.get(tokens[0]).is_none() && calls.get(new).is_some());
    }

    #[test]
    fn a_worn_out_slot_is_retired() {
        let (mut calls, counter) = (Calls::default(), Rc::new(Cell::new(0)));
        let first = call(&mut calls, &counter);
        calls.slots[0].generation = u32::MAX - 1;
        assert!(calls.take(Token::new(first.slot(), u32::MAX - 1)).is_some());
        assert_eq!(call(&mut calls, &counter).slot(), 1);
    }
}
