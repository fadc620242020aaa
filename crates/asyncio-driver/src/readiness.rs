//! What to wait for on a source, and what was seen of it.

use crate::Token;
use std::ops::{BitOr, BitOrAssign};

/// Which directions of a source to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Interest {
    readable: bool,
    writable: bool,
}

impl Interest {
    /// Neither direction. Errors and hang-ups may be reported all the same.
    pub const NONE: Self = Self { readable: false, writable: false };
    /// Data, a connection to accept, or end of file.
    pub const READABLE: Self = Self { readable: true, writable: false };
    /// Room to write, or a finished connect.
    pub const WRITABLE: Self = Self { readable: false, writable: true };
    /// Both directions.
    pub const BOTH: Self = Self { readable: true, writable: true };

    /// Whether reading is of interest.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.readable
    }

    /// Whether writing is of interest.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.writable
    }

    /// This interest with reading switched to `readable`.
    #[must_use]
    pub const fn with_readable(self, readable: bool) -> Self {
        Self { readable, ..self }
    }

    /// This interest with writing switched to `writable`.
    #[must_use]
    pub const fn with_writable(self, writable: bool) -> Self {
        Self { writable, ..self }
    }
}

/// How often a source that stays ready is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// By every wait for as long as it is ready: what asyncio's `add_reader` promises.
    Level,
    /// Once each time it becomes ready again (more data may be reported as "again"): the owner reads until it would
    /// block, or remembers that it did not.
    Edge,
}

/// In which directions a source was seen ready.
///
/// An error or a hang-up is readiness in both directions of the interest: whoever tries the operation learns which it is.
/// A driver may report it in a direction without interest too; a loop that has nobody to tell in this direction drops it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Readiness {
    /// Reading will not block.
    readable: bool,
    /// Writing will not block.
    writable: bool,
    /// Nothing comes after what has arrived.
    read_closed: bool,
}

impl Readiness {
    /// Nothing was seen.
    pub const NONE: Self = Self::new(false, false);
    /// Ready for reading.
    pub const READABLE: Self = Self::new(true, false);
    /// Ready for writing.
    pub const WRITABLE: Self = Self::new(false, true);
    /// Ready both ways.
    pub const BOTH: Self = Self::new(true, true);

    /// Readiness in the given directions.
    #[must_use]
    pub const fn new(readable: bool, writable: bool) -> Self {
        Self { readable, writable, read_closed: false }
    }

    /// This readiness, with [`is_read_closed`](Self::is_read_closed) switched to `read_closed`.
    #[must_use]
    pub const fn with_read_closed(self, read_closed: bool) -> Self {
        Self { read_closed, ..self }
    }

    /// Whether reading will not block.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.readable
    }

    /// Whether writing will not block.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.writable
    }

    /// Whether the peer has finished sending, or the connection is lost: reading goes on until the end, and no edge comes any
    /// more.
    ///
    /// Where a driver reports it ([`Capabilities::reports_read_closed`](crate::Capabilities::reports_read_closed)), a stream
    /// that gave less than it was asked for, without this, is empty: a newer edge comes with newer bytes, and with the end.
    #[must_use]
    pub const fn is_read_closed(self) -> bool {
        self.read_closed
    }

    /// Whether nothing was seen.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !self.readable && !self.writable
    }
}

impl BitOr for Readiness {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self {
            readable: self.readable | other.readable,
            writable: self.writable | other.writable,
            read_closed: self.read_closed | other.read_closed,
        }
    }
}

impl BitOrAssign for Readiness {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// One report of a [`Driver`](crate::Driver): this source is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The token under which the source was registered when the event was seen.
    pub token: Token,
    /// In which directions it is ready.
    pub readiness: Readiness,
}

impl Event {
    /// The report that the source under `token` is ready.
    #[must_use]
    pub const fn new(token: Token, readiness: Readiness) -> Self {
        Self { token, readiness }
    }
}
