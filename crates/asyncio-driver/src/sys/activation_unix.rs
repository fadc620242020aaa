//! Sockets that a service manager has opened for this process: `LISTEN_FDS`, as systemd's `sd_listen_fds` has it.
//!
//! Absent on purpose: changing the environment. That cannot be done safely once there are threads; a child has another
//! process id, and so takes nothing by mistake.

#![expect(unsafe_code, reason = "descriptors that are handed over by number")]

use super::os_socket::OsSocket;
use std::env;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

/// The sockets that were opened for this process by whoever started it, with their names (empty where none was given), in
/// order. Empty if there are none, and from the second call on: they are given away once.
///
/// # Errors
///
/// `InvalidData` if `LISTEN_FDS` makes no sense.
pub fn take_inherited_sockets() -> io::Result<Vec<(String, OsSocket)>> {
    let for_us = env::var("LISTEN_PID").is_ok_and(|pid| pid.trim() == process::id().to_string());
    let Some(count) = env::var_os("LISTEN_FDS").filter(|_| for_us) else { return Ok(Vec::new()) };
    let invalid = || io::Error::new(io::ErrorKind::InvalidData, format!("LISTEN_FDS is {count:?}, and not a number"));
    let count: RawFd = count.to_str().and_then(|text| text.trim().parse().ok()).ok_or_else(invalid)?;
    if !(0..=COUNT_MAX).contains(&count) {
        return Err(invalid());
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    // Relaxed: it is one word, and whoever is first takes all.
    if IS_TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let take = |fd: RawFd| {
        // SAFETY: `fcntl` takes any number; a negative answer means that nothing is open there.
        let is_open = unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0;
        if !is_open {
            let message = format!("LISTEN_FDS says that descriptor {fd} is open, which it is not");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        // SAFETY: it is open, and by the protocol it is this process's to own; `IS_TAKEN` sees to it that it is taken once.
        let owned = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: as above; a child must not keep it.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        Ok((names.next().unwrap_or_default().to_owned(), owned.into()))
    };
    (FIRST..FIRST + count).map(take).collect()
}

/// They have been given away.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);
/// `SD_LISTEN_FDS_START`.
const FIRST: RawFd = 3;
/// More than any process can have.
const COUNT_MAX: RawFd = 1 << 20;
