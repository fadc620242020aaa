//! Being told of a child's end on Unixes that have no descriptor for it.

use std::io;
use std::os::fd::OwnedFd;

/// A descriptor that is readable once the process `pid`, a child of this one that was not collected yet, has ended.
///
/// # Errors
///
/// `Unsupported` where the system has no such thing (Linux before 5.3, other systems), or a sandbox forbids it; otherwise what
/// the system reports: that no descriptor is left, or that somebody else has collected the child.
pub fn child_watch(_pid: u32) -> io::Result<OwnedFd> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no descriptors of processes"))
}
