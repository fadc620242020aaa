//! `sleep`: waits for a time, and `yield_now`, which lets the others run.

use crate::current::{current, yield_to_others};
use crate::waits::{self, Link, Look, WaitId, wake_step};
use asyncio_loop::{Delay, EventLoop, IntoDelay};
use std::fmt;
use std::future::Future;
use std::num::NonZero;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits for `delay`: seconds (`2`, `0.5`) or a `Duration`; not less, to the nanosecond.
///
/// The time runs from the first poll. Zero, or less, lets every other ready task run once, without a timer.
///
/// # Cancel safety
///
/// Cancel safe; the timer goes with the future.
///
/// # Panics
///
/// If `delay` is NaN; when polled, if no loop is running in this thread.
///
/// # asyncio
///
/// [`asyncio.sleep`](https://docs.python.org/3/library/asyncio-task.html#asyncio.sleep). Same, without `result`.
#[track_caller]
pub fn sleep(delay: impl IntoDelay) -> Sleep {
    Sleep::new(delay.into_delay())
}

/// Lets every other ready task and callback run once.
///
/// # Cancel safety
///
/// Cancel safe: there is nothing to lose.
///
/// # asyncio
///
/// `asyncio.sleep(0)`. Same.
pub fn yield_now() -> Sleep {
    Sleep::new(Delay::ZERO)
}

/// Waits for a time; see [`sleep`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sleep {
    state: State,
}

/// Two words: a sleep is most of the memory of many a task.
enum State {
    /// Not begun, with its nanoseconds, negative if it lets the others run without a timer; or over, with none.
    Idle(Option<NonZero<i64>>),
    /// With the loop that has the timer: the future may be polled, and dropped, elsewhere.
    Waiting(WaitId, EventLoop),
}

impl Sleep {
    fn new(delay: Delay) -> Self {
        Self { state: State::Idle(NonZero::new(if delay.is_now() { -1 } else { delay.as_nanos() })) }
    }
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.state {
            State::Idle(None) => Poll::Ready(()),
            State::Idle(Some(nanos)) if nanos.is_negative() => {
                self.state = State::Idle(None);
                yield_to_others(cx);
                Poll::Pending
            }
            _ => self.poll_timer(cx),
        }
    }
}

impl Sleep {
    #[inline(never)]
    fn poll_timer(&mut self, cx: &Context<'_>) -> Poll<()> {
        match self.state {
            State::Idle(None) => Poll::Ready(()),
            State::Idle(Some(nanos)) => {
                let event_loop = running_loop();
                let when = event_loop.nanos().saturating_add(nanos.get());
                self.wait_until(when, event_loop, cx);
                Poll::Pending
            }
            State::Waiting(wait, ref event_loop) => {
                match waits::look(wait, cx) {
                    Look::Waiting => return Poll::Pending,
                    Look::Decided => {}
                    Look::GivenUp => {
                        // The same timer, if it has not fired meanwhile.
                        let event_loop = event_loop.clone();
                        let when = waits::timer_of(wait).and_then(|timer| event_loop.scheduled_when(timer));
                        self.unschedule();
                        if let Some(when) = when {
                            self.wait_until(when, event_loop, cx);
                            return Poll::Pending;
                        }
                    }
                }
                self.state = State::Idle(None);
                Poll::Ready(())
            }
        }
    }

    fn wait_until(&mut self, when: i64, event_loop: EventLoop, cx: &Context<'_>) {
        let wait = waits::begin(cx, Link::None);
        let timer = event_loop.schedule_at(when, wake_step(wait));
        waits::set_timer(wait, timer);
        self.state = State::Waiting(wait, event_loop);
    }

    #[inline(never)]
    fn unschedule(&self) {
        let State::Waiting(wait, event_loop) = &self.state else { return };
        if let Some(timer) = waits::timer_of(*wait) {
            // A timer that fires after its wait has ended wakes nobody.
            event_loop.unschedule(timer);
        }
        waits::end(*wait);
    }
}

impl Drop for Sleep {
    #[inline]
    fn drop(&mut self) {
        if matches!(self.state, State::Waiting(..)) {
            self.unschedule();
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}

/// The loop of the current task, or else the one that is running.
#[track_caller]
pub(crate) fn running_loop() -> EventLoop {
    current().map_or_else(asyncio_loop::get_running_loop, |task| task.state.tasks.event_loop().clone())
}
