//! `CreateConnection`: the client's side, with asyncio's keyword arguments as methods.

use crate::attempts::{connect_to_any, interleave};
use crate::connecting::connect;
use crate::connection::Connection;
use crate::host::{Host, IntoHost};
use crate::peer::Peer;
use crate::protocol::{IntoProtocol, ProtocolRef};
use crate::tls::{Layer, Ssl};
use crate::transport::Transport;
use asyncio_driver::{Address, ConnectOptions, OsPipe, OsSocket, PipeEnd, StreamEndpoint};
use asyncio_executor::AddressFamily;
use asyncio_loop::{Delay, EventLoop, IntoDelay};
use asyncio_tasks::LoopTasksExt as _;
use std::cell::RefCell;
use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

/// A transport and the protocol that was made for it.
pub type Connected<P> = (Transport, Rc<RefCell<P>>);

/// A connection that is being made, in its own time; see [`create_connection`](crate::LoopTransportsExt::create_connection).
/// Await it.
///
/// # Cancel safety
///
/// Dropping it gives the connection up: every socket that was opened is closed, and a protocol that was made already is told
/// by `connection_lost`.
#[must_use = "nothing is connected unless it is awaited"]
pub struct CreateConnection<'a, P> {
    event_loop: EventLoop,
    factory: Factory<'a, P>,
    target: Target,
    family: AddressFamily,
    local: Option<Host>,
    delay: Option<Delay>,
    interleave: Option<usize>,
    pub(crate) ssl: Ssl,
}

/// Makes the protocol.
type Factory<'a, P> = Box<dyn FnOnce() -> (Rc<RefCell<P>>, ProtocolRef) + 'a>;

/// What to make a transport of.
enum Target {
    Host(Host),
    /// A path, or an abstract name.
    Unix(Address),
    Socket(OsSocket),
    Pipe(OsPipe, PipeEnd),
    /// Somebody else has accepted it.
    Accepted(OsSocket),
    Endpoint(Box<dyn StreamEndpoint>),
}

impl<'a, P: 'static> CreateConnection<'a, P> {
    fn new<M>(event_loop: &EventLoop, factory: impl FnOnce() -> P + 'a, target: Target) -> Self
    where
        P: IntoProtocol<M>,
    {
        let factory = || {
            let protocol = Rc::new(RefCell::new(factory()));
            let reference = P::protocol_ref(&protocol);
            (protocol, reference)
        };
        Self {
            event_loop: event_loop.clone(),
            factory: Box::new(factory),
            target,
            family: AddressFamily::Unspecified,
            local: None,
            delay: None,
            interleave: None,
            ssl: Ssl::default(),
        }
    }

    pub(crate) fn to_host<M>(event_loop: &EventLoop, factory: impl FnOnce() -> P + 'a, host: Host) -> Self
    where
        P: IntoProtocol<M>,
    {
        Self::new(event_loop, factory, Target::Host(host))
    }

    pub(crate) fn to_unix<M>(event_loop: &EventLoop, factory: impl FnOnce() -> P + 'a, address: Address) -> Self
    where
        P: IntoProtocol<M>,
    {
        Self::new(event_loop, factory, Target::Unix(address))
    }

    pub(crate) fn of_socket<M>(event_loop: &EventLoop, factory: impl FnOnce() -> P + 'a, socket: OsSocket) -> Self
    where
        P: IntoProtocol<M>,
    {
        Self::new(event_loop, factory, Target::Socket(socket))
    }

    pub(crate) fn of_pipe<M>(
        event_loop: &EventLoop,
        factory: impl FnOnce() -> P + 'a,
        pipe: OsPipe,
        end: PipeEnd,
    ) -> Self
    where
        P: IntoProtocol<M>,
    {
        Self::new(event_loop, factory, Target::Pipe(pipe, end))
    }

    pub(crate) fn of_accepted<M>(event_loop: &EventLoop, factory: impl FnOnce() -> P + 'a, socket: OsSocket) -> Self
    where
        P: IntoProtocol<M>,
    {
        Self::new(event_loop, factory, Target::Accepted(socket))
    }

    pub(crate) fn of_endpoint<M>(
        event_loop: &EventLoop,
        factory: impl FnOnce() -> P + 'a,
        endpoint: Box<dyn StreamEndpoint>,
    ) -> Self
    where
        P: IntoProtocol<M>,
    {
        Self::new(event_loop, factory, Target::Endpoint(endpoint))
    }

    /// Which addresses of the host to try. Default: any.
    pub fn family(mut self, family: AddressFamily) -> Self {
        self.family = family;
        self
    }

    /// Binds this end first, to one of the addresses of `local` that is of the family of the peer's.
    pub fn local_addr(mut self, local: impl IntoHost) -> Self {
        self.local = Some(local.into_host());
        self
    }

    /// Starts the next attempt when the last one has taken so long, without giving that up. Default: attempts are made one
    /// after the other.
    ///
    /// # Panics
    ///
    /// If `delay` is NaN.
    #[track_caller]
    pub fn happy_eyeballs_delay(mut self, delay: impl IntoDelay) -> Self {
        self.delay = Some(delay.into_delay());
        self
    }

    /// Alternates the families of addresses, after so many of the first one. Default: 1 with
    /// [`happy_eyeballs_delay`](Self::happy_eyeballs_delay), or else the order of the resolver.
    pub fn interleave(mut self, first: usize) -> Self {
        self.interleave = Some(first);
        self
    }

    async fn run(self) -> io::Result<Connected<P>> {
        let Self { event_loop, factory, target, family, local, delay, interleave: first, ssl } = self;
        // What makes no sense is refused before anything is done.
        let terms = match &target {
            Target::Host(host) => ssl.for_client(host.name())?,
            Target::Unix(_) | Target::Socket(_) => ssl.for_client(None)?,
            Target::Accepted(_) => ssl.for_server()?,
            Target::Endpoint(_) => ssl.for_either()?,
            Target::Pipe(..) if ssl.for_either()?.is_some() => {
                let message = "`ssl` of a pipe, in which bytes move one way only";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            Target::Pipe(..) => None,
        };
        let options = ConnectOptions::default();
        let (endpoint, peer) = match target {
            Target::Host(host) => {
                let locals = match &local {
                    Some(local) => local.resolve(&event_loop, family, false).await?,
                    None => Vec::new(),
                };
                let mut remotes = host.resolve(&event_loop, family, false).await?;
                if let Some(first) = first.or(delay.map(|_| 1)).filter(|first| *first > 0) {
                    remotes = interleave(remotes, first);
                }
                let connected = connect_to_any(&event_loop, remotes, &locals, delay).await;
                let (endpoint, remote) = connected.map_err(crate::ConnectError::into_io)?;
                (endpoint, Peer::new(remote.into()))
            }
            Target::Unix(address) => (connect(&event_loop, &address, &options).await?, Peer::new(address)),
            Target::Socket(socket) | Target::Accepted(socket) => {
                let endpoint = event_loop.with_driver(|driver| driver.adopt_stream(socket))?;
                let peer = peer_of(&*endpoint);
                (endpoint, peer)
            }
            Target::Pipe(pipe, end) => (event_loop.with_driver(|driver| driver.adopt_pipe(pipe, end))?, Peer::Unknown),
            Target::Endpoint(endpoint) => {
                let peer = peer_of(&*endpoint);
                (endpoint, peer)
            }
        };
        let (endpoint, layer) = match terms {
            None => (endpoint, None),
            Some(terms) => {
                terms.secure(&event_loop, endpoint).await.map(|(endpoint, layer)| (endpoint, Some(layer)))?
            }
        };
        open(&event_loop, endpoint, peer, factory, layer).await
    }
}

fn peer_of(endpoint: &dyn StreamEndpoint) -> Peer {
    endpoint.peer_addr().map_or(Peer::Unknown, Peer::new)
}

/// Makes transport and protocol of a connected endpoint, and waits until the protocol knows.
async fn open<P>(
    event_loop: &EventLoop,
    endpoint: Box<dyn StreamEndpoint>,
    peer: Peer,
    factory: Factory<'_, P>,
    layer: Option<Rc<Layer>>,
) -> io::Result<Connected<P>> {
    /// Closes a transport that its maker never got.
    struct Unclaimed(Option<Transport>);
    impl Drop for Unclaimed {
        fn drop(&mut self) {
            if let Some(transport) = &self.0 {
                transport.close();
            }
        }
    }
    let (protocol, reference) = factory();
    let connection = Connection::open(event_loop, endpoint, peer, reference, None, layer)?;
    let mut unclaimed = Unclaimed(Some(Transport::new(connection)));
    let begun = event_loop.create_future::<()>();
    let teller = begun.clone();
    // After the step that calls `connection_made`.
    event_loop.call_soon(move || {
        // Whoever waited may be gone.
        let _ = teller.set_result(());
    });
    begun.await?;
    let transport = unclaimed.0.take().ok_or(io::ErrorKind::NotConnected)?;
    Ok((transport, protocol))
}

impl<'a, P: 'static> IntoFuture for CreateConnection<'a, P> {
    type Output = io::Result<Connected<P>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<P> fmt::Debug for CreateConnection<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateConnection")
            .field("local", &self.local)
            .field("delay", &self.delay)
            .finish_non_exhaustive()
    }
}
