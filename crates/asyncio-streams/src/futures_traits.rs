//! The traits of `futures_io`, by which streams work with whatever knows these.
//!
//! Reading gives what is there; writing takes everything once there is room. `poll_close` is
//! [`write_eof`](crate::StreamWriter::write_eof): the peer sees the end, and reading goes on.

use crate::pair::StreamPair;
use crate::reader::StreamReader;
use crate::writer::StreamWriter;
use asyncio_tasks::poll_ready;
use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

impl StreamReader {
    /// As `read`, by showing up to `most` bytes; gives how many.
    pub(crate) fn poll_read_with(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
        show: impl FnOnce(&[u8]),
    ) -> Poll<io::Result<usize>> {
        ready!(poll_ready(cx));
        if self.front().is_empty() {
            return self.poll_attempt(cx, |buffer| buffer.read_with(most, show));
        }
        let bytes = most.min(self.front().len());
        show(&self.front()[..bytes]);
        self.consume_front(bytes);
        Poll::Ready(Ok(bytes))
    }
}

impl AsyncRead for StreamReader {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_read_with(cx, room.len(), |bytes| room[..bytes.len()].copy_from_slice(bytes))
    }
}

impl AsyncBufRead for StreamReader {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let reader = self.get_mut();
        if reader.front().is_empty() {
            ready!(poll_ready(cx));
            let bytes = ready!(reader.poll_attempt(cx, |buffer| buffer.read(usize::MAX)))?;
            reader.set_front(bytes);
        }
        Poll::Ready(Ok(reader.front()))
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.consume_front(amount);
    }
}

impl AsyncWrite for StreamWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_bytes(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_pieces(cx, pieces)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flushed(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_finished(cx)
    }
}

impl AsyncRead for StreamPair {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.reader).poll_read(cx, room)
    }
}

impl AsyncBufRead for StreamPair {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(&mut self.get_mut().reader).poll_fill_buf(cx)
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        Pin::new(&mut self.reader).consume(amount);
    }
}

impl AsyncWrite for StreamPair {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.writer.poll_write_bytes(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writer.poll_write_pieces(cx, pieces)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.poll_flushed(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.poll_finished(cx)
    }
}
