//! The world of a scripted driver: a plain state machine of sources, with time as an argument.
//!
//! Invariants:
//! 1. A source that is `fresh` has had news since it was reported last: an edge-triggered registration reports it once, and
//!    then is quiet until there is news again. Registering and modifying are news.
//! 2. What is ready is reported in the order of its latest news, so equal scripts give equal batches.
//! 3. A closed source has no node, and with it its registration is gone: no later event names its token.
//!
//! Absent on purpose: waiting, locks and the clock; those are `ScriptedDriver`'s.

mod datagram;
mod endpoint;
mod stream;

pub(crate) use endpoint::StreamHandle;

use crate::{Operation, ScriptStatistics};
use asyncio_driver::{Address, Event, Interest, LoopTime, Mode, Readiness, Token};
use datagram::Datagram;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use stream::{Listener, Stream};

/// Everything that a scripted driver and its script know.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) limits: Limits,
    pub(crate) statistics: ScriptStatistics,
    /// The notifier was used since the last wait looked.
    pub(crate) is_notified: bool,
    nodes: BTreeMap<u64, Node>,
    agenda: BTreeMap<(LoopTime, u64), Change>,
    failures: BTreeMap<Operation, VecDeque<io::Error>>,
    /// Counts everything that needs a number of its own: sources, news, plans, ports.
    counter: u64,
}

#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) spurious_wakes: usize,
    pub(crate) send_max_bytes: usize,
    pub(crate) recv_max_bytes: usize,
    pub(crate) buffer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { spurious_wakes: 0, send_max_bytes: usize::MAX, recv_max_bytes: usize::MAX, buffer_bytes: 65_536 }
    }
}

/// One source.
#[derive(Debug)]
struct Node {
    kind: Kind,
    registration: Option<Registration>,
    fresh: bool,
    /// The number of its latest news.
    news: u64,
}

#[derive(Debug)]
enum Kind {
    Manual(Readiness),
    Stream(Stream),
    Listener(Listener),
    Datagram(Datagram),
}

#[derive(Clone, Copy, Debug)]
struct Registration {
    token: Token,
    interest: Interest,
    mode: Mode,
}

/// What the agenda holds: a manual source gets this readiness.
#[derive(Debug)]
struct Change {
    id: u64,
    readiness: Readiness,
}

impl World {
    pub(crate) fn add_manual(&mut self) -> u64 {
        self.add(Kind::Manual(Readiness::NONE))
    }

    pub(crate) fn set_manual(&mut self, id: u64, readiness: Readiness) {
        if let Some(Node { kind: Kind::Manual(current), .. }) = self.nodes.get_mut(&id) {
            *current = readiness;
            self.tell(id);
        }
    }

    /// Puts a change of a manual source on the agenda.
    pub(crate) fn plan(&mut self, time: LoopTime, id: u64, readiness: Readiness) {
        let number = self.count();
        self.agenda.insert((time, number), Change { id, readiness });
    }

    /// When the next change is due.
    pub(crate) fn next_change(&self) -> Option<LoopTime> {
        self.agenda.first_key_value().map(|((time, _), _)| *time)
    }

    /// Makes the changes that are due, in order.
    pub(crate) fn make_due_changes(&mut self, now: LoopTime) {
        while let Some(entry) = self.agenda.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let change = entry.remove();
            self.set_manual(change.id, change.readiness);
        }
    }

    pub(crate) fn add_failure(&mut self, operation: Operation, error: io::Error) {
        self.failures.entry(operation).or_default().push_back(error);
    }

    /// Fails if the script says that this `operation` does.
    pub(crate) fn check_failure(&mut self, operation: Operation) -> io::Result<()> {
        self.failures.get_mut(&operation).and_then(VecDeque::pop_front).map_or(Ok(()), Err)
    }

    /// As [`check_failure`](Self::check_failure); a source that is made to block has news at once.
    fn check_failure_of(&mut self, id: u64, operation: Operation) -> io::Result<()> {
        self.check_failure(operation).inspect_err(|error| {
            if error.kind() == io::ErrorKind::WouldBlock {
                self.tell(id);
            }
        })
    }

    pub(crate) fn register(&mut self, id: u64, token: Token, interest: Interest, mode: Mode) -> io::Result<()> {
        if self.node(id)?.registration.is_some() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the source is registered already"));
        }
        self.set_registration(id, Registration { token, interest, mode })
    }

    pub(crate) fn modify(&mut self, id: u64, token: Token, interest: Interest, mode: Mode) -> io::Result<()> {
        if self.node(id)?.registration.is_none() {
            return Err(not_registered());
        }
        self.set_registration(id, Registration { token, interest, mode })
    }

    pub(crate) fn remove(&mut self, id: u64) -> io::Result<()> {
        self.node(id)?.registration.take().map(drop).ok_or_else(not_registered)
    }

    /// Adds an event for each source that has to be reported, and says how many these are.
    pub(crate) fn collect(&mut self, events: &mut Vec<Event>) -> usize {
        let mut ready: Vec<_> = self.nodes.keys().filter_map(|id| self.report(*id)).collect();
        ready.sort_unstable_by_key(|(news, ..)| *news);
        for (_, id, event) in &ready {
            events.push(*event);
            if let Some(node) = self.nodes.get_mut(id) {
                node.fresh = false;
            }
        }
        self.statistics.events += ready.len() as u64;
        ready.len()
    }

    /// Ends a source: its peers are told, its registration is forgotten.
    pub(crate) fn close(&mut self, id: u64) {
        match self.nodes.remove(&id).map(|node| node.kind) {
            Some(Kind::Stream(stream)) => self.leave_peer(&stream),
            Some(Kind::Listener(listener)) => listener.into_queue().for_each(|id| self.reset(id)),
            Some(Kind::Manual(_) | Kind::Datagram(_)) | None => {}
        }
    }

    /// What a wait has to say about this source.
    fn report(&self, id: u64) -> Option<(u64, u64, Event)> {
        let node = self.nodes.get(&id)?;
        let Registration { token, interest, mode } = node.registration?;
        let ready = self.readiness(node);
        let wanted = Readiness::new(
            ready.is_readable() && interest.is_readable(),
            ready.is_writable() && interest.is_writable(),
        );
        let due = !wanted.is_none() && (mode == Mode::Level || node.fresh);
        due.then(|| (node.news, id, Event::new(token, wanted)))
    }

    fn readiness(&self, node: &Node) -> Readiness {
        match &node.kind {
            Kind::Manual(readiness) => *readiness,
            Kind::Stream(stream) => stream.readiness(self.room_at_peer(stream)),
            Kind::Listener(listener) => listener.readiness(),
            Kind::Datagram(datagram) => datagram.readiness(),
        }
    }

    fn set_registration(&mut self, id: u64, registration: Registration) -> io::Result<()> {
        self.node(id)?.registration = Some(registration);
        self.tell(id);
        Ok(())
    }

    fn add(&mut self, kind: Kind) -> u64 {
        let id = self.count();
        self.nodes.insert(id, Node { kind, registration: None, fresh: false, news: id });
        id
    }

    /// There is news at this source.
    fn tell(&mut self, id: u64) {
        let news = self.count();
        if let Some(node) = self.nodes.get_mut(&id) {
            node.fresh = true;
            node.news = news;
        }
    }

    fn node(&mut self, id: u64) -> io::Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or_else(not_registered)
    }

    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// `local` with a port of its own in place of port 0.
    fn with_port(&mut self, local: &Address) -> Address {
        match local {
            Address::Ip(address) if address.port() == 0 => {
                let port = 49_152 + self.count() % 16_384;
                Address::Ip(SocketAddr::new(address.ip(), u16::try_from(port).unwrap_or(u16::MAX)))
            }
            other => other.clone(),
        }
    }

    /// The address from which `remote` is reached, if nobody says another.
    fn near_end(&mut self, remote: &Address) -> Address {
        match remote {
            Address::Ip(address) if address.is_ipv4() => self.with_port(&Address::Ip(([127, 0, 0, 1], 0).into())),
            Address::Ip(_) => self.with_port(&Address::Ip(([0, 0, 0, 0, 0, 0, 0, 1], 0).into())),
            _ => Address::Unnamed,
        }
    }
}

/// Whether a packet or a connect to `target` arrives at who is bound to `bound`.
fn reaches(target: &Address, bound: &Address) -> bool {
    match (target, bound) {
        (Address::Ip(target), Address::Ip(bound)) => {
            target.port() == bound.port()
                && (target.ip() == bound.ip()
                    || (bound.ip().is_unspecified() && target.is_ipv4() == bound.is_ipv4())
                    || (target.ip().is_unspecified() && bound.ip().is_loopback()))
        }
        (Address::Unnamed, _) | (_, Address::Unnamed) => false,
        (target, bound) => target == bound,
    }
}

fn not_registered() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the source is not registered")
}
