//! What reads can fail with, under asyncio's names.

use bytes::Bytes;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The stream ended before what was asked for was complete.
///
/// # asyncio
///
/// [`asyncio.IncompleteReadError`](https://docs.python.org/3/library/asyncio-exceptions.html#asyncio.IncompleteReadError). Same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "asyncio's exception has these two, and they are taken out by a pattern")]
pub struct IncompleteReadError {
    /// What had come before the end. It has left the buffer.
    pub partial: Bytes,
    /// How many bytes were asked for; `None` if it was a separator.
    pub expected: Option<usize>,
}

impl fmt::Display for IncompleteReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the stream ended after {} bytes", self.partial.len())?;
        match self.expected {
            Some(expected) => write!(f, " of {expected}"),
            None => f.write_str(" without a separator"),
        }
    }
}

impl Error for IncompleteReadError {}

impl From<IncompleteReadError> for io::Error {
    fn from(error: IncompleteReadError) -> Self {
        Self::new(io::ErrorKind::UnexpectedEof, error)
    }
}

/// More than the limit of the reader came without a separator.
///
/// # asyncio
///
/// [`asyncio.LimitOverrunError`](https://docs.python.org/3/library/asyncio-exceptions.html#asyncio.LimitOverrunError). Same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, thiserror::Error)]
#[error("no separator within the limit: {consumed} bytes do not contain one")]
#[expect(clippy::exhaustive_structs, reason = "asyncio's exception has this, and it is taken out by a pattern")]
pub struct LimitOverrunError {
    /// So many bytes come before the separator, or can be taken without taking a part of one.
    pub consumed: usize,
}

impl From<LimitOverrunError> for io::Error {
    fn from(error: LimitOverrunError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Why [`readexactly`](crate::StreamReader::readexactly) has got nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadExactlyError {
    /// The stream has ended. What had come is in here, and not in the buffer any more.
    #[error(transparent)]
    Incomplete(#[from] IncompleteReadError),
    /// The connection is lost, or the time limit has passed. The buffer is as it was.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why [`readuntil`](crate::StreamReader::readuntil) has got nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadUntilError {
    /// The stream has ended. What had come is in here, and not in the buffer any more.
    #[error(transparent)]
    Incomplete(#[from] IncompleteReadError),
    /// There was no separator within the limit. The buffer is as it was: read it in another way.
    #[error(transparent)]
    LimitOverrun(#[from] LimitOverrunError),
    /// The connection is lost, the time limit has passed, or the separator is empty. The buffer is as it was.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why [`readline`](crate::StreamReader::readline) has got nothing.
///
/// # asyncio
///
/// `ValueError` for a line that is too long.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadLineError {
    /// The line is longer than the limit, and was dropped: up to its end, or, if that has not come yet, as far as it has come.
    #[error(transparent)]
    LimitOverrun(#[from] LimitOverrunError),
    /// The connection is lost, or the time limit has passed. The buffer is as it was.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<ReadExactlyError> for io::Error {
    fn from(error: ReadExactlyError) -> Self {
        match error {
            ReadExactlyError::Incomplete(error) => error.into(),
            ReadExactlyError::Io(error) => error,
        }
    }
}

impl From<ReadUntilError> for io::Error {
    fn from(error: ReadUntilError) -> Self {
        match error {
            ReadUntilError::Incomplete(error) => error.into(),
            ReadUntilError::LimitOverrun(error) => error.into(),
            ReadUntilError::Io(error) => error,
        }
    }
}

impl From<ReadLineError> for io::Error {
    fn from(error: ReadLineError) -> Self {
        match error {
            ReadLineError::LimitOverrun(error) => error.into(),
            ReadLineError::Io(error) => error,
        }
    }
}

/// An error that is given out many times: to each read after the connection was lost, and to each `wait_closed`.
#[derive(Clone, Debug)]
pub(crate) struct LastingError(Arc<io::Error>);

impl LastingError {
    pub(crate) fn new(error: io::Error) -> Self {
        Self(Arc::new(error))
    }

    /// The error once more: of the same kind, with the same number of the system if it has one.
    pub(crate) fn give(&self) -> io::Error {
        match self.0.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(self.0.kind(), self.clone()),
        }
    }
}

impl fmt::Display for LastingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for LastingError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_becomes_an_io_error_of_a_fitting_kind() {
        let incomplete = IncompleteReadError { partial: Bytes::from_static(b"12"), expected: Some(4) };
        assert_eq!(incomplete.to_string(), "the stream ended after 2 bytes of 4");
        let limit = LimitOverrunError { consumed: 9 };
        let errors: [(io::Error, io::ErrorKind); 6] = [
            (ReadExactlyError::from(incomplete.clone()).into(), io::ErrorKind::UnexpectedEof),
            (ReadUntilError::from(incomplete).into(), io::ErrorKind::UnexpectedEof),
            (ReadUntilError::from(limit).into(), io::ErrorKind::InvalidData),
            (ReadLineError::from(limit).into(), io::ErrorKind::InvalidData),
            (ReadLineError::Io(io::ErrorKind::TimedOut.into()).into(), io::ErrorKind::TimedOut),
            (ReadExactlyError::Io(io::ErrorKind::BrokenPipe.into()).into(), io::ErrorKind::BrokenPipe),
        ];
        for (error, kind) in errors {
            assert_eq!(error.kind(), kind);
        }
    }

    #[test]
    fn a_lasting_error_is_the_same_each_time() {
        let number = LastingError::new(io::Error::from_raw_os_error(104));
        assert_eq!([number.give(), number.give()].map(|error| error.raw_os_error()), [Some(104); 2]);
        let words = LastingError::new(io::Error::new(io::ErrorKind::TimedOut, "too late"));
        assert_eq!((words.give().kind(), words.give().to_string()), (io::ErrorKind::TimedOut, "too late".into()));
    }
}
