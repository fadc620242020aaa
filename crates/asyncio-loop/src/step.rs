//! `Step`: something that is ready to run, in two words.
//!
//! Most of what runs on a loop runs again and again: tasks, watched descriptors. A step is a pointer to such a thing and a
//! table that says how to run it; scheduling one costs a queue entry and nothing else. [`Runnable`] in an `Rc` is the safe
//! way to make one. Floor 2 makes steps of its task cells by [`Step::from_raw`].
//!
//! Invariants, on which the safety of this module rests:
//! 1. `data` holds what `vtable` expects, and stands for one use: `run` or `drop`, once.
//! 2. A `Step` is not `Send`: it is used on the thread on which it was made.

#![expect(unsafe_code, reason = "a thin pointer to a thing of unknown type; decision 0003 has the measurement")]

use asyncio_driver::Token;
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::panic::Location;
use std::ptr::NonNull;
use std::rc::Rc;

/// Something that is ready to run once, on this thread. Dropping it takes it back.
pub struct Step {
    data: StepData,
    vtable: &'static StepVTable,
}

/// What a [`Step`] is about: an address, or a number where an address would have to be kept valid. One word, so that a step
/// travels in registers.
pub type StepData = *mut ();

/// How a [`Step`] is run and dropped.
///
/// Each function is called with the `data` of the step, on the thread on which the step was made.
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "made as a constant by authors of upper floors")]
pub struct StepVTable {
    /// Runs the step and uses `data` up. A panic is reported to the loop's exception handler.
    pub run: unsafe fn(StepData),
    /// Uses `data` up without running.
    pub drop: unsafe fn(StepData),
    /// Where in the program the thing was created, for reports.
    pub location: unsafe fn(StepData) -> Option<&'static Location<'static>>,
}

impl Step {
    /// A step of anything.
    ///
    /// # Safety
    ///
    /// `data` must be valid for one call of `vtable.run` or `vtable.drop`, and for any number of calls of
    /// `vtable.location` before, all on this thread, at any time until then.
    #[must_use]
    pub const unsafe fn from_raw(data: NonNull<()>, vtable: &'static StepVTable) -> Self {
        Self { data: data.as_ptr(), vtable }
    }

    /// A step that calls `S::run` with `token`, whatever has become of what the token names.
    #[must_use]
    pub fn of_token<S: TokenStep>(token: Token) -> Self {
        let vtable = const { &StepVTable { run: run_token::<S>, drop: drop_token, location: no_location } };
        Self { data: token_word::pack(token), vtable }
    }

    /// Runs it.
    pub(crate) fn run(self) {
        let (data, vtable) = (self.data, self.vtable);
        mem::forget(self);
        // SAFETY: `data` has not been used (invariant 1): `self` is forgotten.
        unsafe { (vtable.run)(data) };
    }

    /// Where the thing was created.
    pub(crate) fn location(&self) -> Option<&'static Location<'static>> {
        // SAFETY: `data` has not been used, for `self` is there (invariant 1).
        unsafe { (self.vtable.location)(self.data) }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        // SAFETY: `data` has not been used (invariant 1), and this is the end of `self`.
        unsafe { (self.vtable.drop)(self.data) };
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("created_at", &self.location().map(ToString::to_string)).finish()
    }
}

/// What a step made by [`Step::of_token`] does.
pub trait TokenStep {
    /// Runs the step.
    fn run(token: Token);
}

/// Uses up a `data` of [`token_word::pack`].
fn run_token<S: TokenStep>(data: StepData) {
    S::run(token_word::unpack(data));
}

fn drop_token(data: StepData) {
    token_word::unpack(data);
}

/// A token in a word of the machine.
#[cfg(target_pointer_width = "64")]
mod token_word {
    use super::{StepData, Token};
    use std::ptr::without_provenance_mut;

    pub(super) const fn pack(token: Token) -> StepData {
        without_provenance_mut(token.to_word() as usize)
    }

    pub(super) fn unpack(data: StepData) -> Token {
        Token::from_word(data.addr() as u64)
    }
}

/// A token, which does not fit into a word of this machine, behind an address.
#[cfg(not(target_pointer_width = "64"))]
mod token_word {
    use super::{StepData, Token};

    pub(super) fn pack(token: Token) -> StepData {
        Box::into_raw(Box::new(token)).cast()
    }

    pub(super) fn unpack(data: StepData) -> Token {
        // SAFETY: `data` is of `pack`, and is used up: a step is run or dropped, once.
        *unsafe { Box::from_raw(data.cast()) }
    }
}

fn no_location(_: StepData) -> Option<&'static Location<'static>> {
    None
}

/// Something that runs step by step, each time it is scheduled.
pub trait Runnable: 'static {
    /// Runs one step. Called once for each time it was scheduled, in order. A panic is reported to the exception handler.
    fn run(self: Rc<Self>);

    /// Where in the program this was created, for reports of slow steps.
    fn location(&self) -> Option<&'static Location<'static>> {
        None
    }
}

impl<R: Runnable> From<Rc<R>> for Step {
    fn from(runnable: Rc<R>) -> Self {
        // Not by way of a reference, which would have no right to the counts beside the value.
        let data = Rc::into_raw(runnable).cast_mut().cast();
        Self { data, vtable: const { &StepVTable { run: run::<R>, drop: drop_unused::<R>, location: location::<R> } } }
    }
}

/// # Safety
///
/// `data` comes from an `Rc<R>` that was forgotten, and is used up.
unsafe fn run<R: Runnable>(data: StepData) {
    // SAFETY: as promised by the caller.
    let runnable = unsafe { rc::<R>(data) };
    runnable.run();
}

/// # Safety
///
/// As for [`run`].
unsafe fn drop_unused<R: Runnable>(data: StepData) {
    // SAFETY: as promised by the caller.
    drop(unsafe { rc::<R>(data) });
}

/// # Safety
///
/// `data` comes from an `Rc<R>` that was forgotten, and is not used up yet.
unsafe fn location<R: Runnable>(data: StepData) -> Option<&'static Location<'static>> {
    // SAFETY: as promised by the caller; the count stays where it is.
    ManuallyDrop::new(unsafe { rc::<R>(data) }).location()
}

/// # Safety
///
/// `data` comes from an `Rc<R>` that was forgotten; its count goes to the result.
unsafe fn rc<R>(data: StepData) -> Rc<R> {
    // SAFETY: as promised by the caller.
    unsafe { Rc::from_raw(data.cast::<R>()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[derive(Default)]
    struct Counted(Cell<u32>);
    impl Runnable for Counted {
        fn run(self: Rc<Self>) {
            self.0.set(self.0.get() + 1);
        }
    }

    #[test]
    fn a_step_is_run_or_dropped_and_owns_one_count() {
        let counted = Rc::new(Counted::default());
        let (first, second) = (Step::from(counted.clone()), Step::from(counted.clone()));
        assert_eq!(Rc::strong_count(&counted), 3);
        first.run();
        drop(second);
        assert_eq!((Rc::strong_count(&counted), counted.0.get()), (1, 1));
        assert_eq!(size_of::<Option<Step>>(), 2 * size_of::<usize>());
    }
}
