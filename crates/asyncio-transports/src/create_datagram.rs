//! `CreateDatagramEndpoint`: packets, with asyncio's keyword arguments as methods.

use crate::datagram::{Datagram, Destination};
use crate::datagram_protocol::DatagramProtocol;
use crate::datagram_transport::DatagramTransport;
use crate::host::{Host, IntoHost};
use crate::unix::{IntoUnixAddress, remove_stale};
use asyncio_driver::{Address, DatagramEndpoint, DatagramOptions, OsSocket};
use asyncio_executor::{AddressFamily, SocketKind};
use asyncio_loop::EventLoop;
use asyncio_tasks::LoopTasksExt as _;
use std::cell::RefCell;
use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;

/// A transport and the protocol that was made for it.
pub type OpenedDatagram<P> = (DatagramTransport, Rc<RefCell<P>>);

/// A datagram endpoint that is being opened; see
/// [`create_datagram_endpoint`](crate::LoopTransportsExt::create_datagram_endpoint). Await it.
///
/// # Cancel safety
///
/// Dropping it closes what was opened; a protocol that was made already is told by `connection_lost`.
#[must_use = "nothing is opened unless it is awaited"]
pub struct CreateDatagramEndpoint<'a, P> {
    event_loop: EventLoop,
    factory: Box<dyn FnOnce() -> P + 'a>,
    socket: Option<OsSocket>,
    local: Option<Place>,
    remote: Option<Place>,
    family: AddressFamily,
    options: DatagramOptions,
}

#[derive(Debug)]
enum Place {
    Host(Host),
    Unix(Address),
}

impl<'a, P: DatagramProtocol> CreateDatagramEndpoint<'a, P> {
    pub(crate) fn new(event_loop: &EventLoop, factory: impl FnOnce() -> P + 'a, socket: Option<OsSocket>) -> Self {
        Self {
            event_loop: event_loop.clone(),
            factory: Box::new(factory),
            socket,
            local: None,
            remote: None,
            family: AddressFamily::Unspecified,
            options: DatagramOptions::default(),
        }
    }

    /// Where packets arrive; port 0 lets the system choose.
    pub fn local_addr(mut self, host: impl IntoHost) -> Self {
        self.local = Some(Place::Host(host.into_host()));
        self
    }

    /// The only one to whom packets are sent, and from whom they are received.
    pub fn remote_addr(mut self, host: impl IntoHost) -> Self {
        self.remote = Some(Place::Host(host.into_host()));
        self
    }

    /// The Unix socket at which packets arrive. A socket file that nobody listens at any more is replaced.
    pub fn local_path(mut self, path: impl IntoUnixAddress) -> Self {
        self.local = Some(Place::Unix(path.into_unix_address()));
        self
    }

    /// The Unix socket to which packets are sent.
    pub fn remote_path(mut self, path: impl IntoUnixAddress) -> Self {
        self.remote = Some(Place::Unix(path.into_unix_address()));
        self
    }

    /// Which addresses of the hosts to use. Default: any. Without an address, the endpoint is bound to one of this family that
    /// the system chooses.
    pub fn family(mut self, family: AddressFamily) -> Self {
        self.family = family;
        self
    }

    /// Shares the local address with other endpoints that ask for it too. Default off.
    pub fn reuse_port(mut self, is_shared: bool) -> Self {
        self.options.reuse_port = is_shared;
        self
    }

    /// Allows packets to broadcast addresses. A remote address is then where packets go, but whoever answers is heard.
    /// Default off.
    pub fn allow_broadcast(mut self, is_allowed: bool) -> Self {
        self.options.broadcast = is_allowed;
        self
    }

    async fn run(self) -> io::Result<OpenedDatagram<P>> {
        let Self { event_loop, factory, socket, local, remote, family, options } = self;
        if let Some(socket) = socket {
            if local.is_some() || remote.is_some() || options.reuse_port || options.broadcast {
                let message = "addresses and options are the socket's own, if one is given";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            let endpoint = event_loop.with_driver(|driver| driver.adopt_datagram(socket))?;
            let peer = endpoint.peer_addr().ok().map(|address| Destination { address, is_connected: true });
            return open(&event_loop, endpoint, peer, factory).await;
        }
        let mut failure = None;
        for (local, remote) in pairs(&event_loop, local, remote, family).await? {
            match bind(&event_loop, local, remote.as_ref(), &options) {
                Ok(endpoint) => {
                    let is_connected = !options.broadcast;
                    let peer = remote.map(|address| Destination { address, is_connected });
                    return open(&event_loop, endpoint, peer, factory).await;
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "the local and the remote address have no family in common")
        }))
    }
}

/// A local and a remote address.
type Pair = (Option<Address>, Option<Address>);

/// The addresses to try, one pair of each family.
async fn pairs(
    event_loop: &EventLoop,
    local: Option<Place>,
    remote: Option<Place>,
    family: AddressFamily,
) -> io::Result<Vec<Pair>> {
    let resolve = async |place: &Option<Place>, is_passive| match place {
        Some(Place::Host(host)) => {
            host.resolve_for(event_loop, SocketKind::Datagram, family, is_passive).await.map(Some)
        }
        _ => Ok(None),
    };
    match (&local, &remote) {
        (None, None) => {
            let any = match family {
                AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
                AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
                _ => {
                    let message = "unexpected address family: say a local address, a remote one, or a family";
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
                }
            };
            return Ok(vec![(Some(SocketAddr::new(any, 0).into()), None)]);
        }
        (Some(Place::Unix(_)), Some(Place::Host(_))) | (Some(Place::Host(_)), Some(Place::Unix(_))) => {
            return Ok(Vec::new());
        }
        _ => {}
    }
    let (locals, remotes) = (resolve(&local, true).await?, resolve(&remote, false).await?);
    let first = |addresses: &Option<Vec<SocketAddr>>, is_ipv4| {
        addresses.as_ref().map(|addresses| addresses.iter().find(|address| address.is_ipv4() == is_ipv4).copied())
    };
    if locals.is_none() && remotes.is_none() {
        let unix = |place| if let Some(Place::Unix(address)) = place { Some(address) } else { None };
        return Ok(vec![(unix(local), unix(remote))]);
    }
    let leader = remotes.as_ref().or(locals.as_ref()).and_then(|all| all.first()).is_none_or(SocketAddr::is_ipv4);
    let mut pairs = Vec::new();
    for is_ipv4 in [leader, !leader] {
        // Whoever is given has to have an address of this family.
        if let (None | Some(Some(_)), None | Some(Some(_))) = (first(&locals, is_ipv4), first(&remotes, is_ipv4)) {
            let found = |addresses| first(addresses, is_ipv4).flatten().map(Address::Ip);
            pairs.push((found(&locals), found(&remotes)));
        }
    }
    Ok(pairs)
}

fn bind(
    event_loop: &EventLoop,
    mut local: Option<Address>,
    remote: Option<&Address>,
    options: &DatagramOptions,
) -> io::Result<Box<dyn DatagramEndpoint>> {
    if let Some(Address::Unix(path)) = &local {
        remove_stale(path, |address| {
            let probe = DatagramOptions::default();
            event_loop.with_driver(|driver| driver.datagram(None, Some(address), &probe)).map(drop)
        })?;
    }
    let connected = remote.filter(|_| !options.broadcast);
    if let (None, None, Some(Address::Ip(remote))) = (&local, connected, remote) {
        let any = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        local = Some(SocketAddr::new(any, 0).into());
    }
    let opened = event_loop.with_driver(|driver| driver.datagram(local.as_ref(), connected, options));
    opened.map_err(|error| match &local {
        Some(local) => {
            let message = format!("error while attempting to bind on address {local}: {error}");
            io::Error::new(error.kind(), message)
        }
        None => error,
    })
}

/// Makes transport and protocol of an endpoint, and waits until the protocol knows.
async fn open<P: DatagramProtocol>(
    event_loop: &EventLoop,
    endpoint: Box<dyn DatagramEndpoint>,
    peer: Option<Destination>,
    factory: Box<dyn FnOnce() -> P + '_>,
) -> io::Result<OpenedDatagram<P>> {
    /// Closes a transport that its maker never got.
    struct Unclaimed(Option<DatagramTransport>);
    impl Drop for Unclaimed {
        fn drop(&mut self) {
            if let Some(transport) = &self.0 {
                transport.close();
            }
        }
    }
    let protocol = Rc::new(RefCell::new(factory()));
    let datagram = Datagram::open(event_loop, endpoint, peer, protocol.clone())?;
    let mut unclaimed = Unclaimed(Some(DatagramTransport::new(datagram)));
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

impl<'a, P: DatagramProtocol> IntoFuture for CreateDatagramEndpoint<'a, P> {
    type Output = io::Result<OpenedDatagram<P>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<P> fmt::Debug for CreateDatagramEndpoint<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateDatagramEndpoint")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
