//! Running the loop: iterations, stopping, stepping from outside, closing.
//!
//! One iteration: wait for the driver if nothing is ready; append ready descriptors, then due timers, to the ready queue;
//! run what was in the queue at that moment. What callbacks schedule waits for the next iteration.
//!
//! Invariants:
//! 1. The loop blocks only when nothing is ready and no other thread has sent anything.
//! 2. A panic ends the callback, not the iteration.
//! 3. Whatever way `run_forever` ends, the thread's running loop is what it was before.
//!
//! Absent on purpose: anything about futures. `run_until_complete` and `Runner` are floor 2's.

use crate::attention::Reason;
use crate::calls::CallContext;
use crate::closed_driver::ClosedDriver;
use crate::context::ContextSnapshot;
use crate::error::RunError;
use crate::event_loop::{EventLoop, State};
use crate::exception::ExceptionContext;
use crate::policy::RunningLoop;
use crate::ready_queue::{Entry, Stored};
use crate::timers::Nanos;
use asyncio_driver::{Deadline, LoopTime};
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::time::Duration;

impl EventLoop {
    /// Runs until [`stop`](Self::stop) is called.
    ///
    /// If `stop` was called before, one iteration runs, without waiting.
    ///
    /// # Errors
    ///
    /// [`RunError::Closed`], [`RunError::AlreadyRunning`] and [`RunError::OtherLoopRunning`] without having run anything;
    /// [`RunError::Interrupted`] and [`RunError::Driver`] with the rest still queued, so that the loop can be run again.
    ///
    /// # asyncio
    ///
    /// [`loop.run_forever`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.run_forever). Same;
    /// [`interrupt`](Self::interrupt) stands for `KeyboardInterrupt` and `SystemExit`.
    pub fn run_forever(&self) -> Result<(), RunError> {
        let _running = self.enter()?;
        let outcome = loop {
            match self.iterate(Limit::None, true) {
                Ok(()) if self.core.attention.has(Reason::STOPPING) => break Ok(()),
                Ok(()) => {}
                Err(error) => break Err(error),
            }
        };
        self.core.attention.set(Reason::STOPPING, false);
        outcome
    }

    /// Runs one iteration, waiting for at most `timeout` if nothing is ready (`None`: as long as it takes), for hosts that
    /// have a loop of their own.
    ///
    /// # Errors
    ///
    /// As [`run_forever`](Self::run_forever).
    ///
    /// # asyncio
    ///
    /// None; asyncio's private `_run_once`.
    pub fn run_once(&self, timeout: Option<Duration>) -> Result<(), RunError> {
        let _running = self.enter()?;
        let outcome = self.iterate(timeout.map_or(Limit::None, Limit::After), false);
        self.core.attention.set(Reason::STOPPING, false);
        outcome
    }

    /// Runs all that can run without waiting: until nothing is ready, no timer is due and the driver has no event.
    ///
    /// On a driver with virtual time no time passes. As long as a watched descriptor stays ready there is always something to
    /// run, so a callback must use its readiness up, or [`stop`](Self::stop).
    ///
    /// ```
    /// let event_loop = asyncio_loop::new_event_loop()?;
    /// let inner = event_loop.clone();
    /// event_loop.call_soon(move || drop(inner.call_soon(|| println!("in the second iteration"))));
    /// event_loop.run_until_blocked()?; // Returns, though nothing stops the loop.
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`run_forever`](Self::run_forever).
    ///
    /// # asyncio
    ///
    /// None. Trio has `wait_all_tasks_blocked` for the same purpose: tests that need no sleep.
    pub fn run_until_blocked(&self) -> Result<(), RunError> {
        let _running = self.enter()?;
        let outcome = loop {
            let done = self.core.counters.callbacks.get();
            match self.iterate(Limit::After(Duration::ZERO), false) {
                // With nothing ready the driver was asked, and what it gave was run.
                Ok(()) if self.core.counters.callbacks.get() == done || self.core.attention.has(Reason::STOPPING) => {
                    break Ok(());
                }
                Ok(()) => {}
                Err(error) => break Err(error),
            }
        };
        self.core.attention.set(Reason::STOPPING, false);
        outcome
    }

    /// Ends [`run_forever`](Self::run_forever) after the iteration under way. What it schedules runs when the loop is run
    /// again. Called while the loop does not run, it makes the next `run_forever` run one iteration.
    ///
    /// # asyncio
    ///
    /// [`loop.stop`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.stop). Same.
    pub fn stop(&self) {
        self.core.attention.set(Reason::STOPPING, true);
    }

    /// Ends [`run_forever`](Self::run_forever) after the callback under way, with [`RunError::Interrupted`]. The other
    /// callbacks stay queued, in order, and run when the loop is run again. Called while the loop does not run, it makes the
    /// next run end at once.
    ///
    /// # asyncio
    ///
    /// Raising `KeyboardInterrupt` or `SystemExit` in a callback.
    pub fn interrupt(&self) {
        self.core.attention.set(Reason::INTERRUPTED, true);
    }

    /// Whether the loop is running.
    ///
    /// # asyncio
    ///
    /// [`loop.is_running`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.is_running). Same.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.core.state.get() == State::Running
    }

    /// When the loop wants to be run again, in seconds of [`time`](Self::time): a time that has passed if something is ready,
    /// `None` if it waits for descriptors and other threads only. For hosts that have a loop of their own, together with
    /// [`poll_fd`](Self::poll_fd).
    #[must_use]
    pub fn next_deadline(&self) -> Option<f64> {
        self.receive();
        if !self.core.ready.borrow().is_empty() || self.core.attention.has(Reason::STOPPING) {
            return Some(self.time());
        }
        self.next_timer().map(crate::delay::secs_of_nanos)
    }

    /// A descriptor that is readable when the loop has something to do before its
    /// [`next_deadline`](Self::next_deadline), for hosts that have a loop of their own.
    ///
    /// # Errors
    ///
    /// `Unsupported` if the driver has none, `NotConnected` if the loop was closed; or no descriptor is left.
    #[cfg(unix)]
    pub fn poll_fd(&self) -> io::Result<std::os::fd::OwnedFd> {
        if self.is_closed() {
            return Err(io::Error::new(io::ErrorKind::NotConnected, crate::ClosedError));
        }
        let driver = self.core.driver.borrow();
        driver.poll_fd().map_or_else(
            || Err(io::Error::new(io::ErrorKind::Unsupported, "this driver has no descriptor to wait on")),
            |fd| fd.try_clone_to_owned(),
        )
    }

    /// Closes the loop: drops what is scheduled, stops to watch descriptors, restores signal actions, and gives the driver's
    /// descriptors back. A closed loop is closed for good; closing it again does nothing.
    ///
    /// In debug mode, what is [`pending`](Self::pending) is reported first.
    ///
    /// # Errors
    ///
    /// [`RunError::AlreadyRunning`] if the loop is running.
    ///
    /// # asyncio
    ///
    /// [`loop.close`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.close). Same.
    pub fn close(&self) -> Result<(), RunError> {
        match self.core.state.get() {
            State::Running => return Err(RunError::AlreadyRunning),
            State::Closed => return Ok(()),
            State::Idle if self.get_debug() => self.report_pending(),
            State::Idle => {}
        }
        self.core.state.set(State::Closed);
        let now = self.now();
        // Everything is taken out first and dropped with nothing borrowed: destructors may use the loop.
        let extensions = self.take_extensions();
        let messages = (self.core.arrived.take(), self.core.inbox.close());
        let signals = self.core.signals.take();
        let triggers = self.core.triggers.take();
        let watches = self.core.watches.take();
        let sources = self.core.sources.take().all();
        let timers = self.core.timers.borrow_mut().clear();
        let ready = self.core.ready.take();
        let closed = ClosedDriver::new(time_of(now));
        let driver = self.core.driver.replace(Box::new(closed));
        for extension in &extensions {
            extension.loop_closed();
        }
        for source in sources {
            source.loop_closed();
        }
        drop((extensions, messages, signals, triggers, timers, ready, watches, driver));
        Ok(())
    }

    /// Enters the loop: it is the running loop of this thread until the guard is dropped.
    fn enter(&self) -> Result<Running<'_>, RunError> {
        match self.core.state.get() {
            State::Closed => return Err(RunError::Closed),
            State::Running => return Err(RunError::AlreadyRunning),
            State::Idle => {}
        }
        if self.core.attention.take(Reason::INTERRUPTED) {
            return Err(RunError::Interrupted);
        }
        let slot = RunningLoop::set(self).ok_or(RunError::OtherLoopRunning)?;
        self.core.state.set(State::Running);
        if self.core.inbox.state().wake_up() {
            self.receive_all();
        }
        Ok(Running { event_loop: self, _slot: slot })
    }

    /// Runs one iteration; if it `may_go_on`, as many as can follow one another without a look at anything else.
    fn iterate(&self, limit: Limit, may_go_on: bool) -> Result<(), RunError> {
        let core = &*self.core;
        core.counters.iterations.bump();
        self.receive_batch();
        let batch = core.ready.borrow().len();
        let is_busy = batch > 0;
        if !is_busy || core.attention.has(Reason::POLL_NOW) || core.budget.is_spent(|| self.now()) {
            self.poll(is_busy, limit).map_err(RunError::Driver)?;
        }
        let batch = core.ready.borrow().len();
        if core.attention.has(Reason::WATCH_STEPS) {
            self.run_batches(batch, false, |entry| self.run_watched(entry));
        } else {
            self.run_batches(batch, may_go_on, |entry| self.run_entry(entry));
        }
        if core.attention.is_calm() {
            return Ok(());
        }
        self.note_end_of_steps();
        if core.attention.take(Reason::INTERRUPTED) { Err(RunError::Interrupted) } else { Ok(()) }
    }

    /// Takes in what other threads have sent, but not all of a flood: memory that is used again is in the cache.
    fn receive_batch(&self) {
        if self.core.inbox.state().is_notified() {
            self.receive_some(RECEIVE_MAX);
        }
    }

    /// Asks the driver for events and the timers for what is due; waits if nothing is ready.
    fn poll(&self, busy: bool, limit: Limit) -> io::Result<()> {
        let core = &*self.core;
        let mut deadline =
            if busy || core.attention.has(Reason::STOPPING) { Deadline::Now } else { self.wait_until(limit) };
        let blocking = deadline != Deadline::Now;
        if blocking && !core.inbox.state().try_sleep() {
            // A message has come in since we looked.
            deadline = Deadline::Now;
        }
        let mut events = core.events.take();
        let outcome = core.driver.borrow_mut().wait(deadline, &mut events);
        core.counters.polls.bump();
        if deadline == Deadline::Now {
            self.receive_batch();
        } else if core.inbox.state().wake_up() {
            self.receive_some(RECEIVE_MAX);
        }
        {
            let mut ready = core.ready.borrow_mut();
            let (sources, watches) = (core.sources.borrow(), core.watches.borrow());
            for &event in &events {
                if let Some(entry) = sources.take(event) {
                    if let Some(entry) = entry {
                        ready.push(entry);
                    }
                    continue;
                }
                watches.for_each_ready(event, |watcher| ready.push(Entry::Step(watcher.into())));
            }
        }
        events.clear();
        core.events.replace(events);
        let now = self.fire_timers();
        core.budget.polled(deadline != Deadline::Now, now);
        outcome
    }

    /// Appends the due timers to the ready queue. Gives the time, if there are timers.
    fn fire_timers(&self) -> Option<Nanos> {
        let core = &*self.core;
        core.attention.set(Reason::TIMERS_DUE, false);
        let mut timers = core.timers.borrow_mut();
        if timers.len() == 0 {
            return None;
        }
        let now = self.now();
        core.now.set(now);
        let mut ready = core.ready.borrow_mut();
        while let Some((timer, entry)) = timers.next_due(now) {
            core.counters.timers_fired.bump();
            match entry {
                // The call can be cancelled in its own table.
                Entry::Stored(_) => ready.extend(timers.take(timer)),
                Entry::Step(_) => ready.push(Entry::Stored(Stored::timer(timer))),
            }
        }
        Some(now)
    }

    /// Until when to wait, when nothing is ready.
    fn wait_until(&self, limit: Limit) -> Deadline {
        let core = &*self.core;
        core.ready.borrow_mut().trim();
        core.timers.borrow_mut().trim();
        core.sources.borrow_mut().trim();
        let timer = self.next_timer();
        let limit = match limit {
            Limit::None => None,
            Limit::After(Duration::ZERO) => return Deadline::Now,
            Limit::After(timeout) => {
                Some(self.now().saturating_add(Nanos::try_from(timeout.as_nanos()).unwrap_or(Nanos::MAX)))
            }
        };
        match timer.into_iter().chain(limit).min() {
            None => Deadline::Never,
            Some(when) => Deadline::At(time_of(when)),
        }
    }

    /// When the earliest timer is due. One at the end of time is never due, not even on a clock that jumps.
    fn next_timer(&self) -> Option<Nanos> {
        let mut timers = self.core.timers.borrow_mut();
        if timers.len() == 0 {
            return None;
        }
        timers.next_deadline().filter(|when| *when < Nanos::MAX)
    }

    /// Runs the first `batch` entries of the ready queue; and if it `may_go_on`, iteration after iteration until there is something
    /// else to look at. The one place from which user code is called.
    fn run_batches(&self, batch: usize, may_go_on: bool, run: impl Fn(Entry)) {
        let (left, batch) = (Cell::new(batch), Cell::new(batch));
        // One `catch_unwind` for all callbacks; after a panic the rest goes on under a new one.
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| {
            loop {
                while let Some(entry) = self.next_entry(&left) {
                    run(entry);
                }
                batch.set(self.end_iteration(batch.get(), may_go_on));
                left.set(batch.get());
                if batch.get() == 0 {
                    break;
                }
            }
        })) {
            let report = ExceptionContext::new("a callback panicked").with_panic(payload);
            let report = match CURRENT_LOCATION.take() {
                Some(location) => {
                    report.with_location(location).with("handle", format!("callback scheduled at {location}"))
                }
                None => report,
            };
            self.call_exception_handler(report);
        }
    }

    /// The next of the `left` entries of an iteration.
    #[inline]
    fn next_entry(&self, left: &Cell<usize>) -> Option<Entry> {
        let core = &*self.core;
        // What the last callback has deferred comes before all else, also after a panic.
        if core.attention.has(Reason::DEFERRED) {
            self.run_deferred();
        }
        if left.get() == 0 || core.attention.has(Reason::INTERRUPTED) {
            return None;
        }
        left.set(left.get() - 1);
        core.ready.borrow_mut().pop()
    }

    /// Counts an iteration that has run `batch` entries. If nothing but the ready queue is to be looked at, begins the next one:
    /// gives the number of its entries, or else zero.
    #[inline]
    fn end_iteration(&self, batch: usize, may_go_on: bool) -> usize {
        let core = &*self.core;
        core.counters.callbacks.add(batch as u64);
        if core.attention.has(Reason::POLL_ALWAYS) {
            return 0;
        }
        let (ran, next) = (u32::try_from(batch).unwrap_or(u32::MAX), core.ready.borrow().len());
        if next == 0 {
            // Most likely the driver is polled now, and nobody need look at the clock.
            core.budget.ran_all(ran);
            return 0;
        }
        let goes_on = core.budget.ran(ran, || self.now());
        if !goes_on || !may_go_on || !core.attention.is_calm() || core.inbox.state().is_notified() {
            return 0;
        }
        core.counters.iterations.bump();
        next
    }

    /// Runs one entry of the ready queue.
    #[inline]
    fn run_entry(&self, entry: Entry) {
        match entry {
            Entry::Step(step) => step.run(),
            Entry::Stored(stored) => self.run_stored(stored),
        }
    }

    /// Runs a call or a due timer, unless it was cancelled.
    fn run_stored(&self, stored: Stored) {
        if let Some(timer) = stored.as_timer() {
            let entry = self.core.timers.borrow_mut().take(timer);
            if let Some(Entry::Step(step)) = entry {
                step.run();
            }
            return;
        }
        let call = stored.as_call().and_then(|call| self.core.ready.borrow_mut().calls_mut().take(call));
        let Some((callback, context, location)) = call else { return };
        note_location(location);
        match context {
            CallContext::Copied(values) => {
                let _entered = EnteredContext::new(values);
                callback.call();
            }
            CallContext::Given(context) => context.run(|| callback.call()),
        }
        forget_location();
    }

    /// Where the entry that is about to run was created.
    fn location_of(&self, entry: &Entry) -> Option<&'static Location<'static>> {
        match entry {
            Entry::Step(step) => step.location(),
            Entry::Stored(stored) => match (stored.as_call(), stored.as_timer()) {
                (Some(call), _) => self.core.ready.borrow().calls().get(call).map(|call| call.location),
                (None, Some(timer)) => match self.core.timers.borrow().get(timer) {
                    Some(Entry::Step(step)) => step.location(),
                    _ => None,
                },
                (None, None) => None,
            },
        }
    }

    /// Runs one entry, for whoever asks for the loop's progress; in debug mode, reports it if it took too long.
    fn run_watched(&self, entry: Entry) {
        let location = self.location_of(&entry);
        let begin = self.now();
        self.note_step(location, time_of(begin));
        self.run_entry(entry);
        if !self.get_debug() {
            return;
        }
        let took = Duration::from_nanos(u64::try_from(self.now() - begin).unwrap_or(0));
        if took >= self.core.slow_callback.get() {
            let place = location
                .map_or_else(|| String::from("a step"), |location| format!("the callback scheduled at {location}"));
            let report = ExceptionContext::new(format!("executing {place} took {:.3} seconds", took.as_secs_f64()));
            self.call_exception_handler(match location {
                Some(location) => report.with_location(location),
                None => report,
            });
        }
    }
}

/// How many messages of other threads an iteration takes in.
const RECEIVE_MAX: usize = 256;

/// How long an iteration may wait.
#[derive(Clone, Copy)]
enum Limit {
    None,
    After(Duration),
}

thread_local! {
    /// Where the work that is running was scheduled; read only when it panics.
    static CURRENT_LOCATION: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// Notes where the callback that is about to run was created, in case that it panics.
pub(crate) fn note_location(location: &'static Location<'static>) {
    CURRENT_LOCATION.set(Some(location));
}

/// The callback has returned.
pub(crate) fn forget_location() {
    CURRENT_LOCATION.set(None);
}

/// Puts the previous values back when dropped, also by a panic.
struct EnteredContext(ContextSnapshot);

impl EnteredContext {
    fn new(mut values: ContextSnapshot) -> Self {
        values.exchange();
        Self(values)
    }
}

impl Drop for EnteredContext {
    fn drop(&mut self) {
        self.0.exchange();
    }
}

/// The loop is running while this lives.
struct Running<'a> {
    event_loop: &'a EventLoop,
    _slot: RunningLoop,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let core = &*self.event_loop.core;
        core.state.set(State::Idle);
        // Asleep again, so that messages make the driver's descriptor readable for a host that waits on it.
        if !core.inbox.state().try_sleep() {
            self.event_loop.receive();
        }
    }
}

impl EventLoop {
    /// The time on the driver's clock.
    pub(crate) fn loop_time(&self) -> LoopTime {
        time_of(self.now())
    }
}

/// A deadline as a driver has it; one before the start of the clock is at its start.
fn time_of(when: Nanos) -> LoopTime {
    LoopTime::from_nanos(u64::try_from(when).unwrap_or(0))
}
