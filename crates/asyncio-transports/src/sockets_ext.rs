//! `LoopSocketsExt`: asyncio's `sock_*` methods.
//!
//! Absent on purpose: waiting, which is `socket`'s, and files, which are `sendfile`'s.

use crate::host::{Host, IntoHost};
use crate::loop_transports::LoopTransports;
use crate::sendfile::{SendFile, SockSendFile};
use crate::socket::{Direction, Socket};
use crate::transport::Transport;
use asyncio_driver::{Address, RawSocket};
use asyncio_executor::AddressFamily;
use asyncio_loop::EventLoop;
use bytes::Bytes;
use std::fs::File;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the trait")]
    pub trait Sealed {}
    impl Sealed for asyncio_loop::EventLoop {}
}

/// What floor 4 adds to [`EventLoop`] for sockets that are used call by call, and for files. Sealed: only `EventLoop` has it.
///
/// Each method tries at once, and waits only if it has to. Several tasks may wait for one socket, in either direction.
///
/// # Cancel safety
///
/// Of each that receives, accepts or sends a packet: dropping it loses nothing; either it has not happened, or its result was
/// returned. [`sock_sendall`](Self::sock_sendall) and the files are not: what was sent by then stays sent. A connect that was
/// dropped goes on in the system; the socket is to be dropped, too.
pub trait LoopSocketsExt: sealed::Sealed {
    /// Receives at most `nbytes` bytes, as soon as there is one; none is the end. Allocates for what has arrived, and not for
    /// `nbytes`.
    ///
    /// # Errors
    ///
    /// What the system reports.
    ///
    /// # asyncio
    ///
    /// [`loop.sock_recv`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.sock_recv). Same; 256 KiB at a time
    /// are the most.
    fn sock_recv(&self, sock: &Socket, nbytes: usize) -> impl Future<Output = io::Result<Bytes>>;

    /// Receives into `room`, as soon as there is something; says how many bytes. None is the end, if there was room.
    ///
    /// # Errors
    ///
    /// What the system reports.
    ///
    /// # asyncio
    ///
    /// [`loop.sock_recv_into`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.sock_recv_into). Same.
    fn sock_recv_into(&self, sock: &Socket, room: &mut [u8]) -> impl Future<Output = io::Result<usize>>;

    /// Receives one packet, cut to `bufsize` bytes, and who has sent it.
    ///
    /// # Errors
    ///
    /// What the system reports, such as that an earlier packet was refused.
    ///
    /// # asyncio
    ///
    /// [`loop.sock_recvfrom`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.sock_recvfrom). Same.
    fn sock_recvfrom(&self, sock: &Socket, bufsize: usize) -> impl Future<Output = io::Result<(Bytes, Address)>>;

    /// Receives one packet into `room`, cut to it; says how many bytes, and who has sent it.
    ///
    /// # Errors
    ///
    /// As [`sock_recvfrom`](Self::sock_recvfrom).
    ///
    /// # asyncio
    ///
    /// [`loop.sock_recvfrom_into`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.sock_recvfrom_into). Same;
    /// `nbytes` is a slice.
    fn sock_recvfrom_into(&self, sock: &Socket, room: &mut [u8]) -> impl Future<Output = io::Result<(usize, Address)>>;

    /// Sends all of `data`. After an error nobody knows how much was sent.
    ///
    /// # Errors
    ///
    /// What the system reports.
    ///
    /// # asyncio
    ///
    /// [`loop.sock_sendall`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.sock_sendall). Same.
    fn sock_sendall(&self, sock: &Socket, data: &[u8]) -> impl Future<Output = io::Result<()>>;

    /// Sends one packet to `address`; says how many bytes.
    ///
    /// # Errors
    ///
    /// What the system reports.
    ///
    /// # asyncio
    ///
    /// [`loop.sock_sendto`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.sock_sendto). Differs: the address
    /// is one; names are not looked up.
    fn sock_sendto(
        &self,
        sock: &Socket,
        packet: &[u8],
        address: impl Into<Address>,
    ) -> impl Future<Output = io::Result<usize>>;

    /// Connects to `address`: that of an IP socket may be a host and a port, that is looked up and of which the first address
    /// of the socket's family is tried.
    ///
    /// # Errors
    ///
    /// The name is not resolved, or what the system reports.
    ///
    /// # asyncio
    ///
    /// [`loop.sock_connect`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.sock_connect). Same.
    fn sock_connect(&self, sock: &Socket, address: impl IntoSockAddress) -> impl Future<Output = io::Result<()>>;

    /// Accepts a connection: its socket, and the address of its other end.
    ///
    /// # Errors
    ///
    /// What the system reports; when descriptors are used up, the connection stays in the queue.
    ///
    /// # asyncio
    ///
    /// [`loop.sock_accept`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.sock_accept). Same.
    fn sock_accept(&self, sock: &Socket) -> impl Future<Output = io::Result<(Socket, Address)>>;

    /// Sends bytes and descriptors together, over a Unix socket; says how many bytes. The receiver gets duplicates: so a
    /// listening socket is handed over to another process, while nobody is refused.
    ///
    /// # Errors
    ///
    /// `InvalidInput` without a byte, or with more than 253 descriptors; otherwise what the system reports.
    ///
    /// # asyncio
    ///
    /// None; `socket.send_fds`.
    #[cfg(unix)]
    fn sock_send_fds(
        &self,
        sock: &Socket,
        data: &[u8],
        fds: &[BorrowedFd<'_>],
    ) -> impl Future<Output = io::Result<usize>>;

    /// Receives bytes, and the descriptors that came with them; says how many bytes.
    ///
    /// # Errors
    ///
    /// What the system reports.
    ///
    /// # asyncio
    ///
    /// None; `socket.recv_fds`.
    #[cfg(unix)]
    fn sock_recv_fds(&self, sock: &Socket, room: &mut [u8]) -> impl Future<Output = io::Result<(usize, Vec<OwnedFd>)>>;

    /// Sends `file` over a stream socket, by the kernel where that is possible. Await it for the number of bytes.
    ///
    /// # Errors
    ///
    /// As [`sendfile`](Self::sendfile); `InvalidInput` also if the socket is not a stream.
    ///
    /// # asyncio
    ///
    /// [`loop.sock_sendfile`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.sock_sendfile). Same.
    fn sock_sendfile<'a>(&self, sock: &'a Socket, file: &'a File) -> SockSendFile<'a>;

    /// Sends `file` over a transport, after all that was written before and before all that is written later, by the kernel
    /// where that is possible. Await it for the number of bytes. The position of the file is behind the last byte then.
    ///
    /// Memory stays flat: at most one block of the file is in it, and none if the kernel does it. The bytes do not count as
    /// waiting to be sent, so that no protocol is told to pause for them.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a `count` of zero; `NotConnected` if the transport is closing, or is lost before all was sent;
    /// `Unsupported` with a [`SendfileNotAvailableError`](crate::SendfileNotAvailableError) if the kernel cannot do it and
    /// [`fallback`](SendFile::fallback) is off; otherwise what reading or sending has met.
    ///
    /// # asyncio
    ///
    /// [`loop.sendfile`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.sendfile). Differs: reading goes on
    /// meanwhile, and what is written meanwhile is sent afterwards, where asyncio raises.
    fn sendfile<'a>(&self, transport: &'a Transport, file: &'a File) -> SendFile<'a>;
}

impl LoopSocketsExt for EventLoop {
    async fn sock_recv(&self, sock: &Socket, nbytes: usize) -> io::Result<Bytes> {
        let shared = LoopTransports::of(self);
        let attempt = |raw: &RawSocket| {
            shared.with_scratch(nbytes, |scratch| {
                let count = raw.recv(scratch)?;
                Ok(Bytes::copy_from_slice(&scratch[..count]))
            })
        };
        sock.when_ready(self, Direction::Read, attempt).await
    }

    async fn sock_recv_into(&self, sock: &Socket, room: &mut [u8]) -> io::Result<usize> {
        sock.receive(self, room).await
    }

    async fn sock_recvfrom(&self, sock: &Socket, bufsize: usize) -> io::Result<(Bytes, Address)> {
        let shared = LoopTransports::of(self);
        let attempt = |raw: &RawSocket| {
            shared.with_scratch(bufsize, |scratch| {
                let (count, sender) = raw.recv_from(scratch)?;
                Ok((Bytes::copy_from_slice(&scratch[..count]), sender))
            })
        };
        sock.when_ready(self, Direction::Read, attempt).await
    }

    async fn sock_recvfrom_into(&self, sock: &Socket, room: &mut [u8]) -> io::Result<(usize, Address)> {
        sock.when_ready(self, Direction::Read, |raw| raw.recv_from(room)).await
    }

    async fn sock_sendall(&self, sock: &Socket, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let count = sock.when_ready(self, Direction::Write, |raw| raw.send(data)).await?;
            data = &data[count..];
        }
        Ok(())
    }

    async fn sock_sendto(&self, sock: &Socket, packet: &[u8], address: impl Into<Address>) -> io::Result<usize> {
        let address = address.into();
        sock.when_ready(self, Direction::Write, |raw| raw.send_to(packet, &address)).await
    }

    async fn sock_connect(&self, sock: &Socket, address: impl IntoSockAddress) -> io::Result<()> {
        let address = match address.into_sock_address().0 {
            Form::Address(address) => address,
            Form::Host(host) => {
                let family = match sock.local_addr()? {
                    Address::Ip(SocketAddr::V4(_)) => AddressFamily::Inet,
                    Address::Ip(SocketAddr::V6(_)) => AddressFamily::Inet6,
                    _ => AddressFamily::Unspecified,
                };
                Address::Ip(host.resolve(self, family, false).await?[0])
            }
        };
        if sock.raw().connect(&address)? {
            return Ok(());
        }
        sock.wait(self, Direction::Write).await?;
        sock.when_ready(self, Direction::Write, |raw| raw.finish_connect()).await
    }

    async fn sock_accept(&self, sock: &Socket) -> io::Result<(Socket, Address)> {
        let (raw, peer) = sock.when_ready(self, Direction::Read, |raw| raw.accept()).await?;
        Ok((Socket::of_raw(raw), peer))
    }

    #[cfg(unix)]
    async fn sock_send_fds(&self, sock: &Socket, data: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        sock.when_ready(self, Direction::Write, |raw| raw.send_fds(data, fds)).await
    }

    #[cfg(unix)]
    async fn sock_recv_fds(&self, sock: &Socket, room: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        sock.when_ready(self, Direction::Read, |raw| raw.recv_fds(room)).await
    }

    fn sock_sendfile<'a>(&self, sock: &'a Socket, file: &'a File) -> SockSendFile<'a> {
        SockSendFile::new(self, sock, file)
    }

    fn sendfile<'a>(&self, transport: &'a Transport, file: &'a File) -> SendFile<'a> {
        SendFile::new(transport, file)
    }
}

/// Where [`sock_connect`](LoopSocketsExt::sock_connect) connects to.
#[derive(Clone, Debug)]
pub struct SockAddress(Form);

#[derive(Clone, Debug)]
enum Form {
    Address(Address),
    Host(Host),
}

/// What can be given as the address of a socket: an [`Address`], a `SocketAddr`, whatever is a host with a port
/// (`("example.org", 443)`), or the path of a Unix socket.
pub trait IntoSockAddress {
    /// Converts.
    fn into_sock_address(self) -> SockAddress;
}

impl IntoSockAddress for Address {
    fn into_sock_address(self) -> SockAddress {
        SockAddress(Form::Address(self))
    }
}

impl IntoSockAddress for SocketAddr {
    fn into_sock_address(self) -> SockAddress {
        Address::Ip(self).into_sock_address()
    }
}

impl IntoSockAddress for (IpAddr, u16) {
    fn into_sock_address(self) -> SockAddress {
        SocketAddr::from(self).into_sock_address()
    }
}

impl IntoSockAddress for (&str, u16) {
    fn into_sock_address(self) -> SockAddress {
        SockAddress(Form::Host(self.into_host()))
    }
}

impl IntoSockAddress for Host {
    fn into_sock_address(self) -> SockAddress {
        SockAddress(Form::Host(self))
    }
}

impl IntoSockAddress for &Path {
    fn into_sock_address(self) -> SockAddress {
        Address::Unix(self.to_path_buf()).into_sock_address()
    }
}

impl IntoSockAddress for PathBuf {
    fn into_sock_address(self) -> SockAddress {
        Address::Unix(self).into_sock_address()
    }
}
