//! Sockets that exist already, on Windows.

use socket2::Socket;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::windows::io::OwnedSocket;

/// A socket that somebody else has made, for a driver to take over: of the standard library, inherited, or passed by another
/// process.
#[derive(Debug)]
pub struct OsSocket(OwnedSocket);

impl OsSocket {
    pub(super) fn into_socket(self) -> Socket {
        self.0.into()
    }
}

/// Sockets are not inherited unless that is asked for.
#[expect(clippy::unnecessary_wraps, reason = "can fail on Unix")]
pub(super) fn close_on_exec(_socket: &Socket) -> io::Result<()> {
    Ok(())
}

/// Whether `error` says that sockets or memory are used up, so that trying again later may help: `WSAEMFILE`,
/// `WSAENOBUFS`, `WSA_NOT_ENOUGH_MEMORY`.
#[must_use]
pub fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(10024 | 10055 | 8))
}

impl From<OwnedSocket> for OsSocket {
    fn from(socket: OwnedSocket) -> Self {
        Self(socket)
    }
}

impl From<TcpStream> for OsSocket {
    fn from(socket: TcpStream) -> Self {
        Self(socket.into())
    }
}

impl From<TcpListener> for OsSocket {
    fn from(socket: TcpListener) -> Self {
        Self(socket.into())
    }
}

impl From<UdpSocket> for OsSocket {
    fn from(socket: UdpSocket) -> Self {
        Self(socket.into())
    }
}
