//! `LoopTransportsExt`: the methods of a loop that make transports and servers.

use crate::create_connection::CreateConnection;
use crate::create_datagram::CreateDatagramEndpoint;
use crate::create_server::{CreateServer, factory_of};
use crate::datagram_protocol::DatagramProtocol;
use crate::host::{IntoHost, IntoHosts};
use crate::protocol::IntoProtocol;
use crate::unix::{CreateUnixServer, IntoUnixAddress};
use asyncio_driver::{OsPipe, OsSocket, PipeEnd, StreamEndpoint};
use asyncio_loop::EventLoop;

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the trait")]
    pub trait Sealed {}
    impl Sealed for asyncio_loop::EventLoop {}
}

/// What floor 4 adds to [`EventLoop`]. Sealed: only `EventLoop` has it.
pub trait LoopTransportsExt: sealed::Sealed {
    /// Connects to `host` by TCP, and makes a transport and a protocol of that. Await it.
    ///
    /// Addresses are tried in the order of the resolver, one after the other, unless
    /// [`happy_eyeballs_delay`](CreateConnection::happy_eyeballs_delay) is given. When it is back, `connection_made` has been
    /// called.
    ///
    /// Beside the transport comes the protocol, in an `Rc<RefCell<_>>`. Borrow it between awaits only: while it is borrowed, none
    /// of its methods can be called. Bytes that come in meanwhile end the connection, with a report, and `connection_lost` is
    /// late. To wait for what a protocol tells, clone a future or an event out of it first.
    ///
    /// # Errors
    ///
    /// The name is not resolved; or no address can be reached: then the source of the error is a
    /// [`ConnectError`](crate::ConnectError), which has what each attempt failed with.
    ///
    /// # asyncio
    ///
    /// [`loop.create_connection`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_connection). Same;
    /// `sock=` is [`create_connection_on`](Self::create_connection_on).
    fn create_connection<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        host: impl IntoHost,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>;

    /// Makes a transport of a stream socket that is connected already. It owns the socket from then on, which becomes
    /// non-blocking.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is not a stream socket.
    ///
    /// # asyncio
    ///
    /// `loop.create_connection(factory, sock=…)` and `loop.create_unix_connection(factory, sock=…)`.
    fn create_connection_on<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        socket: impl Into<OsSocket>,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>;

    /// Listens on every address of `hosts`, and makes a transport and a protocol of each connection. Await it.
    ///
    /// Each address is bound once; those with port 0 share one port. IPv6 addresses take no IPv4 connections. If an address
    /// cannot be bound, none is, except that addresses which this machine has not are passed over, if any is left.
    ///
    /// # Errors
    ///
    /// A name is not resolved, or an address cannot be bound; the message names it.
    ///
    /// # asyncio
    ///
    /// [`loop.create_server`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_server). Differs: port 0
    /// means the same port on all addresses; `sock=` is [`create_server_on`](Self::create_server_on).
    fn create_server<P, M>(&self, factory: impl FnMut() -> P + 'static, hosts: impl IntoHosts) -> CreateServer
    where
        P: IntoProtocol<M>;

    /// Serves on a stream socket that is bound already, and perhaps listens: inherited, for instance.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is not a stream socket.
    ///
    /// # asyncio
    ///
    /// `loop.create_server(factory, sock=…)`.
    fn create_server_on<P, M>(&self, factory: impl FnMut() -> P + 'static, socket: impl Into<OsSocket>) -> CreateServer
    where
        P: IntoProtocol<M>;

    /// Connects to a Unix socket; otherwise as [`create_connection`](Self::create_connection).
    ///
    /// # Errors
    ///
    /// What the system reports.
    ///
    /// # asyncio
    ///
    /// [`loop.create_unix_connection`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_unix_connection).
    /// Same.
    fn create_unix_connection<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        path: impl IntoUnixAddress,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>;

    /// Listens on a Unix socket; otherwise as [`create_server`](Self::create_server).
    ///
    /// A socket file that a server has left which is gone is replaced.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if another server listens there, or another kind of file is there; otherwise what the system reports.
    ///
    /// # asyncio
    ///
    /// [`loop.create_unix_server`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_unix_server). Differs:
    /// asyncio takes the path away from a server that is alive.
    fn create_unix_server<P, M>(
        &self,
        factory: impl FnMut() -> P + 'static,
        path: impl IntoUnixAddress,
    ) -> CreateUnixServer
    where
        P: IntoProtocol<M>;

    /// Serves on a Unix socket that is bound already, and perhaps listens.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is not a stream socket.
    ///
    /// # asyncio
    ///
    /// `loop.create_unix_server(factory, sock=…)`.
    fn create_unix_server_on<P, M>(
        &self,
        factory: impl FnMut() -> P + 'static,
        socket: impl Into<OsSocket>,
    ) -> CreateUnixServer
    where
        P: IntoProtocol<M>;

    /// Makes a transport of a connection that somebody else has accepted. It owns the socket from then on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is not a stream socket.
    ///
    /// # asyncio
    ///
    /// [`loop.connect_accepted_socket`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.connect_accepted_socket).
    /// Same.
    fn connect_accepted_socket<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        socket: impl Into<OsSocket>,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>;

    /// Receives from a pipe, a FIFO, a terminal, another character device, or a stream socket. Await it.
    ///
    /// The transport owns `pipe` from then on. Whoever shares it, as a shell shares its terminal with what it starts, finds it as
    /// it was: on Linux it never stops to block for them, save for FIFOs with a name and devices other than terminals, which
    /// are put back when the transport is gone; elsewhere all are. At the end of the input the protocol's `eof_received` is
    /// called, and then, whatever that says, `connection_lost`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a regular file or a directory, which would always be ready: read those by
    /// [`to_thread`](asyncio_executor::to_thread). `Unsupported` on Windows.
    ///
    /// # asyncio
    ///
    /// [`loop.connect_read_pipe`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.connect_read_pipe). Differs:
    /// asyncio leaves a terminal non-blocking for everybody who shares it.
    fn connect_read_pipe<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        pipe: impl Into<OsPipe>,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>;

    /// Sends into a pipe, a FIFO, a terminal, another character device, or a stream socket; otherwise as
    /// [`connect_read_pipe`](Self::connect_read_pipe).
    ///
    /// The protocol is told by `connection_lost` when nobody reads any more, also if nothing is written: with `BrokenPipe` if
    /// something waits to be sent, with `None` otherwise. `write_eof` closes. Of the protocol's other methods only
    /// `connection_made`, `pause_writing` and `resume_writing` are called.
    ///
    /// # Errors
    ///
    /// As [`connect_read_pipe`](Self::connect_read_pipe).
    ///
    /// # asyncio
    ///
    /// [`loop.connect_write_pipe`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.connect_write_pipe). Differs:
    /// what a socket's peer sends is left alone, where asyncio takes it for its end; and a terminal as above.
    fn connect_write_pipe<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        pipe: impl Into<OsPipe>,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>;

    /// Opens a place to send and receive packets, and makes a transport and a protocol of it. Await it.
    ///
    /// Say at least one of [`local_addr`](CreateDatagramEndpoint::local_addr),
    /// [`remote_addr`](CreateDatagramEndpoint::remote_addr), their counterparts for Unix sockets, and
    /// [`family`](CreateDatagramEndpoint::family). When it is back, `connection_made` has been called.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if nothing says of which family the endpoint is, or the addresses have none in common; a name is not
    /// resolved; the first address that cannot be bound or reached.
    ///
    /// # asyncio
    ///
    /// [`loop.create_datagram_endpoint`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_datagram_endpoint).
    /// Same; `sock=` is [`create_datagram_endpoint_on`](Self::create_datagram_endpoint_on).
    fn create_datagram_endpoint<'a, P: DatagramProtocol>(
        &self,
        factory: impl FnOnce() -> P + 'a,
    ) -> CreateDatagramEndpoint<'a, P>;

    /// Makes a transport of a datagram socket that is bound or connected already. It owns the socket from then on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is not a datagram socket, or an address is given as well.
    ///
    /// # asyncio
    ///
    /// `loop.create_datagram_endpoint(factory, sock=…)`.
    fn create_datagram_endpoint_on<'a, P: DatagramProtocol>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        socket: impl Into<OsSocket>,
    ) -> CreateDatagramEndpoint<'a, P>;

    /// Makes a transport of a connected endpoint of this loop's driver: for drivers of one's own, and for pairs in memory.
    ///
    /// # Errors
    ///
    /// What the driver says to its registration.
    ///
    /// # asyncio
    ///
    /// None.
    fn connect_endpoint<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        endpoint: Box<dyn StreamEndpoint>,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>;
}

impl LoopTransportsExt for EventLoop {
    fn create_connection<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        host: impl IntoHost,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>,
    {
        CreateConnection::to_host(self, factory, host.into_host())
    }

    fn create_connection_on<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        socket: impl Into<OsSocket>,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>,
    {
        CreateConnection::of_socket(self, factory, socket.into())
    }

    fn create_server<P, M>(&self, factory: impl FnMut() -> P + 'static, hosts: impl IntoHosts) -> CreateServer
    where
        P: IntoProtocol<M>,
    {
        CreateServer::on_hosts(self, factory_of(factory), hosts.into_hosts())
    }

    fn create_server_on<P, M>(&self, factory: impl FnMut() -> P + 'static, socket: impl Into<OsSocket>) -> CreateServer
    where
        P: IntoProtocol<M>,
    {
        CreateServer::on_socket(self, factory_of(factory), socket.into())
    }

    fn create_unix_connection<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        path: impl IntoUnixAddress,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>,
    {
        CreateConnection::to_unix(self, factory, path.into_unix_address())
    }

    fn create_unix_server<P, M>(
        &self,
        factory: impl FnMut() -> P + 'static,
        path: impl IntoUnixAddress,
    ) -> CreateUnixServer
    where
        P: IntoProtocol<M>,
    {
        CreateUnixServer::at(self, factory_of(factory), path.into_unix_address())
    }

    fn create_unix_server_on<P, M>(
        &self,
        factory: impl FnMut() -> P + 'static,
        socket: impl Into<OsSocket>,
    ) -> CreateUnixServer
    where
        P: IntoProtocol<M>,
    {
        CreateUnixServer::on_socket(self, factory_of(factory), socket.into())
    }

    fn connect_accepted_socket<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        socket: impl Into<OsSocket>,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>,
    {
        CreateConnection::of_accepted(self, factory, socket.into())
    }

    fn connect_read_pipe<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        pipe: impl Into<OsPipe>,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>,
    {
        CreateConnection::of_pipe(self, factory, pipe.into(), PipeEnd::Read)
    }

    fn connect_write_pipe<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        pipe: impl Into<OsPipe>,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>,
    {
        CreateConnection::of_pipe(self, factory, pipe.into(), PipeEnd::Write)
    }

    fn create_datagram_endpoint<'a, P: DatagramProtocol>(
        &self,
        factory: impl FnOnce() -> P + 'a,
    ) -> CreateDatagramEndpoint<'a, P> {
        CreateDatagramEndpoint::new(self, factory, None)
    }

    fn create_datagram_endpoint_on<'a, P: DatagramProtocol>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        socket: impl Into<OsSocket>,
    ) -> CreateDatagramEndpoint<'a, P> {
        CreateDatagramEndpoint::new(self, factory, Some(socket.into()))
    }

    fn connect_endpoint<'a, P, M>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        endpoint: Box<dyn StreamEndpoint>,
    ) -> CreateConnection<'a, P>
    where
        P: IntoProtocol<M>,
    {
        CreateConnection::of_endpoint(self, factory, endpoint)
    }
}
