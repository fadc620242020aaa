//! Why a loop could not be run, entered or scheduled on.

use std::io;

/// Why [`run_forever`](crate::EventLoop::run_forever) and its kin did not run, or ended before they were told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The loop was closed. Make a new one.
    #[error("event loop is closed")]
    Closed,
    /// The loop is running: the call came from inside one of its callbacks.
    #[error("this event loop is already running")]
    AlreadyRunning,
    /// Another loop is running in this thread. Give each loop a thread of its own.
    #[error("cannot run the event loop while another loop is running")]
    OtherLoopRunning,
    /// [`interrupt`](crate::EventLoop::interrupt) was called. What was ready stays queued; the loop can be run again.
    #[error("event loop was interrupted")]
    Interrupted,
    /// The driver could not wait. A deadlock that a virtual-time driver found comes this way, too, with
    /// [`io::ErrorKind::Deadlock`].
    ///
    /// What the driver says is part of what is shown, so there is no `source` that would say it again.
    #[error("the driver of the event loop failed: {0}")]
    Driver(io::Error),
}

impl From<RunError> for io::Error {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Driver(error) => error,
            RunError::Interrupted => Self::new(io::ErrorKind::Interrupted, error),
            other => Self::other(other),
        }
    }
}

/// The loop was closed, so nothing can be scheduled on it any more.
///
/// # asyncio
///
/// `RuntimeError("Event loop is closed")`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event loop is closed")]
#[non_exhaustive]
pub struct ClosedError;

impl From<ClosedError> for io::Error {
    fn from(error: ClosedError) -> Self {
        Self::other(error)
    }
}

/// No loop is running in this thread, or none was set.
///
/// # asyncio
///
/// `RuntimeError("no running event loop")`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoLoopError {
    /// The call needs the loop that is running in this thread, and none is.
    #[error("no running event loop")]
    NotRunning,
    /// No loop is running and [`set_event_loop`](crate::set_event_loop) has set none.
    #[error("there is no current event loop in this thread")]
    NotSet,
}

impl From<NoLoopError> for io::Error {
    fn from(error: NoLoopError) -> Self {
        Self::other(error)
    }
}
