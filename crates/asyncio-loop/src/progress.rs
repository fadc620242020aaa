//! `LoopProgress`: what other threads can see of a loop that does not answer: which step it is in, and since when.
//!
//! A loop that nobody asks writes nothing down: that somebody has asked is one of the reasons for attention, which an iteration
//! looks at in any case. From the first [`EventLoop::progress`] on, each step is noted under a lock that is taken
//! once for each step, for a moment, until nobody holds a `LoopProgress` any more.
//!
//! Invariant: the lock is never held while user code runs, so a loop that hangs does not hang whoever looks at it.
//!
//! Absent on purpose: a thread that looks. Whoever wants to be told of a loop that hangs brings one (floor 2 does, for task
//! dumps).

use crate::attention::Reason;
use crate::event_loop::EventLoop;
use asyncio_driver::LoopTime;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a loop is doing, as seen from any thread; see [`EventLoop::progress`].
#[derive(Clone, Debug, Default)]
pub struct LoopProgress(Arc<Mutex<Option<StepUnderWay>>>);

/// A step (a callback, or a step of a task) that has begun and has not come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StepUnderWay {
    /// Where it was scheduled, or its task created. `None` if that is not known: in the iteration in which
    /// [`EventLoop::progress`] was called first, and of what the loop does for itself.
    pub location: Option<&'static Location<'static>>,
    /// When it began, on the clock of the loop's driver: for the drivers of the system, that of all of them.
    pub since: LoopTime,
}

impl LoopProgress {
    /// The step that the loop is in; `None` while it waits, looks for events, or does not run.
    #[must_use]
    pub fn step(&self) -> Option<StepUnderWay> {
        *self.lock()
    }

    pub(crate) fn note(&self, step: Option<StepUnderWay>) {
        *self.lock() = step;
    }

    /// Whether nobody but the loop has it.
    pub(crate) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// Nothing that is done under this lock can panic.
    fn lock(&self) -> MutexGuard<'_, Option<StepUnderWay>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventLoop {
    /// What the loop is doing, for other threads, also while it hangs in a callback.
    ///
    /// From now on the loop notes the beginning of each step, which costs a reading of the clock and a lock that nobody
    /// contends for; it stops to do so in the first iteration after the last clone was dropped. What is running now, and the rest
    /// of the iteration under way, is noted as one step that begins here, without its place.
    ///
    /// ```
    /// let event_loop = asyncio_loop::new_event_loop()?;
    /// let progress = event_loop.progress();
    /// assert!(progress.step().is_none(), "it does not run");
    /// event_loop.call_soon(move || {
    ///     // Any thread may ask, and would be told the line of `call_soon`.
    ///     let step = std::thread::spawn(move || progress.step()).join().unwrap();
    ///     assert_eq!(step.unwrap().location.unwrap().file(), file!());
    /// });
    /// event_loop.run_until_blocked()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # asyncio
    ///
    /// None. In Python another thread can look at the frames of the loop's.
    #[must_use]
    pub fn progress(&self) -> LoopProgress {
        let progress = self.core.progress.borrow_mut().get_or_insert_default().clone();
        if self.is_running() && progress.step().is_none() {
            progress.note(Some(StepUnderWay { location: None, since: self.loop_time() }));
        }
        self.core.attention.set(Reason::PROGRESS, true);
        progress
    }

    /// Notes that a step begins, if anybody may want to know.
    pub(crate) fn note_step(&self, location: Option<&'static Location<'static>>, since: LoopTime) {
        if let Some(progress) = &*self.core.progress.borrow() {
            progress.note(Some(StepUnderWay { location, since }));
        }
    }

    /// Notes that no step is under way, and forgets about noting if nobody wants to know any more.
    pub(crate) fn note_end_of_steps(&self) {
        let mut slot = self.core.progress.borrow_mut();
        let Some(progress) = &*slot else { return };
        progress.note(None);
        if progress.is_abandoned() {
            *slot = None;
            self.core.attention.set(Reason::PROGRESS, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(event_loop: &EventLoop) {
        event_loop.call_soon(|| ());
        event_loop.run_until_blocked().unwrap();
    }

    #[test]
    fn steps_are_watched_for_as_long_as_somebody_may_ask() {
        let event_loop = EventLoop::builder().build().unwrap();
        let is_watched = || event_loop.core.attention.has(Reason::WATCH_STEPS);
        assert!(!is_watched());
        let progress = event_loop.progress();
        let other = event_loop.progress();
        drop(progress);
        turn(&event_loop);
        assert!(is_watched());
        drop(other);
        turn(&event_loop);
        assert!(!is_watched() && event_loop.core.progress.borrow().is_none());
        // Debug mode comes and goes on its own.
        let progress = event_loop.progress();
        event_loop.set_debug(true);
        event_loop.set_debug(false);
        assert!(is_watched());
        event_loop.set_debug(true);
        drop(progress);
        turn(&event_loop);
        assert!(is_watched());
        event_loop.set_debug(false);
        assert!(!is_watched());
        event_loop.close().unwrap();
    }
}
