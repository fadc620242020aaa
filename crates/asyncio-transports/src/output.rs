//! `Output`: what a transport has still to send, in order. A state machine of bytes, without a clock and without callbacks.
//!
//! Most of what a server writes it has just received: it lies in the buffer that all connections of the loop share, and
//! stays there until the callback is back. Such bytes are not copied, but kept as a range of that buffer; ranges that touch
//! become one. What lies elsewhere is copied, and small pieces end up side by side.
//!
//! Invariants:
//! 1. `len` is the sum of the pieces that are bytes, of which none is empty; bytes leave in the order in which they came.
//! 2. A range of the shared buffer is there only until `own` was called, which comes before that buffer is used again.
//!
//! Absent on purpose: when to send, and how much may wait. That is the connection's affair.

use crate::transfer::{Placed, Transfer, Turn};
use asyncio_driver::StreamEndpoint;
use bytes::{Buf as _, Bytes};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::rc::Rc;

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pieces: VecDeque<Piece>,
    /// The bytes of all `Piece::Copied`, one after the other, from `copied_from` on.
    copied: Vec<u8>,
    copied_from: usize,
    len: usize,
}

#[derive(Debug)]
enum Piece {
    /// So many of the copied bytes.
    Copied(usize),
    /// Bytes in the buffer that connections receive into.
    Received(Range<usize>),
    /// Bytes that were given away to us.
    Owned(Bytes),
    /// Bytes that never come here, or none: see `transfer`. Not counted.
    Transfer(Placed),
}

/// How far sending has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// How many bytes of the tail were sent.
    pub(crate) tail_bytes: usize,
    /// The endpoint has no room for more, or it is somebody else's turn.
    pub(crate) is_blocked: bool,
    /// The endpoint has room, and will not be reported.
    pub(crate) is_turn_over: bool,
}

impl Sent {
    const fn new(tail_bytes: usize, is_blocked: bool) -> Self {
        Self { tail_bytes, is_blocked, is_turn_over: false }
    }
}

impl Output {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is to be sent, not even a file.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Appends `data`: as a range, if it lies in `received`, or else by copying it.
    #[inline]
    pub(crate) fn push(&mut self, data: &[u8], received: &[u8]) {
        match range_within(data, received) {
            Some(range) => self.push_received(range),
            None => self.push_copy(data),
        }
    }

    /// Appends a copy of `data`.
    pub(crate) fn push_copy(&mut self, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        self.len += data.len();
        if self.copied_from > COMPACT_ABOVE && self.copied_from > self.copied.len() / 2 {
            self.copied.drain(..self.copied_from);
            self.copied_from = 0;
        }
        self.copied.extend_from_slice(data);
        match self.pieces.back_mut() {
            Some(Piece::Copied(bytes)) => *bytes += data.len(),
            _ => self.pieces.push_back(Piece::Copied(data.len())),
        }
    }

    /// Appends bytes that are given away.
    pub(crate) fn push_owned(&mut self, data: Bytes) {
        debug_assert!(!data.is_empty(), "no piece is empty");
        self.len += data.len();
        self.pieces.push_back(Piece::Owned(data));
    }

    /// Appends a file, or a mark.
    pub(crate) fn push_transfer(&mut self, transfer: Rc<Transfer>) {
        self.pieces.push_back(Piece::Transfer(Placed::new(transfer)));
    }

    pub(crate) fn push_received(&mut self, range: Range<usize>) {
        debug_assert!(!range.is_empty(), "no piece is empty");
        self.len += range.len();
        match self.pieces.back_mut() {
            Some(Piece::Received(last)) if last.end == range.start => last.end = range.end,
            _ => self.pieces.push_back(Piece::Received(range)),
        }
    }

    /// Sends all that is here, and then `tail`, until the endpoint has no room.
    ///
    /// # Errors
    ///
    /// What the endpoint says, except `WouldBlock`. What was sent before has left.
    pub(crate) fn send(&mut self, received: &[u8], tail: &[u8], endpoint: &mut dyn StreamEndpoint) -> io::Result<Sent> {
        let mut tail_bytes = 0;
        loop {
            let rest = &tail[tail_bytes..];
            let (wanted, outcome) = match (self.pieces.front(), self.pieces.len() + usize::from(!rest.is_empty())) {
                (_, 0) => return Ok(Sent::new(tail_bytes, false)),
                (Some(Piece::Transfer(transfer)), _) => match transfer.send(endpoint)? {
                    Turn::Ended => {
                        self.pieces.pop_front();
                        continue;
                    }
                    Turn::Blocked => return Ok(Sent::new(tail_bytes, true)),
                    Turn::Over => return Ok(Sent { is_turn_over: true, ..Sent::new(tail_bytes, true) }),
                },
                (None, _) => (rest.len(), endpoint.send(&[IoSlice::new(rest)])),
                (Some(piece), 1) => {
                    let bytes = piece.bytes(received, &self.copied[self.copied_from..]);
                    (bytes.len(), endpoint.send(&[IoSlice::new(bytes)]))
                }
                _ => self.send_many(received, rest, endpoint),
            };
            match outcome {
                Ok(count) => {
                    tail_bytes += self.advance(count);
                    if count < wanted {
                        return Ok(Sent::new(tail_bytes, true));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Sent::new(tail_bytes, true));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One system call for as many pieces as it takes. Gives how many bytes it was asked to send.
    fn send_many(&self, received: &[u8], tail: &[u8], endpoint: &mut dyn StreamEndpoint) -> (usize, io::Result<usize>) {
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let mut copied = &self.copied[self.copied_from..];
        let (mut count, mut wanted) = (0, 0);
        let is_bytes = |piece: &&Piece| !matches!(piece, Piece::Transfer(_));
        for piece in self.pieces.iter().take(PIECES_MAX).take_while(is_bytes) {
            let bytes = piece.bytes(received, copied);
            if matches!(piece, Piece::Copied(_)) {
                copied = &copied[bytes.len()..];
            }
            slices[count] = IoSlice::new(bytes);
            (count, wanted) = (count + 1, wanted + bytes.len());
        }
        if count < PIECES_MAX && count == self.pieces.len() && !tail.is_empty() {
            slices[count] = IoSlice::new(tail);
            (count, wanted) = (count + 1, wanted + tail.len());
        }
        (wanted, endpoint.send(&slices[..count]))
    }

    /// Forgets `count` bytes that were sent; gives how many of them were not here, but of the tail.
    fn advance(&mut self, mut count: usize) -> usize {
        while count > 0 {
            let Some(piece) = self.pieces.front_mut() else { break };
            let sent = count.min(piece.len());
            count -= sent;
            self.len -= sent;
            match piece {
                Piece::Copied(bytes) => {
                    *bytes -= sent;
                    self.copied_from += sent;
                }
                Piece::Received(range) => range.start += sent,
                Piece::Owned(bytes) => bytes.advance(sent),
                Piece::Transfer(_) => unreachable!("no byte of a file was counted"),
            }
            if piece.len() == 0 {
                self.pieces.pop_front();
            }
        }
        if self.copied_from == self.copied.len() {
            self.copied.clear();
            self.copied_from = 0;
        }
        count
    }

    /// Copies what lies in `received`, which is about to be used again.
    pub(crate) fn own(&mut self, received: &[u8]) {
        for piece in &mut self.pieces {
            if let Piece::Received(range) = piece {
                *piece = Piece::Owned(Bytes::copy_from_slice(&received[range.clone()]));
            }
        }
    }

    /// What is here, in one piece.
    pub(crate) fn to_vec(&self, received: &[u8]) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len);
        let mut copied = &self.copied[self.copied_from..];
        for piece in &self.pieces {
            let bytes = piece.bytes(received, copied);
            all.extend_from_slice(bytes);
            if matches!(piece, Piece::Copied(_)) {
                copied = &copied[bytes.len()..];
            }
        }
        all
    }

    /// Forgets everything, and memory that is not worth keeping.
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        self.copied.clear();
        self.copied.shrink_to(KEEP_BYTES);
        (self.copied_from, self.len) = (0, 0);
    }
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Copied(bytes) => *bytes,
            Self::Received(range) => range.len(),
            Self::Owned(bytes) => bytes.len(),
            Self::Transfer(_) => 0,
        }
    }

    /// `copied` begins with the bytes of this piece, if they were copied.
    fn bytes<'a>(&'a self, received: &'a [u8], copied: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Copied(bytes) => &copied[..*bytes],
            Self::Received(range) => &received[range.clone()],
            Self::Owned(bytes) => bytes,
            Self::Transfer(_) => &[],
        }
    }
}

/// Where `data` lies in `within`, if it does.
fn range_within(data: &[u8], within: &[u8]) -> Option<Range<usize>> {
    let start = data.as_ptr().addr().checked_sub(within.as_ptr().addr())?;
    (start <= within.len() && data.len() <= within.len() - start).then(|| start..start + data.len())
}

/// How many pieces one system call sends; 16 of them would do for most.
const PIECES_MAX: usize = 64;
/// Bytes that were sent are forgotten once they are so many, and more than those that were not.
const COMPACT_ABOVE: usize = 64 * 1024;
/// What an output that is used again may keep.
const KEEP_BYTES: usize = 64 * 1024;
