//! `LoopDatagrams`: what the datagram endpoints of one loop share. An extension of the loop, made with its first endpoint.
//!
//! Invariant: whoever has sent in a callback is in `pending` until that callback is back; then all of it is sent.
//!
//! Absent on purpose: endpoints. The loop has those that are registered.

use crate::datagram::Datagram;
use crate::packet_queue::PACKETS_MAX;
use asyncio_driver::Packets;
use asyncio_loop::{EventLoop, Extension, Runnable};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

pub(crate) struct LoopDatagrams {
    event_loop: EventLoop,
    /// Where packets are received, unless somebody hands them out just now.
    room: Cell<Option<Box<Packets>>>,
    pending: RefCell<VecDeque<Rc<Datagram>>>,
    is_deferred: Cell<bool>,
}

impl LoopDatagrams {
    pub(crate) fn of(event_loop: &EventLoop) -> Rc<Self> {
        let new = |event_loop: &EventLoop| Self {
            event_loop: event_loop.clone(),
            room: Cell::new(None),
            pending: RefCell::default(),
            is_deferred: Cell::new(false),
        };
        // What a closed loop is given it keeps for ever.
        if event_loop.is_closed() { Rc::new(new(event_loop)) } else { event_loop.extension(new) }
    }

    pub(crate) const fn event_loop(&self) -> &EventLoop {
        &self.event_loop
    }

    pub(crate) fn take_room(&self) -> Box<Packets> {
        self.room.take().unwrap_or_else(|| Box::new(Packets::new(PACKETS_MAX, SLOT_BYTES)))
    }

    pub(crate) fn give_room(&self, mut packets: Box<Packets>) {
        packets.clear();
        self.room.set(Some(packets));
    }

    /// Lets `datagram` act when the callback under way is back.
    pub(crate) fn act_later(self: &Rc<Self>, datagram: Rc<Datagram>) {
        self.pending.borrow_mut().push_back(datagram);
        if !self.is_deferred.replace(true) {
            self.event_loop.defer(self.clone());
        }
    }
}

/// The deferred step: a callback that has sent something is back.
impl Runnable for LoopDatagrams {
    fn run(self: Rc<Self>) {
        self.is_deferred.set(false);
        // Those who come in meanwhile, out of `error_received` for instance, have another step.
        let now = self.pending.take();
        for datagram in now {
            datagram.act();
        }
    }
}

impl Extension for LoopDatagrams {
    fn loop_closed(&self) {
        self.pending.take();
        self.room.take();
    }
}

impl fmt::Debug for LoopDatagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopDatagrams").field("event_loop", &self.event_loop).finish_non_exhaustive()
    }
}

/// What one packet may have at most, as in asyncio: packets of Unix sockets may be longer than UDP's.
const SLOT_BYTES: usize = 256 * 1024;
