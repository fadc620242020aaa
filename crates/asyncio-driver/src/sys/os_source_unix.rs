//! Sources of the system on Unix: descriptors. And the names that Unix sockets have there.

use crate::{Address, Source};
use socket2::{SockAddr, Socket};
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

/// The address of a Unix socket.
pub(super) fn unix_name(address: &SockAddr) -> Address {
    if let Some(path) = address.as_pathname() {
        return Address::Unix(path.to_path_buf());
    }
    address.as_abstract_namespace().map_or(Address::Unnamed, |name| Address::UnixAbstract(name.to_vec()))
}
