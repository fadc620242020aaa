//! `Exchange`: TLS's own dialogue with the peer, while no connection reads or writes: the handshake, and the leave.
//!
//! Level-triggered, and only for what the session waits for. It ends when the dialogue does, at its limit, or when whoever
//! wanted it does not any more; whichever is first.
//!
//! Invariants:
//! 1. `done` is called once, with nothing borrowed; unless the loop is closed before, which drops it.
//! 2. The endpoint is registered exactly while it is here.
//!
//! Absent on purpose: what comes after it.

use super::endpoint::{TlsEndpoint, Wait};
use crate::connection::Connection;
use crate::server::ServerClient;
use asyncio_driver::{Interest, Mode, Readiness, Source, StreamEndpoint as _};
use asyncio_loop::{Delay, EventLoop, ReadySource, Runnable, SourceKey, Step, TimerHandle};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::{Rc, Weak};

/// A dialogue that is under way.
pub(super) struct Exchange {
    event_loop: EventLoop,
    endpoint: RefCell<Option<Box<TlsEndpoint>>>,
    key: Cell<Option<SourceKey>>,
    interest: Cell<Interest>,
    part: Part,
    party: Party,
    timer: Cell<Option<TimerHandle>>,
    is_scheduled: Cell<bool>,
    done: Cell<Option<Done>>,
}

/// Which dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Handshake,
    Leave,
}

/// For whom.
pub(super) enum Party {
    /// Whoever awaits it.
    Caller,
    /// A connection that a server has accepted.
    Client(Cell<Option<ServerClient>>),
    Connection(Weak<Connection>),
}

/// What comes of an exchange: the endpoint, and how it went.
pub(super) struct Outcome {
    pub(super) endpoint: Option<Box<TlsEndpoint>>,
    pub(super) result: io::Result<()>,
    pub(super) client: Option<ServerClient>,
}

type Done = Box<dyn FnOnce(Outcome)>;

impl Exchange {
    /// Begins, by a step of the loop.
    pub(super) fn begin(
        event_loop: &EventLoop,
        endpoint: Box<TlsEndpoint>,
        part: Part,
        limit: Delay,
        party: Party,
        done: impl FnOnce(Outcome) + 'static,
    ) -> Rc<Self> {
        let exchange = Rc::new(Self {
            event_loop: event_loop.clone(),
            endpoint: RefCell::new(None),
            key: Cell::new(None),
            interest: Cell::new(Interest::NONE),
            part,
            party,
            timer: Cell::new(None),
            is_scheduled: Cell::new(true),
            done: Cell::new(Some(Box::new(done))),
        });
        let added = event_loop.add_source(endpoint.source(), Interest::NONE, Mode::Level, exchange.clone());
        match added {
            Ok(key) => {
                exchange.key.set(Some(key));
                exchange.endpoint.replace(Some(endpoint));
                let waiting = Rc::downgrade(&exchange);
                let timer = event_loop.call_later(limit, move || {
                    if let Some(exchange) = waiting.upgrade() {
                        exchange.end(Err(exchange.timeout(limit)));
                    }
                });
                exchange.timer.set(Some(timer));
                event_loop.schedule(exchange.clone());
            }
            Err(error) => exchange.end(Err(error)),
        }
        exchange
    }

    fn timeout(&self, limit: Delay) -> io::Error {
        match self.part {
            Part::Handshake => {
                let seconds = limit.as_nanos() as f64 / 1e9;
                let message = format!("SSL handshake is taking longer than {seconds} seconds: aborting the connection");
                io::Error::new(io::ErrorKind::ConnectionAborted, message)
            }
            Part::Leave => io::Error::new(io::ErrorKind::TimedOut, "SSL shutdown timed out"),
        }
    }

    pub(super) const fn is_leave(&self) -> bool {
        matches!(self.part, Part::Leave)
    }

    /// Whether it is not over.
    pub(super) fn is_under_way(&self) -> bool {
        self.key.get().is_some()
    }

    /// Gives up, if it is not over yet.
    pub(super) fn abandon(&self) {
        self.end(Err(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "the connection was closed during the TLS handshake",
        )));
    }

    fn end(&self, result: io::Result<()>) {
        let endpoint = self.release();
        let client = if let Party::Client(client) = &self.party { client.take() } else { None };
        if let Some(done) = self.done.take() {
            done(Outcome { endpoint, result, client });
        }
    }

    /// Ends registration and timer, and gives the endpoint away.
    fn release(&self) -> Option<Box<TlsEndpoint>> {
        if let Some(timer) = self.timer.take() {
            timer.cancel();
        }
        let endpoint = self.endpoint.take();
        if let (Some(key), Some(endpoint)) = (self.key.take(), &endpoint) {
            self.event_loop.remove_source(key, endpoint.source());
        }
        endpoint
    }

    /// Goes on until the peer has to do something.
    fn advance(&self) -> io::Result<Wait> {
        let mut endpoint = self.endpoint.borrow_mut();
        let Some(endpoint) = endpoint.as_deref_mut() else { return Ok(Wait::Readable) };
        // A verifier of certificates may be a program's own; and `rustls` asserts, in debug builds, that nothing malformed
        // arrives after one's own leave.
        let advanced = catch_unwind(AssertUnwindSafe(|| match self.part {
            Part::Handshake => endpoint.handshake(),
            Part::Leave => endpoint.part(),
        }));
        advanced.unwrap_or_else(|_| Err(io::Error::other("TLS has panicked")))
    }

    fn wait_for(&self, interest: Interest) {
        if self.interest.replace(interest) != interest
            && let (Some(key), Some(endpoint)) = (self.key.get(), &*self.endpoint.borrow())
        {
            // A failure shows at the limit.
            let _ = self.event_loop.modify_source(key, endpoint.source(), interest, Mode::Level);
        }
    }

    /// Whose connection it is, if it is one that a server has accepted and that is not there yet.
    fn is_client(&self, is_wanted: impl FnOnce(&ServerClient) -> bool) -> bool {
        let Party::Client(client) = &self.party else { return false };
        let taken = client.take();
        let is_one = taken.as_ref().is_some_and(is_wanted);
        client.set(taken);
        is_one
    }
}

impl Runnable for Exchange {
    fn run(self: Rc<Self>) {
        self.is_scheduled.set(false);
        if self.key.get().is_none() {
            return;
        }
        match self.advance() {
            Ok(Wait::Done) => self.end(Ok(())),
            Ok(Wait::Readable) => self.wait_for(Interest::READABLE),
            Ok(Wait::Writable) => self.wait_for(Interest::WRITABLE),
            Err(error) => self.end(Err(error)),
        }
    }
}

impl ReadySource for Exchange {
    fn ready(self: Rc<Self>, _: Readiness) -> Option<Step> {
        (!self.is_scheduled.replace(true)).then(|| self.into())
    }

    fn is_source(&self, source: Source<'_>) -> bool {
        self.endpoint.borrow().as_deref().is_some_and(|endpoint| endpoint.source().is_same(source))
    }

    fn loop_closed(self: Rc<Self>) {
        self.key.set(None);
        let done = self.done.take();
        drop((self.release(), done));
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("part", &self.part).finish_non_exhaustive()
    }
}

/// Gives up the handshakes of those clients; says how many they were.
pub(crate) fn abort_handshakes(event_loop: &EventLoop, is_wanted: impl Fn(&ServerClient) -> bool) -> usize {
    let all = event_loop.sources::<Exchange>();
    all.iter().filter(|exchange| exchange.is_client(&is_wanted)).map(|exchange| exchange.abandon()).count()
}

/// The connections whose endpoints are away.
pub(crate) fn connections(event_loop: &EventLoop) -> Vec<Rc<Connection>> {
    let owner = |exchange: Rc<Exchange>| match &exchange.party {
        Party::Connection(connection) => connection.upgrade(),
        _ => None,
    };
    event_loop.sources::<Exchange>().into_iter().filter_map(owner).collect()
}
