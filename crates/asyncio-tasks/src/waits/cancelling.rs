//! Passing a cancellation on: to what a task waits for, to what that one waits for, and so on to the end.
//!
//! A chain of tasks may be long, so this is a loop: a stack of levels in memory, not of calls. (A `gather` in the chain is a call:
//! a chain of a hundred thousand gathers needs a deep stack.)
//!
//! Invariants:
//! 1. Depth first: a task is told when all that it waits for was told.
//! 2. A request goes by each task once: one that is passing it on does not get it again, so that a circle ends.

use super::{CancelTarget, WAITS, WaitId, WaitState};
use crate::error::CancelledError;
use crate::raw::TaskRef;
use crate::scopes;
use crate::task_state::Flags;
use asyncio_driver::Token;
use std::rc::Rc;
use std::vec;

/// Cancels the waits of a suspended task, or those in one of its scopes; says whether any of them has accepted.
pub(crate) fn cancel_all(task: &TaskRef, within: Option<Token>, error: &CancelledError) -> bool {
    let mut level = Level::new(task.clone(), within);
    let mut outer = Vec::new();
    loop {
        // Every wait is told, whatever the others say.
        while let Some(wait) = level.waits.next() {
            let Some(awaited) = level.cancel(wait, error) else { continue };
            awaited.begin_request(None);
            if awaited.state.is_polling() {
                awaited.end_request(false, error.clone());
            } else {
                outer.push(std::mem::replace(&mut level, Level::new(awaited, None)));
            }
        }
        let accepted = level.accepted;
        let Some(next) = outer.pop() else { return accepted };
        let told = std::mem::replace(&mut level, next);
        told.task.end_request(accepted, error.clone());
    }
}

/// A task that passes a cancellation on.
struct Level {
    task: TaskRef,
    waits: vec::IntoIter<WaitId>,
    accepted: bool,
    /// It was passing another one on already.
    was_passing_on: bool,
}

/// Where a wait leads.
enum Way {
    Task(TaskRef),
    Target(Rc<dyn CancelTarget>),
}

impl Level {
    fn new(task: TaskRef, within: Option<Token>) -> Self {
        let mut ids = Vec::new();
        // The table is gone at the end of the thread, and with it the waits.
        let _ = WAITS.try_with(|waits| {
            let mut waits = waits.borrow_mut();
            let mut slot = task.state.first_wait.get();
            while let Some((id, wait)) = waits.in_slot_mut(slot) {
                if within.is_none_or(|scope| scopes::is_in(scope, wait.scope)) {
                    ids.push(id);
                }
                slot = wait.sibling;
            }
        });
        let was_passing_on = task.state.has(Flags::PASSING_ON);
        task.state.set(Flags::PASSING_ON);
        Self { task, waits: ids.into_iter(), accepted: false, was_passing_on }
    }

    /// Cancels one wait. Gives the task that is to be told for it, and will accept.
    fn cancel(&mut self, id: WaitId, error: &CancelledError) -> Option<TaskRef> {
        let (way, before) = WAITS.with_borrow_mut(|waits| {
            let wait = waits.get_mut(id)?;
            if wait.state != WaitState::Waiting && wait.state != WaitState::Forwarded {
                return None;
            }
            let target = wait.rare.as_ref().and_then(|rare| rare.target.clone());
            let way = wait.awaited.clone().map(Way::Task).or(target.map(Way::Target));
            let new = if way.is_some() { WaitState::Forwarded } else { WaitState::Cancelled };
            Some((way, std::mem::replace(&mut wait.state, new)))
        })?;
        let accepted = match way {
            Some(Way::Task(awaited)) if !awaited.state.has(Flags::NOT_TOLD) => {
                self.accepted = true;
                return Some(awaited);
            }
            Some(Way::Task(_)) => false,
            Some(Way::Target(target)) => target.cancel(error),
            None => {
                self.task.state.with_extra(|extra| extra.accepted = Some(error.clone()));
                self.task.schedule();
                true
            }
        };
        self.accepted |= accepted;
        if !accepted {
            WAITS.with_borrow_mut(|waits| {
                if let Some(wait) = waits.get_mut(id).filter(|wait| wait.state == WaitState::Forwarded) {
                    wait.state = before;
                }
            });
        }
        None
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        if !self.was_passing_on {
            self.task.state.clear(Flags::PASSING_ON);
        }
    }
}
