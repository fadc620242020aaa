//! The notifier of `EpollDriver`: an eventfd that is written and never read.
//!
//! Invariants:
//! 1. The eventfd is registered edge-triggered: each write queues it once, whatever its count is, and a wait takes it
//!    off the queue. So a notification costs the waiting side no system call at all. (The count could overflow after
//!    2^64 - 2 notifications, 500 years at 1 ns each.)
//! 2. The descriptor belongs to the `Arc`: a notifier that outlives its driver writes to an eventfd that nobody waits for.

use super::errno::KeepErrno;
use crate::Notify;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Wakes an epoll descriptor on which it is registered.
#[derive(Debug)]
pub(super) struct EventFd(OwnedFd);

impl EventFd {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Notify for EventFd {
    /// write(2) is async-signal-safe, and nothing else happens here (man 7 signal-safety).
    fn notify(&self) {
        let _errno = KeepErrno::new();
        // Can fail only by a full counter, and then it has been written before and the wait has been told.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}
