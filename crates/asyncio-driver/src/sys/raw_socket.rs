//! `RawSocket`: a socket of the system, whose operations are the system's, one call each.
//!
//! For whoever wants asyncio's `sock_*` methods: endpoints know how bytes move, this knows what a socket can do. It is
//! registered with any driver that waits for sockets of the system.
//!
//! Invariants: as `socket`'s. Nothing here waits: what would is answered by `WouldBlock`.
//!
//! Absent on purpose: waiting, and who does it.

use super::socket::{self, is_about_one_connection, uninitialised, uninterrupted};
use super::{os_source, socket_address, socket_os};
use crate::{Address, OsSocket, Source};
use socket2::{SockAddr, Socket, Type};
use std::fs::File;
use std::io::{self, Read as _};
use std::net::Shutdown;
#[cfg(unix)]
use std::os::fd::AsFd as _;

/// A socket of the system: non-blocking, and closed when it is dropped and when another program is executed.
///
/// Every operation is one system call, repeated only if a signal has interrupted it.
#[derive(Debug)]
pub struct RawSocket {
    socket: Socket,
    is_stream: bool,
}

impl RawSocket {
    /// Takes a socket over that exists already, of any kind.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no socket.
    pub fn adopt(socket: impl Into<OsSocket>) -> io::Result<Self> {
        let socket = socket::make_ours(socket.into())?;
        let is_stream = socket.r#type()? == Type::STREAM;
        Ok(Self { socket, is_stream })
    }

    /// A new stream socket of the family of `address`; neither bound nor connected.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the address has no family; otherwise what the system reports.
    pub fn stream_for(address: &Address) -> io::Result<Self> {
        let domain = socket_address::to_system(address)?.domain();
        Ok(Self { socket: socket_os::open(domain, Type::STREAM)?, is_stream: true })
    }

    /// A new datagram socket of the family of `address`; neither bound nor connected.
    ///
    /// # Errors
    ///
    /// As [`stream_for`](Self::stream_for).
    pub fn datagram_for(address: &Address) -> io::Result<Self> {
        let domain = socket_address::to_system(address)?.domain();
        Ok(Self { socket: socket_os::open(domain, Type::DGRAM)?, is_stream: false })
    }

    /// What to register with a driver.
    #[must_use]
    pub fn source(&self) -> Source<'_> {
        os_source::of_socket(&self.socket)
    }

    /// Whether it is a stream, and not a place for packets.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Binds it.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub fn bind(&self, address: &Address) -> io::Result<()> {
        self.socket.bind(&socket_address::to_system(address)?)
    }

    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub fn listen(&self, backlog: u32) -> io::Result<()> {
        self.socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))
    }

    /// Starts to connect, and says whether that is done; if not, it is once the socket is reported writable.
    ///
    /// # Errors
    ///
    /// Why it failed.
    pub fn connect(&self, address: &Address) -> io::Result<bool> {
        match self.socket.connect(&socket_address::to_system(address)?) {
            Ok(()) => Ok(true),
            Err(error) if socket_os::is_under_way(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How the connect went, once the socket was reported writable.
    ///
    /// # Errors
    ///
    /// `WouldBlock` while it is under way; otherwise why it failed, which is told once.
    pub fn finish_connect(&self) -> io::Result<()> {
        socket::how_connect_went(&self.socket)
    }

    /// Accepts the connection that arrived first. What its peer gave up before is passed over.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none has arrived; otherwise what the system reports.
    pub fn accept(&self) -> io::Result<(Self, Address)> {
        loop {
            match socket_os::accept(&self.socket) {
                Ok((socket, peer)) => {
                    return Ok((Self { socket, is_stream: true }, socket_address::from_system(&peer)));
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives into `room`; says how many bytes. None, if there was room, is the end of a stream.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing has arrived; otherwise what the system reports.
    pub fn recv(&self, room: &mut [u8]) -> io::Result<usize> {
        uninterrupted(|| (&self.socket).read(room))
    }

    /// Receives one packet, cut to `room`; says how many bytes, and who has sent it.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_from(&self, room: &mut [u8]) -> io::Result<(usize, Address)> {
        let (count, sender) = uninterrupted(|| socket_os::recv_from(&self.socket, uninitialised(room)))?;
        Ok((count, socket_address::from_system(&sender)))
    }

    /// Sends as much of `data` as there is room for; says how many bytes. No signal is raised.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; otherwise what the system reports.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        uninterrupted(|| self.socket.send_with_flags(data, socket_os::SEND_FLAGS))
    }

    /// Sends one packet.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_to(&self, packet: &[u8], address: &Address) -> io::Result<usize> {
        let address: SockAddr = socket_address::to_system(address)?;
        uninterrupted(|| self.socket.send_to_with_flags(packet, &address, socket_os::SEND_FLAGS))
    }

    /// As [`StreamEndpoint::send_file`](crate::StreamEndpoint::send_file).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send_file(&self, file: &File, offset: u64, count: usize) -> io::Result<usize> {
        uninterrupted(|| socket_os::send_file(&self.socket, file, offset, count))
    }

    /// Switches whether small writes leave at once (`TCP_NODELAY`), or may wait to be joined by others.
    ///
    /// # Errors
    ///
    /// What the system reports, mostly that it is not TCP.
    pub fn set_nodelay(&self, is_on: bool) -> io::Result<()> {
        self.socket.set_tcp_nodelay(is_on)
    }

    /// Finishes receiving, sending, or both.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer has gone already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub fn local_addr(&self) -> io::Result<Address> {
        self.socket.local_addr().map(|address| socket_address::from_system(&address))
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<Address> {
        self.socket.peer_addr().map(|address| socket_address::from_system(&address))
    }
}

#[cfg(unix)]
impl RawSocket {
    /// Sends bytes and descriptors together, over a Unix socket; says how many bytes. The receiver gets duplicates.
    ///
    /// # Errors
    ///
    /// `InvalidInput` without a byte, or with more than 253 descriptors; `Unsupported` where this is not done yet; otherwise as
    /// [`send`](Self::send).
    pub fn send_fds(&self, data: &[u8], fds: &[std::os::fd::BorrowedFd<'_>]) -> io::Result<usize> {
        uninterrupted(|| super::unix_socket::send_fds(self.as_fd(), data, fds))
    }

    /// Receives bytes, and the descriptors that came with them: all of them are this process's, and closed on `exec`.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv); `Unsupported` where this is not done yet.
    pub fn recv_fds(&self, room: &mut [u8]) -> io::Result<(usize, Vec<std::os::fd::OwnedFd>)> {
        uninterrupted(|| super::unix_socket::recv_fds(self.as_fd(), room))
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for RawSocket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for RawSocket {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.socket.as_socket()
    }
}
