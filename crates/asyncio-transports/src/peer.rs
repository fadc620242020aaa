//! `Peer`: who is at the other end, in two words, because each connection has one.
//!
//! It is kept, and not asked for, because nobody can be asked once the connection is lost.

use asyncio_driver::Address;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

/// The address of the other end of a connection, small where most of them are.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    Unknown,
    Unnamed,
    V4(Ipv4Addr, u16),
    Other(Box<Address>),
}

impl Peer {
    pub(crate) fn new(address: Address) -> Self {
        match address {
            Address::Ip(SocketAddr::V4(address)) => Self::V4(*address.ip(), address.port()),
            Address::Unnamed => Self::Unnamed,
            other => Self::Other(Box::new(other)),
        }
    }

    pub(crate) fn address(&self) -> Option<Address> {
        match self {
            Self::Unknown => None,
            Self::Unnamed => Some(Address::Unnamed),
            Self::V4(ip, port) => Some(Address::Ip(SocketAddrV4::new(*ip, *port).into())),
            Self::Other(address) => Some((**address).clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_two_words_and_comes_back_as_it_was() {
        assert!(size_of::<Peer>() <= 2 * size_of::<usize>());
        let addresses = ["1.2.3.4:5", "[::1]:80"].map(|text| Address::Ip(text.parse().unwrap()));
        for address in addresses.into_iter().chain([Address::Unnamed, Address::Unix("/run/x".into())]) {
            assert_eq!(Peer::new(address.clone()).address(), Some(address));
        }
        assert_eq!(Peer::Unknown.address(), None);
    }
}
