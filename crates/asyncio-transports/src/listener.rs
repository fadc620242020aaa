//! `Listener`: one place where a server accepts.
//!
//! Level-triggered: what is not accepted in one turn is reported again, so that a flood of connections leaves room for
//! everything else. When descriptors or memory are used up, accepting pauses for a second; that is reported once, until a
//! connection was accepted again.
//!
//! Absent on purpose: binding. Endpoints come bound.

use crate::connection::Connection;
use crate::peer::Peer;
use crate::server::ServerState;
use asyncio_driver::{Address, Interest, ListenerEndpoint, Mode, Readiness, Source, StreamEndpoint, is_exhaustion};
use asyncio_loop::{EventLoop, ExceptionContext, ReadySource, Runnable, SourceKey, Step, TimerHandle};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};

/// A bound endpoint of a server, which listens once it was started.
pub(crate) struct Listener {
    /// The server owns its listeners.
    server: Weak<ServerState>,
    /// Keeps the server while this listens, for the loop owns what listens.
    serving: RefCell<Option<Rc<ServerState>>>,
    endpoint: RefCell<Option<Box<dyn ListenerEndpoint>>>,
    key: Cell<Option<SourceKey>>,
    backlog: u32,
    is_scheduled: Cell<bool>,
    /// Exhaustion was reported, and nothing has been accepted since.
    is_exhausted: Cell<bool>,
    retry: Cell<Option<TimerHandle>>,
}

impl Listener {
    pub(crate) fn new(server: &Rc<ServerState>, endpoint: Box<dyn ListenerEndpoint>, backlog: u32) -> Rc<Self> {
        Rc::new(Self {
            server: Rc::downgrade(server),
            serving: RefCell::new(None),
            endpoint: RefCell::new(Some(endpoint)),
            key: Cell::new(None),
            backlog,
            is_scheduled: Cell::new(false),
            is_exhausted: Cell::new(false),
            retry: Cell::new(None),
        })
    }

    pub(crate) fn address(&self) -> Option<Address> {
        self.endpoint.borrow().as_deref()?.local_addr().ok()
    }

    /// A duplicate of the socket.
    #[cfg(unix)]
    pub(crate) fn dup(&self) -> io::Result<std::os::fd::OwnedFd> {
        match self.endpoint.borrow().as_deref().map(|endpoint| endpoint.source()) {
            Some(Source::Os(fd)) => fd.try_clone_to_owned(),
            Some(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "this endpoint has no descriptor")),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(crate) fn start(self: &Rc<Self>) -> io::Result<()> {
        let Some(server) = self.server.upgrade() else { return Ok(()) };
        let mut endpoint = self.endpoint.borrow_mut();
        let Some(endpoint) = endpoint.as_deref_mut() else { return Ok(()) };
        endpoint.listen(self.backlog)?;
        let key = server.event_loop().add_source(endpoint.source(), Interest::READABLE, Mode::Level, self.clone())?;
        self.key.set(Some(key));
        self.serving.replace(Some(server));
        Ok(())
    }

    pub(crate) fn close(&self) {
        if let Some(timer) = self.retry.take() {
            timer.cancel();
        }
        let server = self.serving.take();
        let endpoint = self.endpoint.take();
        if let (Some(server), Some(key), Some(endpoint)) = (&server, self.key.take(), &endpoint) {
            server.event_loop().remove_source(key, endpoint.source());
        }
    }

    /// Accepts some of the connections that wait.
    fn accept(self: &Rc<Self>, server: &Rc<ServerState>) {
        let most = usize::try_from(self.backlog).unwrap_or(usize::MAX).saturating_add(1).min(ACCEPTED_MAX);
        for _ in 0..most {
            let accepted = match self.endpoint.borrow_mut().as_deref_mut() {
                Some(endpoint) => endpoint.accept(),
                None => return, // A factory has closed the server.
            };
            match accepted {
                Ok((endpoint, peer)) => {
                    self.is_exhausted.set(false);
                    open(server, endpoint, peer);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return self.pause(server, error),
            }
        }
    }

    /// Leaves the connections where they are for a while: trying again at once would fail again.
    fn pause(self: &Rc<Self>, server: &Rc<ServerState>, error: io::Error) {
        if !self.is_exhausted.replace(true) {
            let message = if is_exhaustion(&error) {
                "accepting connections pauses: the system is out of resources"
            } else {
                "accepting connections pauses: it has failed"
            };
            let address = self.address().map(|address| address.to_string()).unwrap_or_default();
            let report = ExceptionContext::new(message).with_error(error).with("socket", address);
            server.event_loop().call_exception_handler(report);
        }
        self.watch(server, Interest::NONE);
        let listener = self.clone();
        let timer = server.event_loop().call_later(RETRY_SECONDS, move || {
            if let Some(server) = listener.server.upgrade() {
                listener.watch(&server, Interest::READABLE);
            }
        });
        self.retry.set(Some(timer));
    }

    fn watch(&self, server: &ServerState, interest: Interest) {
        if let (Some(key), Some(endpoint)) = (self.key.get(), &*self.endpoint.borrow()) {
            // What a failure would be about, accepting will tell.
            let _ = server.event_loop().modify_source(key, endpoint.source(), interest, Mode::Level);
        }
    }
}

/// Makes a connection of what was accepted. A failure is that connection's alone.
fn open(server: &Rc<ServerState>, endpoint: Box<dyn StreamEndpoint>, peer: Address) {
    let protocol = match catch_unwind(AssertUnwindSafe(|| server.make_protocol())) {
        Ok(protocol) => protocol,
        Err(payload) => {
            let report = ExceptionContext::new("the protocol factory of a server panicked").with_panic(payload);
            return server.event_loop().call_exception_handler(report.with("peername", peer.to_string()));
        }
    };
    let (event_loop, peer) = (server.event_loop(), Peer::new(peer));
    let Some(terms) = server.terms() else {
        let opened = Connection::open(event_loop, endpoint, peer, protocol, Some(server.client()), None);
        return opened.map_or_else(|error| report_failure(event_loop, error), drop);
    };
    let its_loop = event_loop.clone();
    terms.secure_accepted(event_loop, endpoint, server.client(), move |secured| {
        let opened = secured.and_then(|((endpoint, layer), client)| {
            Connection::open(&its_loop, endpoint, peer, protocol, Some(client), Some(layer))
        });
        match opened {
            // As in asyncio: whoever connects and talks nonsense fills no log.
            Err(error) if its_loop.get_debug() => report_failure(&its_loop, error),
            _ => {}
        }
    });
}

fn report_failure(event_loop: &EventLoop, error: io::Error) {
    let report = ExceptionContext::new("error on transport creation for incoming connection").with_error(error);
    event_loop.call_exception_handler(report);
}

impl Runnable for Listener {
    fn run(self: Rc<Self>) {
        self.is_scheduled.set(false);
        let server = self.serving.borrow().clone();
        if let Some(server) = server {
            self.accept(&server);
        }
    }
}

impl ReadySource for Listener {
    fn ready(self: Rc<Self>, _: Readiness) -> Option<Step> {
        (!self.is_scheduled.replace(true)).then(|| self.into())
    }

    fn is_source(&self, source: Source<'_>) -> bool {
        self.endpoint.borrow().as_deref().is_some_and(|endpoint| endpoint.source().is_same(source))
    }

    fn loop_closed(self: Rc<Self>) {
        self.key.set(None);
        self.close();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("address", &self.address()).finish_non_exhaustive()
    }
}

/// So many connections are accepted in one turn at most.
const ACCEPTED_MAX: usize = 64;
/// asyncio's `ACCEPT_RETRY_DELAY`.
const RETRY_SECONDS: u32 = 1;
