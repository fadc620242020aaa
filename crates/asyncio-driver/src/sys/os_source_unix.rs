//! Sources of the system on Unix: descriptors.

use crate::Source;
use socket2::Socket;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// The descriptor of a source.
pub(super) fn borrowed(source: Source<'_>) -> io::Result<BorrowedFd<'_>> {
    match source {
        Source::Os(fd) => Ok(fd),
        Source::Virtual(..) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a virtual source belongs to the driver that made it; this driver waits for descriptors",
        )),
    }
}

/// The number that names it, and the form in which `polling` adds it.
pub(super) fn number(fd: BorrowedFd<'_>) -> (usize, RawFd) {
    let raw = fd.as_raw_fd();
    (usize::try_from(raw).expect("an open descriptor is not negative"), raw)
}

/// What to register of a socket.
pub(super) fn of_socket(socket: &Socket) -> Source<'_> {
    Source::Os(socket.as_fd())
}

/// Whether the system says that there is no such descriptor.
pub(super) fn is_closed(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBADF)
}
