//! `ssl` and its companions, on whatever makes streams.
//!
//! Absent on purpose: TLS. It is the transports'; streams see the same bytes.

use crate::open_connection::OpenConnection;
use crate::start_server::{StartServer, StartUnixServer};
use asyncio_loop::IntoDelay;
use asyncio_transports::SslContext;

impl OpenConnection {
    /// Whose certificate is expected of the server: a DNS name or an IP address. Default: the host that is connected to;
    /// needed where there is none, as on a Unix socket.
    pub fn server_hostname(self, name: impl Into<String>) -> Self {
        self.map(|create| create.server_hostname(name))
    }
}

/// The same methods for whatever makes streams.
macro_rules! tls_methods {
    ($builder:ty) => {
        impl $builder {
            /// Encrypts: there is a stream once the handshake is done. What was cut off, and not ended by the peer, is an error
            /// of kind `UnexpectedEof`.
            pub fn ssl(self, context: impl Into<SslContext>) -> Self {
                self.map(|create| create.ssl(context))
            }

            /// How long a handshake may take, in seconds or as a `Duration`: more than zero. Default 60 seconds.
            ///
            /// # Panics
            ///
            /// If it is NaN.
            #[track_caller]
            pub fn ssl_handshake_timeout(self, limit: impl IntoDelay) -> Self {
                let limit = limit.into_delay();
                self.map(|create| create.ssl_handshake_timeout(limit))
            }

            /// How long the peer has to answer when a stream is closed, in seconds or as a `Duration`: more than zero. Default 30
            /// seconds.
            ///
            /// # Panics
            ///
            /// If it is NaN.
            #[track_caller]
            pub fn ssl_shutdown_timeout(self, limit: impl IntoDelay) -> Self {
                let limit = limit.into_delay();
                self.map(|create| create.ssl_shutdown_timeout(limit))
            }
        }
    };
}

tls_methods!(OpenConnection);
tls_methods!(StartServer);
tls_methods!(StartUnixServer);
