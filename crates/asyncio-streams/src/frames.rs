//! Lines and frames, one after the other, as a `Stream`.
//!
//! Each takes its bytes in the poll that returns them, so dropping one between two items, or while it waits, loses nothing.

use crate::error::{IncompleteReadError, LimitOverrunError, ReadExactlyError, ReadLineError, ReadUntilError};
use crate::read_buffer::ReadBuffer;
use crate::reader::StreamReader;
use crate::reading::Reading;
use asyncio_tasks::poll_ready;
use bytes::Bytes;
use futures_core::Stream;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The lines of a stream; see [`StreamReader::lines`].
#[derive(Debug)]
#[must_use = "nothing is read unless the lines are asked for"]
pub struct Lines<'a> {
    reader: &'a mut StreamReader,
    scanned: usize,
}

impl<'a> Lines<'a> {
    pub(crate) const fn new(reader: &'a mut StreamReader) -> Self {
        Self { reader, scanned: 0 }
    }

    /// The next line with its `\n`, which the last one may not have; `None` at the end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes leave the buffer in the poll that returns them.
    ///
    /// # Errors
    ///
    /// As [`readline`](StreamReader::readline): after a line that is too long, the next one can be asked for.
    pub async fn next(&mut self) -> Option<Result<Bytes, ReadLineError>> {
        self.reader.readline().await.map(|line| (!line.is_empty()).then_some(line)).transpose()
    }
}

impl Stream for Lines<'_> {
    type Item = Result<Bytes, ReadLineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { reader, scanned } = &mut *self;
        ready!(poll_ready(cx));
        reader.put_front_back();
        reader.poll_attempt(cx, |buffer| buffer.readline(scanned)).map(|outcome| {
            *scanned = 0;
            outcome.map(|line| (!line.is_empty()).then_some(line)).transpose()
        })
    }
}

/// How a stream is cut into frames.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// All frames are so long. At least one byte.
    Exact(usize),
    /// A separator after each frame, which is not part of it. The last one may be missing; the limit is that of the reader.
    Until(Bytes),
    /// Before each frame its length in bytes, as a big-endian number of 1, 2, 4 or 8 bytes, which is not part of it.
    LengthPrefixed {
        /// How many bytes the length has.
        prefix_bytes: usize,
        /// A longer frame is an error.
        max_bytes: usize,
    },
}

/// Why there is no next frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The stream has ended inside a frame. What had come of it is in here.
    #[error(transparent)]
    Incomplete(#[from] IncompleteReadError),
    /// A frame is longer than allowed. It stays in the buffer.
    #[error(transparent)]
    TooLong(#[from] LimitOverrunError),
    /// The connection is lost, the time limit has passed, or the framing makes no sense (`InvalidInput`).
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Incomplete(error) => error.into(),
            FrameError::TooLong(error) => error.into(),
            FrameError::Io(error) => error,
        }
    }
}

impl From<ReadExactlyError> for FrameError {
    fn from(error: ReadExactlyError) -> Self {
        match error {
            ReadExactlyError::Incomplete(error) => error.into(),
            ReadExactlyError::Io(error) => error.into(),
        }
    }
}

/// The frames of a stream; see [`StreamReader::frames`].
#[derive(Debug)]
#[must_use = "nothing is read unless the frames are asked for"]
pub struct Frames<'a> {
    reader: &'a mut StreamReader,
    framing: Framing,
    scanned: usize,
}

impl<'a> Frames<'a> {
    pub(crate) const fn new(reader: &'a mut StreamReader, framing: Framing) -> Self {
        Self { reader, framing, scanned: 0 }
    }

    /// The next frame; `None` at the end, if that comes between two frames.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes leave the buffer in the poll that returns them.
    ///
    /// # Errors
    ///
    /// [`FrameError`].
    pub async fn next(&mut self) -> Option<Result<Bytes, FrameError>> {
        let Self { reader, framing, .. } = self;
        let mut scanned = 0;
        let attempt = |buffer: &mut ReadBuffer| framing.cut(buffer, &mut scanned);
        Reading::new(reader, attempt).await.transpose()
    }
}

impl Stream for Frames<'_> {
    type Item = Result<Bytes, FrameError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { reader, framing, scanned } = &mut *self;
        ready!(poll_ready(cx));
        reader.put_front_back();
        reader.poll_attempt(cx, |buffer| framing.cut(buffer, scanned)).map(|outcome| {
            *scanned = 0;
            outcome.transpose()
        })
    }
}

impl Framing {
    /// The next frame; nothing at the end. `None` if it has to wait.
    fn cut(&self, buffer: &mut ReadBuffer, scanned: &mut usize) -> Option<Result<Option<Bytes>, FrameError>> {
        if buffer.at_eof() && buffer.error().is_none() {
            return Some(Ok(None));
        }
        match self {
            Self::Exact(0) => Some(Err(nonsense("frames of no bytes at all").into())),
            Self::Exact(bytes) => Some(buffer.readexactly(*bytes)?.map(Some).map_err(Into::into)),
            Self::Until(separator) => Some(match buffer.readuntil(&&separator[..], scanned)? {
                Ok(mut frame) => {
                    frame.truncate(frame.len() - separator.len());
                    Ok(Some(frame))
                }
                Err(ReadUntilError::Incomplete(error)) => Ok(Some(error.partial)),
                Err(ReadUntilError::LimitOverrun(error)) => Err(error.into()),
                Err(ReadUntilError::Io(error)) => Err(error.into()),
            }),
            Self::LengthPrefixed { prefix_bytes, max_bytes } => cut_by_length(buffer, *prefix_bytes, *max_bytes),
        }
    }
}

fn cut_by_length(
    buffer: &mut ReadBuffer,
    prefix_bytes: usize,
    max_bytes: usize,
) -> Option<Result<Option<Bytes>, FrameError>> {
    if !matches!(prefix_bytes, 1 | 2 | 4 | 8) {
        return Some(Err(nonsense("a length of other than 1, 2, 4 or 8 bytes").into()));
    }
    let wanted = match buffer.peek().get(..prefix_bytes) {
        None => prefix_bytes,
        Some(prefix) => {
            let length = prefix.iter().fold(0, |length: u64, byte| (length << 8) | u64::from(*byte));
            match usize::try_from(length).ok().filter(|length| *length <= max_bytes) {
                Some(length) => prefix_bytes.saturating_add(length),
                None => return Some(Err(LimitOverrunError { consumed: prefix_bytes }.into())),
            }
        }
    };
    // If the length has not come yet, neither has the end: it is waited for, and looked at again.
    Some(buffer.readexactly(wanted)?.map(|frame| Some(frame.slice(prefix_bytes..))).map_err(Into::into))
}

fn nonsense(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
