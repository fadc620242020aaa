//! The endpoints of the kernel drivers: sockets.
//!
//! Invariants:
//! 1. Every socket is non-blocking and closed on `exec` before anybody else sees it.
//! 2. An error path drops the socket, and dropping closes it: no descriptor outlives a failed call.
//! 3. No operation answers `Interrupted`.
//! 4. TCP streams have `TCP_NODELAY`, as asyncio's have.
//!
//! Absent on purpose: everything with more than one step, such as trying several addresses.

#![expect(unsafe_code, reason = "`socket2` receives packets into uninitialised memory only")]

use super::{os_socket, os_source, packets, socket_address, socket_os};
use crate::{
    Address, ConnectOptions, DatagramEndpoint, DatagramOptions, ListenOptions, ListenerEndpoint, MulticastGroup,
    OsSocket, Packet, Packets, Source, StreamEndpoint,
};
use socket2::{Domain, SockAddr, Socket, TcpKeepalive, Type};
use std::fs::File;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::time::Duration;

/// A stream on a socket.
#[derive(Debug)]
pub(super) struct KernelStream {
    socket: Socket,
    connect: Connect,
}

/// How the connect went: the system tells of a failure only once.
#[derive(Debug)]
enum Connect {
    UnderWay,
    Done,
    Failed(io::ErrorKind, Option<i32>),
}

impl KernelStream {
    pub(super) fn connect(remote: &Address, options: &ConnectOptions) -> io::Result<Self> {
        let remote = socket_address::to_system(remote)?;
        let socket = socket_os::open(remote.domain(), Type::STREAM)?;
        if let Some(local) = &options.local {
            socket.bind(&socket_address::to_system(local)?)?;
        }
        if is_ip(remote.domain()) {
            socket.set_tcp_nodelay(true)?;
        }
        let connect = match socket.connect(&remote) {
            Ok(()) => Connect::Done,
            Err(error) if socket_os::is_under_way(&error) => Connect::UnderWay,
            Err(error) => return Err(error),
        };
        Ok(Self { socket, connect })
    }

    pub(super) fn adopt(socket: OsSocket) -> io::Result<Self> {
        let (socket, domain) = adopt(socket, Type::STREAM)?;
        if is_ip(domain) {
            socket.set_tcp_nodelay(true)?;
        }
        Ok(Self::connected(socket))
    }

    fn connected(socket: Socket) -> Self {
        Self { socket, connect: Connect::Done }
    }
}

impl StreamEndpoint for KernelStream {
    fn source(&self) -> Source<'_> {
        os_source::of_socket(&self.socket)
    }

    fn recv<'a>(&'a mut self, scratch: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let count = uninterrupted(|| self.socket.read(scratch))?;
        Ok(&scratch[..count])
    }

    fn send(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        uninterrupted(|| match bufs {
            [one] => self.socket.send_with_flags(one, socket_os::SEND_FLAGS),
            // The system takes no more at one time; the caller comes again with the rest.
            many => self.socket.send_vectored_with_flags(&many[..many.len().min(BUFS_MAX)], socket_os::SEND_FLAGS),
        })
    }

    fn send_file(&mut self, file: &File, offset: u64, count: usize) -> io::Result<usize> {
        uninterrupted(|| socket_os::send_file(&self.socket, file, offset, count))
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    fn finish_connect(&mut self) -> io::Result<()> {
        if matches!(self.connect, Connect::UnderWay) {
            self.connect = match how_connect_went(&self.socket) {
                Ok(()) => Connect::Done,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(error) => Connect::Failed(error.kind(), error.raw_os_error()),
            };
        }
        match self.connect {
            Connect::Failed(_, Some(raw)) => Err(io::Error::from_raw_os_error(raw)),
            Connect::Failed(kind, None) => Err(kind.into()),
            Connect::UnderWay | Connect::Done => Ok(()),
        }
    }

    fn local_addr(&self) -> io::Result<Address> {
        self.socket.local_addr().map(|address| socket_address::from_system(&address))
    }

    fn peer_addr(&self) -> io::Result<Address> {
        self.socket.peer_addr().map(|address| socket_address::from_system(&address))
    }
}

/// A listening socket.
#[derive(Debug)]
pub(super) struct KernelListener {
    socket: Socket,
    is_tcp: bool,
    /// Zero is the system's own time.
    keep_alive: Option<Duration>,
}

impl KernelListener {
    pub(super) fn listen(local: &Address, options: &ListenOptions) -> io::Result<Self> {
        let local = socket_address::to_system(local)?;
        let socket = socket_os::open(local.domain(), Type::STREAM)?;
        let is_tcp = is_ip(local.domain());
        let keep_alive = options.keep_alive.filter(|_| is_tcp);
        let listener = Self { socket, is_tcp, keep_alive };
        if is_tcp {
            listener.socket.set_reuse_address(options.reuse_address)?;
        }
        if local.domain() == Domain::IPV6 {
            listener.socket.set_only_v6(options.ipv6_only)?;
        }
        if options.reuse_port {
            socket_os::set_reuse_port(&listener.socket)?;
        }
        // Before the first connection arrives: where options are inherited, each one has them then.
        if socket_os::ACCEPTED_INHERIT_OPTIONS {
            listener.set_stream_options(&listener.socket)?;
        }
        listener.socket.bind(&local)?;
        if !options.bind_only {
            listener.start(options.backlog)?;
        }
        Ok(listener)
    }

    pub(super) fn adopt(socket: OsSocket) -> io::Result<Self> {
        let (socket, domain) = adopt(socket, Type::STREAM)?;
        let listener = Self { socket, is_tcp: is_ip(domain), keep_alive: None };
        if socket_os::ACCEPTED_INHERIT_OPTIONS {
            listener.set_stream_options(&listener.socket)?;
        }
        Ok(listener)
    }

    fn start(&self, backlog: u32) -> io::Result<()> {
        self.socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))
    }

    fn set_stream_options(&self, socket: &Socket) -> io::Result<()> {
        if self.is_tcp {
            socket.set_tcp_nodelay(true)?;
        }
        match self.keep_alive {
            None => Ok(()),
            Some(Duration::ZERO) => socket.set_keepalive(true),
            Some(idle) => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle)),
        }
    }
}

impl ListenerEndpoint for KernelListener {
    fn source(&self) -> Source<'_> {
        os_source::of_socket(&self.socket)
    }

    fn accept(&mut self) -> io::Result<(Box<dyn StreamEndpoint>, Address)> {
        loop {
            match socket_os::accept(&self.socket) {
                Ok((socket, peer)) => {
                    // A failure here means that the peer is gone already: one more connection that was given up.
                    if socket_os::ACCEPTED_INHERIT_OPTIONS || self.set_stream_options(&socket).is_ok() {
                        return Ok((Box::new(KernelStream::connected(socket)), socket_address::from_system(&peer)));
                    }
                }
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn listen(&mut self, backlog: u32) -> io::Result<()> {
        self.start(backlog)
    }

    fn local_addr(&self) -> io::Result<Address> {
        self.socket.local_addr().map(|address| socket_address::from_system(&address))
    }
}

/// A datagram socket.
#[derive(Debug)]
pub(super) struct KernelDatagram(Socket);

impl KernelDatagram {
    pub(super) fn open(
        local: Option<&Address>,
        remote: Option<&Address>,
        options: &DatagramOptions,
    ) -> io::Result<Self> {
        let local = local.map(socket_address::to_system).transpose()?;
        let remote = remote.map(socket_address::to_system).transpose()?;
        let Some(domain) = local.as_ref().or(remote.as_ref()).map(SockAddr::domain) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a datagram endpoint needs a local or a remote address to know its family by",
            ));
        };
        let socket = socket_os::open(domain, Type::DGRAM)?;
        if options.reuse_port {
            socket_os::set_reuse_port(&socket)?;
        }
        if options.broadcast {
            socket.set_broadcast(true)?;
        }
        if let Some(local) = local {
            socket.bind(&local)?;
        }
        if let Some(remote) = remote {
            socket.connect(&remote)?;
        }
        Ok(Self(socket))
    }
}

impl KernelDatagram {
    pub(super) fn adopt(socket: OsSocket) -> io::Result<Self> {
        adopt(socket, Type::DGRAM).map(|(socket, _)| Self(socket))
    }
}

impl DatagramEndpoint for KernelDatagram {
    fn source(&self) -> Source<'_> {
        os_source::of_socket(&self.0)
    }

    fn recv_from<'a>(&'a mut self, scratch: &'a mut [u8]) -> io::Result<(&'a [u8], Address)> {
        let (count, sender) = uninterrupted(|| socket_os::recv_from(&self.0, uninitialised(scratch)))?;
        Ok((&scratch[..count], socket_address::from_system(&sender)))
    }

    fn send_to(&mut self, packet: &[u8], to: Option<&Address>) -> io::Result<usize> {
        let to = to.map(socket_address::to_system).transpose()?;
        uninterrupted(|| match &to {
            Some(to) => self.0.send_to_with_flags(packet, to, socket_os::SEND_FLAGS),
            None => self.0.send_with_flags(packet, socket_os::SEND_FLAGS),
        })
    }

    fn recv_many(&mut self, packets: &mut Packets) -> io::Result<()> {
        uninterrupted(|| packets::recv(&self.0, packets))
    }

    fn send_many(&mut self, packets: &[Packet<'_>]) -> io::Result<usize> {
        uninterrupted(|| packets::send(&self.0, packets))
    }

    fn set_membership(&mut self, group: &MulticastGroup, is_member: bool) -> io::Result<()> {
        match (group, is_member) {
            (MulticastGroup::V4(group, interface), true) => self.0.join_multicast_v4(group, interface),
            (MulticastGroup::V4(group, interface), false) => self.0.leave_multicast_v4(group, interface),
            (MulticastGroup::V6(group, interface), true) => self.0.join_multicast_v6(group, *interface),
            (MulticastGroup::V6(group, interface), false) => self.0.leave_multicast_v6(group, *interface),
        }
    }

    fn local_addr(&self) -> io::Result<Address> {
        self.0.local_addr().map(|address| socket_address::from_system(&address))
    }

    fn peer_addr(&self) -> io::Result<Address> {
        self.0.peer_addr().map(|address| socket_address::from_system(&address))
    }
}

/// How the connect of a socket went: `WouldBlock` while it is under way. The system tells of a failure once.
pub(super) fn how_connect_went(socket: &Socket) -> io::Result<()> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
        outcome => outcome.map(drop),
    }
}

/// Makes a socket of somebody else's one of ours.
pub(super) fn make_ours(socket: OsSocket) -> io::Result<Socket> {
    let socket = socket.into_socket();
    if let Err(error) = socket.r#type() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("a socket was expected: {error}")));
    }
    os_socket::close_on_exec(&socket)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Makes a socket of somebody else's one of ours, if it is of this `kind`.
fn adopt(socket: OsSocket, kind: Type) -> io::Result<(Socket, Domain)> {
    let socket = socket.into_socket();
    let refused = |found: &str| {
        let wanted = if kind == Type::STREAM { "a stream" } else { "a datagram" };
        io::Error::new(io::ErrorKind::InvalidInput, format!("{wanted} socket was expected, not {found}"))
    };
    match socket.r#type() {
        Ok(found) if found == kind => {}
        Ok(found) => return Err(refused(&format!("one of type {found:?}"))),
        Err(error) => return Err(refused(&format!("something else: {error}"))),
    }
    let address = socket.local_addr()?;
    os_socket::close_on_exec(&socket)?;
    socket.set_nonblocking(true)?;
    Ok((socket, address.domain()))
}

fn is_ip(domain: Domain) -> bool {
    domain == Domain::IPV4 || domain == Domain::IPV6
}

/// As `accept(2)` says: errors that the connection has met already, and that end with it.
pub(super) fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
    )
}

/// The first attempt is almost always the last one: only a failure is looked at.
#[inline]
pub(super) fn uninterrupted<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match operation() {
        Ok(value) => Ok(value),
        Err(error) => after_failure(error, operation),
    }
}

#[cold]
fn after_failure<T>(mut error: io::Error, mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    while error.kind() == io::ErrorKind::Interrupted {
        match operation() {
            Ok(value) => return Ok(value),
            Err(next) => error = next,
        }
    }
    Err(error)
}

pub(super) fn uninitialised(bytes: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: the same memory with fewer promises; `socket2` promises to write nothing uninitialised into it.
    unsafe { &mut *(std::ptr::from_mut(bytes) as *mut [MaybeUninit<u8>]) }
}

/// `IOV_MAX` of Linux, macOS and the BSDs.
const BUFS_MAX: usize = 1024;
