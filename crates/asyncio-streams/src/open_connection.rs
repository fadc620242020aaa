//! `open_connection`: the client's side, with asyncio's keyword arguments as methods.

use crate::protocol::{DEFAULT_LIMIT, StreamReaderProtocol, check_limit};
use crate::reader::StreamReader;
use crate::writer::StreamWriter;
use asyncio_driver::OsSocket;
use asyncio_executor::AddressFamily;
use asyncio_loop::{IntoDelay, get_running_loop};
use asyncio_transports::{CreateConnection, IntoHost, IntoUnixAddress, LoopTransportsExt as _};
use std::cell::Cell;
use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

/// Connects to `host` by TCP, and makes streams of that. Await it.
///
/// Addresses are tried one after the other, unless [`happy_eyeballs_delay`](OpenConnection::happy_eyeballs_delay) is given.
///
/// # Errors
///
/// The name is not resolved; or no address can be reached: then the source of the error has what each attempt failed with.
///
/// # Panics
///
/// If no loop is running in this thread.
///
/// # asyncio
///
/// [`asyncio.open_connection`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.open_connection). Same; `sock=` is
/// [`open_connection_on`].
#[track_caller]
pub fn open_connection(host: impl IntoHost) -> OpenConnection {
    OpenConnection::new(|factory| get_running_loop().create_connection(factory, host))
}

/// Makes streams of a stream socket that is connected already. They own it from then on, and it becomes non-blocking.
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
/// `asyncio.open_connection(sock=…)` and `asyncio.open_unix_connection(sock=…)`.
#[track_caller]
pub fn open_connection_on(socket: impl Into<OsSocket>) -> OpenConnection {
    OpenConnection::new(|factory| get_running_loop().create_connection_on(factory, socket))
}

/// Connects to a Unix socket; otherwise as [`open_connection`].
///
/// # Errors
///
/// What the system reports.
///
/// # Panics
///
/// If no loop is running in this thread.
///
/// # asyncio
///
/// [`asyncio.open_unix_connection`](https://docs.python.org/3/library/asyncio-stream.html#asyncio.open_unix_connection). Same.
#[track_caller]
pub fn open_unix_connection(path: impl IntoUnixAddress) -> OpenConnection {
    OpenConnection::new(|factory| get_running_loop().create_unix_connection(factory, path))
}

/// Streams that are being made; see [`open_connection`]. Await it.
///
/// # Cancel safety
///
/// Dropping it gives the connection up; every socket that was opened is closed.
#[must_use = "nothing is connected unless it is awaited"]
pub struct OpenConnection {
    create: CreateConnection<'static, StreamReaderProtocol>,
    limit: Rc<Cell<usize>>,
}

impl OpenConnection {
    #[track_caller]
    fn new<C>(create: C) -> Self
    where
        C: FnOnce(Box<dyn FnOnce() -> StreamReaderProtocol>) -> CreateConnection<'static, StreamReaderProtocol>,
    {
        let limit = Rc::new(Cell::new(DEFAULT_LIMIT));
        let limit_too = limit.clone();
        Self { create: create(Box::new(move || StreamReaderProtocol::new(limit_too.get()))), limit }
    }

    /// The limit of the reader, in bytes; see [`StreamReader::new`]. Default: 64 KiB.
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

    pub(crate) fn map(
        self,
        change: impl FnOnce(
            CreateConnection<'static, StreamReaderProtocol>,
        ) -> CreateConnection<'static, StreamReaderProtocol>,
    ) -> Self {
        Self { create: change(self.create), limit: self.limit }
    }

    /// Which addresses of the host to try. Default: any.
    pub fn family(self, family: AddressFamily) -> Self {
        self.map(|create| create.family(family))
    }

    /// Binds this end first, to one of the addresses of `local` that is of the family of the peer's.
    pub fn local_addr(self, local: impl IntoHost) -> Self {
        self.map(|create| create.local_addr(local))
    }

    /// Starts the next attempt when the last one has taken so long, without giving that up. Default: one after the other.
    ///
    /// # Panics
    ///
    /// If `delay` is NaN.
    #[track_caller]
    pub fn happy_eyeballs_delay(self, delay: impl IntoDelay) -> Self {
        let delay = delay.into_delay();
        self.map(|create| create.happy_eyeballs_delay(delay))
    }

    /// Alternates the families of addresses, after so many of the first one. Default: 1 with
    /// [`happy_eyeballs_delay`](Self::happy_eyeballs_delay), or else the order of the resolver.
    pub fn interleave(self, first: usize) -> Self {
        self.map(|create| create.interleave(first))
    }

    async fn run(self) -> io::Result<(StreamReader, StreamWriter)> {
        let (_, protocol) = self.create.await?;
        let streams = protocol.borrow().streams();
        streams.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl IntoFuture for OpenConnection {
    type Output = io::Result<(StreamReader, StreamWriter)>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for OpenConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenConnection").field("limit", &self.limit.get()).field("create", &self.create).finish()
    }
}
