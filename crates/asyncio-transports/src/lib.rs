#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod attempts;
mod connecting;
mod connection;
mod create_connection;
mod create_datagram;
mod create_server;
mod datagram;
mod datagram_protocol;
mod datagram_transport;
mod ext;
mod extra_info;
mod flow_control;
mod host;
mod listener;
mod loop_datagrams;
mod loop_transports;
mod output;
mod packet_queue;
mod peer;
mod protocol;
mod sendfile;
mod server;
mod socket;
mod sockets_ext;
mod ssl_object;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
mod transfer;
mod transport;
mod unix;

pub use attempts::ConnectError;
pub use create_connection::{Connected, CreateConnection};
pub use create_datagram::{CreateDatagramEndpoint, OpenedDatagram};
pub use create_server::CreateServer;
pub use datagram_protocol::DatagramProtocol;
pub use datagram_transport::{DatagramTransport, IntoDestination};
pub use ext::LoopTransportsExt;
pub use extra_info::{ExtraInfo, TransportSocket};
pub use host::{Host, IntoHost, IntoHosts};
pub use protocol::{Buffered, BufferedProtocol, IntoProtocol, Protocol, ProtocolRef, Streaming};
pub use sendfile::{SendFile, SendfileNotAvailableError, SockSendFile};
pub use server::{ServeForeverError, Server};
pub use socket::Socket;
pub use sockets_ext::{IntoSockAddress, LoopSocketsExt, SockAddress};
pub use ssl_object::{SslCipher, SslObject};
#[cfg(feature = "tls")]
pub use tls::{IntoPem, LoopTlsExt, Pem, SslClientBuilder, SslContext, SslError, SslServerBuilder, StartTls};
pub use transport::Transport;
pub use unix::{CreateUnixServer, IntoUnixAddress};
