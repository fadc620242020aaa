//! `TimeLimit`: how long an operation may wait. Without a limit it is nothing; with one, a timer that wakes whoever waits.

use crate::connected::Connected;
use asyncio_loop::{Delay, EventLoop, TimerKey, get_running_loop};
use asyncio_tasks::TimeoutError;
use std::fmt;
use std::rc::Rc;

/// The limit of one operation. Its time runs from when it first has to wait.
#[derive(Debug, Default)]
pub(crate) struct TimeLimit {
    timer: Option<Timer>,
}

struct Timer {
    event_loop: EventLoop,
    when: i64,
    key: TimerKey,
}

impl TimeLimit {
    /// Called each time before the operation waits, with the limit that it has.
    ///
    /// # Errors
    ///
    /// [`TimeoutError`] if it has waited for long enough.
    #[inline]
    pub(crate) fn check(&mut self, connected: &Rc<Connected>, limit: Option<Delay>) -> Result<(), TimeoutError> {
        limit.map_or(Ok(()), |delay| self.check_timer(connected, delay))
    }

    fn check_timer(&mut self, connected: &Rc<Connected>, delay: Delay) -> Result<(), TimeoutError> {
        if delay.is_now() {
            return Err(TimeoutError::default());
        }
        if let Some(timer) = &self.timer {
            return if timer.event_loop.nanos() < timer.when { Ok(()) } else { Err(TimeoutError::default()) };
        }
        let event_loop = get_running_loop();
        let when = event_loop.nanos().saturating_add(delay.as_nanos());
        let key = event_loop.schedule_at(when, connected.clone());
        self.timer = Some(Timer { event_loop, when, key });
        Ok(())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.event_loop.unschedule(self.key);
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("when", &self.when).finish_non_exhaustive()
    }
}
