//! Where the items of a queue are while several threads put and take them: each call is one indivisible step.

use crate::storage::{Heap, Lifo, Storage};
use concurrent_queue::{ConcurrentQueue, PopError, PushError};

#[cfg(all(test, asyncio_loom))]
use loom::sync::{Mutex, MutexGuard};
#[cfg(not(all(test, asyncio_loom)))]
use std::sync::{Mutex, MutexGuard};

/// Holds items; bounded, and closed at some time.
pub(crate) trait SharedStorage {
    type Item;

    /// For at most `maxsize` items; 0 means without a bound.
    fn new(maxsize: usize) -> Self;

    /// Adds an item, unless it is closed, or else full.
    fn push(&self, item: Self::Item) -> Result<(), PushError<Self::Item>>;

    /// Takes out the next item; says whether it is closed if there is none.
    fn pop(&self) -> Result<Self::Item, PopError>;

    fn len(&self) -> usize;

    /// Takes no more items.
    fn close(&self);

    fn is_closed(&self) -> bool;
}

/// For how many items room is allocated at once, at most. A greater bound means "as many as there may come".
const ROOM_MAX: usize = i32::MAX as usize;

/// First in, first out: no lock.
pub(crate) type SharedFifo<T> = ConcurrentQueue<T>;

/// Any other order, under a lock that is held for the moment of one step.
pub(crate) struct Locked<S> {
    state: Mutex<State<S>>,
    maxsize: usize,
}

/// Last in, first out.
pub(crate) type SharedLifo<T> = Locked<Lifo<T>>;

/// The smallest first, equal ones in the order in which they came.
pub(crate) type SharedHeap<T> = Locked<Heap<T>>;

struct State<S> {
    items: S,
    is_closed: bool,
}

impl<T> SharedStorage for SharedFifo<T> {
    type Item = T;

    fn new(maxsize: usize) -> Self {
        if (1..=ROOM_MAX).contains(&maxsize) { Self::bounded(maxsize) } else { Self::unbounded() }
    }

    fn push(&self, item: T) -> Result<(), PushError<T>> {
        self.push(item)
    }

    fn pop(&self) -> Result<T, PopError> {
        self.pop()
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn close(&self) {
        self.close();
    }

    fn is_closed(&self) -> bool {
        self.is_closed()
    }
}

impl<S> Locked<S> {
    fn lock(&self) -> MutexGuard<'_, State<S>> {
        // Only a comparison of the user's can panic under the lock, and the heap is none the worse for it than in std.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl<S: Storage> SharedStorage for Locked<S> {
    type Item = S::Item;

    fn new(maxsize: usize) -> Self {
        Self { state: Mutex::new(State { items: S::default(), is_closed: false }), maxsize }
    }

    fn push(&self, item: S::Item) -> Result<(), PushError<S::Item>> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(PushError::Closed(item));
        }
        if self.maxsize > 0 && state.items.len() >= self.maxsize {
            return Err(PushError::Full(item));
        }
        state.items.push(item);
        Ok(())
    }

    fn pop(&self) -> Result<S::Item, PopError> {
        let mut state = self.lock();
        let empty = if state.is_closed { PopError::Closed } else { PopError::Empty };
        state.items.pop().ok_or(empty)
    }

    fn len(&self) -> usize {
        self.lock().items.len()
    }

    fn close(&self) {
        self.lock().is_closed = true;
    }

    fn is_closed(&self) -> bool {
        self.lock().is_closed
    }
}
