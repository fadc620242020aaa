//! `Packets`: packets that arrive together, and the room for them; `Packet`: one that is to be sent.
//!
//! Invariant: `len` packets have arrived; packet `n` lies at the front of the `n`th slot of the room.
//!
//! Absent on purpose: who receives them. Filling is an endpoint's affair.

use crate::Address;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Room for several packets, and what has arrived in it; see [`DatagramEndpoint::recv_many`](crate::DatagramEndpoint::recv_many).
#[derive(Debug)]
pub struct Packets {
    room: Box<[u8]>,
    slot_bytes: usize,
    arrived: Vec<(usize, Address)>,
    packets_max: usize,
}

impl Packets {
    /// Room for so many packets of so many bytes. Memory that no packet has touched costs nothing on most systems.
    #[must_use]
    pub fn new(packets_max: usize, slot_bytes: usize) -> Self {
        let room = vec![0; packets_max * slot_bytes].into_boxed_slice();
        Self { room, slot_bytes, arrived: Vec::with_capacity(packets_max), packets_max }
    }

    /// How many packets are here.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.arrived.len()
    }

    /// Whether no packet is here.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.arrived.is_empty()
    }

    /// For how many more there is room.
    #[must_use]
    pub const fn free(&self) -> usize {
        self.packets_max - self.arrived.len()
    }

    /// The packets and their senders, in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Address)> {
        let slots = self.room.chunks(self.slot_bytes.max(1));
        self.arrived.iter().zip(slots).map(|((bytes, sender), slot)| (&slot[..*bytes], sender))
    }

    /// Forgets what is here.
    pub fn clear(&mut self) {
        self.arrived.clear();
    }

    /// The room that is free, slot by slot. For endpoints; what lies there counts once it was [pushed](Self::push).
    pub fn free_slots(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.room.chunks_mut(self.slot_bytes.max(1)).skip(self.arrived.len())
    }

    /// The next packet has arrived, in the first free slot. For endpoints.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if that is no slot's worth, or no slot is free.
    pub fn push(&mut self, bytes: usize, sender: Address) -> io::Result<()> {
        if bytes > self.slot_bytes || self.free() == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a packet without room for it"));
        }
        self.arrived.push((bytes, sender));
        Ok(())
    }
}

/// A packet that is to be sent.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Packet<'a> {
    /// What it carries; may be nothing.
    pub bytes: &'a [u8],
    /// Where to; the connected peer if `None`.
    pub to: Option<&'a Address>,
}

impl<'a> Packet<'a> {
    /// A packet of these bytes, to there.
    #[must_use]
    pub const fn new(bytes: &'a [u8], to: Option<&'a Address>) -> Self {
        Self { bytes, to }
    }
}

/// A multicast group, on an interface of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MulticastGroup {
    /// An IPv4 group, and the address of the interface; unspecified is the system's choice.
    V4(Ipv4Addr, Ipv4Addr),
    /// An IPv6 group, and the number of the interface; zero is the system's choice.
    V6(Ipv6Addr, u32),
}

impl MulticastGroup {
    /// The address of the group.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        match self {
            Self::V4(group, _) => IpAddr::V4(*group),
            Self::V6(group, _) => IpAddr::V6(*group),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_lie_in_their_slots() {
        let mut packets = Packets::new(2, 4);
        for (n, text) in [&b"ab"[..], b"cdef"].into_iter().enumerate() {
            packets.free_slots().next().unwrap()[..text.len()].copy_from_slice(text);
            packets.push(text.len(), Address::Unnamed).unwrap();
            assert_eq!((packets.len(), packets.free()), (n + 1, 1 - n));
        }
        assert_eq!(packets.iter().map(|(bytes, _)| bytes).collect::<Vec<_>>(), [&b"ab"[..], b"cdef"]);
        assert_eq!((packets.free_slots().count(), packets.push(0, Address::Unnamed).is_err()), (0, true));
        packets.clear();
        assert!(packets.is_empty() && packets.push(5, Address::Unnamed).is_err());
    }
}
