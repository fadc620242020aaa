//! Streams and listeners of the scripted world.
//!
//! Invariants:
//! 1. The bytes under way to a stream are in its own `inbox`, at most `capacity` of them.
//! 2. `peer` is the other end for as long as it is open. A stream without peer is refused, reset, or at end of file.
//! 3. As in the kernel, room to send is news only to who was short of it; a limit set by the script is news at once,
//!    because nothing else would ever wake whoever takes a short count for a full buffer.
//!
//! Absent on purpose: latency and loss, which a simulated network has.

use super::{Kind, World, reaches};
use crate::Operation;
use asyncio_driver::{Address, ConnectOptions, ListenOptions, Readiness};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::Shutdown;

#[derive(Debug)]
pub(super) struct Stream {
    local: Address,
    remote: Address,
    peer: Option<u64>,
    inbox: VecDeque<u8>,
    capacity: usize,
    fate: Fate,
    /// A send found no room for everything.
    wants_room: bool,
    finished_receiving: bool,
    finished_sending: bool,
}

/// What has become of the connection, as far as this end knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    /// The peer has finished sending.
    EndOfFile,
    /// The peer has gone with bytes unread, or its listener has.
    Reset,
    /// There was nobody to connect to.
    Refused,
}

#[derive(Debug)]
pub(super) struct Listener {
    local: Address,
    /// Zero until it listens.
    backlog: usize,
    reuse_port: bool,
    queue: VecDeque<u64>,
}

impl Stream {
    fn new(local: Address, remote: Address, capacity: usize) -> Self {
        Self {
            local,
            remote,
            peer: None,
            inbox: VecDeque::new(),
            capacity,
            fate: Fate::Open,
            wants_room: false,
            finished_receiving: false,
            finished_sending: false,
        }
    }

    pub(super) fn readiness(&self, has_room: bool) -> Readiness {
        let receiving_is_over = self.finished_receiving || self.fate != Fate::Open;
        let sending_is_over = self.finished_sending || self.peer.is_none();
        Readiness::new(!self.inbox.is_empty() || receiving_is_over, has_room || sending_is_over)
    }
}

impl Listener {
    pub(super) fn readiness(&self) -> Readiness {
        Readiness::new(!self.queue.is_empty(), false)
    }

    pub(super) fn into_queue(self) -> impl Iterator<Item = u64> {
        self.queue.into_iter()
    }
}

impl World {
    pub(crate) fn add_stream_pair(&mut self) -> (u64, u64) {
        let near = self.near_end(&Address::Ip(([127, 0, 0, 1], 0).into()));
        let far = self.near_end(&near);
        self.add_connected(near, far)
    }

    pub(super) fn connect(&mut self, remote: &Address, options: &ConnectOptions) -> io::Result<u64> {
        self.check_failure(Operation::Connect)?;
        if *remote == Address::Unnamed {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an unnamed address cannot be reached"));
        }
        let local = match &options.local {
            Some(local) => self.with_port(local),
            None => self.near_end(remote),
        };
        let target = self.nodes.iter().find_map(|(id, node)| match &node.kind {
            Kind::Listener(listener) if reaches(remote, &listener.local) => Some(*id),
            _ => None,
        });
        let accepting = target.filter(|id| self.listener(*id).is_ok_and(|it| it.queue.len() < it.backlog));
        let Some(target) = accepting else {
            let mut stream = Stream::new(local, remote.clone(), self.limits.buffer_bytes);
            stream.fate = Fate::Refused;
            let id = self.add(Kind::Stream(stream));
            self.tell(id);
            return Ok(id);
        };
        let (near, far) = self.add_connected(local, remote.clone());
        self.listener(target)?.queue.push_back(far);
        self.tell(target);
        self.tell(near);
        Ok(near)
    }

    pub(super) fn listen(&mut self, local: &Address, options: &ListenOptions) -> io::Result<u64> {
        self.check_failure(Operation::Listen)?;
        if *local == Address::Unnamed {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "an unnamed address cannot be bound"));
        }
        let local = self.with_port(local);
        let is_taken = self.nodes.values().any(|node| match &node.kind {
            Kind::Listener(other) => other.local == local && !(other.reuse_port && options.reuse_port),
            _ => false,
        });
        if is_taken {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{local} is listened on already")));
        }
        let backlog = if options.bind_only { 0 } else { backlog_of(options.backlog) };
        let listener = Listener { local, backlog, reuse_port: options.reuse_port, queue: VecDeque::new() };
        Ok(self.add(Kind::Listener(listener)))
    }

    pub(super) fn set_backlog(&mut self, id: u64, backlog: u32) -> io::Result<()> {
        self.listener(id)?.backlog = backlog_of(backlog);
        Ok(())
    }

    pub(super) fn accept(&mut self, id: u64) -> io::Result<(u64, Address)> {
        self.check_failure_of(id, Operation::Accept)?;
        let stream = self.listener(id)?.queue.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let peer = self.stream(stream)?.remote.clone();
        Ok((stream, peer))
    }

    pub(super) fn listener_addr(&mut self, id: u64) -> io::Result<Address> {
        self.listener(id).map(|listener| listener.local.clone())
    }

    /// Local address, and the peer's.
    pub(super) fn stream_addrs(&mut self, id: u64) -> io::Result<(Address, Address)> {
        self.stream(id).map(|stream| (stream.local.clone(), stream.remote.clone()))
    }

    pub(super) fn finish_connect(&mut self, id: u64) -> io::Result<()> {
        self.check_failure_of(id, Operation::FinishConnect)?;
        if self.stream(id)?.fate == Fate::Refused {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Ok(())
    }

    pub(super) fn recv(&mut self, id: u64, scratch: &mut [u8]) -> io::Result<usize> {
        self.check_failure_of(id, Operation::Recv)?;
        let most = scratch.len().min(self.limits.recv_max_bytes);
        let stream = self.stream(id)?;
        if stream.inbox.is_empty() && !scratch.is_empty() {
            return match stream.fate {
                Fate::EndOfFile => Ok(0),
                Fate::Reset => Err(io::ErrorKind::ConnectionReset.into()),
                Fate::Refused => Err(io::ErrorKind::NotConnected.into()),
                Fate::Open if stream.finished_receiving => Ok(0),
                Fate::Open => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let count = most.min(stream.inbox.len());
        for (place, byte) in scratch.iter_mut().zip(stream.inbox.drain(..count)) {
            *place = byte;
        }
        let is_cut_short = count < scratch.len() && !stream.inbox.is_empty();
        let peer = stream.peer;
        if is_cut_short {
            self.tell(id);
        }
        if let Some(peer) = peer.filter(|_| count > 0)
            && std::mem::take(&mut self.stream(peer)?.wants_room)
        {
            self.tell(peer);
        }
        Ok(count)
    }

    pub(super) fn send(&mut self, id: u64, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.check_failure_of(id, Operation::Send)?;
        let most = self.limits.send_max_bytes;
        let stream = self.stream(id)?;
        let Some(peer) = stream.peer.filter(|_| !stream.finished_sending) else {
            return Err(match stream.fate {
                Fate::Reset => io::ErrorKind::ConnectionReset.into(),
                _ => io::ErrorKind::BrokenPipe.into(),
            });
        };
        let wanted = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        let receiver = self.stream(peer)?;
        let room = receiver.capacity - receiver.inbox.len();
        let count = wanted.min(room).min(most);
        if !receiver.finished_receiving {
            receiver.inbox.extend(bufs.iter().flat_map(|buf| buf.iter()).take(count));
        }
        if count > 0 {
            self.tell(peer);
        }
        if count < wanted {
            self.stream(id)?.wants_room = count == room;
            if count < room {
                self.tell(id);
            }
        }
        if count == 0 && wanted > 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    pub(super) fn shutdown(&mut self, id: u64, how: Shutdown) -> io::Result<()> {
        let stream = self.stream(id)?;
        let Some(peer) = stream.peer else { return Err(io::ErrorKind::NotConnected.into()) };
        let was_sending = !stream.finished_sending;
        stream.finished_receiving |= how != Shutdown::Write;
        stream.finished_sending |= how != Shutdown::Read;
        let stops_sending = was_sending && stream.finished_sending;
        self.tell(id);
        if stops_sending {
            self.stream(peer)?.fate = Fate::EndOfFile;
            self.tell(peer);
        }
        Ok(())
    }

    /// Whether the peer has room for bytes of `stream`.
    pub(super) fn room_at_peer(&self, stream: &Stream) -> bool {
        let peer = stream.peer.and_then(|id| self.nodes.get(&id));
        matches!(peer, Some(node) if matches!(&node.kind, Kind::Stream(peer) if peer.inbox.len() < peer.capacity))
    }

    /// `gone` was closed: bytes that it has not read make it a reset.
    pub(super) fn leave_peer(&mut self, gone: &Stream) {
        let Some(id) = gone.peer else { return };
        if gone.inbox.is_empty() {
            if let Ok(peer) = self.stream(id) {
                peer.peer = None;
                peer.fate = Fate::EndOfFile;
            }
            self.tell(id);
        } else {
            self.set_reset(id);
        }
    }

    /// Ends a stream that nobody has accepted.
    pub(super) fn reset(&mut self, id: u64) {
        if let Some(Kind::Stream(Stream { peer: Some(peer), .. })) = self.nodes.remove(&id).map(|node| node.kind) {
            self.set_reset(peer);
        }
    }

    fn set_reset(&mut self, id: u64) {
        if let Ok(stream) = self.stream(id) {
            stream.peer = None;
            stream.fate = Fate::Reset;
            // As the kernel: what has arrived before the reset is lost with it.
            stream.inbox.clear();
        }
        self.tell(id);
    }

    fn add_connected(&mut self, near: Address, far: Address) -> (u64, u64) {
        let capacity = self.limits.buffer_bytes;
        let near_id = self.add(Kind::Stream(Stream::new(near.clone(), far.clone(), capacity)));
        let mut stream = Stream::new(far, near, capacity);
        stream.peer = Some(near_id);
        let far_id = self.add(Kind::Stream(stream));
        if let Ok(stream) = self.stream(near_id) {
            stream.peer = Some(far_id);
        }
        (near_id, far_id)
    }

    fn stream(&mut self, id: u64) -> io::Result<&mut Stream> {
        match self.nodes.get_mut(&id) {
            Some(super::Node { kind: Kind::Stream(stream), .. }) => Ok(stream),
            _ => Err(super::not_registered()),
        }
    }

    fn listener(&mut self, id: u64) -> io::Result<&mut Listener> {
        match self.nodes.get_mut(&id) {
            Some(super::Node { kind: Kind::Listener(listener), .. }) => Ok(listener),
            _ => Err(super::not_registered()),
        }
    }
}

/// There is room for one connection at least, as in the kernel.
fn backlog_of(backlog: u32) -> usize {
    usize::try_from(backlog).unwrap_or(usize::MAX).max(1)
}
