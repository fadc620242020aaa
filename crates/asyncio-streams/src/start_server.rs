//! `start_server`: the server's side, with asyncio's keyword arguments as methods.

use crate::handler::{Handler, HandlerOutcome};
use crate::protocol::{DEFAULT_LIMIT, StreamReaderProtocol, check_limit};
use crate::reader::StreamReader;
use crate::writer::StreamWriter;
use asyncio_driver::OsSocket;
use asyncio_executor::AddressFamily;
use asyncio_loop::get_running_loop;
use asyncio_transports::{CreateServer, CreateUnixServer, IntoHosts, IntoUnixAddress, LoopTransportsExt as _, Server};
use std::cell::Cell;
use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

/// Listens on every address of `hosts`, and calls `handler` with the streams of each connection, in a task of its own. Await it.
///
/// `handler` is an `async fn` or an async closure, which returns nothing or a `Result`. An error or a panic goes to the
/// exception handler of the loop, with the address of the peer (`peername`), and closes that connection; so does cancelling its
/// task, without a report. Returning closes the connection when the writer goes, if it was not moved elsewhere.
///
/// # Errors
///
/// A name is not resolved, or an address cannot be bound; the message names it.
///
/// # Panics
///
/// If no loop is running in this thread.
///
/// # asyncio
///
/// [`asyncio.start_server`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.start_server). Differs: the address of the
/// peer is reported, too; `sock=` is [`start_server_on`].
#[track_caller]
pub fn start_server<F, R>(handler: F, hosts: impl IntoHosts) -> StartServer
where
    F: AsyncFn(StreamReader, StreamWriter) -> R + 'static,
    R: HandlerOutcome,
{
    let (factory, limit) = factory_of(handler);
    StartServer { create: get_running_loop().create_server(factory, hosts), limit }
}

/// Serves on a stream socket that is bound already, and perhaps listens; otherwise as [`start_server`].
///
/// # Errors
///
/// `InvalidInput` if it is not a stream socket.
///
/// # Panics
///
/// If no loop is running in this thread.
///
/// # asyncio
///
/// `asyncio.start_server(handler, sock=…)`.
#[track_caller]
pub fn start_server_on<F, R>(handler: F, socket: impl Into<OsSocket>) -> StartServer
where
    F: AsyncFn(StreamReader, StreamWriter) -> R + 'static,
    R: HandlerOutcome,
{
    let (factory, limit) = factory_of(handler);
    StartServer { create: get_running_loop().create_server_on(factory, socket), limit }
}

/// Listens on a Unix socket; otherwise as [`start_server`].
///
/// # Errors
///
/// `AddrInUse` if another server listens there, or another kind of file is there; otherwise what the system reports.
///
/// # Panics
///
/// If no loop is running in this thread.
///
/// # asyncio
///
/// [`asyncio.start_unix_server`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.start_unix_server). Differs: asyncio takes
/// the path away from a server that is alive.
#[track_caller]
pub fn start_unix_server<F, R>(handler: F, path: impl IntoUnixAddress) -> StartUnixServer
where
    F: AsyncFn(StreamReader, StreamWriter) -> R + 'static,
    R: HandlerOutcome,
{
    let (factory, limit) = factory_of(handler);
    StartUnixServer { create: get_running_loop().create_unix_server(factory, path), limit }
}

/// What makes the protocols of a server, and the limit that they have, which is not known yet.
fn factory_of<F, R>(handler: F) -> (impl FnMut() -> StreamReaderProtocol + 'static, Rc<Cell<usize>>)
where
    F: AsyncFn(StreamReader, StreamWriter) -> R + 'static,
    R: HandlerOutcome,
{
    let (handler, limit) = (Handler::accepting(handler), Rc::new(Cell::new(DEFAULT_LIMIT)));
    let limit_too = limit.clone();
    (move || StreamReaderProtocol::accepting(limit_too.get(), handler.clone()), limit)
}

/// A server that is being made; see [`start_server`]. Await it.
///
/// # Cancel safety
///
/// Dropping it closes what was bound already.
#[must_use = "nothing listens unless it is awaited"]
pub struct StartServer {
    create: CreateServer,
    limit: Rc<Cell<usize>>,
}

impl StartServer {
    /// The limit of each reader, in bytes; see [`StreamReader::new`]. Default: 64 KiB.
    ///
    /// # Panics
    ///
    /// If `bytes` is zero.
    #[track_caller]
    pub fn limit(self, bytes: usize) -> Self {
        check_limit(bytes);
        self.limit.set(bytes);
        self
    }

    pub(crate) fn map(self, change: impl FnOnce(CreateServer) -> CreateServer) -> Self {
        Self { create: change(self.create), limit: self.limit }
    }

    /// Which addresses of the hosts to listen on. Default: any.
    pub fn family(self, family: AddressFamily) -> Self {
        self.map(|create| create.family(family))
    }

    /// How many connections may wait to be accepted. Default 100.
    pub fn backlog(self, connections: u32) -> Self {
        self.map(|create| create.backlog(connections))
    }

    /// Takes over an address that a closed connection still lingers on. Default: on, except on Windows.
    pub fn reuse_address(self, is_reused: bool) -> Self {
        self.map(|create| create.reuse_address(is_reused))
    }

    /// Shares the addresses with other servers that ask for it too; the kernel spreads connections over them. Default off.
    pub fn reuse_port(self, is_shared: bool) -> Self {
        self.map(|create| create.reuse_port(is_shared))
    }

    /// Lets the system probe connections that are idle, in its own time. Default off.
    pub fn keep_alive(self, is_probed: bool) -> Self {
        self.map(|create| create.keep_alive(is_probed))
    }

    /// Whether to listen at once. Otherwise connections are refused until [`Server::start_serving`]. Default: yes.
    pub fn start_serving(self, is_started: bool) -> Self {
        self.map(|create| create.start_serving(is_started))
    }
}

impl IntoFuture for StartServer {
    type Output = io::Result<Server>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.create.into_future())
    }
}

impl fmt::Debug for StartServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartServer").field("limit", &self.limit.get()).field("create", &self.create).finish()
    }
}

/// A server on a Unix socket that is being made; see [`start_unix_server`]. Await it.
#[must_use = "nothing listens unless it is awaited"]
pub struct StartUnixServer {
    create: CreateUnixServer,
    limit: Rc<Cell<usize>>,
}

impl StartUnixServer {
    /// The limit of each reader, in bytes; see [`StreamReader::new`]. Default: 64 KiB.
    ///
    /// # Panics
    ///
    /// If `bytes` is zero.
    #[track_caller]
    pub fn limit(self, bytes: usize) -> Self {
        check_limit(bytes);
        self.limit.set(bytes);
        self
    }

    pub(crate) fn map(self, change: impl FnOnce(CreateUnixServer) -> CreateUnixServer) -> Self {
        Self { create: change(self.create), limit: self.limit }
    }

    /// How many connections may wait to be accepted. Default 100.
    pub fn backlog(self, connections: u32) -> Self {
        self.map(|create| create.backlog(connections))
    }

    /// The permission bits of the socket file, in force before anybody can connect. Default: what the umask leaves.
    pub fn mode(self, bits: u32) -> Self {
        self.map(|create| create.mode(bits))
    }

    /// Whether to listen at once. Default: yes.
    pub fn start_serving(self, is_started: bool) -> Self {
        self.map(|create| create.start_serving(is_started))
    }

    /// Whether closing the server removes the socket file, if it is still the same one. Default: yes.
    pub fn cleanup_socket(self, is_cleaned_up: bool) -> Self {
        self.map(|create| create.cleanup_socket(is_cleaned_up))
    }
}

impl IntoFuture for StartUnixServer {
    type Output = io::Result<Server>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.create.into_future())
    }
}

impl fmt::Debug for StartUnixServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartUnixServer").field("limit", &self.limit.get()).field("create", &self.create).finish()
    }
}
