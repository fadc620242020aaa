//! What names are looked up with and resolved to; and addresses that are no names, which need no looking up.
//!
//! Absent on purpose: who looks up. That is a [`Resolver`](crate::Resolver).

use asyncio_driver::interface_index;
use dns_lookup::{AddrFamily, SockType};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Which addresses are wanted, or what an address is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressFamily {
    /// Any.
    #[default]
    Unspecified,
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// For which kind of socket addresses are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketKind {
    /// Any: the system gives each address once for each kind.
    #[default]
    Any,
    /// `SOCK_STREAM`.
    Stream,
    /// `SOCK_DGRAM`.
    Datagram,
    /// `SOCK_RAW`.
    Raw,
    /// A kind that has no name here, by the system's number.
    Other(i32),
}

/// What is looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddrInfoQuery {
    /// A name, an address, or `None` for this machine (or any address, if the system's `AI_PASSIVE` is among the flags).
    pub host: Option<String>,
    /// A number, the name of a service, or `None`.
    pub port: Option<String>,
    /// Which addresses are wanted.
    pub family: AddressFamily,
    /// For which kind of socket.
    pub kind: SocketKind,
    /// For which protocol, by the system's number; zero for any.
    pub proto: i32,
    /// The system's `AI_…`; zero for none.
    pub flags: i32,
}

/// One address that a name resolves to.
///
/// # asyncio
///
/// The 5-tuples of `getaddrinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddrInfo {
    /// For which kind of socket it is.
    pub kind: SocketKind,
    /// For which protocol, by the system's number.
    pub proto: i32,
    /// The canonical name, if it was asked for.
    pub canonname: Option<String>,
    /// The address.
    pub address: SocketAddr,
}

impl AddrInfo {
    /// An address for sockets of this kind.
    #[must_use]
    pub const fn new(address: SocketAddr, kind: SocketKind, proto: i32) -> Self {
        Self { kind, proto, canonname: None, address }
    }

    /// The family of the address.
    #[must_use]
    pub const fn family(&self) -> AddressFamily {
        match self.address {
            SocketAddr::V4(_) => AddressFamily::Inet,
            SocketAddr::V6(_) => AddressFamily::Inet6,
        }
    }
}

/// What can be given as a port: a number, the name of a service, or `None`.
pub trait IntoPort {
    /// Converts into what the system takes.
    fn into_port(self) -> Option<String>;
}

impl IntoPort for u16 {
    fn into_port(self) -> Option<String> {
        Some(self.to_string())
    }
}

impl IntoPort for &str {
    fn into_port(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl<P: IntoPort> IntoPort for Option<P> {
    fn into_port(self) -> Option<String> {
        self.and_then(IntoPort::into_port)
    }
}

impl AddressFamily {
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Unspecified => 0,
            Self::Inet => AddrFamily::Inet.into(),
            Self::Inet6 => AddrFamily::Inet6.into(),
        }
    }
}

impl SocketKind {
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Any => 0,
            Self::Stream => SockType::Stream.into(),
            Self::Datagram => SockType::DGram.into(),
            Self::Raw => SockType::Raw.into(),
            Self::Other(number) => number,
        }
    }

    pub(crate) fn of_number(number: i32) -> Self {
        let named = [Self::Any, Self::Stream, Self::Datagram, Self::Raw];
        named.into_iter().find(|kind| kind.number() == number).unwrap_or(Self::Other(number))
    }
}

impl AddrInfoQuery {
    /// The answer, if the host is an address and the port a number: then there is nothing to look up.
    ///
    /// It is the system's, for sockets of streams and datagrams with their own protocols. Whatever is less simple, and
    /// whatever is an error, is left to the resolver.
    pub(crate) fn numeric(&self) -> Option<Vec<AddrInfo>> {
        let port = self.port.as_deref().unwrap_or("0").parse().ok()?;
        let address = numeric_address(self.host.as_deref()?, port)?;
        let family = AddrInfo::new(address, SocketKind::Any, 0).family();
        let is_wanted = self.family == AddressFamily::Unspecified || self.family == family;
        if !is_wanted || self.flags & !HARMLESS_FLAGS != 0 {
            return None;
        }
        let answers = ANSWERS.into_iter().filter(|(kind, proto)| {
            (self.kind == SocketKind::Any || self.kind == *kind) && (self.proto == 0 || self.proto == *proto)
        });
        let answers: Vec<_> = answers.map(|(kind, proto)| AddrInfo::new(address, kind, proto)).collect();
        (!answers.is_empty()).then_some(answers)
    }
}

/// An address in digits, with its zone if it has one: `fe80::1%lo`, `fe80::1%1`.
fn numeric_address(host: &str, port: u16) -> Option<SocketAddr> {
    let Some((address, zone)) = host.split_once('%') else {
        return host.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let scope = zone.parse().ok().or_else(|| interface_index(zone))?;
    Some(SocketAddrV6::new(address, port, 0, scope).into())
}

/// `AI_PASSIVE` and `AI_NUMERICHOST`, which are the same on all systems, and change nothing for an address.
const HARMLESS_FLAGS: i32 = 1 | 4;

/// What systems answer for an address, in their order; the protocols are TCP's and UDP's.
const ANSWERS: [(SocketKind, i32); 3] = [(SocketKind::Stream, 6), (SocketKind::Datagram, 17), (SocketKind::Raw, 0)];

#[cfg(test)]
mod tests {
    use super::*;

    fn query(host: &str, port: &str) -> AddrInfoQuery {
        AddrInfoQuery { host: Some(host.into()), port: Some(port.into()), ..AddrInfoQuery::default() }
    }

    #[test]
    fn names_and_services_are_not_numeric() {
        for (host, port) in
            [("localhost", "80"), ("::1", "http"), ("1.2.3", "80"), ("1.2.3.4%1", "80"), ("::1%no", "1")]
        {
            assert_eq!(query(host, port).numeric(), None, "{host} {port}");
        }
        assert_eq!(AddrInfoQuery { family: AddressFamily::Inet6, ..query("127.0.0.1", "1") }.numeric(), None);
        assert_eq!(
            AddrInfoQuery { flags: 2, ..query("127.0.0.1", "1") }.numeric(),
            None,
            "the canonical name is wanted"
        );
    }

    #[test]
    fn a_zone_may_be_a_number() {
        let answers = query("fe80::1%7", "80").numeric().unwrap();
        assert!(
            matches!(answers[0].address, SocketAddr::V6(address) if address.scope_id() == 7 && address.port() == 80)
        );
        assert_eq!((answers.len(), answers[0].family()), (3, AddressFamily::Inet6));
    }
}
