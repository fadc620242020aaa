//! Sources of the system on Windows: sockets. And the names that Unix sockets do not have there.

use crate::{Address, Source};
use socket2::{SockAddr, Socket};
use std::io;
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, RawSocket};

/// The socket of a source.
pub(super) fn borrowed(source: Source<'_>) -> io::Result<BorrowedSocket<'_>> {
    match source {
        Source::Os(socket) => Ok(socket),
        Source::Virtual(..) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a virtual source belongs to the driver that made it; this driver waits for sockets",
        )),
    }
}

/// The number that names it, and the form in which `polling` adds it.
pub(super) fn number(socket: BorrowedSocket<'_>) -> (usize, RawSocket) {
    let raw = socket.as_raw_socket();
    (usize::try_from(raw).expect("a socket is as wide as a pointer"), raw)
}

/// What to register of a socket.
pub(super) fn of_socket(socket: &Socket) -> Source<'_> {
    Source::Os(socket.as_socket())
}

/// Whether the system says that there is no such socket.
pub(super) fn is_closed(error: &io::Error) -> bool {
    /// `WSAENOTSOCK` of `winsock2.h`.
    const NOT_A_SOCKET: i32 = 10038;
    error.raw_os_error() == Some(NOT_A_SOCKET)
}

/// The address of a Unix socket: `socket2` does not read their paths on Windows.
pub(super) fn unix_name(_address: &SockAddr) -> Address {
    Address::Unnamed
}
