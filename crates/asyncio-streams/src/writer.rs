//! `StreamWriter`: the sending half of a stream.
//!
//! Invariant: what is written is in the transport when `write` is back, or in the poll in which a future first writes.
//!
//! Absent on purpose: bytes that wait. They are the transport's.

use crate::connected::Connected;
use crate::error::LastingError;
use crate::limit::TimeLimit;
use asyncio_loop::IntoTimeout;
use asyncio_tasks::{Wait, WaiterState, poll_ready, yield_now};
use asyncio_transports::{ExtraInfo, Transport};
use bytes::Bytes;
use std::fmt;
use std::future::{Future as _, poll_fn};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// The sending half of a stream.
///
/// Its methods take `&self`: several tasks may write, and wait for room, at the same time. Bytes of one call stay together.
///
/// Dropping it closes the transport once everything that was written is sent.
///
/// # asyncio
///
/// [`asyncio.StreamWriter`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter). Differs: one that is dropped
/// closes, without a warning.
pub struct StreamWriter {
    connected: Rc<Connected>,
    transport: Transport,
    /// Where a poll of somebody's own waits.
    wait: Option<Box<Wait>>,
    /// A poll of somebody's own waits until everything is sent.
    is_flushing: bool,
}

impl StreamWriter {
    pub(crate) const fn new(connected: Rc<Connected>, transport: Transport) -> Self {
        Self { connected, transport, wait: None, is_flushing: false }
    }

    /// Writes `data` without waiting: what the peer does not take at once waits in memory. [`drain`](Self::drain) before it becomes
    /// too much; or [`write_all`](Self::write_all), which does both.
    ///
    /// What a task writes before it waits leaves in one system call. Ignored if the connection is closing or lost, which `drain`,
    /// reads and [`wait_closed`](Self::wait_closed) tell.
    ///
    /// # Panics
    ///
    /// After [`write_eof`](Self::write_eof).
    ///
    /// # asyncio
    ///
    /// [`StreamWriter.write`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter.write). Same.
    #[track_caller]
    pub fn write(&self, data: impl AsRef<[u8]>) {
        self.transport.write(data.as_ref());
    }

    /// As [`write`](Self::write), of bytes that are given away: they are not copied, however long they have to wait.
    ///
    /// # Panics
    ///
    /// After [`write_eof`](Self::write_eof).
    ///
    /// # asyncio
    ///
    /// `StreamWriter.write` of an immutable object.
    #[track_caller]
    pub fn write_bytes(&self, data: impl Into<Bytes>) {
        self.transport.write_bytes(data);
    }

    /// Writes each of `pieces`, in order, as one write.
    ///
    /// # Panics
    ///
    /// After [`write_eof`](Self::write_eof).
    ///
    /// # asyncio
    ///
    /// [`StreamWriter.writelines`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter.writelines). Same.
    #[track_caller]
    pub fn writelines<I>(&self, pieces: I)
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        self.transport.writelines(pieces);
    }

    /// Waits until there is room to write more: not at all while no more than the high-water mark (64 KiB) waits to be sent, and
    /// otherwise until no more than the low-water mark (16 KiB) does. All who wait go on together. A task that has not waited for a
    /// millisecond lets others run here.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was written is sent in any case.
    ///
    /// # Errors
    ///
    /// Why the connection was lost, or `ConnectionReset` if it was closed; `TimedOut` after [`set_timeout`](Self::set_timeout).
    /// A connection that closes by itself while this waits is no error.
    ///
    /// # asyncio
    ///
    /// [`StreamWriter.drain`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter.drain). Same.
    pub async fn drain(&self) -> io::Result<()> {
        self.check_alive().await?;
        self.wait_for_room().await
    }

    /// Writes all of `data`, and waits for room as [`drain`](Self::drain) does. Memory is bounded by the high-water mark and one
    /// write.
    ///
    /// # Cancel safety
    ///
    /// All of `data` is written when it is polled first, and none of it before; dropping it later only stops waiting.
    ///
    /// # Errors
    ///
    /// As [`drain`](Self::drain).
    ///
    /// # Panics
    ///
    /// After [`write_eof`](Self::write_eof).
    ///
    /// # asyncio
    ///
    /// None: `write` and `drain`.
    pub async fn write_all(&self, data: impl AsRef<[u8]>) -> io::Result<()> {
        self.write(data);
        self.drain().await
    }

    /// Waits until everything that was written has been handed to the system.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was written is sent in any case.
    ///
    /// # Errors
    ///
    /// As [`drain`](Self::drain).
    ///
    /// # asyncio
    ///
    /// None: `drain` waits for the low-water mark only.
    pub async fn flush(&self) -> io::Result<()> {
        self.check_alive().await?;
        let _flush = Flush::begin(&self.connected, &self.transport);
        self.wait_for_room().await
    }

    /// Finishes sending once all that was written has left: the peer sees the end, and reading goes on. A second call does nothing.
    ///
    /// # Errors
    ///
    /// What the system says, mostly that the peer is gone.
    ///
    /// # asyncio
    ///
    /// [`StreamWriter.write_eof`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter.write_eof). Same.
    pub fn write_eof(&self) -> io::Result<()> {
        self.connected.note_eof_written();
        self.transport.write_eof()
    }

    /// Whether [`write_eof`](Self::write_eof) is possible.
    ///
    /// # asyncio
    ///
    /// [`StreamWriter.can_write_eof`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter.can_write_eof). Same.
    #[must_use]
    pub fn can_write_eof(&self) -> bool {
        self.transport.can_write_eof()
    }

    /// Closes the connection once everything that was written is sent. Does not wait: [`wait_closed`](Self::wait_closed) does.
    ///
    /// # asyncio
    ///
    /// [`StreamWriter.close`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter.close). Same.
    pub fn close(&self) {
        self.transport.close();
    }

    /// Whether the connection is closing, or closed, or was lost.
    ///
    /// # asyncio
    ///
    /// [`StreamWriter.is_closing`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter.is_closing). Same.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.transport.is_closing()
    }

    /// Waits until the connection is closed; it does not close it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing changes by dropping it.
    ///
    /// # Errors
    ///
    /// Why the connection was lost, if it was by an error, each time; `TimedOut` after [`set_timeout`](Self::set_timeout).
    ///
    /// # asyncio
    ///
    /// [`StreamWriter.wait_closed`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter.wait_closed). Same.
    pub async fn wait_closed(&self) -> io::Result<()> {
        let mut limit = TimeLimit::default();
        loop {
            if let Some(lost) = self.connected.lost() {
                return lost.as_ref().map_or(Ok(()), |error| Err(error.give()));
            }
            self.wait(&mut limit).await?;
        }
    }

    /// How long each `drain`, `write_all`, `flush` and `wait_closed` may wait: seconds, a `Duration`, or `None` for as long as it
    /// takes, which is the default. One for which that is too short fails with `TimedOut`.
    ///
    /// # Panics
    ///
    /// If `timeout` is NaN.
    ///
    /// # asyncio
    ///
    /// None: `async with asyncio.timeout(…)` around each call.
    #[track_caller]
    pub fn set_timeout(&self, timeout: impl IntoTimeout) {
        self.connected.timeouts().write.set(timeout.into_timeout());
    }

    /// What asyncio knows under a name: `"peername"`, `"sockname"`, `"socket"`. `None` if there is no such thing.
    ///
    /// # asyncio
    ///
    /// [`StreamWriter.get_extra_info`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter.get_extra_info). Same,
    /// by an enum.
    #[must_use]
    pub fn get_extra_info(&self, name: &str) -> Option<ExtraInfo> {
        self.transport.get_extra_info(name)
    }

    /// The IP address and port of the other end, also after the connection was lost.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it was never known, `Unsupported` if it is not an IP address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.transport.peer_addr()
    }

    /// The IP address and port of this end.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the connection is lost, `Unsupported` if it is not an IP address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.transport.local_addr()
    }

    /// The transport beneath: for its high-water mark, or to abort the connection.
    ///
    /// # asyncio
    ///
    /// [`StreamWriter.transport`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.StreamWriter.transport). Same.
    #[must_use]
    pub const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Waits for room or for the end, unless it has done so for too long.
    async fn wait(&self, limit: &mut TimeLimit) -> io::Result<()> {
        limit.check(&self.connected, self.connected.write_timeout())?;
        self.connected.writers.wait().await;
        Ok(())
    }

    /// The error that reads get comes first. A connection that closes has one step of the loop to be lost.
    async fn check_alive(&self) -> io::Result<()> {
        poll_fn(poll_ready).await;
        if let Some(error) = self.connected.look(|buffer| buffer.error().map(LastingError::give)) {
            return Err(error);
        }
        if self.transport.is_closing() {
            yield_now().await;
        }
        Ok(())
    }

    async fn wait_for_room(&self) -> io::Result<()> {
        if self.connected.lost().is_some() {
            return Err(lost_before());
        }
        if !self.connected.is_writing_paused() {
            return Ok(());
        }
        let (resumed, mut limit) = (self.connected.resumed(), TimeLimit::default());
        while self.connected.lost().is_none() && self.connected.resumed() == resumed {
            self.wait(&mut limit).await?;
        }
        match self.connected.lost() {
            Some(Some(error)) => Err(error.give()),
            _ => Ok(()),
        }
    }

    /// Writes all of `data`, once there is room.
    pub(crate) fn poll_write_bytes(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_may_write(cx).map_ok(|()| {
            self.transport.write(data);
            data.len()
        })
    }

    /// Writes all of `pieces`, once there is room.
    pub(crate) fn poll_write_pieces(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_may_write(cx).map_ok(|()| {
            pieces.iter().for_each(|piece| self.transport.write(piece));
            pieces.iter().map(|piece| piece.len()).sum()
        })
    }

    fn poll_may_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(poll_ready(cx));
        if self.why_not_write().is_none() && self.poll_room(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(self.why_not_write().map_or(Ok(()), Err))
    }

    fn why_not_write(&self) -> Option<io::Error> {
        match self.connected.lost() {
            Some(Some(error)) => Some(error.give()),
            _ if self.connected.is_eof_written() || self.transport.is_closing() => {
                Some(io::Error::new(io::ErrorKind::BrokenPipe, "the stream is closed for writing"))
            }
            _ => None,
        }
    }

    /// As `flush`.
    pub(crate) fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_flushing {
            if self.transport.get_write_buffer_size() == 0 {
                return Poll::Ready(self.why_lost().map_or(Ok(()), Err));
            }
            self.is_flushing = true;
            self.connected.begin_flush(&self.transport);
        }
        if self.poll_room(cx).is_pending() {
            return Poll::Pending;
        }
        self.end_flush();
        Poll::Ready(self.why_lost().map_or(Ok(()), Err))
    }

    /// Flushes, and then finishes sending.
    pub(crate) fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flushed(cx))?;
        Poll::Ready(match self.write_eof() {
            // The peer was faster.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            outcome => outcome,
        })
    }

    fn why_lost(&self) -> Option<io::Error> {
        self.connected.lost()?.as_ref().map(LastingError::give)
    }

    /// Waits while writing is paused, unless the connection is lost.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.connected.lost().is_some() || !self.connected.is_writing_paused() {
                self.wait = None;
                return Poll::Ready(());
            }
            match &mut self.wait {
                None => {
                    self.wait = Some(Box::new(self.connected.writers.wait_now(cx)));
                    return Poll::Pending;
                }
                Some(wait) => {
                    // One that was kept beyond a cancellation waits anew.
                    if Pin::new(&mut **wait).poll(cx).is_pending() && wait.state() != WaiterState::Cancelled {
                        return Poll::Pending;
                    }
                    self.wait = None;
                }
            }
        }
    }

    fn end_flush(&mut self) {
        if std::mem::take(&mut self.is_flushing) {
            self.connected.end_flush(&self.transport);
        }
    }
}

/// Everything is to be sent while this lives.
struct Flush<'a>(&'a Connected, &'a Transport);

impl<'a> Flush<'a> {
    fn begin(connected: &'a Connected, transport: &'a Transport) -> Self {
        connected.begin_flush(transport);
        Self(connected, transport)
    }
}

impl Drop for Flush<'_> {
    fn drop(&mut self) {
        self.0.end_flush(self.1);
    }
}

fn lost_before() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "connection lost")
}

impl Drop for StreamWriter {
    fn drop(&mut self) {
        self.end_flush();
        self.transport.close();
    }
}

impl fmt::Debug for StreamWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamWriter").field(&self.transport).finish()
    }
}
