//! `Datagram`: the life of one datagram endpoint. What the public [`DatagramTransport`] is a handle of.
//!
//! It is a step of the loop that is scheduled for one of three reasons, in this order: it has begun, its endpoint was
//! reported, it is lost. The registration is level-triggered: an error that the system has put aside while it handed out
//! packets is reported once more, and what one turn has not taken comes in the next.
//!
//! Invariants:
//! 1. Protocol methods are called by `call` and by nobody else, with nothing of the endpoint borrowed.
//! 2. `connection_made` comes first, `connection_lost` once and last.
//! 3. What is sent inside a callback leaves when that is back, in as few system calls as the driver can; outside of a
//!    running loop, and above the high-water mark, it leaves at once.
//!
//! Absent on purpose: where endpoints come from, and the packets that wait: those are in `PacketQueue`.

use crate::datagram_protocol::DatagramProtocol;
use crate::datagram_transport::DatagramTransport;
use crate::flow_control::WriteLimits;
use crate::loop_datagrams::LoopDatagrams;
use crate::packet_queue::{PACKETS_MAX, PacketQueue};
use asyncio_driver::{Address, DatagramEndpoint, Interest, Mode, Readiness, Source};
use asyncio_loop::{EventLoop, ExceptionContext, ReadySource, Runnable, SourceKey, Step};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// A protocol, as an endpoint has it.
pub(crate) type DatagramProtocolRef = Rc<RefCell<dyn DatagramProtocol>>;

/// One datagram endpoint.
pub(crate) struct Datagram {
    shared: Rc<LoopDatagrams>,
    endpoint: RefCell<Option<Box<dyn DatagramEndpoint>>>,
    key: Cell<Option<SourceKey>>,
    /// Absent once the endpoint is lost.
    protocol: RefCell<Option<DatagramProtocolRef>>,
    peer: Option<Destination>,
    queue: RefCell<PacketQueue>,
    /// What could not be told yet.
    errors: RefCell<VecDeque<io::Error>>,
    limits: Cell<WriteLimits>,
    life: Cell<Life>,
    is_beginning: Cell<bool>,
    /// A step for what was reported is scheduled.
    is_scheduled: Cell<bool>,
    is_readable: Cell<bool>,
    is_writable: Cell<bool>,
    /// The endpoint had no room, and has not been reported since.
    is_blocked: Cell<bool>,
    /// Something is to be sent or told when the callback under way is back.
    is_pending: Cell<bool>,
    is_writing_paused: Cell<bool>,
    lost_writes: Cell<u8>,
}

/// The only address to which an endpoint sends.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    pub(crate) address: Address,
    /// The system knows it, too.
    pub(crate) is_connected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Life {
    Open,
    /// `close` was called: what waits is sent, nothing is received.
    Closing,
    /// `connection_lost` is about to be called.
    Losing,
    Lost,
}

impl Datagram {
    /// Makes a transport of an endpoint, and schedules `connection_made`.
    ///
    /// # Errors
    ///
    /// What the driver says to the registration, or that the loop was closed.
    pub(crate) fn open(
        event_loop: &EventLoop,
        endpoint: Box<dyn DatagramEndpoint>,
        peer: Option<Destination>,
        protocol: DatagramProtocolRef,
    ) -> io::Result<Rc<Self>> {
        let datagram = Rc::new(Self {
            shared: LoopDatagrams::of(event_loop),
            endpoint: RefCell::new(None),
            key: Cell::new(None),
            protocol: RefCell::new(Some(protocol)),
            peer,
            queue: RefCell::default(),
            errors: RefCell::default(),
            limits: Cell::default(),
            life: Cell::new(Life::Open),
            is_beginning: Cell::new(true),
            is_scheduled: Cell::new(false),
            is_readable: Cell::new(false),
            is_writable: Cell::new(false),
            is_blocked: Cell::new(false),
            is_pending: Cell::new(false),
            is_writing_paused: Cell::new(false),
            lost_writes: Cell::new(0),
        });
        let key = event_loop.add_source(endpoint.source(), Interest::READABLE, Mode::Level, datagram.clone())?;
        datagram.key.set(Some(key));
        datagram.endpoint.replace(Some(endpoint));
        event_loop.schedule(datagram.clone());
        Ok(datagram)
    }

    pub(crate) fn event_loop(&self) -> &EventLoop {
        self.shared.event_loop()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.life.get() != Life::Open
    }

    pub(crate) const fn peer(&self) -> Option<&Destination> {
        self.peer.as_ref()
    }

    pub(crate) fn with_endpoint<R>(&self, look: impl FnOnce(&mut dyn DatagramEndpoint) -> R) -> Option<R> {
        self.endpoint.borrow_mut().as_mut().map(|endpoint| look(&mut **endpoint))
    }

    pub(crate) fn protocol(&self) -> Option<DatagramProtocolRef> {
        self.protocol.borrow().clone()
    }

    pub(crate) fn set_protocol(&self, protocol: DatagramProtocolRef) {
        if self.life.get() < Life::Lost {
            let old = self.protocol.replace(Some(protocol));
            drop(old); // With nothing borrowed.
        }
    }

    /// Calls the protocol. The only place from which protocol methods are called.
    fn call(&self, method: &str, call: impl FnOnce(&mut dyn DatagramProtocol)) {
        let Some(protocol) = self.protocol() else { return };
        let outcome =
            catch_unwind(AssertUnwindSafe(|| protocol.try_borrow_mut().map(|mut protocol| call(&mut *protocol))));
        let report = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(_)) => {
                let reason = io::Error::other("the protocol is borrowed by somebody else while it is called");
                ExceptionContext::new(format!("protocol.{method}() could not be called")).with_error(reason)
            }
            Err(payload) => ExceptionContext::new(format!("protocol.{method}() panicked")).with_panic(payload),
        };
        let name = protocol.try_borrow().map_or("a protocol that is in use", |protocol| protocol.protocol_name());
        let report = report.with("transport", format!("{self:?}")).with("protocol", name);
        self.event_loop().call_exception_handler(report);
    }

    fn is_protocol_busy(&self) -> bool {
        self.protocol.borrow().as_ref().is_some_and(|protocol| protocol.try_borrow_mut().is_err())
    }

    /// Takes one batch of packets, and hands it out.
    fn receive(self: &Rc<Self>) {
        if !self.is_readable.take() || self.life.get() != Life::Open {
            return;
        }
        let mut packets = self.shared.take_room();
        let outcome = match self.endpoint.borrow_mut().as_deref_mut() {
            Some(endpoint) => endpoint.recv_many(&mut packets),
            None => return,
        };
        match outcome {
            Ok(()) => {
                for (data, sender) in packets.iter() {
                    // A packet may have led to `close`.
                    if self.life.get() == Life::Open {
                        self.call("datagram_received", |protocol| protocol.datagram_received(data, sender));
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                self.errors.borrow_mut().push_back(error);
                self.tell(true);
            }
        }
        self.shared.give_room(packets);
    }

    /// Sends one packet, now or when the callback under way is back.
    pub(crate) fn send(self: &Rc<Self>, data: &[u8], to: Option<&Address>) {
        if self.life.get() != Life::Open {
            return self.note_lost_write();
        }
        let to = match &self.peer {
            Some(peer) if peer.is_connected => None,
            Some(peer) => Some(peer.address.clone()),
            None => to.cloned(),
        };
        let (size_bytes, count) = {
            let mut queue = self.queue.borrow_mut();
            queue.push(data, to);
            (queue.size_bytes(), queue.len())
        };
        let may_wait = count < PACKETS_MAX && !self.limits.get().must_pause(size_bytes);
        if self.is_blocked.get() {
            self.tell_flow(true);
        } else if may_wait && self.event_loop().is_running() {
            self.act_when_back();
        } else {
            self.flush(true);
        }
    }

    fn note_lost_write(&self) {
        let lost = self.lost_writes.get();
        if lost < LOST_WRITES_MAX {
            self.lost_writes.set(lost + 1);
            if lost + 1 == LOST_WRITES_MAX {
                let message = "a datagram transport is sent to again and again after it was closed or lost";
                let report = ExceptionContext::new(message).with("transport", format!("{self:?}"));
                self.event_loop().call_exception_handler(report);
            }
        }
    }

    fn act_when_back(self: &Rc<Self>) {
        if !self.is_pending.replace(true) {
            self.shared.act_later(self.clone());
        }
    }

    /// The callback in which something was sent is back.
    pub(crate) fn act(self: &Rc<Self>) {
        self.is_pending.set(false);
        if !self.is_blocked.get() {
            self.flush(false);
        }
        self.tell(false);
        self.tell_flow(false);
    }

    /// Sends what waits, until the endpoint has no room.
    fn flush(self: &Rc<Self>, may_wait: bool) {
        let was_blocked = self.is_blocked.replace(false);
        loop {
            let queue = self.queue.borrow();
            if queue.is_empty() {
                break;
            }
            let outcome = match self.endpoint.borrow_mut().as_deref_mut() {
                Some(endpoint) => queue.with_first(|first| endpoint.send_many(first)),
                None => return,
            };
            drop(queue);
            match outcome {
                Ok(count) => self.queue.borrow_mut().advance(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_blocked.set(true);
                    break;
                }
                Err(error) => {
                    self.queue.borrow_mut().advance(1);
                    self.errors.borrow_mut().push_back(error);
                }
            }
        }
        if self.is_blocked.get() != was_blocked {
            self.update_interest();
        }
        self.tell(may_wait);
        self.tell_flow(may_wait);
        if self.life.get() == Life::Closing && self.queue.borrow().is_empty() {
            self.lose();
        }
    }

    /// Tells the protocol of errors. If one of its methods runs, that `may_wait` until it is back.
    fn tell(self: &Rc<Self>, may_wait: bool) {
        loop {
            if self.errors.borrow().is_empty() || self.life.get() >= Life::Losing {
                return;
            }
            if may_wait && self.is_protocol_busy() && self.event_loop().is_running() {
                return self.act_when_back();
            }
            let error = self.errors.borrow_mut().pop_front();
            if let Some(error) = error {
                self.call("error_received", |protocol| protocol.error_received(error));
            }
        }
    }

    /// Tells the protocol to pause or to go on, if that has changed. As `tell`.
    fn tell_flow(self: &Rc<Self>, may_wait: bool) {
        loop {
            let (waiting, limits) = (self.waiting_bytes(), self.limits.get());
            let is_paused = self.is_writing_paused.get();
            let must_change = if is_paused { limits.may_resume(waiting) } else { limits.must_pause(waiting) };
            if !must_change || self.life.get() >= Life::Losing {
                return;
            }
            if may_wait && self.is_protocol_busy() && self.event_loop().is_running() {
                return self.act_when_back();
            }
            self.is_writing_paused.set(!is_paused);
            if is_paused {
                self.call("resume_writing", |protocol| protocol.resume_writing());
            } else {
                self.call("pause_writing", |protocol| protocol.pause_writing());
            }
        }
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.queue.borrow().size_bytes()
    }

    pub(crate) fn limits(&self) -> WriteLimits {
        self.limits.get()
    }

    pub(crate) fn set_limits(self: &Rc<Self>, limits: WriteLimits) {
        self.limits.set(limits);
        if limits.must_pause(self.waiting_bytes()) {
            if self.is_blocked.get() { self.tell_flow(true) } else { self.flush(true) }
        }
    }

    pub(crate) fn close(self: &Rc<Self>) {
        if self.life.get() != Life::Open {
            return;
        }
        self.life.set(Life::Closing);
        if self.is_blocked.get() { self.update_interest() } else { self.flush(true) }
    }

    pub(crate) fn abort(self: &Rc<Self>) {
        self.lose();
    }

    /// Ends the endpoint; the protocol is told by a step of the loop.
    fn lose(self: &Rc<Self>) {
        if self.life.get() >= Life::Losing {
            return;
        }
        self.life.set(Life::Losing);
        self.queue.borrow_mut().clear();
        self.event_loop().schedule(self.clone());
    }

    fn end(self: &Rc<Self>) {
        self.life.set(Life::Lost);
        if let (Some(key), Some(endpoint)) = (self.key.take(), &*self.endpoint.borrow()) {
            self.event_loop().remove_source(key, endpoint.source());
        }
        self.call("connection_lost", |protocol| protocol.connection_lost(None));
        self.release();
    }

    /// Lets go of everything; each with nothing borrowed.
    fn release(&self) {
        let endpoint = self.endpoint.take();
        drop(endpoint);
        let protocol = self.protocol.take();
        drop(protocol);
    }

    fn update_interest(&self) {
        let interest = Interest::NONE.with_readable(self.life.get() == Life::Open).with_writable(self.is_blocked.get());
        if let (Some(key), Some(endpoint)) = (self.key.get(), &*self.endpoint.borrow()) {
            // A failure shows when the endpoint is used.
            let _ = self.event_loop().modify_source(key, endpoint.source(), interest, Mode::Level);
        }
    }
}

impl Runnable for Datagram {
    fn run(self: Rc<Self>) {
        if self.is_beginning.take() {
            let transport = DatagramTransport::new(self.clone());
            self.call("connection_made", |protocol| protocol.connection_made(&transport));
        } else if self.is_scheduled.take() {
            self.receive();
            if self.is_writable.take() && self.is_blocked.get() {
                self.flush(true);
            }
        } else if self.life.get() == Life::Losing {
            self.end();
        }
    }
}

impl ReadySource for Datagram {
    fn ready(self: Rc<Self>, readiness: Readiness) -> Option<Step> {
        let may_send = readiness.is_writable() && self.is_blocked.get();
        let may_receive = readiness.is_readable() && self.life.get() == Life::Open;
        if may_send {
            self.is_writable.set(true);
        }
        if may_receive {
            self.is_readable.set(true);
        }
        ((may_send || may_receive) && !self.is_scheduled.replace(true)).then(|| self.into())
    }

    fn is_source(&self, source: Source<'_>) -> bool {
        self.endpoint.borrow().as_deref().is_some_and(|endpoint| endpoint.source().is_same(source))
    }

    fn loop_closed(self: Rc<Self>) {
        if self.event_loop().get_debug() {
            let report = ExceptionContext::new("an event loop was closed with an open transport");
            self.event_loop().call_exception_handler(report.with("transport", format!("{self:?}")));
        }
        self.life.set(Life::Lost);
        self.key.set(None);
        self.queue.borrow_mut().clear();
        self.release();
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatagramTransport")
            .field("life", &self.life.get())
            .field("peer", &self.peer.as_ref().map(|peer| peer.address.to_string()))
            .field("waiting_bytes", &self.waiting_bytes())
            .finish_non_exhaustive()
    }
}

/// From this packet on after the endpoint was closed, the exception handler is told; asyncio's
/// `LOG_THRESHOLD_FOR_CONNLOST_WRITES`.
const LOST_WRITES_MAX: u8 = 5;
