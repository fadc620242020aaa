//! `Server`: places to accept connections, and the connections that came of it.
//!
//! Invariants:
//! 1. A connection is counted from when it was accepted until it is lost; whoever waits for the last one is woken by it.
//! 2. A server that was closed never accepts again.
//!
//! Absent on purpose: accepting, which is `listener`'s; and a list of connections: the loop has them.

use crate::connection::Connection;
use crate::listener::Listener;
use crate::protocol::ProtocolRef;
use crate::tls::{self, Terms};
use crate::transport::Transport;
use crate::unix::SocketFile;
use asyncio_driver::{Address, ListenerEndpoint};
use asyncio_loop::{EventLoop, IntoDelay};
use asyncio_tasks::{CancelledError, WaitQueue, catch_cancelled, wait_for};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

/// A server that listens, or that did. Cheap to clone; all clones are the same server.
///
/// Dropping all of them changes nothing: the loop owns what listens, until [`close`](Self::close).
///
/// # asyncio
///
/// [`asyncio.Server`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.Server). `async with server` is `close`
/// and `wait_closed`.
#[derive(Clone)]
pub struct Server(Rc<ServerState>);

/// Makes the protocol of an accepted connection.
pub(crate) type Factory = Box<dyn FnMut() -> ProtocolRef>;

/// What a server and its listeners share.
pub(crate) struct ServerState {
    event_loop: EventLoop,
    factory: RefCell<Factory>,
    terms: Option<Terms>,
    listeners: RefCell<Vec<Rc<Listener>>>,
    file: Cell<Option<SocketFile>>,
    life: Cell<Life>,
    is_served_forever: Cell<bool>,
    clients: Cell<usize>,
    /// Those who wait for the end, of the server or of its last connection.
    waiters: WaitQueue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Bound,
    Serving,
    Closed,
}

/// One connection of a server, counted while this lives.
pub(crate) struct ServerClient(Rc<ServerState>);

impl ServerState {
    pub(crate) const fn event_loop(&self) -> &EventLoop {
        &self.event_loop
    }

    /// How connections are to be encrypted.
    pub(crate) const fn terms(&self) -> Option<&Terms> {
        self.terms.as_ref()
    }

    /// Runs the user's factory.
    pub(crate) fn make_protocol(&self) -> ProtocolRef {
        (self.factory.borrow_mut())()
    }

    pub(crate) fn client(self: &Rc<Self>) -> ServerClient {
        self.clients.set(self.clients.get() + 1);
        ServerClient(self.clone())
    }

    fn is_over(&self) -> bool {
        self.life.get() == Life::Closed && self.clients.get() == 0
    }
}

impl Drop for ServerClient {
    fn drop(&mut self) {
        self.0.clients.set(self.0.clients.get() - 1);
        if self.0.is_over() {
            self.0.waiters.wake_all();
        }
    }
}

impl Server {
    /// A server on `endpoints`, which are bound and do not listen yet.
    pub(crate) fn new(
        event_loop: &EventLoop,
        endpoints: Vec<Box<dyn ListenerEndpoint>>,
        backlog: u32,
        factory: Factory,
        file: Option<SocketFile>,
        terms: Option<Terms>,
    ) -> Self {
        let state = Rc::new(ServerState {
            event_loop: event_loop.clone(),
            factory: RefCell::new(factory),
            terms,
            listeners: RefCell::default(),
            file: Cell::new(file),
            life: Cell::new(Life::Bound),
            is_served_forever: Cell::new(false),
            clients: Cell::new(0),
            waiters: WaitQueue::new(),
        });
        let listeners = endpoints.into_iter().map(|endpoint| Listener::new(&state, endpoint, backlog)).collect();
        state.listeners.replace(listeners);
        Self(state)
    }

    /// Begins to listen and to accept. Does nothing if that was begun already.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the server was closed, or what the system reports; then the server is closed.
    ///
    /// # asyncio
    ///
    /// [`Server.start_serving`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.Server.start_serving). Differs: it
    /// need not be awaited.
    pub fn start_serving(&self) -> io::Result<()> {
        match self.0.life.get() {
            Life::Serving => return Ok(()),
            Life::Closed => return Err(io::Error::new(io::ErrorKind::NotConnected, "the server is closed")),
            Life::Bound => self.0.life.set(Life::Serving),
        }
        let listeners = self.0.listeners.borrow().clone();
        let outcome = listeners.iter().try_for_each(Listener::start);
        outcome.inspect_err(|_| self.close())
    }

    /// Serves until the server is closed by somebody else. Cancelling it closes the server and waits for its connections.
    ///
    /// # Cancel safety
    ///
    /// Dropping it (not by a cancellation of the task) leaves the server as it is.
    ///
    /// # Errors
    ///
    /// [`ServeForeverError`]; `Cancelled` is how it ends when somebody closes the server.
    ///
    /// # asyncio
    ///
    /// [`Server.serve_forever`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.Server.serve_forever). Same.
    pub async fn serve_forever(&self) -> Result<Infallible, ServeForeverError> {
        /// Somebody else may serve afterwards.
        struct Serving<'a>(&'a Cell<bool>);
        impl Drop for Serving<'_> {
            fn drop(&mut self) {
                self.0.set(false);
            }
        }
        if self.0.is_served_forever.get() {
            return Err(ServeForeverError::AlreadyServing);
        }
        if self.0.life.get() == Life::Closed {
            return Err(ServeForeverError::Closed);
        }
        self.start_serving()?;
        self.0.is_served_forever.set(true);
        let serving = Serving(&self.0.is_served_forever);
        let waited = catch_cancelled(async {
            while self.0.life.get() != Life::Closed {
                self.0.waiters.wait().await;
            }
        });
        let outcome = waited.await;
        drop(serving);
        if let Err(cancelled) = outcome {
            self.close();
            self.close_clients_when_cancelled().await;
            match cancelled.reraise().await {}
        }
        Err(ServeForeverError::Cancelled(CancelledError::new(Some("the server was closed"))))
    }

    async fn close_clients_when_cancelled(&self) {
        while !self.0.is_over() {
            self.0.waiters.wait().await;
        }
    }

    /// Stops accepting. Connections stay as they are; [`serve_forever`](Self::serve_forever) ends. A second call does nothing.
    ///
    /// # asyncio
    ///
    /// [`Server.close`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.Server.close). Same.
    pub fn close(&self) {
        if self.0.life.replace(Life::Closed) == Life::Closed {
            return;
        }
        let listeners = self.0.listeners.take();
        for listener in &listeners {
            listener.close();
        }
        if let Some(file) = self.0.file.take() {
            file.remove();
        }
        self.0.waiters.wake_all();
    }

    /// Closes each connection of this server: what was written is sent.
    ///
    /// # asyncio
    ///
    /// [`Server.close_clients`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.Server.close_clients). Same.
    pub fn close_clients(&self) {
        self.clients().iter().for_each(Transport::close);
        self.abort_handshakes();
    }

    /// Aborts each connection of this server: what waits to be sent is dropped.
    ///
    /// # asyncio
    ///
    /// [`Server.abort_clients`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.Server.abort_clients). Same.
    pub fn abort_clients(&self) {
        self.clients().iter().for_each(Transport::abort);
        self.abort_handshakes();
    }

    /// Gives up connections that are not there yet, for they still shake hands; says how many they were.
    fn abort_handshakes(&self) -> usize {
        tls::abort_handshakes(&self.0.event_loop, |client| Rc::ptr_eq(&client.0, &self.0))
    }

    /// Waits until the server was closed, and its last connection is lost.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing changes by dropping it.
    ///
    /// # Errors
    ///
    /// None today.
    ///
    /// # asyncio
    ///
    /// [`Server.wait_closed`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.Server.wait_closed). Same.
    pub async fn wait_closed(&self) -> io::Result<()> {
        while !self.0.is_over() {
            self.0.waiters.wait().await;
        }
        Ok(())
    }

    /// Stops accepting, gives the connections `grace` (seconds or a `Duration`) to end by themselves, and aborts those that
    /// have not. Says how many were aborted.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, the server is closed, and no connection was aborted.
    ///
    /// # Panics
    ///
    /// If `grace` is NaN.
    ///
    /// # asyncio
    ///
    /// None: `close`, `wait_closed` under a timeout, `abort_clients`, `wait_closed`.
    pub async fn shutdown(&self, grace: impl IntoDelay) -> usize {
        self.close();
        let ended = wait_for(self.wait_closed(), grace.into_delay()).await;
        let left = if ended.is_err() { self.clients() } else { Vec::new() };
        left.iter().for_each(Transport::abort);
        let unfinished = if ended.is_err() { self.abort_handshakes() } else { 0 };
        while !self.0.is_over() {
            self.0.waiters.wait().await;
        }
        left.len() + unfinished
    }

    /// Whether the server accepts connections.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.0.life.get() == Life::Serving
    }

    /// The loop of this server.
    #[must_use]
    pub fn get_loop(&self) -> EventLoop {
        self.0.event_loop.clone()
    }

    /// The IP addresses and ports that are listened on, in the order in which they were bound. Empty once the server was
    /// closed; a Unix server has none.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let ip = |address| if let Address::Ip(address) = address { Some(address) } else { None };
        self.sockets().into_iter().filter_map(ip).collect()
    }

    /// The addresses that are listened on. Empty once the server was closed.
    ///
    /// # asyncio
    ///
    /// [`Server.sockets`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.Server.sockets). Differs: the addresses of
    /// the sockets, and not the sockets.
    #[must_use]
    pub fn sockets(&self) -> Vec<Address> {
        self.0.listeners.borrow().iter().filter_map(|listener| listener.address()).collect()
    }

    /// Duplicates of the sockets that are listened on, for whoever is to go on when this server is closed: another process
    /// ([`sock_send_fds`](crate::LoopSocketsExt::sock_send_fds)), for instance. Whoever connects meanwhile waits for one of the
    /// two. Close a Unix server that goes on elsewhere only with
    /// [`cleanup_socket(false)`](crate::CreateUnixServer::cleanup_socket).
    ///
    /// # Errors
    ///
    /// `Unsupported` if an endpoint has no descriptor; or no descriptor is left.
    ///
    /// # asyncio
    ///
    /// `[sock.dup() for sock in server.sockets]`.
    #[cfg(unix)]
    pub fn dup_sockets(&self) -> io::Result<Vec<std::os::fd::OwnedFd>> {
        self.0.listeners.borrow().iter().map(|listener| listener.dup()).collect()
    }

    /// How many connections of this server are not lost yet.
    #[must_use]
    pub fn client_count(&self) -> usize {
        self.0.clients.get()
    }

    /// The connections of this server that are not lost yet.
    #[must_use]
    pub fn clients(&self) -> Vec<Transport> {
        let mut connections = self.0.event_loop.sources::<Connection>();
        connections.extend(tls::connections(&self.0.event_loop));
        let ours = |connection: &Rc<Connection>| connection.is_client_of(|client| Rc::ptr_eq(&client.0, &self.0));
        connections.into_iter().filter(ours).map(Transport::new).collect()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("life", &self.0.life.get())
            .field("sockets", &self.sockets())
            .field("clients", &self.client_count())
            .finish()
    }
}

/// Why [`Server::serve_forever`] did not serve, or does not any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeForeverError {
    /// Somebody else serves it for ever.
    #[error("server is already being awaited on serve_forever()")]
    AlreadyServing,
    /// The server was closed before.
    #[error("server is closed")]
    Closed,
    /// The server was closed while it was served.
    #[error(transparent)]
    Cancelled(#[from] CancelledError),
    /// It could not begin to listen.
    #[error(transparent)]
    Listen(#[from] io::Error),
}

impl From<ServeForeverError> for io::Error {
    fn from(error: ServeForeverError) -> Self {
        match error {
            ServeForeverError::Listen(error) => error,
            ServeForeverError::Cancelled(error) => error.into(),
            other => Self::other(other),
        }
    }
}
