//! `LoopTransports`: what the connections of one loop share. An extension of the loop, made with its first connection.
//!
//! Invariants:
//! 1. Whoever has written in a callback is in `unsent` until that callback is back; then all of it is sent.
//! 2. Nobody refers to `received` once its bytes have been handed out and `send_unsent` was called.
//!
//! Absent on purpose: connections. The loop has those that are registered, and nobody needs another list.

use crate::connection::Connection;
use crate::output::Output;
use asyncio_loop::{EventLoop, Extension, Runnable};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;

/// What the connections of a loop share.
pub(crate) struct LoopTransports {
    event_loop: EventLoop,
    /// The driver reports edges.
    pub(crate) has_edges: bool,
    /// An edge that comes with the end of the input says so.
    pub(crate) reports_read_closed: bool,
    /// What was received last.
    pub(crate) received: RefCell<Box<[u8]>>,
    /// What the connection whose `data_received` runs has written out of `received`, and nothing else.
    direct: Direct,
    unsent: RefCell<VecDeque<Rc<Connection>>>,
    has_unsent: Cell<bool>,
    /// Somebody will call `send_unsent` when the callback under way is back.
    will_send: Cell<bool>,
    /// Outputs that are not in use, so that writing allocates nothing.
    #[expect(clippy::vec_box, reason = "they move in and out as boxes")]
    spare: RefCell<Vec<Box<Output>>>,
}

/// What a callback has written out of the bytes that it was given: almost always all there is to send.
#[derive(Default)]
struct Direct {
    /// The address of the connection; zero for none, and then nothing else means anything.
    connection: Cell<usize>,
    /// Where the bytes lie that it was given, and how many they are.
    first: Cell<usize>,
    bytes: Cell<usize>,
    /// What was written of them; `to` is zero if nothing was.
    from: Cell<usize>,
    to: Cell<usize>,
}

impl Direct {
    fn is_of(&self, connection: &Connection) -> bool {
        self.connection.get() == std::ptr::from_ref(connection).addr()
    }
}

impl LoopTransports {
    pub(crate) fn of(event_loop: &EventLoop) -> Rc<Self> {
        let new = |event_loop: &EventLoop| {
            let capabilities = event_loop.with_driver(|driver| driver.capabilities());
            Self {
                event_loop: event_loop.clone(),
                has_edges: capabilities.edge,
                reports_read_closed: capabilities.edge && capabilities.reports_read_closed,
                // Its pages are not touched before something arrives.
                received: RefCell::new(vec![0; RECEIVE_BYTES].into_boxed_slice()),
                direct: Direct::default(),
                unsent: RefCell::default(),
                has_unsent: Cell::new(false),
                will_send: Cell::new(false),
                spare: RefCell::default(),
            }
        };
        // What a closed loop is given it keeps for ever.
        if event_loop.is_closed() { Rc::new(new(event_loop)) } else { event_loop.extension(new) }
    }

    pub(crate) const fn event_loop(&self) -> &EventLoop {
        &self.event_loop
    }

    /// From now on, what `connection` writes out of `received` is only noted.
    #[inline]
    pub(crate) fn begin_direct(&self, connection: &Connection, received: &[u8]) {
        self.direct.connection.set(std::ptr::from_ref(connection).addr());
        self.direct.first.set(received.as_ptr().addr());
        self.direct.bytes.set(received.len());
        self.direct.from.set(0);
        self.direct.to.set(0);
    }

    /// Notes that `connection` writes `data`, if that lies in `received` where its last write ended.
    #[inline]
    pub(crate) fn extend_direct(&self, connection: &Connection, data: &[u8]) -> bool {
        let direct = &self.direct;
        if !direct.is_of(connection) {
            return false;
        }
        // Whatever lies before `first` wraps around, and is far out.
        let from = data.as_ptr().addr().wrapping_sub(direct.first.get());
        let (bytes, to) = (direct.bytes.get(), direct.to.get());
        if from > bytes || data.len() > bytes - from || (to > 0 && to != from) {
            return false;
        }
        if to == 0 {
            direct.from.set(from);
        }
        direct.to.set(from + data.len());
        true
    }

    /// What `connection` has written, as a range of `received`; from now on its writes are queued.
    #[inline]
    pub(crate) fn end_direct(&self, connection: &Connection) -> Range<usize> {
        if !self.direct.is_of(connection) {
            return 0..0;
        }
        self.direct.connection.set(0);
        self.direct.from.get()..self.direct.to.get()
    }

    /// How much `connection` has written so.
    pub(crate) fn direct_bytes(&self, connection: &Connection) -> usize {
        if self.direct.is_of(connection) { self.direct.to.get() - self.direct.from.get() } else { 0 }
    }

    /// Sends what `connection` has to send when the callback under way is back.
    pub(crate) fn send_later(self: &Rc<Self>, connection: Rc<Connection>) {
        self.unsent.borrow_mut().push_back(connection);
        self.has_unsent.set(true);
        if !self.will_send.replace(true) {
            self.event_loop.defer(self.clone());
        }
    }

    /// Runs a callback of a connection, and then sends what it has written, to whomever.
    pub(crate) fn sending_after<R>(&self, callback: impl FnOnce() -> R) -> R {
        /// Whatever happens, whoever writes next does not rely on us.
        struct Restore<'a>(&'a Cell<bool>, bool);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let _restored = Restore(&self.will_send, self.will_send.replace(true));
        let result = callback();
        self.send_unsent();
        result
    }

    /// Sends what was written since the last time.
    #[inline]
    fn send_unsent(&self) {
        if self.has_unsent.get() {
            self.send_all_unsent();
        }
    }

    fn send_all_unsent(&self) {
        loop {
            // With nothing borrowed: a protocol may be told to pause, and write once more.
            let Some(connection) = self.unsent.borrow_mut().pop_front() else {
                return self.has_unsent.set(false);
            };
            connection.send_written();
        }
    }

    /// Lends the buffer, or as much of it as is wanted, for one receive: nothing in it outlives that.
    pub(crate) fn with_scratch<R>(&self, bytes: usize, with: impl FnOnce(&mut [u8]) -> R) -> R {
        match self.received.try_borrow_mut() {
            Ok(mut received) if !received.is_empty() => {
                let bytes = bytes.min(received.len());
                with(&mut received[..bytes])
            }
            // It is in use, so this is called out of a `data_received`; or the loop is closed.
            _ => with(&mut vec![0; bytes.min(RECEIVE_BYTES)]),
        }
    }

    /// An empty output.
    pub(crate) fn take_output(&self) -> Box<Output> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes back an output that is not needed any more.
    pub(crate) fn give_output(&self, mut output: Box<Output>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            output.clear();
            spare.push(output);
        }
    }
}

/// The deferred step: a callback of somebody else's has written.
impl Runnable for LoopTransports {
    fn run(self: Rc<Self>) {
        self.will_send.set(false);
        self.send_unsent();
    }
}

impl Extension for LoopTransports {
    fn loop_closed(&self) {
        self.unsent.take();
        self.received.take();
    }
}

impl fmt::Debug for LoopTransports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopTransports").field("event_loop", &self.event_loop).finish_non_exhaustive()
    }
}

/// What a connection receives at a time: as asyncio.
const RECEIVE_BYTES: usize = 256 * 1024;
/// So many outputs are kept for the next callback.
const SPARE_MAX: usize = 64;
