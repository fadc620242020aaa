//! `QueueEnds`: waits in order, as a list through the table.
//!
//! Invariants:
//! 1. A wait is in the list from `begin` to `end`, in order of arrival.
//! 2. `fresh` never goes back over a wait: each is passed once, so waking one after the other takes linear time in all.

use super::held::{self, Holder};
use super::{Ended, Link, NO_SLOT, Resume, WAITS, Wait, WaitId, WaitState, end_in, insert};
use crate::current::current_owner_of;
use crate::raw::TaskRef;
use asyncio_driver::Slots;
use std::cell::Cell;
use std::rc::Rc;
use std::task::Context;

/// The ends of a queue of waits, for [`WaitQueue`](crate::WaitQueue).
///
/// Waits in a queue are linked to nothing, so they are `Waiting` until they are decided or cancelled, for good.
#[derive(Debug)]
pub(crate) struct QueueEnds {
    first: Cell<u32>,
    last: Cell<u32>,
    /// No wait before this one is `Waiting` any more.
    fresh: Cell<u32>,
    len: Cell<usize>,
    /// Who holds what this queue is for.
    holder: Cell<Option<Holder>>,
    fame: Cell<Fame>,
}

/// What those who look on may know of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fame {
    /// It is not for something that is held.
    Plain,
    /// It is, and nobody has waited in it since.
    Unlisted,
    Listed,
}

impl QueueEnds {
    pub(crate) const fn new() -> Self {
        Self {
            first: Cell::new(NO_SLOT),
            last: Cell::new(NO_SLOT),
            fresh: Cell::new(NO_SLOT),
            len: Cell::new(0),
            holder: Cell::new(None),
            fame: Cell::new(Fame::Plain),
        }
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len.get()
    }

    pub(crate) const fn holder(&self) -> Option<Holder> {
        self.holder.get()
    }

    #[inline]
    pub(crate) fn set_holder(&self, holder: Option<Holder>) {
        self.holder.set(holder);
        if self.fame.get() == Fame::Plain {
            self.fame.set(Fame::Unlisted);
        }
    }

    /// Begins to wait at the end of the queue, on behalf of whoever polls with `cx`.
    pub(crate) fn begin(self: &Rc<Self>, cx: &Context<'_>) -> WaitId {
        if self.fame.get() == Fame::Unlisted {
            self.fame.set(Fame::Listed);
            held::list(self);
        }
        let wait = match current_owner_of(cx.waker()) {
            Some(task) => Wait::plain(task, None),
            None => Wait::rare(cx, false, Link::None),
        };
        let id = WAITS.with_borrow_mut(|waits| {
            let id = insert(waits, Wait { previous: self.last.get(), ..wait });
            match waits.in_slot_mut(self.last.get()) {
                Some((_, last)) => last.next = id.slot(),
                None => self.first.set(id.slot()),
            }
            id
        });
        self.last.set(id.slot());
        if self.fresh.get() == NO_SLOT {
            self.fresh.set(id.slot());
        }
        self.len.set(self.len.get() + 1);
        id
    }

    /// Ends a wait that is in this queue.
    pub(crate) fn end(&self, id: WaitId) {
        // The table is gone at the end of the thread, and with it the waits.
        let gone = WAITS.try_with(|waits| self.take_out(&mut waits.borrow_mut(), id));
        drop(gone);
    }

    /// Ends a wait that is in this queue, if it is decided; otherwise says what it is.
    pub(crate) fn end_if_decided(&self, id: WaitId) -> WaitState {
        let (state, gone) = WAITS.with_borrow_mut(|waits| match waits.get(id).map(|wait| wait.state) {
            Some(WaitState::Decided) | None => (WaitState::Decided, self.take_out(waits, id)),
            Some(state) => (state, None),
        });
        drop(gone);
        state
    }

    fn take_out(&self, waits: &mut Slots<Wait>, id: WaitId) -> Option<Ended> {
        let wait = waits.get(id)?;
        let (previous, next) = (wait.previous, wait.next);
        match waits.in_slot_mut(previous) {
            Some((_, wait)) => wait.next = next,
            None => self.first.set(next),
        }
        match waits.in_slot_mut(next) {
            Some((_, wait)) => wait.previous = previous,
            None => self.last.set(previous),
        }
        if self.fresh.get() == id.slot() {
            self.fresh.set(next);
        }
        self.len.set(self.len.get() - 1);
        end_in(waits, id)
    }

    /// Wakes the wait at the head, unless it is decided or cancelled; says whether it did.
    #[inline]
    pub(crate) fn wake_head(&self) -> bool {
        // Beyond the head, nothing is asked; before `fresh`, nothing waits.
        self.fresh.get() == self.first.get() && self.fresh.get() != NO_SLOT && self.wake_among(1)
    }

    /// Wakes the first wait that is neither decided nor cancelled; says whether there was one.
    #[inline]
    pub(crate) fn wake_next(&self) -> bool {
        self.fresh.get() != NO_SLOT && self.wake_among(usize::MAX)
    }

    /// Wakes the first of the next `limit` fresh waits that is `Waiting`.
    fn wake_among(&self, limit: usize) -> bool {
        // The table is gone at the end of the thread, and with it the waits.
        let resume = WAITS.try_with(|waits| {
            let mut waits = waits.borrow_mut();
            for _ in 0..limit {
                let (_, wait) = waits.in_slot_mut(self.fresh.get())?;
                self.fresh.set(wait.next);
                if wait.state == WaitState::Waiting {
                    wait.state = WaitState::Decided;
                    return Some(Resume::of(wait));
                }
            }
            None
        });
        resume.ok().flatten().map(Resume::go).is_some()
    }

    /// The tasks that wait undecided, in order. For those who look on.
    pub(crate) fn waiters(&self) -> Vec<(WaitId, TaskRef)> {
        let mut waiters = Vec::new();
        WAITS.with_borrow_mut(|waits| {
            let mut slot = self.first.get();
            while let Some((id, wait)) = waits.in_slot_mut(slot) {
                slot = wait.next;
                if let (WaitState::Waiting, Some(task)) = (wait.state, &wait.task) {
                    waiters.push((id, task.clone()));
                }
            }
        });
        waiters
    }

    /// How many waits are in a state that `counts`; no more than `limit`, at which it stops.
    pub(crate) fn count(&self, limit: usize, counts: impl Fn(WaitState) -> bool) -> usize {
        if self.first.get() == NO_SLOT {
            return 0;
        }
        WAITS.with_borrow_mut(|waits| {
            let (mut found, mut slot) = (0, self.first.get());
            while let Some((_, wait)) = waits.in_slot_mut(slot)
                && found < limit
            {
                found += usize::from(counts(wait.state));
                slot = wait.next;
            }
            found
        })
    }
}
