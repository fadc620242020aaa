//! `TimeLimit`: how long an operation may wait. Without a limit it is nothing; with one, a timer that wakes whoever waits.

use crate::connected::Connected;
use asyncio_loop::{Delay, EventLoop, TimerKey, get_running_loop};
use asyncio_tasks::TimeoutError;
use std::fmt;
use std::rc::Rc;

/// The limit of one operation. It is settled, and its time begins to run, when the operation first has to wait.
#[derive(Debug, Default)]
pub(crate) enum TimeLimit {
    #[default]
    Unsettled,
    Never,
    At(Timer),
}

pub(crate) struct Timer {
    event_loop: EventLoop,
    when: i64,
    key: TimerKey,
}

impl TimeLimit {
    /// Called each time before the operation waits, with the limit of its kind.
    ///
    /// # Errors
    ///
    /// [`TimeoutError`] if it has waited for long enough.
    #[inline]
    pub(crate) fn check(&mut self, connected: &Rc<Connected>, limit: Option<Delay>) -> Result<(), TimeoutError> {
        match self {
            Self::Never => Ok(()),
            Self::At(timer) if timer.event_loop.nanos() < timer.when => Ok(()),
            Self::At(_) => Err(TimeoutError::default()),
            Self::Unsettled => self.settle(connected, limit),
        }
    }

    fn settle(&mut self, connected: &Rc<Connected>, limit: Option<Delay>) -> Result<(), TimeoutError> {
        *self = match limit {
            None => Self::Never,
            Some(delay) if delay.is_now() => return Err(TimeoutError::default()),
            Some(delay) => {
                let event_loop = get_running_loop();
                let when = event_loop.nanos().saturating_add(delay.as_nanos());
                let key = event_loop.schedule_at(when, connected.clone());
                Self::At(Timer { event_loop, when, key })
            }
        };
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
