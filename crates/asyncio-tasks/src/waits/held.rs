//! Queues for what somebody holds, a lock say: who waits for whom, for those who look on.
//!
//! Holding costs two words written. Only a queue in which somebody has waited while it was held is known here, and only by
//! weak references.
//!
//! Absent on purpose: any part in the waiting. A program runs the same without this.

use super::{QueueEnds, WaitId};
use crate::current::current;
use crate::raw::TaskRef;
use std::cell::RefCell;
use std::panic::Location;
use std::rc::{Rc, Weak};

thread_local! {
    /// The queues that have been waited in while they were held.
    static HELD: RefCell<Vec<Weak<QueueEnds>>> = const { RefCell::new(Vec::new()) };
}

/// Who holds what a queue is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    /// The number of the task, if it is one of ours. Not a reference, which would keep a finished task in memory.
    pub(crate) task: Option<u32>,
    /// Where it was acquired.
    pub(crate) location: &'static Location<'static>,
}

impl Holder {
    /// Whoever is running.
    #[inline]
    pub(crate) fn current(location: &'static Location<'static>) -> Self {
        Self { task: current().map(|task| task.state.number), location }
    }
}

/// Makes a queue known.
#[cold]
pub(super) fn list(queue: &Rc<QueueEnds>) {
    // The table is gone at the end of the thread, when nobody looks on any more.
    let _ = HELD.try_with(|held| {
        let mut held = held.borrow_mut();
        if held.len() == held.capacity() {
            held.retain(|queue| queue.strong_count() > 0);
        }
        held.push(Rc::downgrade(queue));
    });
}

/// The queues of this thread that are held, with those who wait in them, in order.
pub(crate) fn held() -> Vec<(Holder, Vec<(WaitId, TaskRef)>)> {
    let queues: Vec<_> = HELD.with_borrow(|held| held.iter().filter_map(Weak::upgrade).collect());
    queues.iter().filter_map(|queue| Some((queue.holder()?, queue.waiters()))).collect()
}
