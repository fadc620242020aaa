//! From addresses to the system's form and back.

use super::{os_source, socket_os};
use crate::Address;
use socket2::SockAddr;
use std::io;

/// The address as the system wants it.
pub(super) fn to_system(address: &Address) -> io::Result<SockAddr> {
    match address {
        Address::Ip(address) => Ok(SockAddr::from(*address)),
        Address::Unix(path) if path.as_os_str().is_empty() => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "the path of a Unix socket is empty"))
        }
        Address::Unix(path) => SockAddr::unix(path),
        Address::UnixAbstract(name) => socket_os::abstract_address(name),
        Address::Unnamed => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "an unnamed address cannot be bound or reached"))
        }
    }
}

/// The address as users see it.
pub(super) fn from_system(address: &SockAddr) -> Address {
    address.as_socket().map_or_else(|| os_source::unix_name(address), Address::Ip)
}
