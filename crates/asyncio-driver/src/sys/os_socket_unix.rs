//! Sockets that exist already, on Unix: descriptors.

use socket2::Socket;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

/// A socket that somebody else has made, for a driver to take over: of the standard library, inherited, or passed by another
/// process.
#[derive(Debug)]
pub struct OsSocket(OwnedFd);

impl OsSocket {
    pub(super) fn into_socket(self) -> Socket {
        self.0.into()
    }
}

/// Makes a socket close when another program is executed.
pub(super) fn close_on_exec(socket: &Socket) -> io::Result<()> {
    socket.set_cloexec(true)
}

/// Whether `error` says that descriptors or memory are used up, so that trying again later may help: `EMFILE`, `ENFILE`,
/// `ENOBUFS`, `ENOMEM`.
#[must_use]
pub fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

impl From<OwnedFd> for OsSocket {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
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

impl From<UnixStream> for OsSocket {
    fn from(socket: UnixStream) -> Self {
        Self(socket.into())
    }
}

impl From<UnixListener> for OsSocket {
    fn from(socket: UnixListener) -> Self {
        Self(socket.into())
    }
}

impl From<UnixDatagram> for OsSocket {
    fn from(socket: UnixDatagram) -> Self {
        Self(socket.into())
    }
}
