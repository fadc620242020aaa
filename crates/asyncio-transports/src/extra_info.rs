//! What can be asked of a transport beside moving bytes.

use crate::datagram_transport::DatagramTransport;
use crate::ssl_object::{SslCipher, SslObject};
use crate::transport::Transport;
#[cfg(unix)]
use asyncio_driver::PeerCredentials;
use asyncio_driver::{Address, Source};
use bytes::Bytes;
use std::io;
use std::net::Shutdown;

#[cfg(unix)]
use std::os::fd::{BorrowedFd as BorrowedSocket, OwnedFd as OwnedSocket};
#[cfg(windows)]
use std::os::windows::io::{BorrowedSocket, OwnedSocket};

/// What [`Transport::get_extra_info`] and [`DatagramTransport::get_extra_info`] give.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ExtraInfo {
    /// An address.
    Address(Address),
    /// The socket.
    Socket(TransportSocket),
    /// The pipe, of which a duplicate can be had.
    Pipe(TransportSocket),
    /// How the bytes of a TLS connection are encrypted.
    Cipher(SslCipher),
    /// The peer's certificate, in DER.
    Certificate(Bytes),
    /// What a TLS handshake has agreed on.
    SslObject(SslObject),
}

/// The socket of a transport, for options and the like. It cannot be closed or made blocking by this.
///
/// # asyncio
///
/// `asyncio.trsock.TransportSocket`. Differs: options are got and set by way of [`dup`](Self::dup).
#[derive(Clone, Debug)]
pub struct TransportSocket(Owner);

/// Whose socket it is.
#[derive(Clone, Debug)]
enum Owner {
    Stream(Transport),
    Datagram(DatagramTransport),
}

impl TransportSocket {
    pub(crate) const fn new(transport: Transport) -> Self {
        Self(Owner::Stream(transport))
    }

    pub(crate) const fn of_datagram(transport: DatagramTransport) -> Self {
        Self(Owner::Datagram(transport))
    }

    /// Lends the descriptor (on Windows, the socket). `with` may use anything but the transport.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the connection is lost; `Unsupported` if the endpoint has no descriptor.
    ///
    /// # Panics
    ///
    /// If `with` sends or receives by the transport itself.
    pub fn with_fd<R>(&self, with: impl FnOnce(BorrowedSocket<'_>) -> R) -> io::Result<R> {
        let look = |source: Source<'_>| match source {
            Source::Os(fd) => Ok(with(fd)),
            _ => Err(io::Error::new(io::ErrorKind::Unsupported, "this endpoint has no descriptor")),
        };
        let outcome = match &self.0 {
            Owner::Stream(transport) => transport.connection().with_endpoint(|endpoint| look(endpoint.source())),
            Owner::Datagram(transport) => transport.datagram().with_endpoint(|endpoint| look(endpoint.source())),
        };
        outcome.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))
    }

    /// A duplicate of the socket that its holder owns, for instance to get and set options by `socket2`: the options are
    /// those of the transport's socket.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the connection is lost; `Unsupported` if the endpoint has no descriptor; or no descriptor is left.
    pub fn dup(&self) -> io::Result<OwnedSocket> {
        self.with_fd(|fd| fd.try_clone_to_owned())?
    }

    /// Who is at the other end of a Unix socket, as it was when the connection was made.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for another kind of socket, `Unsupported` where the system is not asked yet, `NotConnected` once the
    /// connection is lost.
    ///
    /// # asyncio
    ///
    /// `transport.get_extra_info("socket").getsockopt(SOL_SOCKET, SO_PEERCRED, …)`.
    #[cfg(unix)]
    pub fn peer_credentials(&self) -> io::Result<PeerCredentials> {
        self.with_fd(asyncio_driver::peer_credentials)?
    }

    /// The address of this end.
    #[must_use]
    pub fn getsockname(&self) -> Option<Address> {
        match &self.0 {
            Owner::Stream(transport) => transport.sockname(),
            Owner::Datagram(transport) => transport.sockname(),
        }
    }

    /// The address of the other end.
    #[must_use]
    pub fn getpeername(&self) -> Option<Address> {
        match &self.0 {
            Owner::Stream(transport) => transport.peername(),
            Owner::Datagram(transport) => transport.peername(),
        }
    }

    /// Finishes receiving, sending, or both, at once and whatever waits to be sent. [`Transport::write_eof`] waits for that.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer is gone or the connection lost; `Unsupported` for datagrams.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match &self.0 {
            Owner::Stream(transport) => transport.connection().shutdown(how),
            Owner::Datagram(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "packets have no end")),
        }
    }
}
