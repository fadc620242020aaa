//! `Rare`: what few waits have, in boxes that are used again, so that waiting for a future allocates nothing.
//!
//! Absent on purpose: a bound of what is in use. What is spare is bounded.

use super::{CancelTarget, Observed};
use std::cell::RefCell;
use std::fmt;
use std::mem;
use std::rc::{Rc, Weak};
use std::task::Waker;

/// What few waits have.
#[derive(Default)]
pub(super) struct Rare {
    /// To be woken in place of the task: a foreign one, or that of a combinator inside the task.
    pub(super) waker: Option<Waker>,
    pub(super) target: Option<Rc<dyn CancelTarget>>,
    pub(super) observed: Option<Weak<dyn Observed>>,
}

/// So many boxes are kept for the next waits.
const SPARE_MAX: usize = 64;

type Spare = Vec<Box<Rare>>;

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Vec::new()) };
}

impl Rare {
    /// Puts this into a box.
    pub(super) fn boxed(self) -> Box<Self> {
        let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
        let mut boxed = spare.ok().flatten().unwrap_or_default();
        *boxed = self;
        boxed
    }

    /// Drops what is in the box, and keeps the box.
    pub(super) fn recycle(mut boxed: Box<Self>) {
        let content = mem::take(&mut *boxed);
        // The boxes are gone at the end of the thread.
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_MAX {
                spare.push(boxed);
            }
        });
        // With nothing borrowed: this may run any code.
        drop(content);
    }
}

impl fmt::Debug for Rare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rare").field("waker", &self.waker).finish_non_exhaustive()
    }
}
