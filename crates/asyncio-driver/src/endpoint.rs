//! Endpoints: how bytes move, without a word about sockets.
//!
//! A driver makes endpoints, and endpoints are registered with the driver that made them. Every operation is
//! non-blocking and answers `WouldBlock` when it has to wait; the driver then reports the endpoint's token when it is worth
//! trying again. A kernel driver's endpoint is a socket; a completion driver's one hands out buffers that the kernel has
//! filled; a simulated one is a queue in memory.
//!
//! Absent on purpose: buffering, back-pressure, protocols and futures. Those are floors 4 and 5.

use crate::{MulticastGroup, Packet, Packets, Source};
use std::any::Any;
use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// One end of a connected, ordered, reliable stream of bytes.
pub trait StreamEndpoint: fmt::Debug + Any {
    /// What to register with the driver.
    fn source(&self) -> Source<'_>;

    /// Takes the bytes that have arrived, at most `scratch.len()`; none means that the peer has finished sending.
    ///
    /// The bytes lie in `scratch`, or in a buffer of the endpoint where the driver has already put them: nothing is
    /// copied twice. Asking with an empty `scratch` takes nothing and says nothing about the peer.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing has arrived; otherwise why the connection is lost.
    fn recv<'a>(&'a mut self, scratch: &'a mut [u8]) -> io::Result<&'a [u8]>;

    /// Sends as much of `bufs`, in order, as can be sent at once, and says how many bytes that was.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; `BrokenPipe` or `ConnectionReset` if the peer is gone. No signal is raised.
    fn send(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Sends bytes of `file` from `offset` on, at most `count`, without their passing through the memory of this process; says
    /// how many. None means that the file ends at `offset`. The position of the file stays where it is.
    ///
    /// Where the system raises a signal for a peer that is gone, it does so here, too; Rust programs ignore it (`SIGPIPE`)
    /// unless they have said otherwise.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; `Unsupported`, the default, if this endpoint or this file cannot do that: then nothing
    /// was sent, and the bytes are to be read and sent instead; otherwise what the system reports.
    fn send_file(&mut self, file: &File, offset: u64, count: usize) -> io::Result<usize> {
        let _ = (file, offset, count);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Finishes receiving, sending, or both.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer has gone already.
    fn shutdown(&mut self, how: Shutdown) -> io::Result<()>;

    /// How the connect that made this endpoint went, once it is reported writable.
    ///
    /// # Errors
    ///
    /// `WouldBlock` while it is under way; otherwise why it failed.
    fn finish_connect(&mut self) -> io::Result<()>;

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// What the system reports.
    fn local_addr(&self) -> io::Result<Address>;

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is none.
    fn peer_addr(&self) -> io::Result<Address>;

    /// Which end of a pipe this is. `None`, the default, where bytes move both ways.
    ///
    /// An end to write to receives nothing at all once its readers are gone, and answers `WouldBlock` until then. An end to
    /// read from may have more when it has given less than it was asked for.
    fn pipe_end(&self) -> Option<PipeEnd> {
        None
    }

    /// Whether the last [`recv`](Self::recv) has left something in a buffer of the endpoint, so that it is to be asked again
    /// without waiting for a report. Default: no.
    fn has_more(&self) -> bool {
        false
    }
}

/// The end of a pipe that somebody holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a pipe has two ends")]
pub enum PipeEnd {
    /// Bytes come out.
    Read,
    /// Bytes go in.
    Write,
}

/// A place where streams arrive.
pub trait ListenerEndpoint: fmt::Debug {
    /// What to register with the driver.
    fn source(&self) -> Source<'_>;

    /// Takes the connection that arrived first.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none has arrived. A connection that its peer gave up before it was accepted is passed over.
    /// Descriptor and memory exhaustion come back as the system reports them; the connection stays in the queue.
    fn accept(&mut self) -> io::Result<(Box<dyn StreamEndpoint>, Address)>;

    /// Begins to listen, with room for `backlog` connections that wait to be accepted; on a listener that listens already it
    /// changes the backlog.
    ///
    /// # Errors
    ///
    /// What the system reports; `AddrInUse` if another listener has got the address since it was bound.
    fn listen(&mut self, backlog: u32) -> io::Result<()>;

    /// The address that is listened on, with the port that was chosen for port 0.
    ///
    /// # Errors
    ///
    /// What the system reports.
    fn local_addr(&self) -> io::Result<Address>;
}

/// A place to send and receive whole packets.
pub trait DatagramEndpoint: fmt::Debug {
    /// What to register with the driver.
    fn source(&self) -> Source<'_>;

    /// Takes the packet that arrived first, cut to `scratch`, and its sender.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if none has arrived; errors that earlier packets met on their way, such as `ConnectionRefused`.
    fn recv_from<'a>(&'a mut self, scratch: &'a mut [u8]) -> io::Result<(&'a [u8], Address)>;

    /// Sends one packet, to the connected peer if `to` is `None`.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; otherwise what the system reports. A packet is sent whole or not at all.
    fn send_to(&mut self, packet: &[u8], to: Option<&Address>) -> io::Result<usize>;

    /// Takes packets that have arrived, first come, first served: one at least, and as many as the system gives at a time
    /// and `packets` has room for. Each is cut to its slot.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from); then no packet was taken.
    fn recv_many(&mut self, packets: &mut Packets) -> io::Result<()> {
        let (count, sender) = match packets.free_slots().next() {
            Some(slot) => {
                let front = slot.as_ptr();
                let (packet, sender) = self.recv_from(slot)?;
                if !std::ptr::eq(packet.as_ptr(), front) {
                    return Err(io::Error::new(io::ErrorKind::Unsupported, "packets in buffers of the endpoint"));
                }
                (packet.len(), sender)
            }
            None => return Ok(()),
        };
        packets.push(count, sender)
    }

    /// Sends packets in order: one at least, and as many as the system takes at a time. Says how many have left.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to), of the first packet; none has left then.
    fn send_many(&mut self, packets: &[Packet<'_>]) -> io::Result<usize> {
        match packets.first() {
            Some(packet) => self.send_to(packet.bytes, packet.to).map(|_| 1),
            None => Ok(0),
        }
    }

    /// Joins a multicast group, or leaves it.
    ///
    /// # Errors
    ///
    /// What the system reports: `AddrInUse` if it is joined already, `AddrNotAvailable` if it was not joined, another one if
    /// this is no multicast address or there is no such interface. `Unsupported`, the default, by an endpoint without groups.
    fn set_membership(&mut self, group: &MulticastGroup, is_member: bool) -> io::Result<()> {
        let _ = is_member;
        Err(io::Error::new(io::ErrorKind::Unsupported, format!("no groups here, so not {}", group.address())))
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// What the system reports.
    fn local_addr(&self) -> io::Result<Address>;

    /// The address that this end is connected to.
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is none.
    fn peer_addr(&self) -> io::Result<Address>;
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IP address and a port.
    Ip(SocketAddr),
    /// A path in the file system.
    Unix(PathBuf),
    /// A name in Linux's abstract namespace, without the leading NUL.
    UnixAbstract(Vec<u8>),
    /// No name: the client's end of a Unix socket.
    Unnamed,
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(addr) => addr.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
            Self::UnixAbstract(name) => write!(f, "@{}", name.escape_ascii()),
            Self::Unnamed => f.write_str("(unnamed)"),
        }
    }
}

/// Who is at the other end of a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by the systems' modules; it is what there is to know")]
pub struct PeerCredentials {
    /// The process, if the system tells; by now the number may be another one's.
    pub pid: Option<u32>,
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// How to connect a stream.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// Bind this end here first.
    pub local: Option<Address>,
}

/// How to listen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenOptions {
    /// How many connections may wait to be accepted. Default 100, as asyncio's.
    pub backlog: u32,
    /// Take over an address that a closed connection still lingers on. Default: on, except on Windows.
    pub reuse_address: bool,
    /// Share the address with other listeners that ask for it too. Default off.
    pub reuse_port: bool,
    /// An IPv6 listener takes no IPv4 connections. Default on, as asyncio's.
    pub ipv6_only: bool,
    /// Let the system probe connections that are accepted here, once they have been idle for this long; zero stands for the
    /// time that the system has for that. Default: leave it alone.
    pub keep_alive: Option<Duration>,
    /// Only bind: connections are refused until [`ListenerEndpoint::listen`]. Default off.
    pub bind_only: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 100,
            reuse_address: cfg!(not(windows)),
            reuse_port: false,
            ipv6_only: true,
            keep_alive: None,
            bind_only: false,
        }
    }
}

/// How to open a datagram endpoint.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DatagramOptions {
    /// Share the local address with other endpoints that ask for it too. Default off.
    pub reuse_port: bool,
    /// Allow packets to broadcast addresses. Default off.
    pub broadcast: bool,
}
