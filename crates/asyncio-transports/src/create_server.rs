//! `CreateServer`: the server's side, with asyncio's keyword arguments as methods.

use crate::host::Host;
use crate::protocol::IntoProtocol;
use crate::server::{Factory, Server};
use crate::tls::Ssl;
use asyncio_driver::{ListenOptions, ListenerEndpoint, OsSocket};
use asyncio_executor::AddressFamily;
use asyncio_loop::EventLoop;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

/// A server that is being made; see [`create_server`](crate::LoopTransportsExt::create_server). Await it.
///
/// # Cancel safety
///
/// Dropping it closes what was bound already.
#[must_use = "nothing listens unless it is awaited"]
pub struct CreateServer {
    event_loop: EventLoop,
    factory: Factory,
    place: Place,
    family: AddressFamily,
    options: ListenOptions,
    is_started: bool,
    pub(crate) ssl: Ssl,
}

enum Place {
    Hosts(Vec<Host>),
    Socket(OsSocket),
}

impl CreateServer {
    pub(crate) fn on_hosts(event_loop: &EventLoop, factory: Factory, hosts: Vec<Host>) -> Self {
        Self::new(event_loop, factory, Place::Hosts(hosts))
    }

    pub(crate) fn on_socket(event_loop: &EventLoop, factory: Factory, socket: OsSocket) -> Self {
        Self::new(event_loop, factory, Place::Socket(socket))
    }

    fn new(event_loop: &EventLoop, factory: Factory, place: Place) -> Self {
        Self {
            event_loop: event_loop.clone(),
            factory,
            place,
            family: AddressFamily::Unspecified,
            options: ListenOptions::default(),
            is_started: true,
            ssl: Ssl::default(),
        }
    }

    /// Which addresses of the hosts to listen on. Default: any.
    pub fn family(mut self, family: AddressFamily) -> Self {
        self.family = family;
        self
    }

    /// How many connections may wait to be accepted. Default 100.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.options.backlog = connections;
        self
    }

    /// Takes over an address that a closed connection still lingers on. Default: on, except on Windows.
    pub fn reuse_address(mut self, is_reused: bool) -> Self {
        self.options.reuse_address = is_reused;
        self
    }

    /// Shares the addresses with other servers that ask for it too; the kernel spreads connections over them. Default off.
    pub fn reuse_port(mut self, is_shared: bool) -> Self {
        self.options.reuse_port = is_shared;
        self
    }

    /// Lets the system probe connections that are idle, in its own time. Default off.
    pub fn keep_alive(mut self, is_probed: bool) -> Self {
        self.options.keep_alive = is_probed.then_some(Duration::ZERO);
        self
    }

    /// Whether to listen at once. Otherwise connections are refused until [`Server::start_serving`]. Default: yes.
    pub fn start_serving(mut self, is_started: bool) -> Self {
        self.is_started = is_started;
        self
    }

    async fn run(mut self) -> io::Result<Server> {
        let terms = self.ssl.for_server()?;
        self.options.bind_only = true;
        let endpoints = match self.place {
            Place::Socket(socket) => vec![self.event_loop.with_driver(|driver| driver.adopt_listener(socket))?],
            Place::Hosts(hosts) => {
                let mut addresses = Vec::new();
                for host in hosts {
                    addresses.extend(host.resolve(&self.event_loop, self.family, true).await?);
                }
                bind_all(&self.event_loop, &addresses, &self.options)?
            }
        };
        let server = Server::new(&self.event_loop, endpoints, self.options.backlog, self.factory, None, terms);
        if self.is_started {
            server.start_serving()?;
        }
        Ok(server)
    }
}

/// What makes protocols of the user's factory.
pub(crate) fn factory_of<P: IntoProtocol<M>, M>(mut make: impl FnMut() -> P + 'static) -> Factory {
    Box::new(move || P::protocol_ref(&Rc::new(RefCell::new(make()))))
}

/// Binds each of `addresses` once. Those with port 0 get the same port.
fn bind_all(
    event_loop: &EventLoop,
    addresses: &[SocketAddr],
    options: &ListenOptions,
) -> io::Result<Vec<Box<dyn ListenerEndpoint>>> {
    let mut seen = BTreeSet::new();
    let addresses: Vec<_> = addresses.iter().copied().filter(|address| seen.insert(*address)).collect();
    let shares_port = addresses.iter().filter(|address| address.port() == 0).count() > 1;
    let mut attempts_left = if shares_port { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts_left -= 1;
        match bind_once(event_loop, &addresses, options) {
            // The port that the first one was given is taken elsewhere: all try another one.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempts_left > 0 => {}
            outcome => return outcome,
        }
    }
}

fn bind_once(
    event_loop: &EventLoop,
    addresses: &[SocketAddr],
    options: &ListenOptions,
) -> io::Result<Vec<Box<dyn ListenerEndpoint>>> {
    let mut endpoints = Vec::new();
    let mut port = 0;
    let mut unavailable = None;
    for address in addresses {
        let mut wanted = *address;
        if wanted.port() == 0 {
            wanted.set_port(port);
        }
        let bound = event_loop.with_driver(|driver| driver.listen(&wanted.into(), options));
        match bound {
            Ok(endpoint) => {
                if let (0, Ok(asyncio_driver::Address::Ip(given))) = (wanted.port(), endpoint.local_addr()) {
                    port = given.port();
                }
                endpoints.push(endpoint);
            }
            Err(error) => {
                let message = format!("error while attempting to bind on address {wanted}: {error}");
                let named = io::Error::new(error.kind(), message);
                // As in asyncio: a machine without IPv6 still resolves to it.
                if error.kind() != io::ErrorKind::AddrNotAvailable {
                    return Err(named);
                }
                unavailable = Some(named);
            }
        }
    }
    match unavailable {
        Some(error) if endpoints.is_empty() => Err(error),
        _ => Ok(endpoints),
    }
}

impl IntoFuture for CreateServer {
    type Output = io::Result<Server>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for CreateServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateServer").field("options", &self.options).finish_non_exhaustive()
    }
}

/// So often a port is looked for that is free on all addresses.
const PORT_ATTEMPTS: u32 = 16;
