//! Datagrams of the scripted world.
//!
//! Invariants:
//! 1. A packet arrives whole, or not at all: nobody bound there, a full inbox, or a receiver that is connected to somebody
//!    else drop it, as UDP does. Sending never blocks, unless a script says so.
//! 2. A packet to a group arrives at each member that is bound to its port, whatever the interface.
//!
//! Absent on purpose: loss and reordering, which a simulated network has.

use super::{Kind, World, reaches};
use crate::Operation;
use asyncio_driver::{Address, DatagramOptions, MulticastGroup, Readiness};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::IpAddr;

#[derive(Debug)]
pub(super) struct Datagram {
    local: Address,
    remote: Option<Address>,
    reuse_port: bool,
    groups: BTreeSet<IpAddr>,
    inbox: VecDeque<(Vec<u8>, Address)>,
    /// A packet to the connected peer met nobody.
    is_refused: bool,
}

impl Datagram {
    pub(super) fn readiness(&self) -> Readiness {
        Readiness::new(!self.inbox.is_empty() || self.is_refused, true)
    }
}

impl World {
    pub(super) fn open_datagram(
        &mut self,
        local: Option<&Address>,
        remote: Option<&Address>,
        options: &DatagramOptions,
    ) -> io::Result<u64> {
        self.check_failure(Operation::Datagram)?;
        let local = match (local, remote) {
            (Some(local), _) => self.with_port(local),
            (None, Some(remote)) => self.near_end(remote),
            (None, None) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "a datagram endpoint needs a local or a remote address to know its family by",
                ));
            }
        };
        let is_taken = self.nodes.values().any(|node| match &node.kind {
            Kind::Datagram(other) => {
                other.local == local && local != Address::Unnamed && !(other.reuse_port && options.reuse_port)
            }
            _ => false,
        });
        if is_taken {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{local} is in use")));
        }
        let datagram = Datagram {
            local,
            remote: remote.cloned(),
            reuse_port: options.reuse_port,
            groups: BTreeSet::new(),
            inbox: VecDeque::new(),
            is_refused: false,
        };
        Ok(self.add(Kind::Datagram(datagram)))
    }

    pub(super) fn recv_from(&mut self, id: u64, scratch: &mut [u8]) -> io::Result<(usize, Address)> {
        self.check_failure_of(id, Operation::RecvFrom)?;
        let datagram = self.datagram(id)?;
        if std::mem::take(&mut datagram.is_refused) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (packet, sender) = datagram.inbox.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let count = packet.len().min(scratch.len());
        scratch[..count].copy_from_slice(&packet[..count]);
        Ok((count, sender))
    }

    pub(super) fn send_to(&mut self, id: u64, packet: &[u8], to: Option<&Address>) -> io::Result<usize> {
        self.check_failure_of(id, Operation::SendTo)?;
        let sender = self.datagram(id)?;
        let local = sender.local.clone();
        let is_connected = to.is_none();
        let Some(target) = to.or(sender.remote.as_ref()).cloned() else {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "no address to send to, and none connected to"));
        };
        if matches!(&target, Address::Ip(target) if target.ip().is_multicast()) {
            for receiver in self.members(&target) {
                self.deliver(receiver, packet, local.clone())?;
            }
            return Ok(packet.len());
        }
        let receiver = self.nodes.iter().find_map(|(id, node)| match &node.kind {
            Kind::Datagram(receiver) if reaches(&target, &receiver.local) => Some(*id),
            _ => None,
        });
        match receiver {
            Some(receiver) => self.deliver(receiver, packet, local)?,
            None if is_connected => {
                self.datagram(id)?.is_refused = true;
                self.tell(id);
            }
            None => {}
        }
        Ok(packet.len())
    }

    /// Those who have joined the group `target`, on its port.
    fn members(&self, target: &Address) -> Vec<u64> {
        let is_member = |receiver: &Datagram| match (target, &receiver.local) {
            (Address::Ip(target), Address::Ip(local)) => {
                target.port() == local.port() && receiver.groups.contains(&target.ip())
            }
            _ => false,
        };
        let members = self.nodes.iter().filter(|(_, node)| match &node.kind {
            Kind::Datagram(receiver) => is_member(receiver),
            _ => false,
        });
        members.map(|(id, _)| *id).collect()
    }

    pub(super) fn set_membership(&mut self, id: u64, group: &MulticastGroup, is_member: bool) -> io::Result<()> {
        let address = group.address();
        if !address.is_multicast() {
            let message = format!("{address} is no multicast address");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let groups = &mut self.datagram(id)?.groups;
        match is_member {
            true if !groups.insert(address) => Err(io::ErrorKind::AddrInUse.into()),
            false if !groups.remove(&address) => Err(io::ErrorKind::AddrNotAvailable.into()),
            _ => Ok(()),
        }
    }

    pub(super) fn datagram_addr(&mut self, id: u64) -> io::Result<Address> {
        self.datagram(id).map(|datagram| datagram.local.clone())
    }

    pub(super) fn datagram_peer(&mut self, id: u64) -> io::Result<Address> {
        self.datagram(id)?.remote.clone().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn deliver(&mut self, id: u64, packet: &[u8], sender: Address) -> io::Result<()> {
        let receiver = self.datagram(id)?;
        let is_expected = receiver.remote.as_ref().is_none_or(|remote| *remote == sender);
        if is_expected && receiver.inbox.len() < PACKETS_MAX {
            receiver.inbox.push_back((packet.to_vec(), sender));
            self.tell(id);
        }
        Ok(())
    }

    fn datagram(&mut self, id: u64) -> io::Result<&mut Datagram> {
        match self.nodes.get_mut(&id) {
            Some(super::Node { kind: Kind::Datagram(datagram), .. }) => Ok(datagram),
            _ => Err(super::not_registered()),
        }
    }
}

/// How many packets wait at one endpoint before more are dropped.
const PACKETS_MAX: usize = 64;
