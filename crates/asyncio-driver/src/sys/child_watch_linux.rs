//! Being told of a child's end on Linux: a pidfd.

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io;
use std::os::fd::OwnedFd;

/// A descriptor that is readable once the process `pid`, a child of this one that was not collected yet, has ended.
///
/// # Errors
///
/// `Unsupported` where the system has no such thing (Linux before 5.3, other systems), or a sandbox forbids it; otherwise what
/// the system reports: that no descriptor is left, or that somebody else has collected the child.
pub fn child_watch(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    pidfd_open(pid, PidfdFlags::empty()).map_err(|error| {
        if matches!(error, rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) {
            return io::Error::new(io::ErrorKind::Unsupported, "this system has no descriptors of processes");
        }
        error.into()
    })
}
