//! Spare buffers of a thread: a reader with nothing to read has none, so that ten thousand idle connections cost nothing.
//!
//! A buffer is given back when it has been emptied, perhaps while somebody still holds what was taken out of it last. It is
//! used again once that is gone; otherwise it is left to whoever holds it.
//!
//! Absent on purpose: what the bytes are. That is `read_buffer`'s.

use bytes::BytesMut;
use std::cell::RefCell;

thread_local! {
    static SPARE: RefCell<Spare> = const { RefCell::new(Spare { small: Shelf::EMPTY, large: Shelf::EMPTY }) };
}

/// Small buffers apart from large ones, so that few bytes do not lie in a large buffer for long.
#[derive(Debug)]
struct Spare {
    small: Shelf,
    large: Shelf,
}

/// Buffers, each with its size; the one that came last is used first, for it is in the cache.
#[derive(Debug)]
struct Shelf {
    buffers: Vec<(BytesMut, usize)>,
    bytes: usize,
}

impl Shelf {
    const EMPTY: Self = Self { buffers: Vec::new(), bytes: 0 };

    fn take(&mut self) -> Option<(BytesMut, usize)> {
        let (buffer, size) = self.buffers.pop()?;
        self.bytes -= size;
        Some((buffer, size))
    }

    /// Gives the buffer back if there are enough.
    fn put(&mut self, buffer: BytesMut, size: usize) -> Option<BytesMut> {
        if self.bytes + size > SHELF_BYTES {
            return Some(buffer);
        }
        self.bytes += size;
        self.buffers.push((buffer, size));
        None
    }
}

impl Spare {
    const fn shelf(&mut self, size: usize) -> &mut Shelf {
        if size <= SMALL_BYTES { &mut self.small } else { &mut self.large }
    }
}

/// An empty buffer with room for so many bytes.
pub(crate) fn take(bytes: usize) -> BytesMut {
    // The spare ones are gone at the end of the thread.
    let spare = SPARE.try_with(|spare| spare.borrow_mut().shelf(bytes).take()).ok().flatten();
    if let Some((mut buffer, size)) = spare {
        // From its beginning if nobody holds anything of it: what is used again and again is in the cache.
        if buffer.try_reclaim(size.max(bytes)) || buffer.try_reclaim(bytes) {
            return buffer;
        }
    }
    BytesMut::with_capacity(bytes.max(LEAST_BYTES).next_power_of_two())
}

/// Takes back a buffer that is empty now, and had room for `size` bytes at most.
pub(crate) fn give(buffer: BytesMut, size: usize) {
    let refused = SPARE.try_with(|spare| spare.borrow_mut().shelf(size).put(buffer, size.max(1)));
    drop(refused);
}

/// Up to here a buffer is a small one.
const SMALL_BYTES: usize = 4 * 1024;
/// A buffer has this much room at least.
const LEAST_BYTES: usize = 1024;
/// So much memory is kept of each kind.
const SHELF_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_once_nobody_holds_what_was_in_it() {
        let mut buffer = take(10);
        buffer.extend_from_slice(b"0123456789");
        let place = buffer.as_ptr();
        let held = buffer.split_to(10).freeze();
        give(buffer, LEAST_BYTES);
        drop(held);
        let again = take(20);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
    }

    #[test]
    fn a_buffer_that_is_still_held_is_left_alone() {
        let mut buffer = take(10);
        buffer.extend_from_slice(b"0123456789");
        let held = buffer.split_to(10).freeze();
        give(buffer, 10);
        let mut other = take(10);
        other.extend_from_slice(b"abcdefghij");
        assert_eq!(&held[..], b"0123456789");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        for size in [LEAST_BYTES, 64 * 1024] {
            for _ in 0..2 * SHELF_BYTES / size {
                give(BytesMut::new(), size);
            }
        }
        give(BytesMut::new(), SHELF_BYTES + 1);
        SPARE.with_borrow(|spare| assert_eq!((spare.small.bytes, spare.large.bytes), (SHELF_BYTES, SHELF_BYTES)));
        SPARE.with_borrow(|spare| assert_eq!((spare.small.buffers.len(), spare.large.buffers.len()), (4096, 64)));
    }
}
