//! The errors of tasks and futures, under asyncio's names.

use std::fmt;
use std::io;
use std::sync::Arc;

/// A task or future was cancelled.
///
/// As a *value* it means that what was awaited had been cancelled by somebody else, or comes from a catch scope
/// ([`catch_cancelled`](crate::catch_cancelled)). One's own cancellation never arrives as a value anywhere else.
///
/// # asyncio
///
/// [`asyncio.CancelledError`](https://docs.python.org/3/library/asyncio-exceptions.html#asyncio.CancelledError). Differs: it is
/// raised by unwinding, so it cannot be caught by accident.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a cancellation that was caught is suppressed unless it is passed on by `reraise`"]
pub struct CancelledError {
    message: Option<Arc<str>>,
}

impl CancelledError {
    /// A cancellation with an optional message. Returning it from a task does not cancel the task;
    /// [`reraise`](Self::reraise) does.
    pub fn new(message: Option<&str>) -> Self {
        Self { message: message.map(Arc::from) }
    }

    /// The message of the request, if it had one.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }
}

impl fmt::Display for CancelledError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message() {
            Some(message) => write!(f, "cancelled: {message}"),
            None => f.write_str("cancelled"),
        }
    }
}

impl std::error::Error for CancelledError {}

impl From<CancelledError> for io::Error {
    fn from(error: CancelledError) -> Self {
        Self::new(io::ErrorKind::Interrupted, error)
    }
}

/// A time limit has passed.
///
/// # asyncio
///
/// [`TimeoutError`](https://docs.python.org/3/library/exceptions.html#TimeoutError). Same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
#[non_exhaustive]
pub struct TimeoutError;

impl From<TimeoutError> for io::Error {
    fn from(error: TimeoutError) -> Self {
        Self::new(io::ErrorKind::TimedOut, error)
    }
}

/// The future or task is not in a state that allows this: it is done already, or not done yet.
///
/// # asyncio
///
/// [`asyncio.InvalidStateError`](https://docs.python.org/3/library/asyncio-exceptions.html#asyncio.InvalidStateError). Same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidStateError {
    /// It has a result, an exception, or was cancelled.
    #[error("the future is done already")]
    Done,
    /// There is no result yet.
    #[error("the result is not ready")]
    NotDone,
}

impl From<InvalidStateError> for io::Error {
    fn from(error: InvalidStateError) -> Self {
        Self::other(error)
    }
}
