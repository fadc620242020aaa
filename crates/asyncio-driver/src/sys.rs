//! The systems.

use crate::Driver;
use std::io;

/// Linux's epoll.
#[cfg(target_os = "linux")]
#[derive(Debug)]
#[non_exhaustive]
pub struct EpollDriver {}

/// The `polling` crate.
#[derive(Debug)]
#[non_exhaustive]
pub struct PollingDriver {}

/// The best driver of this system.
///
/// # Errors
///
/// What the system reports.
pub fn new_driver() -> io::Result<Box<dyn Driver>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Grows by one in a forked child.
#[must_use]
pub fn fork_generation() -> u32 {
    0
}
