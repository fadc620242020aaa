//! `ReadBuffer`: what has arrived and was not read yet, and the rules by which it is read. A state machine of bytes, without
//! I/O, clock, task and callback.
//!
//! Each kind of read is an attempt, which gives `None` if it has to wait: then nothing has changed, so that an attempt can be
//! given up or made again at any time.
//!
//! Invariants:
//! 1. Bytes leave in the order in which they came, and in the attempt that hands them out.
//! 2. While nothing is unread, there is no buffer: it is given back to `spare`.
//! 3. Paused only while more than `limit` bytes are unread; an attempt that has to wait resumes.
//!
//! Absent on purpose: who is paused, and who waits.

use crate::error::{
    IncompleteReadError, LastingError, LimitOverrunError, ReadExactlyError, ReadLineError, ReadUntilError,
};
use crate::separators::{self, Separators};
use crate::spare;
use bytes::{Buf as _, Bytes, BytesMut};
use std::io;

/// Bytes that have arrived.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    unread: BytesMut,
    /// How much room `unread` has had.
    size: usize,
    limit: usize,
    is_eof: bool,
    is_paused: bool,
    error: Option<LastingError>,
}

impl ReadBuffer {
    /// `limit` bytes: what `readuntil` may have to skip over; twice as much may be unread before it pauses.
    pub(crate) fn new(limit: usize) -> Self {
        Self { unread: BytesMut::new(), size: 0, limit, is_eof: false, is_paused: false, error: None }
    }

    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// How much is unread.
    pub(crate) fn len(&self) -> usize {
        self.unread.len()
    }

    pub(crate) const fn is_eof(&self) -> bool {
        self.is_eof
    }

    /// The end has come, and everything was read.
    pub(crate) fn at_eof(&self) -> bool {
        self.is_eof && self.unread.is_empty()
    }

    pub(crate) const fn error(&self) -> Option<&LastingError> {
        self.error.as_ref()
    }

    /// Bytes have arrived. Says whether whoever brings them is to pause from now on.
    pub(crate) fn feed(&mut self, data: &[u8]) -> bool {
        if data.is_empty() {
            return false;
        }
        if self.unread.is_empty() {
            self.unread = spare::take(data.len());
            self.size = 0;
        }
        self.unread.extend_from_slice(data);
        self.size = self.size.max(self.unread.capacity());
        let must_pause = !self.is_paused && self.unread.len() > self.limit.saturating_mul(2);
        self.is_paused |= must_pause;
        must_pause
    }

    /// The end has come.
    pub(crate) const fn feed_eof(&mut self) {
        self.is_eof = true;
    }

    /// Every read fails from now on, also while something is unread.
    pub(crate) fn set_error(&mut self, error: LastingError) {
        self.error = Some(error);
    }

    /// Forgets everything: nobody will read.
    pub(crate) fn clear(&mut self) {
        self.unread.clear();
        self.give_back_if_empty();
    }

    /// Puts back what was taken last.
    pub(crate) fn unread(&mut self, front: &[u8]) {
        let mut all = spare::take(front.len() + self.unread.len());
        all.extend_from_slice(front);
        all.extend_from_slice(&self.unread);
        self.clear();
        self.size = all.capacity();
        self.unread = all;
    }

    /// After an attempt: whether whoever brings bytes is to go on, which is said once.
    pub(crate) fn resumes(&mut self, must_wait: bool) -> bool {
        self.is_paused && (must_wait || self.unread.len() <= self.limit) && std::mem::take(&mut self.is_paused)
    }

    /// Up to `most` bytes, one at least unless the end has come.
    pub(crate) fn read(&mut self, most: usize) -> Option<io::Result<Bytes>> {
        if let Some(error) = &self.error {
            return Some(Err(error.give()));
        }
        if self.unread.is_empty() && !self.is_eof && most > 0 {
            return None;
        }
        Some(Ok(self.take(most.min(self.unread.len()))))
    }

    /// As `read`, by showing the bytes; gives how many.
    pub(crate) fn read_with(&mut self, most: usize, show: impl FnOnce(&[u8])) -> Option<io::Result<usize>> {
        if let Some(error) = &self.error {
            return Some(Err(error.give()));
        }
        if self.unread.is_empty() && !self.is_eof && most > 0 {
            return None;
        }
        let bytes = most.min(self.unread.len());
        show(&self.unread[..bytes]);
        self.skip(bytes);
        Some(Ok(bytes))
    }

    /// Everything until the end.
    pub(crate) fn read_all(&mut self) -> Option<io::Result<Bytes>> {
        if let Some(error) = &self.error {
            return Some(Err(error.give()));
        }
        self.is_eof.then(|| Ok(self.take_all()))
    }

    /// `count` bytes.
    pub(crate) fn readexactly(&mut self, count: usize) -> Option<Result<Bytes, ReadExactlyError>> {
        if let Some(error) = &self.error {
            return Some(Err(error.give().into()));
        }
        if self.unread.len() >= count {
            return Some(Ok(self.take(count)));
        }
        self.is_eof.then(|| {
            let partial = self.take_all();
            Err(IncompleteReadError { partial, expected: Some(count) }.into())
        })
    }

    /// Everything up to the first separator, and that. `scanned` is where to go on searching; zero for a new read.
    pub(crate) fn readuntil(
        &mut self,
        separators: &impl Separators,
        scanned: &mut usize,
    ) -> Option<Result<Bytes, ReadUntilError>> {
        let Some((shortest, longest)) = separators::lengths(separators) else {
            let message = "a separator is empty, or there is none";
            return Some(Err(io::Error::new(io::ErrorKind::InvalidInput, message).into()));
        };
        if let Some(error) = &self.error {
            return Some(Err(error.give().into()));
        }
        let bytes = self.unread.len();
        if bytes >= *scanned + shortest {
            if let Some(found) = separators::find(separators, &self.unread, *scanned) {
                if found.start > self.limit {
                    return Some(Err(LimitOverrunError { consumed: found.start }.into()));
                }
                return Some(Ok(self.take(found.end)));
            }
            // The last bytes may be the beginning of a separator.
            *scanned = (bytes + 1).saturating_sub(longest);
            if *scanned > self.limit {
                return Some(Err(LimitOverrunError { consumed: *scanned }.into()));
            }
        }
        self.is_eof.then(|| {
            let partial = self.take_all();
            Err(IncompleteReadError { partial, expected: None }.into())
        })
    }

    /// A line and its end; at the end of everything, what is left. A line that is too long is dropped.
    pub(crate) fn readline(&mut self, scanned: &mut usize) -> Option<Result<Bytes, ReadLineError>> {
        Some(match self.readuntil(&b"\n", scanned)? {
            Ok(line) => Ok(line),
            Err(ReadUntilError::Incomplete(error)) => Ok(error.partial),
            Err(ReadUntilError::Io(error)) => Err(error.into()),
            Err(ReadUntilError::LimitOverrun(error)) => {
                let is_complete = self.unread.get(error.consumed) == Some(&b'\n');
                self.skip(if is_complete { error.consumed + 1 } else { self.unread.len() });
                Err(error.into())
            }
        })
    }

    /// Shows what is unread, without taking it.
    pub(crate) fn peek(&self) -> &[u8] {
        &self.unread
    }

    /// Takes the first `count` bytes, which are there.
    fn take(&mut self, count: usize) -> Bytes {
        if count == 0 {
            return Bytes::new();
        }
        let taken = self.unread.split_to(count).freeze();
        self.give_back_if_empty();
        taken
    }

    fn take_all(&mut self) -> Bytes {
        self.take(self.unread.len())
    }

    /// Drops the first `count` bytes, which are there.
    pub(crate) fn skip(&mut self, count: usize) {
        self.unread.advance(count);
        self.give_back_if_empty();
    }

    fn give_back_if_empty(&mut self) {
        if self.unread.is_empty() && self.size > 0 {
            spare::give(std::mem::take(&mut self.unread), std::mem::take(&mut self.size));
        }
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
