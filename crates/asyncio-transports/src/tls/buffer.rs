//! `Buffer`: bytes in a row that come in at one end and leave at the other.
//!
//! Invariant: `from <= to <= bytes.len()`; what lies between `from` and `to` is in it.

/// Bytes in a row.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Buffer {
    pub(super) const fn len(&self) -> usize {
        self.to - self.from
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.from == self.to
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.from..self.to]
    }

    /// Room behind what is in it, for so many bytes at least.
    pub(super) fn room(&mut self, wanted: usize) -> &mut [u8] {
        if self.bytes.len() - self.to < wanted {
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.len());
            if self.bytes.len() - self.to < wanted {
                self.bytes.resize(self.to + wanted, 0);
            }
        }
        &mut self.bytes[self.to..]
    }

    /// So many bytes of the room are in it now.
    pub(super) fn fill(&mut self, count: usize) {
        self.to = self.bytes.len().min(self.to + count);
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.fill(bytes.len());
    }

    /// Forgets the first bytes.
    pub(super) fn consume(&mut self, count: usize) {
        self.from = self.to.min(self.from + count);
        if self.is_empty() {
            (self.from, self.to) = (0, 0);
        }
    }

    /// Gives memory back if there is nothing in it.
    pub(super) fn trim(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Moves as much as there is room for to the front of `out`.
    pub(super) fn take(&mut self, out: &mut [u8]) -> usize {
        let count = self.len().min(out.len());
        out[..count].copy_from_slice(&self.bytes()[..count]);
        self.consume(count);
        count
    }
}
