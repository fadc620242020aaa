//! What can go wrong with a queue, under asyncio's names. Items come back in the errors.

use std::fmt;
use std::io;

/// The queue is shut down: by `shutdown`, or because the other half is gone. An item that was to be put is in here.
///
/// # asyncio
///
/// [`asyncio.QueueShutDown`](https://docs.python.org/3/library/asyncio-queue.html#asyncio.QueueShutDown). Same.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the item is taken back by a pattern")]
pub struct QueueShutDown<T = ()>(pub T);

/// The queue holds `maxsize` items. The item that was to be put is in here.
///
/// # asyncio
///
/// [`asyncio.QueueFull`](https://docs.python.org/3/library/asyncio-queue.html#asyncio.QueueFull). Same.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the item is taken back by a pattern")]
pub struct QueueFull<T = ()>(pub T);

/// There is nothing in the queue.
///
/// # asyncio
///
/// [`asyncio.QueueEmpty`](https://docs.python.org/3/library/asyncio-queue.html#asyncio.QueueEmpty). Same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("queue is empty")]
#[non_exhaustive]
pub struct QueueEmpty;

/// Why `put_nowait` did not take the item. It comes back in the error.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutError<T> {
    /// Await `put`, or try again after a `get`.
    Full(QueueFull<T>),
    /// No later `put` can succeed.
    ShutDown(QueueShutDown<T>),
}

/// Why `get_nowait` has got nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// Await `get`, or try again after a `put`.
    #[error(transparent)]
    Empty(#[from] QueueEmpty),
    /// No later `get` can succeed.
    #[error(transparent)]
    ShutDown(#[from] QueueShutDown),
}

/// `try_task_done` was called more often than items were put.
///
/// # asyncio
///
/// `ValueError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task_done called too many times")]
#[non_exhaustive]
pub struct TaskDoneError;

impl<T> QueueShutDown<T> {
    /// The item.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> QueueFull<T> {
    /// The item.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> PutError<T> {
    /// The item.
    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(QueueFull(item)) | Self::ShutDown(QueueShutDown(item)) => item,
        }
    }

    const fn text(&self) -> &'static str {
        match self {
            Self::Full(_) => FULL,
            Self::ShutDown(_) => SHUT_DOWN,
        }
    }
}

const FULL: &str = "queue is full";
const SHUT_DOWN: &str = "queue is shut down";

// Errors whatever the item is: it need not be `Debug` to be put.

impl<T> fmt::Debug for QueueShutDown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueShutDown(..)")
    }
}

impl<T> fmt::Debug for QueueFull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueFull(..)")
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(error) => f.debug_tuple("Full").field(error).finish(),
            Self::ShutDown(error) => f.debug_tuple("ShutDown").field(error).finish(),
        }
    }
}

impl<T> fmt::Display for QueueShutDown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHUT_DOWN)
    }
}

impl<T> fmt::Display for QueueFull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FULL)
    }
}

impl<T> fmt::Display for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl<T> std::error::Error for QueueShutDown<T> {}
impl<T> std::error::Error for QueueFull<T> {}
impl<T> std::error::Error for PutError<T> {}

impl<T> From<QueueFull<T>> for PutError<T> {
    fn from(error: QueueFull<T>) -> Self {
        Self::Full(error)
    }
}

impl<T> From<QueueShutDown<T>> for PutError<T> {
    fn from(error: QueueShutDown<T>) -> Self {
        Self::ShutDown(error)
    }
}

impl<T> From<QueueShutDown<T>> for io::Error {
    fn from(_: QueueShutDown<T>) -> Self {
        Self::new(io::ErrorKind::BrokenPipe, QueueShutDown(()))
    }
}

impl<T> From<QueueFull<T>> for io::Error {
    fn from(_: QueueFull<T>) -> Self {
        Self::new(io::ErrorKind::WouldBlock, QueueFull(()))
    }
}

impl From<QueueEmpty> for io::Error {
    fn from(error: QueueEmpty) -> Self {
        Self::new(io::ErrorKind::WouldBlock, error)
    }
}

impl<T> From<PutError<T>> for io::Error {
    fn from(error: PutError<T>) -> Self {
        match error {
            PutError::Full(error) => error.into(),
            PutError::ShutDown(error) => error.into(),
        }
    }
}

impl From<GetError> for io::Error {
    fn from(error: GetError) -> Self {
        match error {
            GetError::Empty(error) => error.into(),
            GetError::ShutDown(error) => error.into(),
        }
    }
}
