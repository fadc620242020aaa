//! `timeout`, `timeout_at`, `wait_for`: a limit on how long something may take.
//!
//! A timeout is a catch scope with a timer. When the timer fires, the task is cancelled, as by `cancel()`: whatever is inside
//! may clean up, and takes the time it needs. When the cancellation reaches the scope, it absorbs exactly the request that
//! was its own; if there are others, it passes the cancellation on.
//!
//! Invariants:
//! 1. A request that the timer has made is taken back exactly once: when the scope is left, on whatever way.
//! 2. The timer is set only while the scope is entered.

use crate::catch::raise;
use crate::current::current;
use crate::ensure::Ensure;
use crate::error::{CancelledError, TimeoutError};
use crate::raw::TaskRef;
use crate::scopes::ScopeGuard;
use crate::sleep::running_loop;
use crate::task_state::Flags;
use asyncio_driver::{Slots, Token};
use asyncio_loop::{Delay, EventLoop, IntoDeadline, IntoTimeout, Step, TimerKey, TokenStep};
use pin_project_lite::pin_project;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Runs `inside`, and cancels it when `delay` has passed: seconds, a `Duration`, or `None` for no limit.
///
/// The time runs from this call. `inside` is dropped up to its innermost catch scope, which may clean up; the call returns
/// when that is done, with `Err(TimeoutError)`, or with the value that it gave after all. A cancellation of the task from
/// outside goes through, also if it comes together with the timeout. A limit that has passed already interrupts the first
/// wait, but not an `inside` that does not wait.
///
/// # Cancel safety
///
/// As safe as `inside`.
///
/// # Panics
///
/// If `delay` is NaN; when polled, if not inside a task.
///
/// # asyncio
///
/// [`asyncio.timeout`](https://docs.python.org/3/library/asyncio-task.html#asyncio.timeout). Same; the context manager with
/// `reschedule` and `expired` is [`Timeout`].
#[track_caller]
pub fn timeout<F: IntoFuture>(delay: impl IntoTimeout, inside: F) -> TimeoutFuture<F::IntoFuture> {
    TimeoutFuture::new(inside.into_future(), Limit::after(delay.into_timeout()), None)
}

/// As [`timeout`], until the loop's clock reaches `when`, in seconds of `EventLoop::time`; `None` for no limit.
///
/// # Panics
///
/// If `when` is NaN; when polled, if not inside a task.
///
/// # asyncio
///
/// [`asyncio.timeout_at`](https://docs.python.org/3/library/asyncio-task.html#asyncio.timeout_at). Same.
#[track_caller]
pub fn timeout_at<F: IntoFuture>(when: impl IntoDeadline, inside: F) -> TimeoutFuture<F::IntoFuture> {
    TimeoutFuture::new(inside.into_future(), Limit::At(when.into_deadline()), None)
}

/// Awaits `awaitable` (a coroutine, a task, a future) for at most `limit`: seconds, a `Duration`, or `None`.
///
/// When the limit has passed, it is cancelled, its end is awaited, and the result is `Err(TimeoutError)`, or what it gave
/// after all. A limit of zero or less gives the result of what is done, and cancels anything else; a coroutine then never
/// starts.
///
/// # Cancel safety
///
/// As safe as what is awaited. A task or future that is awaited is cancelled with the waiting task.
///
/// # Errors
///
/// [`TimeoutError`] if the limit has passed first.
///
/// # Panics
///
/// If `limit` is NaN; when polled, if not inside a task.
///
/// # asyncio
///
/// [`asyncio.wait_for`](https://docs.python.org/3/library/asyncio-task.html#asyncio.wait_for) as of 3.12. Same.
#[track_caller]
pub fn wait_for<A: Ensure>(
    awaitable: A,
    limit: impl IntoTimeout,
) -> impl Future<Output = Result<A::Output, TimeoutError>> {
    let limit = limit.into_timeout();
    async move {
        match limit {
            Some(delay) if delay.is_now() => awaitable.end_now().await.ok_or(TimeoutError),
            limit => TimeoutFuture::new(awaitable.into_future(), Limit::after(limit), None).await,
        }
    }
}

/// A limit on how long something may take, which can be moved while it runs. Clones are the same limit.
///
/// ```
/// # let event_loop = asyncio_loop::new_event_loop()?;
/// # use asyncio_tasks::{LoopTasksExt, Timeout, sleep};
/// # event_loop.run_until_complete(async {
/// let limit = Timeout::new(0.001);
/// let extend = limit.clone();
/// let outcome = limit.run(async {
///     extend.reschedule(None).unwrap();
///     sleep(0.002).await;
/// });
/// assert!(outcome.await.is_ok() && !extend.expired());
/// # })?;
/// # event_loop.close()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # asyncio
///
/// [`asyncio.Timeout`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Timeout). Same; entering is
/// [`run`](Timeout::run).
#[derive(Clone, Debug)]
pub struct Timeout {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    when: Cell<Option<i64>>,
    phase: Cell<Phase>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Created,
    Active(Token),
    Expiring,
    Expired,
    Exited,
}

/// Why a [`Timeout`] cannot be moved.
///
/// # asyncio
///
/// The `RuntimeError`s of `Timeout.reschedule`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RescheduleError {
    /// It is not running yet.
    #[error("the timeout has not been entered")]
    NotEntered,
    /// The limit has passed.
    #[error("cannot change the state of an expired timeout")]
    Expired,
    /// It was left.
    #[error("cannot change the state of a finished timeout")]
    Finished,
}

impl Timeout {
    /// A limit of `delay` from now: seconds, a `Duration`, or `None`.
    ///
    /// # Panics
    ///
    /// If `delay` is NaN, or if no loop is running in this thread.
    #[must_use]
    #[track_caller]
    pub fn new(delay: impl IntoTimeout) -> Self {
        let when = delay.into_timeout().map(|delay| running_loop().nanos().saturating_add(delay.as_nanos()));
        Self::with_deadline(when)
    }

    /// A limit at the time `when` of the loop's clock, in seconds; `None` for no limit.
    ///
    /// # Panics
    ///
    /// If `when` is NaN.
    #[must_use]
    #[track_caller]
    pub fn at(when: impl IntoDeadline) -> Self {
        Self::with_deadline(when.into_deadline())
    }

    fn with_deadline(when: Option<i64>) -> Self {
        Self { shared: Rc::new(Shared { when: Cell::new(when), phase: Cell::new(Phase::Created) }) }
    }

    /// Runs `inside` under this limit; see [`timeout`].
    ///
    /// # Panics
    ///
    /// When polled, if this limit was used before, or if not inside a task.
    pub fn run<F: IntoFuture>(&self, inside: F) -> TimeoutFuture<F::IntoFuture> {
        TimeoutFuture::new(inside.into_future(), Limit::At(None), Some(self.shared.clone()))
    }

    /// The deadline, in seconds of `EventLoop::time`; `None` if there is none.
    #[must_use]
    pub fn when(&self) -> Option<f64> {
        self.shared.when.get().map(|nanos| nanos as f64 / 1e9)
    }

    /// Moves the deadline, to a time of the loop's clock in seconds, or removes it. One that has passed expires at once.
    ///
    /// # Errors
    ///
    /// If the limit is not running, or has expired.
    ///
    /// # Panics
    ///
    /// If `when` is NaN.
    #[track_caller]
    pub fn reschedule(&self, when: impl IntoDeadline) -> Result<(), RescheduleError> {
        let when = when.into_deadline();
        match self.shared.phase.get() {
            Phase::Created => Err(RescheduleError::NotEntered),
            Phase::Expiring | Phase::Expired => Err(RescheduleError::Expired),
            Phase::Exited => Err(RescheduleError::Finished),
            Phase::Active(active) => {
                self.shared.when.set(when);
                set_timer(active, when);
                Ok(())
            }
        }
    }

    /// Whether the limit has passed while it was running.
    #[must_use]
    pub fn expired(&self) -> bool {
        matches!(self.shared.phase.get(), Phase::Expiring | Phase::Expired)
    }
}

/// A timeout that is entered.
#[derive(Debug)]
struct Active {
    task: TaskRef,
    timer: Option<TimerKey>,
    /// Whether the expiry is in the ready queue, for the deadline had passed when it was set.
    is_due: bool,
    /// How many expiries before that are there, too, and no longer count.
    stale: u32,
    /// `cancelling()` on entry.
    requests: u32,
    expiring: bool,
    /// The scope that is cancelled when the time is over.
    scope: Option<Token>,
    shared: Option<Rc<Shared>>,
}

thread_local! {
    static ACTIVE: RefCell<Slots<Active>> = const { RefCell::new(Slots::new()) };
}

/// The timer of a timeout has fired.
struct Expire;

impl TokenStep for Expire {
    fn run(active: Token) {
        let task = ACTIVE.with_borrow_mut(|all| {
            let active = all.get_mut(active).filter(|active| !active.expiring)?;
            if active.stale > 0 {
                active.stale -= 1;
                return None;
            }
            active.expiring = true;
            active.timer = None;
            if let Some(shared) = &active.shared {
                shared.phase.set(Phase::Expiring);
            }
            Some((active.task.clone(), active.scope))
        });
        if let Some((task, scope)) = task {
            task.cancel_within(scope, CancelledError::default());
        }
    }
}

/// Sets the timer of an active timeout anew.
fn set_timer(active: Token, when: Option<i64>) {
    let Some((task, old)) = ACTIVE.with_borrow_mut(|all| {
        let active = all.get_mut(active)?;
        active.stale += u32::from(std::mem::take(&mut active.is_due));
        Some((active.task.clone(), active.timer.take()))
    }) else {
        return;
    };
    let event_loop = task.state.tasks.event_loop();
    if let Some(old) = old {
        event_loop.unschedule(old);
    }
    match when {
        None => {}
        Some(when) if when <= event_loop.nanos() => {
            event_loop.schedule(Step::of_token::<Expire>(active));
            ACTIVE.with_borrow_mut(|all| {
                if let Some(active) = all.get_mut(active) {
                    active.is_due = true;
                }
            });
        }
        Some(when) => arm(active, event_loop, when),
    }
}

/// Sets the timer of an active timeout that has none.
fn arm(active: Token, event_loop: &EventLoop, when: i64) {
    let timer = event_loop.schedule_at(when, Step::of_token::<Expire>(active));
    ACTIVE.with_borrow_mut(|all| {
        if let Some(active) = all.get_mut(active) {
            active.timer = Some(timer);
        }
    });
}

/// Until when.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// From the first poll.
    After(Delay),
    /// At a time of the loop's clock.
    At(Option<i64>),
    /// At a time that was in the future when it was set.
    Ahead(i64),
}

impl Limit {
    /// From now, if a loop is running; otherwise from the first poll.
    fn after(delay: Option<Delay>) -> Self {
        let Some(delay) = delay else { return Self::At(None) };
        let event_loop = match current() {
            Some(task) => Some(task.state.tasks.event_loop().clone()),
            None => asyncio_loop::try_get_running_loop().ok(),
        };
        let Some(event_loop) = event_loop else { return Self::After(delay) };
        let when = event_loop.nanos().saturating_add(delay.as_nanos());
        if delay.is_now() { Self::At(Some(when)) } else { Self::Ahead(when) }
    }
}

pin_project! {
    /// Something under a time limit; see [`timeout`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct TimeoutFuture<F> {
        #[pin]
        inside: Option<F>,
        scope: ScopeGuard,
        limit: Limit,
        entered: Entered,
        shared: Option<Rc<Shared>>,
    }
}

/// Leaves an active timeout when dropped.
#[derive(Debug, Default)]
struct Entered(Option<Token>);

impl<F> TimeoutFuture<F> {
    fn new(inside: F, limit: Limit, shared: Option<Rc<Shared>>) -> Self {
        Self { inside: Some(inside), scope: ScopeGuard::new(), limit, entered: Entered(None), shared }
    }
}

impl Entered {
    /// The timeout begins, with a scope that was entered.
    #[track_caller]
    fn enter(limit: Limit, shared: Option<&Rc<Shared>>, scope: Option<Token>) -> Self {
        let task = current().expect("a timeout must be used inside a task");
        let event_loop = task.state.tasks.event_loop();
        let (when, is_ahead) = match (shared, limit) {
            (Some(shared), _) => {
                assert!(shared.phase.get() == Phase::Created, "a timeout has already been entered");
                (shared.when.get(), false)
            }
            (None, Limit::At(when)) => (when, false),
            // It may have passed since, but not when it was set: the timers find out without another look at the clock.
            (None, Limit::Ahead(when)) => (Some(when), true),
            (None, Limit::After(delay)) => (Some(event_loop.nanos().saturating_add(delay.as_nanos())), !delay.is_now()),
        };
        // A limit that has passed on entry asks for the same delivery as a request that came before and has yet to be
        // delivered; asyncio then takes that one for its own. Here it wins.
        let is_past = !is_ahead && when.is_some_and(|when| when <= event_loop.nanos());
        let undelivered = u32::from(is_past && task.state.has(Flags::MUST_CANCEL));
        let requests = task.state.requests().saturating_sub(undelivered);
        let ahead = when.filter(|_| is_ahead);
        let token = ACTIVE.with_borrow_mut(|all| {
            let timer = ahead.map(|when| event_loop.schedule_at(when, Step::of_token::<Expire>(all.next_token())));
            let (is_due, stale, expiring, shared) = (false, 0, false, shared.cloned());
            let task = task.clone();
            all.insert(Active { task, timer, is_due, stale, requests, expiring, scope, shared })
        });
        if let Some(shared) = shared {
            shared.phase.set(Phase::Active(token));
        }
        if ahead.is_none() {
            set_timer(token, when);
        }
        Self(Some(token))
    }

    /// The scope was registered anew because it was moved, perhaps to another task.
    fn adopt(&self, scope: Option<Token>) {
        let (Some(token), Some(new)) = (self.0, current()) else { return };
        let old = ACTIVE.with_borrow_mut(|all| {
            let active = all.get_mut(token)?;
            active.scope = scope;
            if active.task == new {
                return None;
            }
            active.requests = new.state.requests();
            Some((std::mem::replace(&mut active.task, new.clone()), active.expiring))
        });
        if let Some((old, true)) = old {
            old.uncancel();
            new.cancel_within(scope, CancelledError::default());
        }
    }

    /// Leaves the timeout; takes back the request that it has made. `true` if a cancellation that came out of it was its
    /// own, and no other request is left.
    fn leave(&mut self) -> bool {
        let Some(token) = self.0.take() else { return false };
        let Ok(Some(active)) = ACTIVE.try_with(|all| all.borrow_mut().remove(token)) else { return false };
        if let Some(timer) = active.timer {
            active.task.state.tasks.event_loop().unschedule(timer);
        }
        if let Some(shared) = &active.shared {
            shared.phase.set(if active.expiring { Phase::Expired } else { Phase::Exited });
        }
        active.expiring && active.task.uncancel() <= active.requests
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<F: Future> Future for TimeoutFuture<F> {
    type Output = Result<F::Output, TimeoutError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // Nothing is inside when a cancellation is on its way through.
        let Some(inside) = this.inside.as_mut().as_pin_mut() else { return Poll::Pending };
        let before = this.scope.id();
        let told = this.scope.enter(cx);
        if this.entered.0.is_none() {
            *this.entered = Entered::enter(*this.limit, this.shared.as_ref(), this.scope.id());
        } else if this.scope.id() != before {
            this.entered.adopt(this.scope.id());
        }
        let outcome = match told {
            Some(error) => Err(error),
            None => Ok(ready!(this.scope.poll_inside(inside, cx))),
        };
        this.inside.set(None);
        this.scope.leave();
        let own = this.entered.leave();
        match outcome {
            Ok(value) => Poll::Ready(Ok(value)),
            Err(_) if own => Poll::Ready(Err(TimeoutError)),
            Err(error) => {
                raise(Some(error));
                Poll::Pending
            }
        }
    }
}

impl<F> fmt::Debug for TimeoutFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture").field("limit", &self.limit).finish_non_exhaustive()
    }
}
