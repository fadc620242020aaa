//! The sending half of a connection.
//!
//! What is written inside a callback of a running loop is gathered and leaves when the callback is back; see
//! `LoopTransports`. What is written while the loop does not run, or would go above the high-water mark, leaves at once.
//!
//! Absent on purpose: the bytes that wait. They are in `Output`.

use super::{Connection, Flag, Life};
use crate::flow_control::WriteLimits;
use crate::transfer::Transfer;
use asyncio_loop::ExceptionContext;
use bytes::Bytes;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::ops::Range;
use std::rc::Rc;

impl Connection {
    /// How many bytes were written and not taken by the kernel yet.
    pub(crate) fn waiting_bytes(&self) -> usize {
        let output = self.output.take();
        let bytes = output.as_ref().map_or(0, |output| output.len());
        self.output.set(output);
        bytes + self.shared.direct_bytes(self)
    }

    /// Whether anything waits to be sent: bytes, or a file.
    fn has_waiting(&self) -> bool {
        let output = self.output.take();
        let is_empty = output.as_ref().is_none_or(|output| output.is_empty());
        self.output.set(output);
        !is_empty || self.shared.direct_bytes(self) > 0
    }

    /// Nothing waits, so that bytes of the buffer of the loop may be sent from where they lie.
    pub(super) fn may_send_direct(&self) -> bool {
        const NONE_OF: u16 = Flag::BLOCKED.0 | Flag::WRITTEN.0 | Flag::EOF_WRITTEN.0;
        self.life.get() == Life::Open && self.flags.get() & NONE_OF == 0
    }

    /// `data_received` is back, and has written a range of what it was given, and nothing else.
    pub(super) fn send_direct(self: &Rc<Self>, received: &[u8], written: Range<usize>) {
        let outcome = match self.endpoint.borrow_mut().as_deref_mut() {
            Some(endpoint) => endpoint.send(&[IoSlice::new(&received[written.clone()])]),
            None => return,
        };
        match outcome {
            Ok(sent) if sent == written.len() => {
                if self.has(Flag::WRITING_PAUSED) {
                    self.tell_flow(true);
                }
            }
            outcome => self.keep_unsent(outcome, received, written),
        }
    }

    /// Not all that `send_direct` was given has left: the rest waits.
    #[cold]
    fn keep_unsent(self: &Rc<Self>, outcome: io::Result<usize>, received: &[u8], written: Range<usize>) {
        let sent = match outcome {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return self.fail(error),
        };
        let mut output = self.shared.take_output();
        output.push_copy(&received[written.start + sent..written.end]);
        self.output.set(Some(output));
        self.put(Flag::BLOCKED, true);
        self.update_interest();
        self.tell_flow(true);
    }

    /// Queues what was only noted so far, before something else is done.
    fn settle(self: &Rc<Self>) {
        let written = self.shared.end_direct(self);
        if !written.is_empty() {
            let mut output = self.output.take().unwrap_or_else(|| self.shared.take_output());
            output.push_received(written);
            self.output.set(Some(output));
            self.send_when_back();
        }
    }

    pub(crate) fn limits(&self) -> WriteLimits {
        self.limits.get()
    }

    /// Takes effect at once if the protocol has to pause; it does not resume by this.
    pub(crate) fn set_limits(self: &Rc<Self>, limits: WriteLimits) {
        self.settle();
        self.limits.set(limits);
        if limits.must_pause(self.waiting_bytes()) {
            self.send(&[]);
        }
    }

    /// Whether something may be written. What is lost is counted, and told of when that becomes a habit.
    ///
    /// # Panics
    ///
    /// After `write_eof`, and on a pipe that is read from.
    #[track_caller]
    #[inline]
    pub(crate) fn may_write(&self) -> bool {
        assert!(!self.has(Flag::READ_END), "`write` called on the end of a pipe to read from");
        assert!(!self.has(Flag::EOF_WRITTEN), "`write` called after `write_eof`");
        let may_write = self.life.get() == Life::Open;
        if !may_write {
            self.note_lost_write();
        }
        may_write
    }

    #[cold]
    fn note_lost_write(&self) {
        let lost = self.lost_writes.get();
        if lost < LOST_WRITES_MAX {
            self.lost_writes.set(lost + 1);
            if lost + 1 == LOST_WRITES_MAX {
                let report =
                    ExceptionContext::new("a transport is written to again and again after it was closed or lost");
                self.event_loop().call_exception_handler(report.with("transport", format!("{self:?}")));
            }
        }
    }

    /// Sends `data`, now or when the callback is back. Everything that is written goes through here, or `enqueue_owned`.
    #[inline]
    pub(crate) fn enqueue(self: &Rc<Self>, data: &[u8]) {
        if !self.shared.extend_direct(self, data) {
            self.queue(data);
        }
    }

    #[inline(never)]
    fn queue(self: &Rc<Self>, data: &[u8]) {
        self.settle();
        let mut output = self.output.take().unwrap_or_else(|| self.shared.take_output());
        let would_wait = output.len() + data.len();
        let is_gathered = !self.limits.get().must_pause(would_wait) && self.event_loop().is_running();
        if is_gathered && !self.has(Flag::BLOCKED) {
            output.push(data, &self.shared.received.borrow());
            self.output.set(Some(output));
            self.send_when_back();
        } else if self.has(Flag::BLOCKED) {
            output.push_copy(data);
            self.output.set(Some(output));
            self.tell_flow(true);
        } else {
            self.output.set(Some(output));
            self.send(data);
        }
    }

    /// As `enqueue`, of bytes that are given away, and so never copied.
    pub(crate) fn enqueue_owned(self: &Rc<Self>, data: Bytes) {
        self.settle();
        let mut output = self.output.take().unwrap_or_else(|| self.shared.take_output());
        output.push_owned(data);
        let must_send = self.limits.get().must_pause(output.len()) || !self.event_loop().is_running();
        self.output.set(Some(output));
        if self.has(Flag::BLOCKED) {
            self.tell_flow(true);
        } else if must_send {
            self.send(&[]);
        } else {
            self.send_when_back();
        }
    }

    /// Sends a file, or passes a mark, after all that was written before. A layer between wire and protocol must see to it that
    /// files do not come here.
    pub(crate) fn enqueue_transfer(self: &Rc<Self>, transfer: Rc<Transfer>) {
        self.settle();
        let mut output = self.output.take().unwrap_or_else(|| self.shared.take_output());
        output.push_transfer(transfer);
        self.output.set(Some(output));
        if !self.has(Flag::BLOCKED) {
            self.send(&[]);
        }
    }

    fn send_when_back(self: &Rc<Self>) {
        if !self.has(Flag::WRITTEN) {
            self.put(Flag::WRITTEN, true);
            self.shared.send_later(self.clone());
        }
    }

    /// The callback in which something was written is back.
    pub(crate) fn send_written(self: &Rc<Self>) {
        self.put(Flag::WRITTEN, false);
        if self.take(Flag::FLOW_UNTOLD) {
            self.tell_flow(false);
        }
        if !self.has(Flag::BLOCKED) {
            self.send(&[]);
        }
    }

    /// Sends what waits, as far as the endpoint has room.
    pub(super) fn send_now(self: &Rc<Self>) {
        self.settle();
        if !self.has(Flag::BLOCKED) {
            self.send(&[]);
        }
    }

    /// The endpoint was reported to have room.
    #[inline(never)]
    pub(super) fn send_some(self: &Rc<Self>) {
        if self.take(Flag::WRITABLE) && self.has(Flag::BLOCKED) {
            self.send(&[]);
        }
    }

    /// Sends what waits, and then `tail`; what the endpoint does not take waits from now on.
    #[inline(never)]
    fn send(self: &Rc<Self>, tail: &[u8]) {
        let Some(mut output) = self.output.take() else { return };
        let was_blocked = self.has(Flag::BLOCKED);
        let outcome = {
            let received = self.shared.received.borrow();
            let mut endpoint = self.endpoint.borrow_mut();
            let Some(endpoint) = endpoint.as_deref_mut() else { return };
            let outcome = output.send(&received, tail, endpoint);
            if matches!(&outcome, Ok(sent) if sent.is_blocked) {
                output.own(&received);
            }
            outcome
        };
        match outcome {
            Ok(sent) => {
                if sent.is_blocked {
                    output.push_copy(&tail[sent.tail_bytes..]);
                    self.output.set(Some(output));
                } else {
                    self.shared.give_output(output);
                }
                self.put(Flag::BLOCKED, sent.is_blocked);
                if sent.is_turn_over {
                    self.put(Flag::WRITABLE, true);
                    self.schedule();
                }
                if sent.is_blocked != was_blocked {
                    self.update_interest();
                }
                if sent.is_blocked || self.has(Flag::WRITING_PAUSED) {
                    self.tell_flow(true);
                }
                if !sent.is_blocked {
                    self.all_is_sent();
                }
            }
            Err(error) => {
                self.shared.give_output(output);
                self.fail(error);
            }
        }
    }

    fn all_is_sent(self: &Rc<Self>) {
        // Being told to go on, the protocol may have written more.
        if self.has_waiting() {
            return;
        }
        if self.has(Flag::EOF_WRITTEN) && self.life.get() == Life::Open {
            // The peer may be gone, which reading will tell.
            let _ = self.finish_sending();
        }
        if self.life.get() == Life::Closing {
            self.part();
        }
    }

    /// Sending has failed. What has arrived before is still handed out, unless nobody wants it.
    #[cold]
    fn fail(self: &Rc<Self>, error: io::Error) {
        self.put(Flag::BLOCKED, false);
        let may_have_input = self.may_receive() && !self.has(Flag::BEGINNING) && !self.has(Flag::WRITE_END);
        if self.life.get() == Life::Open && may_have_input {
            self.life.set(Life::Failed);
            self.error.set(Some(error));
            self.put(Flag::READABLE, true);
            self.schedule();
        } else {
            self.lose(Some(error));
        }
    }

    /// Tells the protocol to pause or to go on, if that has changed. If one of its methods runs, that `may_wait` until it is
    /// back.
    #[inline(never)]
    fn tell_flow(self: &Rc<Self>, may_wait: bool) {
        loop {
            let (waiting, limits) = (self.waiting_bytes(), self.limits.get());
            let is_paused = self.has(Flag::WRITING_PAUSED);
            let must_change = if is_paused { limits.may_resume(waiting) } else { limits.must_pause(waiting) };
            if !must_change || self.life.get() >= Life::Losing {
                return;
            }
            if may_wait && self.protocol().is_busy() && self.event_loop().is_running() {
                self.put(Flag::FLOW_UNTOLD, true);
                return self.send_when_back();
            }
            self.put(Flag::WRITING_PAUSED, !is_paused);
            // As in asyncio, the connection survives a panic here.
            let _reported = if is_paused {
                self.call("resume_writing", |protocol| protocol.resume_writing())
            } else {
                self.call("pause_writing", |protocol| protocol.pause_writing())
            };
        }
    }

    pub(crate) fn write_eof(self: &Rc<Self>) -> io::Result<()> {
        if self.layer().is_some() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "TLS cannot finish one direction alone"));
        }
        if self.has(Flag::READ_END) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this is the end of a pipe to read from"));
        }
        if self.has(Flag::WRITE_END) {
            self.close();
            return Ok(());
        }
        if self.life.get() != Life::Open || self.has(Flag::EOF_WRITTEN) {
            return Ok(());
        }
        self.settle();
        if self.has_waiting() && !self.has(Flag::BLOCKED) {
            self.send(&[]);
        }
        if self.life.get() != Life::Open {
            return Ok(());
        }
        self.put(Flag::EOF_WRITTEN, true);
        if self.has_waiting() { Ok(()) } else { self.finish_sending() }
    }

    /// Shuts the endpoint down at once, whatever waits.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let mut endpoint = self.endpoint.borrow_mut();
        endpoint
            .as_deref_mut()
            .map_or_else(|| Err(io::ErrorKind::NotConnected.into()), |endpoint| endpoint.shutdown(how))
    }

    fn finish_sending(&self) -> io::Result<()> {
        self.endpoint.borrow_mut().as_deref_mut().map_or(Ok(()), |endpoint| endpoint.shutdown(Shutdown::Write))
    }

    pub(crate) fn close(self: &Rc<Self>) {
        match self.life.get() {
            Life::Open => {}
            // Sending has failed, and nobody wants what is left.
            Life::Failed => return self.lose(self.error.take()),
            _ => return,
        }
        self.settle();
        self.life.set(Life::Closing);
        self.update_interest();
        if !self.has_waiting() {
            self.part();
        } else if !self.has(Flag::BLOCKED) {
            self.send(&[]);
        }
    }

    pub(crate) fn abort(self: &Rc<Self>) {
        self.lose(None);
    }
}

/// From this write on after the connection was lost, the exception handler is told; asyncio's
/// `LOG_THRESHOLD_FOR_CONNLOST_WRITES`.
const LOST_WRITES_MAX: u8 = 5;
