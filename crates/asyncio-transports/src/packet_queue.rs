//! `PacketQueue`: packets that wait to be sent, in order. A state machine of bytes, without a clock and without callbacks.
//!
//! Invariant: `bytes` is the packets' bytes, one after the other from `bytes_from` on; `size_bytes` counts them as asyncio does.
//!
//! Absent on purpose: when to send, and how much may wait.

use asyncio_driver::{Address, Packet};
use std::collections::VecDeque;

/// Packets on their way out.
#[derive(Debug, Default)]
pub(crate) struct PacketQueue {
    packets: VecDeque<(usize, Option<Address>)>,
    bytes: Vec<u8>,
    bytes_from: usize,
}

impl PacketQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Payload, and so much for each packet.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len() - self.bytes_from + self.packets.len() * PACKET_OVERHEAD_BYTES
    }

    pub(crate) fn push(&mut self, data: &[u8], to: Option<Address>) {
        if self.bytes_from > COMPACT_ABOVE && self.bytes_from > self.bytes.len() / 2 {
            self.bytes.drain(..self.bytes_from);
            self.bytes_from = 0;
        }
        self.bytes.extend_from_slice(data);
        self.packets.push_back((data.len(), to));
    }

    /// Shows the first packets, at most `PACKETS_MAX` of them.
    pub(crate) fn with_first<R>(&self, with: impl FnOnce(&[Packet<'_>]) -> R) -> R {
        let mut first = [Packet::new(&[], None); PACKETS_MAX];
        let mut bytes = &self.bytes[self.bytes_from..];
        let mut count = 0;
        for (slot, (len, to)) in first.iter_mut().zip(&self.packets) {
            let (packet, rest) = bytes.split_at(*len);
            *slot = Packet::new(packet, to.as_ref());
            (bytes, count) = (rest, count + 1);
        }
        with(&first[..count])
    }

    /// Forgets the first `count` packets.
    pub(crate) fn advance(&mut self, count: usize) {
        let gone = self.packets.drain(..count.min(self.packets.len()));
        self.bytes_from += gone.map(|(len, _)| len).sum::<usize>();
        if self.packets.is_empty() {
            self.clear();
        }
    }

    /// Forgets everything, and memory that is not worth keeping.
    pub(crate) fn clear(&mut self) {
        self.packets.clear();
        self.bytes.clear();
        self.bytes.shrink_to(KEEP_BYTES);
        self.bytes_from = 0;
    }
}

/// So many packets are shown at a time: as many as are sent by one system call.
pub(crate) const PACKETS_MAX: usize = 32;
/// What asyncio counts for each packet beside its payload.
const PACKET_OVERHEAD_BYTES: usize = 8;
/// Bytes that were sent are forgotten once they are so many, and more than those that were not.
const COMPACT_ABOVE: usize = 64 * 1024;
/// What an empty queue may keep.
const KEEP_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is pushed comes out, in order and whole, however much leaves at a time.
        #[test]
        fn packets_leave_in_order(steps in proptest::collection::vec((0_usize..9000, 0_usize..40), 1..80)) {
            let (mut queue, mut model) = (PacketQueue::default(), VecDeque::new());
            for (size, gone) in steps {
                let packet = vec![size as u8; size];
                let to = (size % 3 > 0).then(|| Address::Ip(([127, 0, 0, 1], size as u16).into()));
                queue.push(&packet, to.clone());
                model.push_back((packet, to));
                queue.with_first(|first| {
                    assert_eq!(first.len(), model.len().min(PACKETS_MAX));
                    for (packet, (bytes, to)) in first.iter().zip(&model) {
                        assert_eq!((packet.bytes, packet.to), (&bytes[..], to.as_ref()));
                    }
                });
                queue.advance(gone / 16);
                model.drain(..(gone / 16).min(model.len()));
                // sem. 215
                let size_bytes: usize = model.iter().map(|(bytes, _)| bytes.len() + 8).sum();
                assert_eq!((queue.len(), queue.size_bytes()), (model.len(), size_bytes));
                assert_eq!(queue.is_empty(), model.is_empty());
            }
        }
    }
}
