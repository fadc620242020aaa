//! `start_tls`: TLS on a connection that has been in the clear so far, or inside TLS.
//!
//! The connection gives its endpoint away for the time of the handshake, and gets it back encrypted. What is written
//! meanwhile waits in the connection, as if the kernel had no room.

use super::context::SslContext;
use super::endpoint::TlsEndpoint;
use super::exchange::{Exchange, Outcome, Part, Party};
use super::layer::Layer;
use super::ssl::{Ssl, Terms};
use crate::protocol::{IntoProtocol, ProtocolRef};
use crate::transport::Transport;
use asyncio_loop::{EventLoop, IntoDelay};
use asyncio_tasks::LoopTasksExt as _;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the trait")]
    pub trait Sealed {}
    impl Sealed for asyncio_loop::EventLoop {}
}

/// What TLS adds to [`EventLoop`]. Sealed: only `EventLoop` has it.
pub trait LoopTlsExt: sealed::Sealed {
    /// Encrypts a connection from now on, and lets `protocol` have what comes; neither `connection_made` nor
    /// `connection_lost` is called for that. Await it, with nothing left to be received in the clear.
    ///
    /// What was written before leaves in the clear; what is written while it is under way leaves encrypted. `context` says which
    /// side this is. On a connection that is encrypted already, this is TLS inside TLS.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for options that make no sense; `NotConnected` if the transport is closing, or another `start_tls` is
    /// under way. When the handshake fails the transport is closed, and `protocol` is told; the error is as that of
    /// `create_connection`.
    ///
    /// # asyncio
    ///
    /// [`loop.start_tls`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.start_tls). Differs: the transport
    /// that comes back is the one that was given; `server_side` is the context's affair.
    fn start_tls<P: IntoProtocol<M>, M>(
        &self,
        transport: &Transport,
        protocol: &Rc<RefCell<P>>,
        context: impl Into<SslContext>,
    ) -> StartTls;
}

impl LoopTlsExt for EventLoop {
    fn start_tls<P: IntoProtocol<M>, M>(
        &self,
        transport: &Transport,
        protocol: &Rc<RefCell<P>>,
        context: impl Into<SslContext>,
    ) -> StartTls {
        let ssl = Ssl { context: Some(context.into()), ..Ssl::default() };
        StartTls { transport: transport.clone(), protocol: P::protocol_ref(protocol), ssl, received: Vec::new() }
    }
}

/// A connection that is about to be encrypted; see [`start_tls`](LoopTlsExt::start_tls). Await it.
///
/// # Cancel safety
///
/// Dropping it aborts the connection: the two sides do not know any more how to talk.
#[must_use = "nothing is encrypted unless it is awaited"]
pub struct StartTls {
    transport: Transport,
    protocol: ProtocolRef,
    ssl: Ssl,
    received: Vec<u8>,
}

impl StartTls {
    /// Whose certificate is expected. Needed on a client.
    pub fn server_hostname(mut self, name: impl Into<String>) -> Self {
        self.ssl.server_hostname = Some(name.into());
        self
    }

    /// How long the handshake may take, in seconds or as a `Duration`. Default 60.
    ///
    /// # Panics
    ///
    /// If it is NaN.
    #[track_caller]
    pub fn ssl_handshake_timeout(mut self, limit: impl IntoDelay) -> Self {
        self.ssl.handshake_limit = Some(limit.into_delay());
        self
    }

    /// How long taking leave may take when the transport is closed. Default 30 seconds.
    ///
    /// # Panics
    ///
    /// If it is NaN.
    #[track_caller]
    pub fn ssl_shutdown_timeout(mut self, limit: impl IntoDelay) -> Self {
        self.ssl.shutdown_limit = Some(limit.into_delay());
        self
    }

    /// What the protocol was given already and belongs to the handshake: it came together with what was in the clear.
    ///
    /// # asyncio
    ///
    /// What `StreamWriter.start_tls` does with the bytes that its reader has buffered; `loop.start_tls` loses them.
    pub fn received(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.received = bytes.into();
        self
    }

    async fn run(self) -> io::Result<Transport> {
        /// The transport of a handshake that nobody waits for any more.
        struct Unfinished(Option<Transport>);
        impl Drop for Unfinished {
            fn drop(&mut self) {
                if let Some(transport) = &self.0 {
                    transport.abort();
                }
            }
        }
        let Self { transport, protocol, ssl, received } = self;
        let terms = ssl.for_either()?.ok_or(io::ErrorKind::InvalidInput)?;
        let event_loop = transport.get_loop();
        let over = event_loop.create_future::<()>();
        let teller = over.clone();
        let outcome = Rc::new(Cell::new(Ok(())));
        let place = outcome.clone();
        begin(&transport, protocol, &terms, &received, move |outcome| {
            place.set(outcome);
            // Whoever waited may be gone.
            let _ = teller.set_result(());
        })?;
        let mut unfinished = Unfinished(Some(transport));
        over.await?;
        outcome.replace(Ok(()))?;
        unfinished.0.take().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// Begins the handshake.
fn begin(
    transport: &Transport,
    protocol: ProtocolRef,
    terms: &Terms,
    received: &[u8],
    done: impl FnOnce(io::Result<()>) + 'static,
) -> io::Result<()> {
    let connection = transport.connection();
    let mut session = terms.session()?;
    if transport.is_closing() {
        return Err(io::Error::new(io::ErrorKind::NotConnected, "`start_tls` on a transport that is closing"));
    }
    let unsent = connection.take_unsent();
    let Some(inner) = connection.detach() else {
        return Err(io::Error::new(
            io::ErrorKind::NotConnected,
            "`start_tls` is under way already, or the transport is lost",
        ));
    };
    session.push_clear(&unsent);
    session.push_arrived(received);
    let layer = terms.layer();
    connection.set_layer(layer.clone());
    connection.set_protocol(protocol);
    let endpoint = Box::new(TlsEndpoint::new(inner, session));
    let party = Party::Connection(Rc::downgrade(connection));
    let (waiting, its_layer) = (connection.clone(), layer.clone());
    let exchange = Exchange::begin(
        connection.event_loop(),
        endpoint,
        Part::Handshake,
        terms.handshake_limit(),
        party,
        move |Outcome { endpoint, result, .. }| {
            its_layer.set_exchange(None);
            done(result.and_then(|()| attach(&waiting, &its_layer, endpoint)).inspect_err(|error| {
                waiting.lose(Some(io::Error::new(error.kind(), error.to_string())));
            }));
        },
    );
    if exchange.is_under_way() {
        layer.set_exchange(Some(exchange));
    }
    Ok(())
}

/// The handshake is done: the connection goes on, encrypted.
fn attach(
    connection: &Rc<crate::connection::Connection>,
    layer: &Layer,
    endpoint: Option<Box<TlsEndpoint>>,
) -> io::Result<()> {
    let endpoint = endpoint.ok_or(io::ErrorKind::ConnectionAborted)?;
    layer.note_agreed(&endpoint);
    connection.attach(endpoint)
}

impl IntoFuture for StartTls {
    type Output = io::Result<Transport>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for StartTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartTls").field("transport", &self.transport).field("ssl", &self.ssl).finish_non_exhaustive()
    }
}
