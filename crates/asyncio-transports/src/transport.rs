//! `Transport`: the handle of a connection, with asyncio's methods.
//!
//! Absent on purpose: behaviour. It is in `connection`.

use crate::connection::{Connection, Flag};
use crate::extra_info::{ExtraInfo, TransportSocket};
use crate::flow_control::WriteLimits;
use crate::protocol::{IntoProtocol, ProtocolRef};
use crate::ssl_object::SslObject;
use asyncio_driver::Address;
use asyncio_loop::EventLoop;
use bytes::Bytes;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

/// One end of a connection. Cheap to clone; all clones are the same transport.
///
/// One end of a pipe is a transport, too, on which bytes move one way only: what belongs to the other way does nothing, or
/// says so.
///
/// Made by the loop's methods and given to [`Protocol::connection_made`](crate::Protocol::connection_made). Dropping all
/// handles does not close the connection: the loop owns it until it is lost, or the loop is closed.
///
/// # asyncio
///
/// [`asyncio.Transport`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.Transport), and with it
/// `BaseTransport`, `ReadTransport` and `WriteTransport`.
#[derive(Clone)]
pub struct Transport(Rc<Connection>);

impl Transport {
    pub(crate) const fn new(connection: Rc<Connection>) -> Self {
        Self(connection)
    }

    pub(crate) const fn connection(&self) -> &Rc<Connection> {
        &self.0
    }

    /// Sends `data`, never blocking: what the kernel does not take at once waits, and is sent before anything that is written
    /// later.
    ///
    /// All that a callback, or a step of a task, writes leaves in one system call when it is back; outside of a running loop
    /// each write leaves at once. If more than the high-water mark waits, the protocol is told to pause. Ignored on a
    /// transport that is closing or lost; the fifth time, the exception handler is told.
    ///
    /// # Panics
    ///
    /// After [`write_eof`](Self::write_eof), and on a pipe that is read from.
    ///
    /// # asyncio
    ///
    /// [`transport.write`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.WriteTransport.write). Differs: asyncio
    /// makes a system call for each write.
    #[track_caller]
    pub fn write(&self, data: &[u8]) {
        if self.0.may_write() && !data.is_empty() {
            self.0.enqueue(data);
        }
    }

    /// As [`write`](Self::write), of bytes that are given away: they are not copied, however long they have to wait.
    ///
    /// # Panics
    ///
    /// After [`write_eof`](Self::write_eof), and on a pipe that is read from.
    ///
    /// # asyncio
    ///
    /// `transport.write` of an immutable object.
    #[track_caller]
    pub fn write_bytes(&self, data: impl Into<Bytes>) {
        let data = data.into();
        if self.0.may_write() && !data.is_empty() {
            self.0.enqueue_owned(data);
        }
    }

    /// Writes each of `pieces`, in order.
    ///
    /// # Panics
    ///
    /// After [`write_eof`](Self::write_eof), and on a pipe that is read from.
    ///
    /// # asyncio
    ///
    /// [`transport.writelines`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.WriteTransport.writelines). Same.
    #[track_caller]
    pub fn writelines<I>(&self, pieces: I)
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        if !self.0.may_write() {
            return;
        }
        for piece in pieces {
            if !piece.as_ref().is_empty() && !self.0.is_closing() {
                self.0.enqueue(piece.as_ref());
            }
        }
    }

    /// Finishes sending once all that was written has left. The peer sees the end; receiving goes on. A second call does
    /// nothing, nor does one on a transport that is closing. On a pipe it is [`close`](Self::close).
    ///
    /// # Errors
    ///
    /// What the system says, mostly that the peer is gone (`NotConnected`). `Unsupported` on a pipe that is read from, and on a
    /// TLS connection.
    ///
    /// # asyncio
    ///
    /// [`transport.write_eof`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.WriteTransport.write_eof). Same.
    pub fn write_eof(&self) -> io::Result<()> {
        self.0.write_eof()
    }

    /// Whether [`write_eof`](Self::write_eof) is possible: not on a pipe that is read from, nor on a TLS connection.
    #[must_use]
    pub fn can_write_eof(&self) -> bool {
        !self.0.has(Flag::READ_END) && self.0.layer().is_none()
    }

    /// Stops receiving at once, sends all that was written, and then ends the connection: the protocol is told by
    /// `connection_lost(None)`, never inside this call. A second call does nothing.
    ///
    /// # asyncio
    ///
    /// [`transport.close`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.BaseTransport.close). Same.
    pub fn close(&self) {
        self.0.close();
    }

    /// Ends the connection without sending what waits: the protocol is told by `connection_lost(None)`, never inside this
    /// call. The peer sees a reset or the end.
    ///
    /// # asyncio
    ///
    /// [`transport.abort`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.WriteTransport.abort). Same.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether the transport is closing, or closed, or was lost.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    /// Stops handing out what arrives, at once. A second call does nothing.
    ///
    /// # asyncio
    ///
    /// [`transport.pause_reading`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.ReadTransport.pause_reading). Same.
    pub fn pause_reading(&self) {
        self.0.pause_reading();
    }

    /// Goes on to hand out what arrives, from the next iteration of the loop on. Does nothing if it was not paused.
    ///
    /// # asyncio
    ///
    /// [`transport.resume_reading`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.ReadTransport.resume_reading). Same.
    pub fn resume_reading(&self) {
        self.0.resume_reading();
    }

    /// Whether what arrives is handed out: not paused, not closing, and the peer has not finished.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.0.is_reading()
    }

    /// Sets at how many waiting bytes the protocol is told to pause (above `high_bytes`) and to go on (at `low_bytes`).
    ///
    /// Without a low mark it is a quarter of the high one; without a high mark it is four times the low one, or 64 KiB.
    /// A protocol that has to pause by the new marks is told at once; none is told to go on.
    ///
    /// # Panics
    ///
    /// If the low mark is above the high one.
    ///
    /// # asyncio
    ///
    /// [`transport.set_write_buffer_limits`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.WriteTransport.set_write_buffer_limits).
    /// Same.
    #[track_caller]
    pub fn set_write_buffer_limits(&self, high_bytes: Option<usize>, low_bytes: Option<usize>) {
        let Some(limits) = WriteLimits::new(high_bytes, low_bytes) else {
            panic!("the low-water mark {low_bytes:?} is above the high-water mark {high_bytes:?}");
        };
        self.0.set_limits(limits);
    }

    /// The low-water mark and the high-water mark, in bytes. Default: 16 KiB and 64 KiB.
    #[must_use]
    pub fn get_write_buffer_limits(&self) -> (usize, usize) {
        self.0.limits().as_pair()
    }

    /// How many bytes were written and not taken by the kernel yet; inside a callback also those that it will be given when
    /// the callback is back.
    #[must_use]
    pub fn get_write_buffer_size(&self) -> usize {
        self.0.waiting_bytes()
    }

    /// Lets another protocol have what comes from now on. Neither of the two is told.
    ///
    /// From inside a callback, too: the callback under way is the last one of the old protocol.
    ///
    /// # asyncio
    ///
    /// [`transport.set_protocol`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.BaseTransport.set_protocol). Same.
    pub fn set_protocol<P: IntoProtocol<M>, M>(&self, protocol: &Rc<RefCell<P>>) {
        self.0.set_protocol(P::protocol_ref(protocol));
    }

    /// The protocol that has what comes. `None` once the connection is lost.
    #[must_use]
    pub fn get_protocol(&self) -> Option<ProtocolRef> {
        let protocol = self.0.protocol();
        (!protocol.is_nobody()).then_some(protocol)
    }

    /// The loop of this transport.
    #[must_use]
    pub fn get_loop(&self) -> EventLoop {
        self.0.event_loop().clone()
    }

    /// What asyncio knows under a name: `"peername"`, `"sockname"`, `"socket"`, `"pipe"`, and on a TLS connection `"cipher"`,
    /// `"peercert"`, `"ssl_object"`. `None` if there is no such thing.
    ///
    /// # asyncio
    ///
    /// [`transport.get_extra_info`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.BaseTransport.get_extra_info). Same,
    /// by an enum.
    #[must_use]
    pub fn get_extra_info(&self, name: &str) -> Option<ExtraInfo> {
        match name {
            "peername" => self.peername().map(ExtraInfo::Address),
            "sockname" => self.sockname().map(ExtraInfo::Address),
            "pipe" => self.0.is_pipe().then(|| ExtraInfo::Pipe(self.socket())),
            "socket" => (!self.0.is_pipe()).then(|| ExtraInfo::Socket(self.socket())),
            _ => self.0.layer()?.extra_info(name),
        }
    }

    /// What the TLS handshake has agreed on. `None` on a connection without TLS, or while it shakes hands.
    #[must_use]
    pub fn ssl_object(&self) -> Option<SslObject> {
        self.0.layer()?.ssl_object()
    }

    /// The address of the other end, also after the connection was lost. `None` if it was never known.
    #[must_use]
    pub fn peername(&self) -> Option<Address> {
        self.0.peer().address()
    }

    /// The address of this end. `None` once the connection is lost.
    #[must_use]
    pub fn sockname(&self) -> Option<Address> {
        self.0.with_endpoint(|endpoint| endpoint.local_addr())?.ok()
    }

    /// The IP address and port of the other end, also after the connection was lost.
    ///
    /// # Errors
    ///
    /// `NotConnected` if it was never known, `Unsupported` if it is not an IP address; see [`peername`](Self::peername).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        ip_address(self.peername())
    }

    /// The IP address and port of this end.
    ///
    /// # Errors
    ///
    /// `NotConnected` once the connection is lost, `Unsupported` if it is not an IP address; see [`sockname`](Self::sockname).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        ip_address(self.sockname())
    }

    /// What may be done with the socket beneath.
    #[must_use]
    pub fn socket(&self) -> TransportSocket {
        TransportSocket::new(self.clone())
    }

    /// Whether both are the same transport.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

pub(crate) fn ip_address(address: Option<Address>) -> io::Result<SocketAddr> {
    match address {
        Some(Address::Ip(address)) => Ok(address),
        Some(other) => Err(io::Error::new(io::ErrorKind::Unsupported, format!("{other} is not an IP address"))),
        None => Err(io::ErrorKind::NotConnected.into()),
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
