//! `DatagramProtocol`: what a program implements to receive packets.
//!
//! Absent on purpose: what becomes of a panic. That is the endpoint's affair.

use crate::datagram_transport::DatagramTransport;
use asyncio_driver::Address;
use std::any::type_name;
use std::io;

/// What receives the packets of a datagram endpoint. Every method has a default that does nothing.
///
/// The methods are called by the loop, one at a time: `connection_made` first, `connection_lost` once and last. Any of them
/// may call anything on the transport. What is called while another method of the same protocol runs (`pause_writing`, out of a
/// `sendto`) waits until that is back. A panic is reported to the loop's exception handler, and the transport stays open.
///
/// # asyncio
///
/// [`asyncio.DatagramProtocol`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.DatagramProtocol). Same.
pub trait DatagramProtocol: 'static {
    /// The endpoint is open. The first call.
    fn connection_made(&mut self, transport: &DatagramTransport) {
        let _ = transport;
    }

    /// A whole packet has arrived, which may be empty.
    fn datagram_received(&mut self, data: &[u8], addr: &Address) {
        let _ = (data, addr);
    }

    /// Sending or receiving has failed: nobody takes packets there (`ConnectionRefused`, on a connected endpoint only),
    /// a packet is too long, and the like. The transport stays open; a packet that could not be sent is gone.
    fn error_received(&mut self, error: io::Error) {
        let _ = error;
    }

    /// The endpoint is closed. The last call, exactly once: with `None` after `close` and `abort`.
    fn connection_lost(&mut self, error: Option<io::Error>) {
        let _ = error;
    }

    /// More than the high-water mark waits to be sent: stop sending, if you can.
    fn pause_writing(&mut self) {}

    /// The low-water mark is reached: go on. Comes only after `pause_writing`, once for each.
    fn resume_writing(&mut self) {}

    /// How reports name this protocol. Default: its type.
    #[doc(hidden)]
    fn protocol_name(&self) -> &'static str {
        type_name::<Self>()
    }
}
