//! `Connection`: the life of one stream transport. What the public [`Transport`] is a handle of.
//!
//! A connection is a step of the loop that is scheduled for one of three reasons, in this order: it has begun, its endpoint
//! was reported, it is lost. `reading` and `writing` are what it does in between.
//!
//! Invariants:
//! 1. Protocol methods are called by `call` and by nobody else, with nothing of the connection borrowed.
//! 2. `connection_made` comes first, `connection_lost` once and last: `Life` only goes forward, and each of the two is
//!    called on one edge of it.
//! 3. The endpoint is registered exactly while `key` is there, which is from `open` until the connection is lost. The loop
//!    owns a registered connection; handles of it come and go.
//! 4. Nothing of a connection outlives its loop: closing that ends it without a word to the protocol.
//!
//! What is rare is kept out of line, so that the path of a request needs few registers and little stack.
//!
//! Absent on purpose: where endpoints come from (connecting and accepting), and what kind they are. A layer between wire
//! and protocol (TLS) is an endpoint itself; `lending` has what it needs beyond that.

mod lending;
pub(crate) mod reading;
mod writing;

use crate::flow_control::WriteLimits;
use crate::loop_transports::LoopTransports;
use crate::output::Output;
use crate::peer::Peer;
use crate::protocol::ProtocolRef;
use crate::server::ServerClient;
use crate::tls::Layer;
use crate::transport::Transport;
use asyncio_driver::{Interest, Mode, PipeEnd, Readiness, Source, StreamEndpoint};
use asyncio_loop::{EventLoop, ExceptionContext, ReadySource, Runnable, SourceKey, Step};
use std::cell::{BorrowMutError, Cell, RefCell};
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// One connection.
pub(crate) struct Connection {
    shared: Rc<LoopTransports>,
    endpoint: RefCell<Option<Box<dyn StreamEndpoint>>>,
    key: Cell<Option<SourceKey>>,
    protocol: RefCell<ProtocolRef>,
    /// Absent while there is nothing to send.
    output: Cell<Option<Box<Output>>>,
    limits: Cell<WriteLimits>,
    /// What lies between the connection and the wire, if anything does.
    layer: Cell<Option<Rc<Layer>>>,
    /// What the connection is lost with.
    error: Cell<Option<io::Error>>,
    peer: Peer,
    server: Cell<Option<ServerClient>>,
    flags: Cell<u16>,
    life: Cell<Life>,
    /// Writes since the connection was lost, up to where a warning is due.
    lost_writes: Cell<u8>,
}

/// How far the life of a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    /// Bytes move both ways.
    Open,
    /// Sending has failed. What had arrived before is still handed out; then the connection is lost.
    Failed,
    /// `close` was called: what waits is sent, nothing is received.
    Closing,
    /// `connection_lost` is about to be called.
    Losing,
    /// `connection_lost` was called.
    Lost,
}

/// What is true of a connection beside its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flag(u16);

impl Flag {
    /// The step for `connection_made` is scheduled.
    const BEGINNING: Self = Self(1);
    /// A step for what was reported is scheduled.
    const SCHEDULED: Self = Self(1 << 1);
    /// There may be something to receive.
    const READABLE: Self = Self(1 << 2);
    /// The driver has reported the end of the input: no edge comes any more.
    const READ_CLOSED: Self = Self(1 << 3);
    /// There may be room to send.
    const WRITABLE: Self = Self(1 << 4);
    /// The endpoint had no room, and has not been reported since.
    const BLOCKED: Self = Self(1 << 5);
    /// Something was written in the callback under way, and is sent when that is back.
    const WRITTEN: Self = Self(1 << 6);
    /// `pause_reading` was called.
    const READING_PAUSED: Self = Self(1 << 7);
    /// The end of the input was received.
    const EOF_RECEIVED: Self = Self(1 << 8);
    /// `write_eof` was called.
    const EOF_WRITTEN: Self = Self(1 << 9);
    /// The protocol was told to pause writing.
    const WRITING_PAUSED: Self = Self(1 << 10);
    /// A place at the marks was passed while the protocol could not be told.
    const FLOW_UNTOLD: Self = Self(1 << 11);
    /// The endpoint is the end of a pipe from which is read.
    pub(crate) const READ_END: Self = Self(1 << 12);
    /// The endpoint is the end of a pipe to which is written.
    pub(crate) const WRITE_END: Self = Self(1 << 13);

    /// Whether the endpoint is one end of a pipe.
    fn of_pipe(endpoint: &dyn StreamEndpoint) -> u16 {
        match endpoint.pipe_end() {
            None => 0,
            Some(PipeEnd::Read) => Self::READ_END.0,
            Some(PipeEnd::Write) => Self::WRITE_END.0,
        }
    }
}

/// So often, each time after twice the time, it is tried to call `connection_lost` of a protocol that is borrowed: for two
/// minutes. Not for ever, so that a loop with nothing else to do can come to an end.
const LOST_ATTEMPTS_MAX: u32 = 17;

/// Why a protocol was not called, or did not come back.
pub(crate) struct Fault(io::Error);

impl Connection {
    /// Makes a connection of a connected endpoint, and schedules `connection_made`.
    ///
    /// # Errors
    ///
    /// What the driver says to the registration, or that the loop was closed.
    pub(crate) fn open(
        event_loop: &EventLoop,
        endpoint: Box<dyn StreamEndpoint>,
        peer: Peer,
        protocol: ProtocolRef,
        server: Option<ServerClient>,
        layer: Option<Rc<Layer>>,
    ) -> io::Result<Rc<Self>> {
        // What has arrived beyond the handshake of a layer, no report will tell.
        let readable = if endpoint.has_more() { Flag::READABLE.0 } else { 0 };
        let limits = layer.as_ref().map(|layer| layer.limits()).unwrap_or_default();
        let connection = Rc::new(Self {
            shared: LoopTransports::of(event_loop),
            endpoint: RefCell::new(None),
            key: Cell::new(None),
            protocol: RefCell::new(protocol),
            output: Cell::new(None),
            limits: Cell::new(limits),
            layer: Cell::new(layer),
            error: Cell::new(None),
            peer,
            server: Cell::new(server),
            flags: Cell::new(Flag::BEGINNING.0 | Flag::of_pipe(&*endpoint) | readable),
            life: Cell::new(Life::Open),
            lost_writes: Cell::new(0),
        });
        let key =
            event_loop.add_source(endpoint.source(), connection.interest(), connection.mode(), connection.clone())?;
        connection.key.set(Some(key));
        connection.endpoint.replace(Some(endpoint));
        event_loop.schedule(connection.clone());
        Ok(connection)
    }

    pub(crate) fn event_loop(&self) -> &EventLoop {
        self.shared.event_loop()
    }

    pub(crate) fn has(&self, flag: Flag) -> bool {
        self.flags.get() & flag.0 != 0
    }

    /// Whether the endpoint is one end of a pipe.
    pub(crate) fn is_pipe(&self) -> bool {
        self.has(Flag::READ_END) || self.has(Flag::WRITE_END)
    }

    fn put(&self, flag: Flag, value: bool) {
        let others = self.flags.get() & !flag.0;
        self.flags.set(if value { others | flag.0 } else { others });
    }

    /// Takes a flag down; says whether it was up.
    fn take(&self, flag: Flag) -> bool {
        let was_up = self.has(flag);
        self.put(flag, false);
        was_up
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.life.get() != Life::Open
    }

    pub(crate) const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Looks at the endpoint, as long as the connection is not lost.
    pub(crate) fn with_endpoint<R>(&self, look: impl FnOnce(&dyn StreamEndpoint) -> R) -> Option<R> {
        self.endpoint.borrow().as_deref().map(look)
    }

    pub(crate) fn protocol(&self) -> ProtocolRef {
        self.protocol.borrow().clone()
    }

    /// Lets another protocol have what comes from now on.
    pub(crate) fn set_protocol(&self, protocol: ProtocolRef) {
        if self.life.get() < Life::Lost {
            let old = self.protocol.replace(protocol);
            drop(old); // With nothing borrowed.
        }
    }

    /// Belongs to this server; asked when it closes its connections.
    pub(crate) fn is_client_of(&self, is_server: impl FnOnce(&ServerClient) -> bool) -> bool {
        let client = self.server.take();
        let is_one = client.as_ref().is_some_and(is_server);
        self.server.set(client);
        is_one
    }

    /// Calls the protocol.
    fn call<R>(&self, method: &str, call: impl FnOnce(&ProtocolRef) -> Result<R, BorrowMutError>) -> Result<R, Fault> {
        let protocol = self.protocol();
        self.call_on(&protocol, method, || call(&protocol))
    }

    /// Calls `protocol`. The only place from which protocol methods are called.
    fn call_on<R>(
        &self,
        protocol: &ProtocolRef,
        method: &str,
        call: impl FnOnce() -> Result<R, BorrowMutError>,
    ) -> Result<R, Fault> {
        match catch_unwind(AssertUnwindSafe(call)) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) => {
                let reason = io::Error::other("the protocol is borrowed by somebody else while it is called");
                let report = ExceptionContext::new(format!("protocol.{method}() could not be called"));
                Err(self.report(protocol, report.with_error(reason)))
            }
            Err(payload) => {
                let report = ExceptionContext::new(format!("protocol.{method}() panicked"));
                Err(self.report(protocol, report.with_panic(payload)))
            }
        }
    }

    #[cold]
    fn report(&self, protocol: &ProtocolRef, report: ExceptionContext) -> Fault {
        let words = match report.panic_message() {
            Some(words) => format!("{}: {words}", report.message()),
            None => report.message().to_owned(),
        };
        let report = report.with("transport", format!("{self:?}")).with("protocol", protocol.name());
        self.event_loop().call_exception_handler(report);
        Fault(io::Error::other(words))
    }

    /// Ends the connection: nothing is sent or received any more, and the protocol is told by a step of the loop.
    #[inline(never)]
    pub(crate) fn lose(self: &Rc<Self>, error: Option<io::Error>) {
        if self.life.get() >= Life::Losing {
            return;
        }
        self.shared.end_direct(self);
        self.life.set(Life::Losing);
        self.error.set(error);
        self.drop_output();
        if let Some(layer) = self.layer() {
            layer.abandon();
        }
        self.event_loop().schedule(self.clone());
    }

    fn unregister(&self) {
        if let (Some(key), Some(endpoint)) = (self.key.take(), &*self.endpoint.borrow()) {
            self.event_loop().remove_source(key, endpoint.source());
        }
    }

    fn drop_output(&self) {
        if let Some(output) = self.output.take() {
            self.shared.give_output(output);
        }
    }

    /// What the endpoint waits for.
    fn interest(&self) -> Interest {
        if self.shared.has_edges {
            return Interest::BOTH;
        }
        Interest::NONE.with_readable(self.may_receive()).with_writable(self.has(Flag::BLOCKED))
    }

    fn mode(&self) -> Mode {
        if self.shared.has_edges { Mode::Edge } else { Mode::Level }
    }

    /// Tells a driver without edges what is to be waited for now. With edges, nothing ever changes.
    fn update_interest(&self) {
        if self.shared.has_edges {
            return;
        }
        if let (Some(key), Some(endpoint)) = (self.key.get(), &*self.endpoint.borrow()) {
            // A failure shows when the endpoint is used.
            let _ = self.event_loop().modify_source(key, endpoint.source(), self.interest(), self.mode());
        }
    }

    /// Schedules a step for what was reported.
    fn schedule(self: &Rc<Self>) {
        if !self.has(Flag::SCHEDULED) {
            self.put(Flag::SCHEDULED, true);
            self.event_loop().schedule(self.clone());
        }
    }

    #[inline(never)]
    fn begin(self: &Rc<Self>) {
        let transport = Transport::new(self.clone());
        // As in asyncio, the connection survives a panic here.
        let _reported =
            self.shared.sending_after(|| self.call("connection_made", |protocol| protocol.connection_made(&transport)));
        self.receive_again();
    }

    #[inline(never)]
    fn end(self: &Rc<Self>) {
        self.unregister();
        self.tell_lost(0);
    }

    /// Calls `connection_lost`, at the next attempt if somebody has borrowed the protocol, across an await for instance.
    fn tell_lost(self: &Rc<Self>, attempt: u32) {
        let protocol = self.protocol();
        if protocol.is_busy() && attempt < LOST_ATTEMPTS_MAX {
            if attempt == 0 {
                // The peer need not wait for that.
                let endpoint = self.endpoint.take();
                drop(endpoint);
                let reason =
                    io::Error::other("the protocol is borrowed by somebody else; it is told when that has ended");
                let report = ExceptionContext::new("protocol.connection_lost() is late");
                let _reported = self.report(&protocol, report.with_error(reason));
            }
            let this = self.clone();
            self.event_loop().call_later(Duration::from_millis(1 << attempt), move || this.tell_lost(attempt + 1));
            return;
        }
        self.life.set(Life::Lost);
        let error = self.error.take();
        let _reported =
            self.shared.sending_after(|| self.call("connection_lost", |protocol| protocol.connection_lost(error)));
        self.release();
    }

    /// Lets go of everything; each with nothing borrowed.
    fn release(&self) {
        let endpoint = self.endpoint.take();
        drop(endpoint);
        let protocol = self.protocol.replace(ProtocolRef::NOBODY);
        drop(protocol);
        let server = self.server.take();
        drop(server);
    }
}

impl Runnable for Connection {
    /// The steps come in the order of these cases: nothing is reported before the loop has polled, and nothing is taken
    /// note of any more when the connection is being lost.
    fn run(self: Rc<Self>) {
        let flags = self.flags.get();
        if flags & Flag::BEGINNING.0 != 0 {
            self.put(Flag::BEGINNING, false);
            self.begin();
        } else if flags & Flag::SCHEDULED.0 != 0 {
            self.flags.set(flags & !Flag::SCHEDULED.0);
            self.receive_some();
            if self.flags.get() & (Flag::WRITABLE.0 | Flag::READABLE.0) != 0 {
                self.send_some();
                self.receive_again();
            }
        } else if self.life.get() == Life::Losing {
            self.end();
        }
    }
}

impl ReadySource for Connection {
    fn ready(self: Rc<Self>, readiness: Readiness) -> Option<Step> {
        let mut flags = self.flags.get();
        if readiness.is_readable() {
            flags |= Flag::READABLE.0;
        }
        if readiness.is_read_closed() {
            flags |= Flag::READ_CLOSED.0;
        }
        let may_send = readiness.is_writable() && flags & Flag::BLOCKED.0 != 0;
        if may_send {
            flags |= Flag::WRITABLE.0;
        }
        let is_due = may_send || (readiness.is_readable() && self.may_receive());
        let must_schedule = is_due && flags & Flag::SCHEDULED.0 == 0;
        if must_schedule {
            flags |= Flag::SCHEDULED.0;
        }
        self.flags.set(flags);
        must_schedule.then(|| self.into())
    }

    fn is_source(&self, source: Source<'_>) -> bool {
        self.with_endpoint(|endpoint| endpoint.source().is_same(source)).unwrap_or(false)
    }

    fn loop_closed(self: Rc<Self>) {
        if self.event_loop().get_debug() {
            let report = ExceptionContext::new("an event loop was closed with an open transport");
            self.event_loop().call_exception_handler(report.with("transport", format!("{self:?}")));
        }
        self.life.set(Life::Lost);
        self.key.set(None);
        self.drop_output();
        self.release();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("life", &self.life.get())
            .field("peer", &self.peer.address().map(|address| address.to_string()))
            .field("waiting_bytes", &self.waiting_bytes())
            .finish_non_exhaustive()
    }
}
