//! Protocols: what a program implements, and how a transport calls it.
//!
//! Invariant: a protocol is borrowed while one of its methods runs, and only then. What a transport has to tell it
//! meanwhile waits.
//!
//! Absent on purpose: what becomes of a panic. That is the connection's affair.

use crate::transport::Transport;
use std::any::type_name;
use std::cell::{BorrowMutError, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;

/// What receives the bytes of a connection. Every method has a default that does nothing.
///
/// The methods are called by the loop, one at a time, in the order
/// `connection_made`, `data_received`…, `eof_received` at most once, `connection_lost`. Any of them may call anything on the
/// transport.
///
/// # asyncio
///
/// [`asyncio.Protocol`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.Protocol). Same. What is called while
/// another method of the same protocol runs (`pause_writing`, out of a `write`) waits until that is back.
pub trait Protocol: 'static {
    /// The connection is there. The first call; a panic is reported, and the connection stays.
    fn connection_made(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// Bytes have arrived: one at least, cut anywhere. A panic is reported and ends the connection.
    fn data_received(&mut self, data: &[u8]) {
        let _ = data;
    }

    /// The peer has finished sending. `true` keeps this side open for writing; `false`, the default, closes the transport. A
    /// panic is reported and ends the connection.
    fn eof_received(&mut self) -> bool {
        false
    }

    /// The connection is gone. The last call, exactly once: with `None` after `close`, `abort` or the peer's end, and
    /// otherwise with the reason.
    fn connection_lost(&mut self, error: Option<io::Error>) {
        let _ = error;
    }

    /// More than the high-water mark waits to be sent: stop writing, if you can.
    fn pause_writing(&mut self) {}

    /// The low-water mark is reached: go on. Comes only after `pause_writing`, once for each.
    fn resume_writing(&mut self) {}

    /// How reports name this protocol. Default: its type.
    #[doc(hidden)]
    fn protocol_name(&self) -> &'static str {
        type_name::<Self>()
    }
}

/// A protocol that receives into memory of its own.
///
/// # asyncio
///
/// [`asyncio.BufferedProtocol`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.BufferedProtocol). Same;
/// `sizehint` is always -1 in asyncio, and not passed here.
pub trait BufferedProtocol: 'static {
    /// As [`Protocol::connection_made`].
    fn connection_made(&mut self, transport: &Transport) {
        let _ = transport;
    }

    /// Where the next bytes are to be put: room for one at least. An empty slice, or a panic, ends the connection.
    ///
    /// Called before each attempt to receive, also if nothing turns out to be there.
    fn get_buffer(&mut self) -> &mut [u8];

    /// So many bytes were put at the beginning of what [`get_buffer`](Self::get_buffer) gave. A panic is reported and ends
    /// the connection.
    fn buffer_updated(&mut self, bytes: usize);

    /// As [`Protocol::eof_received`].
    fn eof_received(&mut self) -> bool {
        false
    }

    /// As [`Protocol::connection_lost`].
    fn connection_lost(&mut self, error: Option<io::Error>) {
        let _ = error;
    }

    /// As [`Protocol::pause_writing`].
    fn pause_writing(&mut self) {}

    /// As [`Protocol::resume_writing`].
    fn resume_writing(&mut self) {}

    /// How reports name this protocol. Default: its type.
    #[doc(hidden)]
    fn protocol_name(&self) -> &'static str {
        type_name::<Self>()
    }
}

/// A protocol of either kind, as a transport has it; clones are the same protocol.
///
/// # asyncio
///
/// What `transport.get_protocol()` gives.
#[derive(Clone)]
pub struct ProtocolRef(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    /// The connection is lost.
    Nobody,
    Stream(Rc<RefCell<dyn Protocol>>),
    Buffered(Rc<RefCell<dyn BufferedProtocol>>),
}

/// What a protocol factory may give: a [`Protocol`] or a [`BufferedProtocol`]. `M` tells which, and is inferred.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no protocol",
    label = "what the factory gives",
    note = "implement `Protocol` for it, or `BufferedProtocol`, but not both; the factory gives the value itself, without `Rc` or `Box`"
)]
pub trait IntoProtocol<M>: Sized + 'static {
    /// The reference that a transport keeps.
    fn protocol_ref(this: &Rc<RefCell<Self>>) -> ProtocolRef;
}

/// Marks a [`Protocol`]; see [`IntoProtocol`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Streaming;

/// Marks a [`BufferedProtocol`]; see [`IntoProtocol`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Buffered;

impl<P: Protocol> IntoProtocol<Streaming> for P {
    fn protocol_ref(this: &Rc<RefCell<Self>>) -> ProtocolRef {
        ProtocolRef(Kind::Stream(this.clone()))
    }
}

impl<P: BufferedProtocol> IntoProtocol<Buffered> for P {
    fn protocol_ref(this: &Rc<RefCell<Self>>) -> ProtocolRef {
        ProtocolRef(Kind::Buffered(this.clone()))
    }
}

impl ProtocolRef {
    pub(crate) const NOBODY: Self = Self(Kind::Nobody);

    pub(crate) fn connection_made(&self, transport: &Transport) -> Result<(), BorrowMutError> {
        match &self.0 {
            Kind::Nobody => {}
            Kind::Stream(protocol) => protocol.try_borrow_mut()?.connection_made(transport),
            Kind::Buffered(protocol) => protocol.try_borrow_mut()?.connection_made(transport),
        }
        Ok(())
    }

    pub(crate) fn eof_received(&self) -> Result<bool, BorrowMutError> {
        Ok(match &self.0 {
            Kind::Nobody => false,
            Kind::Stream(protocol) => protocol.try_borrow_mut()?.eof_received(),
            Kind::Buffered(protocol) => protocol.try_borrow_mut()?.eof_received(),
        })
    }

    pub(crate) fn connection_lost(&self, error: Option<io::Error>) -> Result<(), BorrowMutError> {
        match &self.0 {
            Kind::Nobody => {}
            Kind::Stream(protocol) => protocol.try_borrow_mut()?.connection_lost(error),
            Kind::Buffered(protocol) => protocol.try_borrow_mut()?.connection_lost(error),
        }
        Ok(())
    }

    pub(crate) fn pause_writing(&self) -> Result<(), BorrowMutError> {
        match &self.0 {
            Kind::Nobody => {}
            Kind::Stream(protocol) => protocol.try_borrow_mut()?.pause_writing(),
            Kind::Buffered(protocol) => protocol.try_borrow_mut()?.pause_writing(),
        }
        Ok(())
    }

    pub(crate) fn resume_writing(&self) -> Result<(), BorrowMutError> {
        match &self.0 {
            Kind::Nobody => {}
            Kind::Stream(protocol) => protocol.try_borrow_mut()?.resume_writing(),
            Kind::Buffered(protocol) => protocol.try_borrow_mut()?.resume_writing(),
        }
        Ok(())
    }

    /// Whether one of its methods runs, or somebody else has borrowed it.
    pub(crate) fn is_busy(&self) -> bool {
        match &self.0 {
            Kind::Nobody => false,
            Kind::Stream(protocol) => protocol.try_borrow_mut().is_err(),
            Kind::Buffered(protocol) => protocol.try_borrow_mut().is_err(),
        }
    }

    pub(crate) const fn is_nobody(&self) -> bool {
        matches!(self.0, Kind::Nobody)
    }

    /// How reports name it.
    pub(crate) fn name(&self) -> &'static str {
        let name = match &self.0 {
            Kind::Nobody => None,
            Kind::Stream(protocol) => protocol.try_borrow().ok().map(|protocol| protocol.protocol_name()),
            Kind::Buffered(protocol) => protocol.try_borrow().ok().map(|protocol| protocol.protocol_name()),
        };
        name.unwrap_or("a protocol that is in use")
    }

    /// Whether both are the same protocol.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Stream(one), Kind::Stream(other)) => std::ptr::addr_eq(Rc::as_ptr(one), Rc::as_ptr(other)),
            (Kind::Buffered(one), Kind::Buffered(other)) => std::ptr::addr_eq(Rc::as_ptr(one), Rc::as_ptr(other)),
            _ => false,
        }
    }
}

impl fmt::Debug for ProtocolRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProtocolRef").field(&self.name()).finish()
    }
}
