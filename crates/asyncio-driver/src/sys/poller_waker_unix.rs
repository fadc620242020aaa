//! What wakes a `PollingDriver` on Unix: a pair of sockets, since `polling`'s own notifier is no matter for a signal
//! handler (it takes no lock, but promises nothing).
//!
//! Invariants:
//! 1. The writing end belongs to the `Arc`: a notifier that outlives its driver writes to a socket that is closed at the
//!    other end, without a signal and without effect.
//! 2. The pair is full or empty or between, never in the way: a write that finds it full is not needed.

#![expect(unsafe_code, reason = "`polling` asks its caller to remove a source before closing it")]

use super::errno::KeepErrno;
use crate::Notify;
use polling::{PollMode, Poller};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Waker {
    reader: UnixStream,
    writer: Arc<Writer>,
}

impl Waker {
    /// The key of the waker's events: the number of no descriptor, and not `usize::MAX`, which `polling` keeps.
    pub(super) const KEY: usize = usize::MAX - 1;
    /// Whether the notifier may be used by a signal handler.
    pub(super) const SIGNAL_SAFE: bool = true;

    pub(super) fn new(poller: &Arc<Poller>) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let event = polling::Event::readable(Self::KEY);
        // SAFETY: the driver drops the poller before this waker, or a failing constructor drops both and nobody waits.
        unsafe { poller.add_with_mode(reader.as_raw_fd(), event, PollMode::Level) }?;
        Ok(Self { reader, writer: Arc::new(Writer(writer.into())) })
    }

    pub(super) fn notifier(&self) -> Arc<dyn Notify> {
        self.writer.clone()
    }

    /// Forgets the notifications that the wait has reported.
    pub(super) fn drain(&self) {
        let mut scratch = [0; 256];
        loop {
            match (&self.reader).read(&mut scratch) {
                Ok(count) if count == scratch.len() => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }
}

#[derive(Debug)]
struct Writer(OwnedFd);

impl Notify for Writer {
    /// send(2) is async-signal-safe, and nothing else happens here.
    fn notify(&self) {
        let _errno = KeepErrno::new();
        // SAFETY: one byte is read from a constant, and the descriptor is open as long as `self`.
        let _ = unsafe { libc::send(self.0.as_raw_fd(), [1_u8].as_ptr().cast(), 1, libc::MSG_NOSIGNAL) };
    }
}
