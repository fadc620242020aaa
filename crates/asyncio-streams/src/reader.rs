//! `StreamReader`: the receiving half of a stream.
//!
//! Invariant: one task at most waits for bytes, which `&mut` sees to.
//!
//! Absent on purpose: the rules by which bytes are cut, which are `read_buffer`'s; waiting, which is `reading`'s.

use crate::connected::Connected;
use crate::error::{LastingError, ReadExactlyError, ReadLineError, ReadUntilError};
use crate::frames::{Frames, Framing, Lines};
use crate::pair::StreamPair;
use crate::protocol::{DEFAULT_LIMIT, check_limit};
use crate::read_buffer::ReadBuffer;
use crate::reading::Reading;
use crate::separators::Separators;
use crate::writer::StreamWriter;
use asyncio_loop::IntoTimeout;
use asyncio_tasks::{Wait, WaiterState};
use bytes::Bytes;
use std::fmt;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The receiving half of a stream.
///
/// Bytes come out as [`Bytes`]: cheap to clone, to slice and to pass on, without a copy. Reading takes `&mut self`, so that
/// only one task at a time can wait for bytes.
///
/// Dropping it drops what was not read and what still arrives; the other half goes on.
///
/// # asyncio
///
/// [`asyncio.StreamReader`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamReader). Differs: a second task that
/// reads does not compile, where asyncio raises `RuntimeError`.
pub struct StreamReader {
    connected: Rc<Connected>,
    /// Where a read waits.
    wait: Option<Wait>,
    /// What was shown by `poll_fill_buf` and not consumed: it comes before what is in the buffer.
    front: Option<Box<Bytes>>,
}

/// How many bytes to [`read`](StreamReader::read) at most: a number; a negative one means everything until the end.
pub trait ReadSize {
    /// `None` for everything until the end.
    fn into_most(self) -> Option<usize>;
}

impl ReadSize for usize {
    fn into_most(self) -> Option<usize> {
        Some(self)
    }
}

impl ReadSize for i32 {
    fn into_most(self) -> Option<usize> {
        usize::try_from(self).ok()
    }
}

impl Default for StreamReader {
    /// With asyncio's limit: 64 KiB.
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}

impl StreamReader {
    /// A reader without a connection: it reads what it is fed. For tests, and for protocols of one's own.
    ///
    /// `limit` is how many bytes may come before a separator; reading pauses while more than twice as many are unread, and goes on
    /// when no more than `limit` are left. Default: 64 KiB.
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    #[must_use]
    #[track_caller]
    pub fn new(limit: usize) -> Self {
        check_limit(limit);
        Self::of(Connected::new(limit))
    }

    pub(crate) const fn of(connected: Rc<Connected>) -> Self {
        Self { connected, wait: None, front: None }
    }

    /// Reads up to `n` bytes: as soon as there is one, whatever is there. At the end of the stream, nothing. With a negative
    /// `n`, everything until the end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes leave the buffer in the poll that returns them.
    ///
    /// # Errors
    ///
    /// Why the connection was lost, also if something is unread; `TimedOut` after [`set_timeout`](Self::set_timeout).
    ///
    /// # asyncio
    ///
    /// [`StreamReader.read`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamReader.read). Same; `n` has no default,
    /// and `read(-1)` loses nothing when it is cancelled.
    pub async fn read(&mut self, n: impl ReadSize) -> io::Result<Bytes> {
        match n.into_most() {
            Some(most) => Reading::new(self, |buffer: &mut ReadBuffer| buffer.read(most)).await,
            None => Reading::new(self, ReadBuffer::read_all).await,
        }
    }

    /// Reads a line and its `\n`; at the end of the stream what is left, and then nothing.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes leave the buffer in the poll that returns them.
    ///
    /// # Errors
    ///
    /// [`ReadLineError::LimitOverrun`] if the line is longer than the limit: then it was dropped, up to its end, or, if that has
    /// not come yet, as far as it has come. [`ReadLineError::Io`] as for [`read`](Self::read).
    ///
    /// # asyncio
    ///
    /// [`StreamReader.readline`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamReader.readline). Same;
    /// `ValueError` is `LimitOverrun`.
    pub async fn readline(&mut self) -> Result<Bytes, ReadLineError> {
        let mut scanned = 0;
        Reading::new(self, move |buffer: &mut ReadBuffer| buffer.readline(&mut scanned)).await
    }

    /// Reads exactly `n` bytes, whatever the limit.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes leave the buffer in the poll that returns them.
    ///
    /// # Errors
    ///
    /// [`ReadExactlyError::Incomplete`] with what had come if the stream ends before, which then has left the buffer;
    /// [`ReadExactlyError::Io`] as for [`read`](Self::read).
    ///
    /// # asyncio
    ///
    /// [`StreamReader.readexactly`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamReader.readexactly). Same.
    pub async fn readexactly(&mut self, n: usize) -> Result<Bytes, ReadExactlyError> {
        Reading::new(self, move |buffer: &mut ReadBuffer| buffer.readexactly(n)).await
    }

    /// Reads everything up to `separator`, and that; with several, up to the one that ends first.
    ///
    /// ```
    /// # use asyncio_streams::StreamReader;
    /// # asyncio_tasks::run(async {
    /// let mut reader = StreamReader::default();
    /// reader.feed_data(b"one\r\ntwo\n");
    /// assert_eq!(reader.readuntil(["\r\n", "\n"]).await?, "one\r\n");
    /// assert_eq!(reader.readuntil(b"\n").await?, "two\n");
    /// # Ok::<(), std::io::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes leave the buffer in the poll that returns them.
    ///
    /// # Errors
    ///
    /// [`ReadUntilError::LimitOverrun`] if more than the limit comes before the separator, and then everything stays in the
    /// buffer; [`ReadUntilError::Incomplete`] with what had come if the stream ends before, which then has left it;
    /// [`ReadUntilError::Io`] as for [`read`](Self::read), and with `InvalidInput` for an empty separator.
    ///
    /// # asyncio
    ///
    /// [`StreamReader.readuntil`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamReader.readuntil). Same; a tuple of
    /// separators is an array or a `Vec`.
    pub async fn readuntil(&mut self, separator: impl Separators + Unpin) -> Result<Bytes, ReadUntilError> {
        let mut scanned = 0;
        Reading::new(self, move |buffer: &mut ReadBuffer| buffer.readuntil(&separator, &mut scanned)).await
    }

    /// The lines of the stream, one after the other, until its end: a `Stream`, with [`next`](Lines::next).
    ///
    /// # asyncio
    ///
    /// `async for line in reader`. Same.
    pub const fn lines(&mut self) -> Lines<'_> {
        Lines::new(self)
    }

    /// The frames of the stream, one after the other, until its end: a `Stream`, with [`next`](Frames::next).
    ///
    /// # asyncio
    ///
    /// None.
    pub const fn frames(&mut self, framing: Framing) -> Frames<'_> {
        Frames::new(self, framing)
    }

    /// How long each read may wait for bytes: seconds, a `Duration`, or `None` for as long as it takes, which is the default. A read
    /// for which that is too short fails with `TimedOut`, and leaves the buffer as it was.
    ///
    /// # Panics
    ///
    /// If `timeout` is NaN.
    ///
    /// # asyncio
    ///
    /// None: `async with asyncio.timeout(…)` around each read.
    #[track_caller]
    pub fn set_timeout(&mut self, timeout: impl IntoTimeout) {
        self.connected.timeouts().read.set(timeout.into_timeout());
    }

    /// Whether the stream has ended and everything was read.
    ///
    /// # asyncio
    ///
    /// [`StreamReader.at_eof`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamReader.at_eof). Same.
    #[must_use]
    pub fn at_eof(&self) -> bool {
        self.front().is_empty() && self.connected.look(|buffer| buffer.at_eof())
    }

    /// How many bytes have arrived and were not read yet.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.front().len() + self.connected.look(|buffer| buffer.len())
    }

    /// The limit, in bytes; see [`new`](Self::new).
    #[must_use]
    pub fn limit(&self) -> usize {
        self.connected.look(|buffer| buffer.limit())
    }

    /// Appends bytes as if they had arrived; see [`StreamFeeder::feed_data`].
    ///
    /// # Panics
    ///
    /// After [`feed_eof`](Self::feed_eof).
    #[track_caller]
    pub fn feed_data(&self, data: &[u8]) {
        feed_data(&self.connected, data);
    }

    /// Ends the stream; see [`StreamFeeder::feed_eof`].
    pub fn feed_eof(&self) {
        self.connected.feed_eof();
    }

    /// Lets every read fail; see [`StreamFeeder::set_exception`].
    pub fn set_exception(&self, error: io::Error) {
        self.connected.set_error(LastingError::new(error));
    }

    /// What every read fails with, if the connection was lost by an error.
    ///
    /// # asyncio
    ///
    /// `StreamReader.exception`. Same.
    #[must_use]
    pub fn exception(&self) -> Option<io::Error> {
        self.connected.look(|buffer| buffer.error().map(LastingError::give))
    }

    /// A handle by which others feed this reader, while a task reads from it.
    #[must_use]
    pub fn feeder(&self) -> StreamFeeder {
        StreamFeeder(self.connected.clone())
    }

    /// Both halves in one value.
    #[must_use]
    pub const fn reunite(self, writer: StreamWriter) -> StreamPair {
        StreamPair::new(self, writer)
    }

    pub(crate) const fn connected(&self) -> &Rc<Connected> {
        &self.connected
    }

    /// Attempts a read, and waits if it has to.
    pub(crate) fn poll_attempt<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl FnOnce(&mut ReadBuffer) -> Option<T>,
    ) -> Poll<T> {
        if let Some(wait) = &mut self.wait {
            // One that was kept beyond a cancellation, by a poll of somebody's own, looks, and waits anew.
            if Pin::new(&mut *wait).poll(cx).is_pending() && wait.state() != WaiterState::Cancelled {
                return Poll::Pending;
            }
            self.wait = None;
        }
        match self.connected.attempt(attempt) {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                self.wait = Some(self.connected.reader.wait_now(cx));
                Poll::Pending
            }
        }
    }

    /// Nobody waits any more.
    pub(crate) fn stop_waiting(&mut self) {
        self.wait = None;
    }

    /// What was shown and not consumed.
    pub(crate) fn front(&self) -> &[u8] {
        self.front.as_deref().map_or(&[], |front| front)
    }

    /// Shows `bytes`, which have left the buffer.
    pub(crate) fn set_front(&mut self, bytes: Bytes) {
        **self.front.get_or_insert_default() = bytes;
    }

    /// Forgets so many bytes of what was shown.
    ///
    /// # Panics
    ///
    /// If they are more.
    #[track_caller]
    pub(crate) fn consume_front(&mut self, amount: usize) {
        assert!(amount <= self.front().len(), "`consume` of more than was shown");
        if let Some(front) = self.front.as_deref_mut() {
            // Nothing of the buffer is kept when all is consumed.
            *front = if amount == front.len() { Bytes::new() } else { front.slice(amount..) };
        }
    }

    /// Puts back what was shown and not consumed.
    pub(crate) fn put_front_back(&mut self) {
        if let Some(front) = self.front.as_deref_mut()
            && !front.is_empty()
        {
            let front = std::mem::take(front);
            self.connected.look(|buffer| buffer.unread(&front));
        }
    }
}

#[track_caller]
fn feed_data(connected: &Connected, data: &[u8]) {
    assert!(!connected.look(|buffer| buffer.is_eof()), "`feed_data` called after `feed_eof`");
    connected.feed_data(data);
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.stop_waiting();
        self.connected.abandon_reading();
    }
}

impl fmt::Debug for StreamReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamReader").field(&self.connected).finish()
    }
}

/// Feeds a [`StreamReader`] while somebody reads from it. Clones feed the same reader.
#[derive(Clone)]
pub struct StreamFeeder(Rc<Connected>);

impl StreamFeeder {
    /// Appends bytes as if they had arrived, and wakes whoever reads. Dropped if the reader is gone.
    ///
    /// # Panics
    ///
    /// After [`feed_eof`](Self::feed_eof).
    ///
    /// # asyncio
    ///
    /// `StreamReader.feed_data`. Same.
    #[track_caller]
    pub fn feed_data(&self, data: &[u8]) {
        feed_data(&self.0, data);
    }

    /// Ends the stream, and wakes whoever reads. A second call does nothing.
    ///
    /// # asyncio
    ///
    /// `StreamReader.feed_eof`. Same.
    pub fn feed_eof(&self) {
        self.0.feed_eof();
    }

    /// Lets every read fail from now on, also while something is unread, and wakes whoever reads.
    ///
    /// # asyncio
    ///
    /// `StreamReader.set_exception`. Same.
    pub fn set_exception(&self, error: io::Error) {
        self.0.set_error(LastingError::new(error));
    }

    /// How many bytes were not read yet: whoever feeds by hand stops above twice the limit.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.0.look(|buffer| buffer.len())
    }
}

impl fmt::Debug for StreamFeeder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamFeeder").field(&self.0).finish()
    }
}
