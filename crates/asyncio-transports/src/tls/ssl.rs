//! `Ssl`: what `ssl` and its companions have asked for, and the terms that come of it.
//!
//! Absent on purpose: input and output. What makes no sense is refused before any.

use super::context::{Role, SslContext, SslError};
use super::endpoint::TlsEndpoint;
use super::exchange::{Exchange, Part, Party};
use super::layer::Layer;
use super::session::Session;
use crate::server::ServerClient;
use asyncio_driver::StreamEndpoint;
use asyncio_loop::{Delay, EventLoop, IntoDelay as _};
use asyncio_tasks::LoopTasksExt as _;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use std::cell::Cell;
use std::io;
use std::rc::Rc;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ssl {
    pub(super) context: Option<SslContext>,
    pub(super) server_hostname: Option<String>,
    pub(super) handshake_limit: Option<Delay>,
    pub(super) shutdown_limit: Option<Delay>,
}

/// What was asked for, and makes sense.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    context: SslContext,
    /// Whose certificate is expected; on a client.
    name: Option<ServerName<'static>>,
    server_hostname: Option<String>,
    handshake_limit: Delay,
    shutdown_limit: Delay,
}

/// An endpoint, and the layer that it is.
type Secured = (Box<dyn StreamEndpoint>, Rc<Layer>);

impl Ssl {
    /// For a client's end of a connection to `host`.
    ///
    /// # Errors
    ///
    /// `InvalidInput`, which says what makes no sense. `None` if TLS was not asked for.
    pub(crate) fn for_client(mut self, host: Option<String>) -> io::Result<Option<Terms>> {
        if self.context.is_some() {
            self.server_hostname = self.server_hostname.or(host);
        }
        self.expect_role(Role::Client, "`ssl` of a client needs a context made by `SslContext::client`")?;
        self.for_either()
    }

    /// For a server's end.
    ///
    /// # Errors
    ///
    /// As `for_client`.
    pub(crate) fn for_server(self) -> io::Result<Option<Terms>> {
        self.expect_role(Role::Server, "`ssl` of a server needs a context made by `SslContext::server`")?;
        self.for_either()
    }

    fn expect_role(&self, role: Role, message: &'static str) -> io::Result<()> {
        match &self.context {
            Some(context) if context.role() != role => Err(invalid(message)),
            _ => Ok(()),
        }
    }

    /// For the end that the context is for.
    ///
    /// # Errors
    ///
    /// As `for_client`.
    pub(crate) fn for_either(self) -> io::Result<Option<Terms>> {
        let Some(context) = self.context else {
            return match (self.server_hostname, self.handshake_limit, self.shutdown_limit) {
                (None, None, None) => Ok(None),
                (Some(_), ..) => Err(invalid("`server_hostname` is only meaningful with `ssl`")),
                (_, Some(_), _) => Err(invalid("`ssl_handshake_timeout` is only meaningful with `ssl`")),
                _ => Err(invalid("`ssl_shutdown_timeout` is only meaningful with `ssl`")),
            };
        };
        let name = match (context.role(), &self.server_hostname) {
            (Role::Server, None) => None,
            (Role::Server, Some(_)) => return Err(invalid("`server_hostname` is a client's: a server has the name")),
            (Role::Client, None) => {
                return Err(invalid("you must set `server_hostname` when using `ssl` without a host"));
            }
            (Role::Client, Some(name)) => Some(ServerName::try_from(name.clone()).map_err(|_| {
                let hint = "to check no name is `SslClientBuilder::dangerous_accept_any_hostname`";
                invalid(&format!("`server_hostname` {name:?} is neither a DNS name nor an IP address; {hint}"))
            })?),
        };
        if context.takes_early_data() {
            return Err(invalid("a server's context with early data: bytes could come before the handshake is done"));
        }
        let positive = |limit: Option<Delay>, default: u32, what: &str| match limit {
            Some(limit) if limit.is_now() => Err(invalid(&format!("`{what}` should be a positive number"))),
            Some(limit) => Ok(limit),
            None => Ok(default.into_delay()),
        };
        Ok(Some(Terms {
            context,
            name,
            server_hostname: self.server_hostname,
            handshake_limit: positive(self.handshake_limit, HANDSHAKE_SECONDS, "ssl_handshake_timeout")?,
            shutdown_limit: positive(self.shutdown_limit, SHUTDOWN_SECONDS, "ssl_shutdown_timeout")?,
        }))
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

impl Terms {
    pub(super) fn layer(&self) -> Rc<Layer> {
        Rc::new(Layer::new(self.server_hostname.clone(), self.shutdown_limit))
    }

    pub(super) const fn handshake_limit(&self) -> Delay {
        self.handshake_limit
    }

    pub(super) fn session(&self) -> io::Result<Session> {
        let session = match (&self.context.0, &self.name) {
            (super::context::Side::Server(config), _) => {
                UnbufferedServerConnection::new(config.clone()).map(Session::server)
            }
            (super::context::Side::Client(config), Some(name)) => {
                UnbufferedClientConnection::new(config.clone(), name.clone()).map(Session::client)
            }
            _ => return Err(invalid("a client without `server_hostname`")),
        };
        session.map_err(|error| SslError::new(error).into())
    }

    /// Shakes hands; gives up if it is dropped.
    ///
    /// # Errors
    ///
    /// `ConnectionAborted` at the limit; `InvalidData` with an [`SslError`] if the two do not agree; `UnexpectedEof`, or what
    /// the connection fails with.
    pub(crate) async fn secure(self, event_loop: &EventLoop, inner: Box<dyn StreamEndpoint>) -> io::Result<Secured> {
        /// Gives up with whoever waits.
        struct Awaited(Rc<Exchange>);
        impl Drop for Awaited {
            fn drop(&mut self) {
                self.0.abandon();
            }
        }
        let endpoint = Box::new(TlsEndpoint::new(inner, self.session()?));
        let over = event_loop.create_future::<()>();
        let teller = over.clone();
        let outcome = Rc::new(Cell::new(None));
        let place = outcome.clone();
        let limit = self.handshake_limit;
        let exchange = Exchange::begin(event_loop, endpoint, Part::Handshake, limit, Party::Caller, move |outcome| {
            place.set(Some(outcome));
            // Whoever waited may be gone.
            let _ = teller.set_result(());
        });
        let _awaited = Awaited(exchange);
        over.await?;
        let outcome = outcome.take().ok_or(io::ErrorKind::ConnectionAborted)?;
        outcome.result?;
        let endpoint = outcome.endpoint.ok_or(io::ErrorKind::ConnectionAborted)?;
        let layer = self.layer();
        layer.note_agreed(&endpoint);
        Ok((endpoint, layer))
    }

    /// Shakes hands with a client that a server has accepted, and then calls `done`.
    pub(crate) fn secure_accepted(
        &self,
        event_loop: &EventLoop,
        inner: Box<dyn StreamEndpoint>,
        client: ServerClient,
        done: impl FnOnce(io::Result<(Secured, ServerClient)>) + 'static,
    ) {
        let session = match self.session() {
            Ok(session) => session,
            Err(error) => return done(Err(error)),
        };
        let endpoint = Box::new(TlsEndpoint::new(inner, session));
        let layer = self.layer();
        let party = Party::Client(Cell::new(Some(client)));
        let _the_loop_has_it =
            Exchange::begin(event_loop, endpoint, Part::Handshake, self.handshake_limit, party, move |outcome| {
                done(match (outcome.result, outcome.endpoint, outcome.client) {
                    (Ok(()), Some(endpoint), Some(client)) => {
                        layer.note_agreed(&endpoint);
                        Ok(((endpoint, layer), client))
                    }
                    (Err(error), ..) => Err(error),
                    _ => Err(io::ErrorKind::ConnectionAborted.into()),
                });
            });
    }
}

/// asyncio's `SSL_HANDSHAKE_TIMEOUT`.
const HANDSHAKE_SECONDS: u32 = 60;
/// asyncio's `SSL_SHUTDOWN_TIMEOUT`.
const SHUTDOWN_SECONDS: u32 = 30;
