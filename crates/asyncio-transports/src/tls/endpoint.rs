//! `TlsEndpoint`: a session on an endpoint, as an endpoint.
//!
//! Invariants:
//! 1. What `send` says is sent has left in full: plaintext that was encrypted, and whose ciphertext waits, is `owed`. It counts
//!    with a later call, which begins with the same bytes, as every call does that follows a short one.
//! 2. A short `recv` with nothing left in here and beneath is `has_more() == false`, so that edges are enough.
//! 3. The end beneath is an error, unless the peer has said that it is done.
//!
//! Absent on purpose: who waits for it.

use super::context::SslError;
use super::session::Session;
use crate::connection::reading::{Received, Rest, receive_at_front};
use asyncio_driver::{Address, Source, StreamEndpoint};
use std::any::Any;
use std::io::{self, IoSlice};
use std::net::Shutdown;

/// An endpoint that encrypts.
#[derive(Debug)]
pub(super) struct TlsEndpoint {
    inner: Box<dyn StreamEndpoint>,
    session: Session,
    owed_bytes: usize,
    /// The last `recv` has asked beneath, and had room for more. What an earlier one has seen says nothing: an edge that came
    /// meanwhile would be lost.
    is_drained: bool,
}

/// What an exchange waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Done,
    Readable,
    Writable,
}

impl TlsEndpoint {
    pub(super) fn new(inner: Box<dyn StreamEndpoint>, session: Session) -> Self {
        Self { inner, session, owed_bytes: 0, is_drained: true }
    }

    pub(super) const fn session(&self) -> &Session {
        &self.session
    }

    /// Goes on with the handshake.
    pub(super) fn handshake(&mut self) -> io::Result<Wait> {
        loop {
            if let Err(error) = self.session.read(&mut []) {
                return Err(self.failed(error));
            }
            if !self.flush()? {
                return Ok(Wait::Writable);
            }
            if !self.session.is_handshaking() {
                return Ok(Wait::Done);
            }
            if self.session.is_peer_closed() {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the peer has closed during the TLS handshake",
                ));
            }
            match self.receive()? {
                Received::Nothing => return Ok(Wait::Readable),
                Received::Bytes(..) => {}
                Received::End => {
                    let message = "the connection has ended during the TLS handshake";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
            }
        }
    }

    /// Takes leave: says that nothing more will come, and waits until the peer has said so, too, or is gone. If it is TLS
    /// inside TLS, the outer peer is told, and not waited for.
    pub(super) fn part(&mut self) -> io::Result<Wait> {
        let wait = self.part_inside()?;
        if wait == Wait::Done
            && let Some(outer) = (&mut *self.inner as &mut dyn Any).downcast_mut::<Self>()
        {
            // It may be gone, which is no harm now.
            let _ = outer.session.close_notify().is_ok() && outer.flush().is_ok();
        }
        Ok(wait)
    }

    fn part_inside(&mut self) -> io::Result<Wait> {
        if let Err(error) = self.session.close_notify() {
            return Err(self.failed(error));
        }
        if !self.flush()? {
            return Ok(Wait::Writable);
        }
        loop {
            if let Err(error) = self.session.skip() {
                return Err(self.failed(error));
            }
            if self.session.is_peer_closed() {
                return Ok(Wait::Done);
            }
            match self.receive()? {
                Received::Nothing => return Ok(Wait::Readable),
                Received::Bytes(..) => {}
                Received::End => return Ok(Wait::Done),
            }
        }
    }

    /// Takes ciphertext from beneath.
    fn receive(&mut self) -> io::Result<Received> {
        let received = receive_at_front(&mut *self.inner, self.session.room())?;
        match received {
            Received::Bytes(count, rest) => {
                self.session.arrived(count);
                self.is_drained = rest == Rest::Nothing;
            }
            Received::End | Received::Nothing => self.is_drained = true,
        }
        Ok(received)
    }

    /// Sends ciphertext that waits; says whether all of it has left.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.session.outgoing().is_empty() {
            let waiting = self.session.outgoing();
            match self.inner.send(&[IoSlice::new(waiting)]) {
                Ok(count) => {
                    let is_short = count < waiting.len();
                    self.session.sent(count);
                    if is_short {
                        return Ok(false);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// The session has failed: tells the peer, if that can be done at once.
    fn failed(&mut self, error: rustls::Error) -> io::Error {
        // The peer may be gone, and the reason is worth more than that.
        let _ = self.flush();
        SslError::new(error).into()
    }

    /// Encrypts what follows the first `skipped` bytes, a chunk at most; gives how many bytes that was.
    fn encrypt(&mut self, bufs: &[IoSlice<'_>], mut skipped: usize) -> io::Result<usize> {
        let mut count = 0;
        for buf in bufs {
            let skip = skipped.min(buf.len());
            skipped -= skip;
            let bytes = &buf[skip..];
            let chunk = &bytes[..bytes.len().min(CHUNK_BYTES - count)];
            if !chunk.is_empty() {
                self.session.write(chunk).map_err(SslError::new)?;
                count += chunk.len();
            }
            if count == CHUNK_BYTES {
                break;
            }
        }
        Ok(count)
    }
}

impl StreamEndpoint for TlsEndpoint {
    fn source(&self) -> Source<'_> {
        self.inner.source()
    }

    fn recv<'a>(&'a mut self, scratch: &'a mut [u8]) -> io::Result<&'a [u8]> {
        if scratch.is_empty() {
            return Ok(&[]);
        }
        self.is_drained = false;
        loop {
            let count = match self.session.read(scratch) {
                Ok(count) => count,
                Err(error) => return Err(self.failed(error)),
            };
            // Answers of the session's own; what does not leave now, leaves with what is sent next. A failure is met there, too:
            // it must not cost the bytes that have arrived before.
            let _ = self.flush();
            if count > 0 || self.session.is_peer_closed() {
                self.session.trim();
                return Ok(&scratch[..count]);
            }
            match self.receive()? {
                Received::Bytes(..) => {}
                Received::Nothing => {
                    self.session.trim();
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Received::End => {
                    let message =
                        "the connection has ended without the peer's close_notify: what was received may be cut off";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
            }
        }
    }

    fn send(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut sent = 0;
        loop {
            if !self.flush()? {
                return if sent == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(sent) };
            }
            sent += std::mem::take(&mut self.owed_bytes);
            self.owed_bytes = self.encrypt(bufs, sent)?;
            if self.owed_bytes == 0 {
                self.session.trim();
                return Ok(sent);
            }
        }
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.inner.shutdown(how)
    }

    fn finish_connect(&mut self) -> io::Result<()> {
        self.inner.finish_connect()
    }

    fn local_addr(&self) -> io::Result<Address> {
        self.inner.local_addr()
    }

    fn peer_addr(&self) -> io::Result<Address> {
        self.inner.peer_addr()
    }

    fn has_more(&self) -> bool {
        self.session.has_news() || !self.is_drained
    }
}

/// So much plaintext is encrypted before it is sent.
const CHUNK_BYTES: usize = 64 * 1024;
