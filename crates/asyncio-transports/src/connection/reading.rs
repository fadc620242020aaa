//! The receiving half of a connection.
//!
//! One receive each time it is this connection's turn. Whether another turn is needed depends on what is known: after a full
//! buffer there may be more; after less, nothing is there, provided that the driver would have said that the input has
//! ended, for that end comes without an edge of its own if it has come together with the last bytes.
//!
//! Absent on purpose: what is done with the bytes.

use super::{Connection, Flag, Life};
use crate::protocol::{BufferedProtocol, Kind, ProtocolRef};
use asyncio_loop::ExceptionContext;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// What one receive has given.
pub(crate) enum Received {
    /// So many bytes, and what may be left of those that have arrived.
    Bytes(usize, Rest),
    /// The peer has finished sending.
    End,
    Nothing,
}

/// What a receive has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// There was room for more: nothing, but perhaps the end.
    Nothing,
    /// The room was filled.
    Unknown,
    /// Something that the endpoint keeps, and that no report will tell.
    Kept,
}

impl Connection {
    /// Whether what arrives may be handed out.
    pub(super) fn may_receive(&self) -> bool {
        const NONE_OF: u16 = Flag::READING_PAUSED.0 | Flag::EOF_RECEIVED.0;
        // An end to write to is watched for its readers' leaving, which the driver must not report again and again.
        let is_watched = self.shared.has_edges || !self.has(Flag::WRITE_END);
        self.life.get() <= Life::Failed && self.flags.get() & NONE_OF == 0 && is_watched
    }

    pub(crate) fn is_reading(&self) -> bool {
        self.life.get() == Life::Open && self.may_receive() && !self.has(Flag::WRITE_END)
    }

    pub(crate) fn pause_reading(self: &Rc<Self>) {
        if self.life.get() > Life::Failed || self.has(Flag::READING_PAUSED) || self.has(Flag::WRITE_END) {
            return;
        }
        self.put(Flag::READING_PAUSED, true);
        if self.life.get() == Life::Failed {
            // Nobody wants what is left.
            return self.lose(self.error.take());
        }
        self.update_interest();
    }

    pub(crate) fn resume_reading(self: &Rc<Self>) {
        if self.life.get() != Life::Open || !self.take(Flag::READING_PAUSED) {
            return;
        }
        self.update_interest();
        if self.has(Flag::READABLE) && self.may_receive() {
            self.schedule();
        }
    }

    /// Receives once, if there may be something.
    pub(super) fn receive_some(self: &Rc<Self>) {
        if !self.has(Flag::READABLE) || !self.may_receive() {
            return;
        }
        if self.has(Flag::WRITE_END) {
            return self.look_for_reader();
        }
        let protocol = self.protocol();
        let outcome = match &protocol.0 {
            Kind::Buffered(buffered) => self.receive_into(&protocol, buffered),
            _ => self.receive(),
        };
        match outcome {
            Ok(Received::Bytes(bytes, rest)) => {
                self.note_receipt(rest);
                self.deliver(&protocol, bytes);
            }
            Ok(Received::End) => self.receive_end(),
            Ok(Received::Nothing) if self.life.get() == Life::Failed => self.lose(self.error.take()),
            Ok(Received::Nothing) => self.put(Flag::READABLE, false),
            Err(error) => {
                let first = self.error.take();
                self.lose(first.or(Some(error)));
            }
        }
    }

    /// Ends the connection if nobody will read what is written.
    fn look_for_reader(self: &Rc<Self>) {
        let outcome = match self.endpoint.borrow_mut().as_deref_mut() {
            Some(endpoint) => endpoint.recv(&mut [0]).map(drop),
            None => return,
        };
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.put(Flag::READABLE, false),
            Err(error) => self.lose(Some(error)),
            Ok(()) => self.lose((self.waiting_bytes() > 0).then(|| io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Takes another turn if there may be more.
    pub(super) fn receive_again(self: &Rc<Self>) {
        if self.has(Flag::READABLE) && self.may_receive() {
            self.schedule();
        }
    }

    /// Decides after a receive whether there may be more.
    fn note_receipt(&self, rest: Rest) {
        if rest == Rest::Kept {
            return;
        }
        // A terminal gives a line at a time, whatever else is there.
        let says_all = self.shared.reports_read_closed && !self.has(Flag::READ_END);
        let is_empty = rest == Rest::Nothing && says_all && !self.has(Flag::READ_CLOSED);
        // A connection that has failed is read until the end, for no event may come any more.
        let is_known = self.life.get() == Life::Open && (is_empty || !self.shared.has_edges);
        if is_known {
            self.put(Flag::READABLE, false);
        }
    }

    /// Receives into the buffer of the loop.
    fn receive(&self) -> io::Result<Received> {
        let mut received = self.shared.received.borrow_mut();
        let mut endpoint = self.endpoint.borrow_mut();
        let Some(endpoint) = endpoint.as_deref_mut() else { return Ok(Received::Nothing) };
        receive_at_front(endpoint, &mut received)
    }

    /// Receives into the memory of a buffered protocol.
    #[inline(never)]
    fn receive_into(&self, receiver: &ProtocolRef, buffered: &RefCell<dyn BufferedProtocol>) -> io::Result<Received> {
        let mut received = Ok(Received::Nothing);
        let outcome = self.call_on(receiver, "get_buffer", || {
            let mut protocol = buffered.try_borrow_mut()?;
            let buffer = protocol.get_buffer();
            received = match self.endpoint.borrow_mut().as_deref_mut() {
                _ if buffer.is_empty() => {
                    Err(io::Error::new(io::ErrorKind::InvalidInput, "`get_buffer` gave a buffer without room"))
                }
                Some(endpoint) => receive_at_front(endpoint, buffer),
                None => Ok(Received::Nothing),
            };
            Ok(())
        });
        match outcome {
            Ok(()) => received,
            Err(fault) => Err(fault.0),
        }
    }

    /// Hands out what was received: `bytes` bytes, in the buffer of the loop or in that of the protocol.
    fn deliver(self: &Rc<Self>, receiver: &ProtocolRef, bytes: usize) {
        let outcome = self.shared.sending_after(|| match &receiver.0 {
            Kind::Nobody => Ok(()),
            Kind::Stream(protocol) => {
                let received = self.shared.received.borrow();
                let data = &received[..bytes];
                if self.may_send_direct() {
                    self.shared.begin_direct(self, data);
                }
                let outcome = self.call_on(receiver, "data_received", || {
                    protocol.try_borrow_mut()?.data_received(data);
                    Ok(())
                });
                let written = self.shared.end_direct(self);
                if !written.is_empty() && outcome.is_ok() {
                    self.send_direct(&received, written);
                }
                outcome
            }
            Kind::Buffered(protocol) => self.call_on(receiver, "buffer_updated", || {
                protocol.try_borrow_mut()?.buffer_updated(bytes);
                Ok(())
            }),
        });
        if let Err(fault) = outcome {
            self.lose(Some(fault.0));
        }
    }

    #[inline(never)]
    fn receive_end(self: &Rc<Self>) {
        self.put(Flag::EOF_RECEIVED, true);
        self.update_interest();
        let outcome = self.shared.sending_after(|| self.call("eof_received", |protocol| protocol.eof_received()));
        match outcome {
            Err(fault) => self.lose(Some(fault.0)),
            Ok(_) if self.life.get() == Life::Failed => self.lose(self.error.take()),
            Ok(true) if self.layer().is_some() => {
                let report = ExceptionContext::new("returning true from eof_received() has no effect when using ssl");
                self.event_loop().call_exception_handler(report.with("transport", format!("{self:?}")));
                self.close();
            }
            Ok(true) if !self.has(Flag::READ_END) => {}
            Ok(_) => self.close(),
        }
    }
}

/// Receives, and sees to it that the bytes lie at the front of `room`, wherever the driver had put them.
pub(crate) fn receive_at_front(
    endpoint: &mut dyn asyncio_driver::StreamEndpoint,
    room: &mut [u8],
) -> io::Result<Received> {
    let (front, size) = (room.as_ptr(), room.len());
    let bytes = match endpoint.recv(room) {
        Ok([]) => return Ok(Received::End),
        Ok(bytes) if std::ptr::eq(bytes.as_ptr(), front) => bytes.len(),
        Ok(bytes) => {
            let elsewhere = bytes.to_vec();
            room[..elsewhere.len()].copy_from_slice(&elsewhere);
            elsewhere.len()
        }
        Err(error) => return nothing_received(error),
    };
    let rest = match bytes < size {
        _ if endpoint.has_more() => Rest::Kept,
        true => Rest::Nothing,
        false => Rest::Unknown,
    };
    Ok(Received::Bytes(bytes, rest))
}

#[cold]
fn nothing_received(error: io::Error) -> io::Result<Received> {
    if error.kind() == io::ErrorKind::WouldBlock { Ok(Received::Nothing) } else { Err(error) }
}
