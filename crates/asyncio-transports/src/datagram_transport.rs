//! `DatagramTransport`: the handle of a datagram endpoint, with asyncio's methods.
//!
//! Absent on purpose: behaviour. It is in `datagram`.

use crate::datagram::Datagram;
use crate::datagram_protocol::DatagramProtocol;
use crate::extra_info::{ExtraInfo, TransportSocket};
use crate::flow_control::WriteLimits;
use crate::transport::ip_address;
use asyncio_driver::{Address, MulticastGroup};
use asyncio_loop::EventLoop;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

/// A place to send and receive packets. Cheap to clone; all clones are the same transport.
///
/// Made by [`create_datagram_endpoint`](crate::LoopTransportsExt::create_datagram_endpoint) and given to
/// [`DatagramProtocol::connection_made`]. Dropping all handles does not close it: the loop owns it until it is closed.
///
/// Up to 32 packets are received by one system call, where the driver can, and handed out one by one in one turn; what
/// is sent inside a callback leaves together when that is back.
///
/// # asyncio
///
/// [`asyncio.DatagramTransport`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.DatagramTransport). Differs:
/// asyncio makes a system call for each packet.
#[derive(Clone)]
pub struct DatagramTransport(Rc<Datagram>);

/// Where a packet may be sent: a `SocketAddr`, an [`Address`], references to them, or `None` for the connected peer.
pub trait IntoDestination {
    /// Converts.
    fn into_destination(self) -> Option<Address>;
}

impl IntoDestination for Address {
    fn into_destination(self) -> Option<Address> {
        Some(self)
    }
}

impl IntoDestination for &Address {
    fn into_destination(self) -> Option<Address> {
        Some(self.clone())
    }
}

impl IntoDestination for SocketAddr {
    fn into_destination(self) -> Option<Address> {
        Some(self.into())
    }
}

impl IntoDestination for &SocketAddr {
    fn into_destination(self) -> Option<Address> {
        Some((*self).into())
    }
}

impl IntoDestination for Option<Address> {
    fn into_destination(self) -> Option<Address> {
        self
    }
}

impl DatagramTransport {
    pub(crate) const fn new(datagram: Rc<Datagram>) -> Self {
        Self(datagram)
    }

    pub(crate) const fn datagram(&self) -> &Rc<Datagram> {
        &self.0
    }

    /// Sends one packet, never blocking: if the system has no room it waits, before all that are sent later. An empty packet is
    /// one, too.
    ///
    /// What goes wrong is told to [`DatagramProtocol::error_received`]; the packet is gone then. If more than the
    /// high-water mark waits, the protocol is told to pause. Ignored on a transport that is closing or lost; the fifth time,
    /// the exception handler is told.
    ///
    /// # Panics
    ///
    /// If the endpoint has a remote address, and this is another one.
    ///
    /// # asyncio
    ///
    /// [`transport.sendto`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.DatagramTransport.sendto). Same; inside a
    /// callback the packet leaves, and an error is told, when that is back.
    #[track_caller]
    pub fn sendto(&self, data: &[u8], to: impl IntoDestination) {
        let to = to.into_destination();
        if let (Some(peer), Some(to)) = (self.0.peer(), &to) {
            assert!(peer.address == *to, "the address {to} is not the remote address {} of the endpoint", peer.address);
        }
        self.0.send(data, to.as_ref());
    }

    /// Stops receiving at once, sends what waits, and then closes: the protocol is told by `connection_lost(None)`, never
    /// inside this call. A second call does nothing.
    ///
    /// # asyncio
    ///
    /// [`transport.close`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.BaseTransport.close). Same.
    pub fn close(&self) {
        self.0.close();
    }

    /// Closes without sending what waits.
    ///
    /// # asyncio
    ///
    /// [`transport.abort`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.DatagramTransport.abort). Same.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether the transport is closing, or closed.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    /// Receives what is sent to the IPv4 group `group` from now on, on the interface of this address; unspecified is the
    /// system's choice.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if it was joined before; `NotConnected` if the transport is closed; otherwise what the system reports.
    ///
    /// # asyncio
    ///
    /// None: `transport.get_extra_info("socket").setsockopt(IPPROTO_IP, IP_ADD_MEMBERSHIP, …)`.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.set_membership(&MulticastGroup::V4(group, interface), true)
    }

    /// Ends [`join_multicast_v4`](Self::join_multicast_v4).
    ///
    /// # Errors
    ///
    /// `AddrNotAvailable` if it was not joined; otherwise as joining.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.set_membership(&MulticastGroup::V4(group, interface), false)
    }

    /// Receives what is sent to the IPv6 group `group` from now on, on the interface of this number; zero is the system's
    /// choice.
    ///
    /// # Errors
    ///
    /// As [`join_multicast_v4`](Self::join_multicast_v4).
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.set_membership(&MulticastGroup::V6(group, interface), true)
    }

    /// Ends [`join_multicast_v6`](Self::join_multicast_v6).
    ///
    /// # Errors
    ///
    /// As [`leave_multicast_v4`](Self::leave_multicast_v4).
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.set_membership(&MulticastGroup::V6(group, interface), false)
    }

    fn set_membership(&self, group: &MulticastGroup, is_member: bool) -> io::Result<()> {
        let outcome = self.0.with_endpoint(|endpoint| endpoint.set_membership(group, is_member));
        outcome.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))
    }

    /// Sets at how many waiting bytes the protocol is told to pause (above `high_bytes`) and to go on (at `low_bytes`), as
    /// [`Transport::set_write_buffer_limits`](crate::Transport::set_write_buffer_limits) does.
    ///
    /// # Panics
    ///
    /// If the low mark is above the high one.
    #[track_caller]
    pub fn set_write_buffer_limits(&self, high_bytes: Option<usize>, low_bytes: Option<usize>) {
        let Some(limits) = WriteLimits::new(high_bytes, low_bytes) else {
            panic!("the low-water mark {low_bytes:?} is above the high-water mark {high_bytes:?}");
        };
        self.0.set_limits(limits);
    }

    /// The low-water mark and the high-water mark, in bytes. Default: 16 KiB and 64 KiB.
    #[must_use]
    pub fn get_write_buffer_limits(&self) -> (usize, usize) {
        self.0.limits().as_pair()
    }

    /// How many bytes wait to be sent, and 8 for each packet.
    #[must_use]
    pub fn get_write_buffer_size(&self) -> usize {
        self.0.waiting_bytes()
    }

    /// Lets another protocol have what comes from now on. Neither of the two is told.
    pub fn set_protocol<P: DatagramProtocol>(&self, protocol: &Rc<RefCell<P>>) {
        self.0.set_protocol(protocol.clone());
    }

    /// The loop of this transport.
    #[must_use]
    pub fn get_loop(&self) -> EventLoop {
        self.0.event_loop().clone()
    }

    /// What asyncio knows under a name: `"peername"`, `"sockname"`, `"socket"`. `None` if there is no such thing.
    #[must_use]
    pub fn get_extra_info(&self, name: &str) -> Option<ExtraInfo> {
        match name {
            "peername" => self.peername().map(ExtraInfo::Address),
            "sockname" => self.sockname().map(ExtraInfo::Address),
            "socket" => Some(ExtraInfo::Socket(self.socket())),
            _ => None,
        }
    }

    /// The remote address, also after the transport was closed. `None` if it has none, or the system does not know it
    /// because of [`allow_broadcast`](crate::CreateDatagramEndpoint::allow_broadcast).
    #[must_use]
    pub fn peername(&self) -> Option<Address> {
        self.0.peer().filter(|peer| peer.is_connected).map(|peer| peer.address.clone())
    }

    /// The address of this end. `None` once the transport is closed.
    #[must_use]
    pub fn sockname(&self) -> Option<Address> {
        self.0.with_endpoint(|endpoint| endpoint.local_addr())?.ok()
    }

    /// The IP address and port of this end.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the transport is closed, `Unsupported` if it is not an IP address; see [`sockname`](Self::sockname).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        ip_address(self.sockname())
    }

    /// The remote IP address and port.
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is none, `Unsupported` if it is not an IP address; see [`peername`](Self::peername).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        ip_address(self.peername())
    }

    /// What may be done with the socket beneath.
    #[must_use]
    pub fn socket(&self) -> TransportSocket {
        TransportSocket::of_datagram(self.clone())
    }

    /// Whether both are the same transport.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for DatagramTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
