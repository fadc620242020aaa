//! `ssl` and its companions, on whatever connects or listens.

use super::context::SslContext;
use crate::create_connection::CreateConnection;
use crate::create_server::CreateServer;
use crate::unix::CreateUnixServer;
use asyncio_loop::IntoDelay;

impl<P> CreateConnection<'_, P> {
    /// Encrypts: `connection_made` comes when the handshake is done. The context says which side this is; the default of the
    /// name that is expected is the host.
    ///
    /// # asyncio
    ///
    /// `ssl=`. Differs: for `True` write `SslContext::client().build()?`.
    pub fn ssl(mut self, context: impl Into<SslContext>) -> Self {
        self.ssl.context = Some(context.into());
        self
    }

    /// Whose certificate is expected of the server: a DNS name or an IP address. Default: the host that is connected to;
    /// needed where there is none, as on a Unix socket.
    ///
    /// # asyncio
    ///
    /// `server_hostname=`. Differs: not to check the name is an option of the context, and not the empty string.
    pub fn server_hostname(mut self, name: impl Into<String>) -> Self {
        self.ssl.server_hostname = Some(name.into());
        self
    }

    /// How long the handshake may take, in seconds or as a `Duration`: more than zero. Default 60 seconds; at the limit the
    /// connection fails with `ConnectionAborted`.
    ///
    /// # Panics
    ///
    /// If it is NaN.
    #[track_caller]
    pub fn ssl_handshake_timeout(mut self, limit: impl IntoDelay) -> Self {
        self.ssl.handshake_limit = Some(limit.into_delay());
        self
    }

    /// How long the peer has to answer when the transport is closed, in seconds or as a `Duration`: more than zero. Default 30
    /// seconds; at the limit, `connection_lost` gets `TimedOut`.
    ///
    /// # Panics
    ///
    /// If it is NaN.
    #[track_caller]
    pub fn ssl_shutdown_timeout(mut self, limit: impl IntoDelay) -> Self {
        self.ssl.shutdown_limit = Some(limit.into_delay());
        self
    }
}

/// The same methods for each kind of server.
macro_rules! server_methods {
    ($server:ty) => {
        impl $server {
            /// Encrypts: a connection's `connection_made` comes when its handshake is done. One whose handshake fails is never
            /// told of; in debug mode the exception handler is.
            pub fn ssl(mut self, context: impl Into<SslContext>) -> Self {
                self.ssl.context = Some(context.into());
                self
            }

            /// How long each handshake may take, in seconds or as a `Duration`: more than zero. Default 60 seconds.
            ///
            /// # Panics
            ///
            /// If it is NaN.
            #[track_caller]
            pub fn ssl_handshake_timeout(mut self, limit: impl IntoDelay) -> Self {
                self.ssl.handshake_limit = Some(limit.into_delay());
                self
            }

            /// How long the peer has to answer when a transport is closed, in seconds or as a `Duration`: more than zero.
            /// Default 30 seconds.
            ///
            /// # Panics
            ///
            /// If it is NaN.
            #[track_caller]
            pub fn ssl_shutdown_timeout(mut self, limit: impl IntoDelay) -> Self {
                self.ssl.shutdown_limit = Some(limit.into_delay());
                self
            }
        }
    };
}

server_methods!(CreateServer);
server_methods!(CreateUnixServer);
