//! In which order items leave a queue: three answers.
//!
//! Absent on purpose: bounds and waiting. That is `core`.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

/// Holds items. Empty by default, and allocates nothing then.
pub(crate) trait Storage: Default {
    type Item;

    fn push(&mut self, item: Self::Item);

    /// Takes out the next item.
    fn pop(&mut self) -> Option<Self::Item>;

    fn len(&self) -> usize;
}

/// First in, first out.
pub(crate) type Fifo<T> = VecDeque<T>;

/// Last in, first out.
pub(crate) type Lifo<T> = Vec<T>;

/// The smallest first, equal ones in the order in which they came.
pub(crate) struct Heap<T> {
    /// A heap in which the entry to leave next is the greatest.
    entries: BinaryHeap<Entry<T>>,
    arrivals: u64,
}

struct Entry<T> {
    item: T,
    arrival: u64,
}

impl<T> Storage for Fifo<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.push_back(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn len(&self) -> usize {
        self.len()
    }
}

impl<T> Storage for Lifo<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        self.push(item);
    }

    fn pop(&mut self) -> Option<T> {
        self.pop()
    }

    fn len(&self) -> usize {
        self.len()
    }
}

impl<T: Ord> Storage for Heap<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        let arrival = self.arrivals;
        self.arrivals += 1;
        self.entries.push(Entry { item, arrival });
    }

    fn pop(&mut self) -> Option<T> {
        self.entries.pop().map(|entry| entry.item)
    }

    fn len(&self) -> usize {
        self.entries.len()
    }
}

impl<T: Ord> Default for Heap<T> {
    fn default() -> Self {
        Self { entries: BinaryHeap::new(), arrivals: 0 }
    }
}

impl<T: Ord> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.item.cmp(&self.item).then(other.arrival.cmp(&self.arrival))
    }
}

impl<T: Ord> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T: Ord> Eq for Entry<T> {}
