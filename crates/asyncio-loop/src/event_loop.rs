//! `EventLoop`: scheduling. What a program asks of its loop while it runs, or before.
//!
//! The handle is one reference-counted pointer to the state of the loop, and stays on its thread. How the state is turned
//! into progress is `running`'s business.
//!
//! Invariants:
//! 1. User code (a callback, a destructor of what a callback holds, an exception handler) runs with nothing of the loop
//!    borrowed, so it may call anything on the loop.
//! 2. Whatever becomes ready is appended to the one ready queue, after what other threads have sent before.
//!
//! Absent on purpose: futures and tasks. A [`Step`] is all that this floor knows of them.

use crate::attention::{Attention, Reason};
use crate::calls::Call;
use crate::delay::{IntoDelay, nanos_of_secs, secs_of_nanos};
use crate::exception::ExceptionContext;
use crate::handle::{Handle, TimerHandle};
use crate::poll_budget::PollBudget;
use crate::progress::LoopProgress;
use crate::ready_queue::{Entry, ReadyQueue, Stored};
use crate::remote::{Inbox, LoopHandle, Message, Trigger};
use crate::signals::SignalHandlers;
use crate::source::Sources;
use crate::statistics::Counters;
use crate::step::Step;
use crate::timers::{Nanos, Timers};
use crate::watch::{Watcher, Watches};
use asyncio_driver::{Driver, Event, TimeHold, Token};
use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// One thread's event loop. Cheap to clone; all clones are the same loop.
///
/// It cannot leave its thread; [`handle`](EventLoop::handle) gives what other threads may use.
///
/// End it by [`close`](EventLoop::close): what belongs to a loop (a callback that has a clone of it, a task) keeps it alive, with
/// its descriptors. `Runner` and `run` do that.
///
/// ```
/// let event_loop = asyncio_loop::new_event_loop()?;
/// let stopper = event_loop.clone();
/// event_loop.call_soon(|| println!("soon"));
/// event_loop.call_later(0.001, move || stopper.stop());
/// event_loop.run_forever()?;
/// event_loop.close()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Using it on another thread does not compile:
///
/// ```compile_fail,E0277
/// let event_loop = asyncio_loop::new_event_loop().unwrap();
/// std::thread::spawn(move || event_loop.call_soon(|| ()));
/// ```
///
/// # asyncio
///
/// [The event loop](https://docs.python.org/3/library/asyncio-eventloop.html). Differs: upper floors add their methods by
/// extension traits.
#[derive(Clone)]
pub struct EventLoop {
    pub(crate) core: Rc<Core>,
}

/// State that an upper floor keeps with a loop; see [`EventLoop::extension`].
pub trait Extension: Any {
    /// The loop was just closed: nothing can be scheduled any more. Called once, with nothing borrowed.
    fn loop_closed(&self) {}
}

/// Names a timer that was set by [`EventLoop::schedule_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerKey(Token);

impl TimerKey {
    /// The token of the timer, for whoever keeps keys in a table.
    #[must_use]
    pub const fn token(self) -> Token {
        self.0
    }

    /// The key that [`token`](Self::token) was taken of.
    #[must_use]
    pub const fn of_token(token: Token) -> Self {
        Self(token)
    }
}

/// What is called with reports; see [`EventLoop::set_exception_handler`].
pub(crate) type ExceptionHandler = Rc<dyn Fn(&EventLoop, &ExceptionContext)>;

/// The state of a loop.
pub(crate) struct Core {
    pub(crate) ready: RefCell<ReadyQueue>,
    pub(crate) timers: RefCell<Timers<Entry>>,
    /// A timer that was due when it was set waits for the next iteration.
    /// The clock when it was last looked at.
    pub(crate) now: Cell<Nanos>,
    /// Borrowed mutably only while the driver waits, when no user code runs.
    pub(crate) driver: RefCell<Box<dyn Driver>>,
    pub(crate) events: RefCell<Vec<Event>>,
    pub(crate) watches: RefCell<Watches>,
    pub(crate) sources: RefCell<Sources>,
    /// What runs as soon as the callback under way is back; almost always empty, which `attention` tells.
    pub(crate) deferred: RefCell<VecDeque<Step>>,
    pub(crate) signals: RefCell<SignalHandlers>,
    pub(crate) triggers: RefCell<Vec<(Trigger, Rc<Watcher>)>>,
    pub(crate) inbox: Arc<Inbox>,
    /// What was taken out of the inbox and not taken in yet.
    pub(crate) arrived: RefCell<VecDeque<Message>>,
    pub(crate) state: Cell<State>,
    pub(crate) attention: Attention,
    pub(crate) budget: PollBudget,
    /// Where the steps are noted, if anybody wants to know.
    pub(crate) progress: RefCell<Option<LoopProgress>>,
    pub(crate) slow_callback: Cell<Duration>,
    pub(crate) exception_handler: RefCell<Option<ExceptionHandler>>,
    pub(crate) counters: Counters,
    extensions: RefCell<Vec<Rc<dyn Extension>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Idle,
    Running,
    Closed,
}

impl Drop for Core {
    /// A loop that nobody can run any more accepts nothing from other threads.
    fn drop(&mut self) {
        drop(self.inbox.close());
    }
}

impl EventLoop {
    pub(crate) fn of_driver(driver: Box<dyn Driver>, strict_order: bool, debug: bool) -> Self {
        let inbox = Arc::new(Inbox::new(driver.notifier()));
        let poll_always = strict_order || driver.capabilities().free_poll;
        let now = nanos(driver.now());
        let core = Core {
            ready: RefCell::default(),
            timers: RefCell::new(Timers::new()),
            now: Cell::new(now),
            driver: RefCell::new(driver),
            events: RefCell::default(),
            watches: RefCell::default(),
            sources: RefCell::default(),
            deferred: RefCell::default(),
            signals: RefCell::default(),
            triggers: RefCell::default(),
            inbox,
            arrived: RefCell::default(),
            state: Cell::new(State::Idle),
            attention: Attention::new(),
            budget: PollBudget::new(),
            progress: RefCell::default(),
            slow_callback: Cell::new(SLOW_CALLBACK),
            exception_handler: RefCell::default(),
            counters: Counters::default(),
            extensions: RefCell::default(),
        };
        core.attention.set(Reason::POLL_ALWAYS, poll_always);
        core.attention.set(Reason::DEBUG, debug);
        Self { core: Rc::new(core) }
    }

    /// Calls `callback` in the next iteration, after all that is ready now, in a copy of the current context.
    ///
    /// Callbacks run in the order in which they were scheduled. Costs no allocation if the callback is small (at most four
    /// words).
    ///
    /// On a closed loop the callback is dropped, the returned handle is cancelled, and the exception handler is told.
    ///
    /// # asyncio
    ///
    /// [`loop.call_soon`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.call_soon). Same; arguments
    /// are captured by the closure, and a closed loop is reported instead of raising.
    #[track_caller]
    pub fn call_soon<F: FnOnce() + 'static>(&self, callback: F) -> Handle {
        let location = Location::caller();
        if self.is_closed() {
            return self.refuse(location);
        }
        self.receive();
        let mut ready = self.core.ready.borrow_mut();
        let call = ready.calls_mut().insert(callback, location);
        ready.push(Entry::Stored(Stored::call(call)));
        drop(ready);
        Handle::new(self.clone(), call, false)
    }

    /// Calls `callback` once, `delay` from now: seconds (`2`, `0.5`) or a `Duration`.
    ///
    /// Never early. Timers fire in the order of their deadlines, equal deadlines in the order of scheduling; a due timer
    /// runs after what is ready already. A negative delay is a deadline in the past. A closed loop is dealt with as by
    /// [`call_soon`](Self::call_soon).
    ///
    /// # Panics
    ///
    /// If `delay` is NaN.
    ///
    /// # asyncio
    ///
    /// [`loop.call_later`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.call_later). Differs: equal
    /// deadlines have an order, and nothing fires up to one clock resolution early.
    #[track_caller]
    pub fn call_later<F: FnOnce() + 'static>(&self, delay: impl IntoDelay, callback: F) -> TimerHandle {
        let now = self.now();
        // A timer without a delay is due now, and not when the clock was looked at last.
        self.core.now.set(now);
        self.call_when(now.saturating_add(delay.into_delay().as_nanos()), callback, Location::caller())
    }

    /// Calls `callback` once, when [`time`](Self::time) reaches `when` (seconds); otherwise as
    /// [`call_later`](Self::call_later).
    ///
    /// # Panics
    ///
    /// If `when` is NaN.
    ///
    /// # asyncio
    ///
    /// [`loop.call_at`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.call_at). As `call_later`.
    #[track_caller]
    pub fn call_at<F: FnOnce() + 'static>(&self, when: f64, callback: F) -> TimerHandle {
        self.call_when(nanos_of_secs(when), callback, Location::caller())
    }

    /// The time on the loop's clock, in seconds. It never goes back; its start is the driver's affair.
    ///
    /// Reads the clock each time. After [`close`](Self::close) it stands still.
    ///
    /// # asyncio
    ///
    /// [`loop.time`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.time). Same.
    #[must_use]
    pub fn time(&self) -> f64 {
        secs_of_nanos(self.now())
    }

    /// The side of this loop that other threads may touch.
    #[must_use]
    pub fn handle(&self) -> LoopHandle {
        LoopHandle::new(self.core.inbox.clone())
    }

    /// Makes a [`Trigger`]: `callback` runs on the loop after each time it was fired, or once for several times.
    ///
    /// Once all clones of a trigger have been dropped, its callback is dropped when the next trigger is made, or when the
    /// loop is closed.
    #[track_caller]
    pub fn create_trigger(&self, callback: impl FnMut() + 'static) -> Trigger {
        let trigger = self.core.inbox.trigger();
        let watcher = Watcher::new(callback, Location::caller());
        let mut triggers = self.core.triggers.borrow_mut();
        let abandoned: Vec<_> = triggers.extract_if(.., |(trigger, _)| trigger.is_abandoned()).collect();
        triggers.push((trigger.clone(), watcher));
        drop(triggers);
        drop(abandoned); // With nothing borrowed: what the callbacks held may call back.
        trigger
    }

    /// Appends one step of `step` to the ready queue. What is scheduled on a closed loop is dropped.
    ///
    /// For authors of upper floors: no allocation, no context, no handle.
    #[inline]
    pub fn schedule(&self, step: impl Into<Step>) {
        if !self.is_closed() {
            let step = step.into();
            self.receive();
            self.core.ready.borrow_mut().push(Entry::Step(step));
        }
    }

    /// Schedules one step of `step` for when the clock reaches `when`, in nanoseconds; see [`nanos`](Self::nanos).
    ///
    /// For authors of upper floors. On a closed loop nothing is scheduled.
    pub fn schedule_at(&self, when: i64, step: impl Into<Step>) -> TimerKey {
        TimerKey(if self.is_closed() { NO_CALL } else { self.set_timer(when, Entry::Step(step.into())) })
    }

    /// Takes back what [`schedule_at`](Self::schedule_at) has scheduled, and says whether that was in time: before it ran,
    /// even if it was due.
    pub fn unschedule(&self, key: TimerKey) -> bool {
        self.cancel_timer(key.0)
    }

    /// For when [`schedule_at`](Self::schedule_at) has scheduled something; `None` if that has run, or was taken back.
    #[must_use]
    pub fn scheduled_when(&self, key: TimerKey) -> Option<i64> {
        self.core.timers.borrow().when(key.0)
    }

    /// The clock in nanoseconds, as [`schedule_at`](Self::schedule_at) has it.
    #[must_use]
    pub fn nanos(&self) -> i64 {
        self.now()
    }

    /// Whether the step that runs has kept the loop from descriptors and timers for more than a millisecond. Looks at the clock.
    ///
    /// For authors of upper floors: who could go on for ever lets others run then.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        self.core.budget.is_overdue(self.now())
    }

    /// Says that somebody outside works for this loop and will wake it, for as long as what comes back lives: virtual time
    /// does not jump meanwhile. `None` where time is real.
    ///
    /// For authors of upper floors, such as the executor bridge.
    #[must_use]
    pub fn hold_time(&self) -> Option<Box<dyn TimeHold>> {
        self.core.driver.borrow().hold_time()
    }

    /// The value of type `T` that belongs to this loop, made at first use: where upper floors keep their state.
    ///
    /// It is dropped when the loop is closed or dropped.
    pub fn extension<T: Extension>(&self, make: impl FnOnce(&Self) -> T) -> Rc<T> {
        if let Some(found) = self.find_extension() {
            return found;
        }
        let new = Rc::new(make(self));
        self.core.extensions.borrow_mut().push(new.clone());
        new
    }

    /// The value of type `T` that belongs to this loop, if it was made already.
    #[must_use]
    pub fn find_extension<T: Extension>(&self) -> Option<Rc<T>> {
        let extensions = self.core.extensions.borrow();
        let found = extensions.iter().find(|extension| (***extension).type_id() == TypeId::of::<T>())?;
        (found.clone() as Rc<dyn Any>).downcast().ok()
    }

    /// Whether both are the same loop.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.core, &other.core)
    }

    /// Whether debug mode is on. It starts on if the environment variable `ASYNCIO_DEBUG` is set and not empty.
    ///
    /// # asyncio
    ///
    /// [`loop.get_debug`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.get_debug). Same.
    #[must_use]
    pub fn get_debug(&self) -> bool {
        self.core.attention.has(Reason::DEBUG)
    }

    /// Switches debug mode: callbacks that take longer than [`slow_callback_duration`](Self::slow_callback_duration) are
    /// reported, with the place where they were scheduled. Takes effect with the next iteration.
    ///
    /// # asyncio
    ///
    /// [`loop.set_debug`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.set_debug). Differs: what asyncio
    /// checks at run time (wrong thread, not a callable) does not compile here.
    pub fn set_debug(&self, enabled: bool) {
        self.core.attention.set(Reason::DEBUG, enabled);
    }

    /// How long a callback may take before debug mode reports it. Default: 0.1 seconds.
    #[must_use]
    pub fn slow_callback_duration(&self) -> Duration {
        self.core.slow_callback.get()
    }

    /// Sets [`slow_callback_duration`](Self::slow_callback_duration).
    ///
    /// # Panics
    ///
    /// If `duration` is NaN.
    #[track_caller]
    pub fn set_slow_callback_duration(&self, duration: impl IntoDelay) {
        let nanos = u64::try_from(duration.into_delay().as_nanos()).unwrap_or(0);
        self.core.slow_callback.set(Duration::from_nanos(nanos));
    }

    /// Whether the loop was closed.
    #[must_use]
    #[inline]
    pub fn is_closed(&self) -> bool {
        self.core.state.get() == State::Closed
    }

    /// Takes in what other threads have sent. One load if there is nothing.
    #[inline]
    pub(crate) fn receive(&self) {
        if self.core.inbox.state().is_notified() {
            self.receive_all();
        }
    }

    /// As `receive`, when it is known that there is something.
    #[cold]
    pub(crate) fn receive_all(&self) {
        self.receive_some(usize::MAX);
    }

    /// Takes in at most `limit` of what other threads have sent; the rest is taken in later.
    pub(crate) fn receive_some(&self, limit: usize) {
        self.core.inbox.state().look(self.core.state.get() == State::Running);
        let mut arrived = self.core.arrived.borrow_mut();
        let mut left = limit;
        // What is left of an earlier batch comes first, and is not overtaken. The inbox is emptied once: what comes in
        // meanwhile has notified again, and however fast it comes, this ends.
        let mut is_emptied = false;
        while left > 0 {
            if arrived.is_empty() && !std::mem::replace(&mut is_emptied, true) {
                self.core.inbox.take_messages(&mut arrived);
            }
            let Some(message) = arrived.pop_front() else { break };
            left -= 1;
            if message.is_taken_back() {
                continue;
            }
            let (callback, values, location) = message.into_parts();
            let mut ready = self.core.ready.borrow_mut();
            let call = ready.calls_mut().insert_in(callback, values, location);
            ready.push(Entry::Stored(Stored::call(call)));
        }
        // What has notified before `look` and was not taken in must not be forgotten.
        if !arrived.is_empty() || !is_emptied {
            self.core.inbox.state().remind();
        }
        drop(arrived);
        if self.core.inbox.take_poked() {
            let mut ready = self.core.ready.borrow_mut();
            self.core.signals.borrow().for_each_pending(|step| ready.push(Entry::Step(step.into())));
            for (trigger, step) in &*self.core.triggers.borrow() {
                if trigger.take() {
                    ready.push(Entry::Step(step.clone().into()));
                }
            }
        }
    }

    /// Reads the clock.
    pub(crate) fn now(&self) -> Nanos {
        nanos(self.core.driver.borrow().now())
    }

    pub(crate) fn with_call<R>(&self, call: Token, look: impl FnOnce(&mut Call) -> R) -> Option<R> {
        self.core.ready.borrow_mut().calls_mut().get_mut(call).map(look)
    }

    pub(crate) fn cancel_call(&self, call: Token) {
        let call = self.core.ready.borrow_mut().calls_mut().take(call);
        drop(call); // With nothing borrowed: what the callback held may call back.
    }

    pub(crate) fn cancel_timer(&self, timer: Token) -> bool {
        let entry = self.core.timers.borrow_mut().cancel(timer);
        entry.is_some()
    }

    /// Removes all that belongs to upper floors; they drop it with nothing borrowed.
    pub(crate) fn take_extensions(&self) -> Vec<Rc<dyn Extension>> {
        self.core.extensions.take()
    }

    fn call_when<F>(&self, when: Nanos, callback: F, location: &'static Location<'static>) -> TimerHandle
    where
        F: FnOnce() + 'static,
    {
        if self.is_closed() {
            return TimerHandle::new(self.refuse(location), NO_CALL, when);
        }
        let call = self.core.ready.borrow_mut().calls_mut().insert(callback, location);
        let timer = self.set_timer(when, Entry::Stored(Stored::call(call)));
        TimerHandle::new(Handle::new(self.clone(), call, false), timer, when)
    }

    fn set_timer(&self, when: Nanos, entry: Entry) -> Token {
        if when <= self.core.now.get() {
            self.core.attention.set(Reason::TIMERS_DUE, true);
        }
        self.core.timers.borrow_mut().insert(when, entry)
    }

    #[cold]
    fn refuse(&self, location: &'static Location<'static>) -> Handle {
        let report = ExceptionContext::new("a callback was scheduled on an event loop that is closed");
        self.call_exception_handler(report.with_location(location));
        Handle::new(self.clone(), NO_CALL, true)
    }
}

/// The token of no call and no timer.
const NO_CALL: Token = Token::new(u32::MAX, u32::MAX);

/// The default of [`EventLoop::slow_callback_duration`].
const SLOW_CALLBACK: Duration = Duration::from_millis(100);

/// A driver's time as the timers have it.
pub(crate) fn nanos(time: asyncio_driver::LoopTime) -> Nanos {
    Nanos::try_from(time.as_nanos()).unwrap_or(Nanos::MAX)
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("state", &self.core.state.get())
            .field("debug", &self.get_debug())
            .finish_non_exhaustive()
    }
}
