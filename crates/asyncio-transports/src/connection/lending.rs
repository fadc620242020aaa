//! What TLS needs of a connection beyond being its endpoint: to have the endpoint for a while, and the last word.
//!
//! While an endpoint is lent, the connection is as if the kernel had neither bytes nor room.

use super::{Connection, Flag, Life};
use crate::tls::Layer;
use asyncio_driver::StreamEndpoint;
use std::io;
use std::rc::Rc;

impl Connection {
    pub(crate) fn layer(&self) -> Option<Rc<Layer>> {
        let layer = self.layer.take();
        self.layer.set(layer.clone());
        layer
    }

    /// From now on `layer` lies between the connection and the wire.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing is put on without TLS"))]
    pub(crate) fn set_layer(&self, layer: Rc<Layer>) {
        self.limits.set(layer.limits());
        let old = self.layer.replace(Some(layer));
        drop(old);
    }

    /// Sends what can be sent at once, and gives the rest away.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing is put on without TLS"))]
    pub(crate) fn take_unsent(self: &Rc<Self>) -> Vec<u8> {
        self.send_now();
        let Some(output) = self.output.take() else { return Vec::new() };
        let unsent = output.to_vec(&self.shared.received.borrow());
        self.shared.give_output(output);
        unsent
    }

    /// Gives the endpoint away, until `attach` or the end.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nobody borrows it without TLS"))]
    pub(crate) fn detach(&self) -> Option<Box<dyn StreamEndpoint>> {
        self.unregister();
        let endpoint = self.endpoint.take();
        if endpoint.is_some() {
            self.put(Flag::BLOCKED, true);
            self.put(Flag::READABLE, false);
        }
        endpoint
    }

    /// Goes on with this endpoint.
    ///
    /// # Errors
    ///
    /// What the driver says to the registration, or that the loop was closed.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nobody borrows it without TLS"))]
    pub(crate) fn attach(self: &Rc<Self>, endpoint: Box<dyn StreamEndpoint>) -> io::Result<()> {
        if self.life.get() >= Life::Losing {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the transport was closed"));
        }
        self.put(Flag::BLOCKED, self.waiting_bytes() > 0);
        self.put(Flag::WRITABLE, true);
        self.put(Flag::READABLE, true);
        let key = self.event_loop().add_source(endpoint.source(), self.interest(), self.mode(), self.clone())?;
        self.key.set(Some(key));
        self.endpoint.replace(Some(endpoint));
        self.schedule();
        Ok(())
    }

    /// All was sent, and the connection is to be lost: a layer takes leave first.
    pub(super) fn part(self: &Rc<Self>) {
        match self.layer() {
            Some(layer) => layer.part(self),
            None => self.lose(None),
        }
    }

    /// The peer has answered to the leave.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "no leave is taken without TLS"))]
    pub(crate) fn note_end_of_peer(self: &Rc<Self>) {
        if self.life.get() == Life::Closing && !self.has(Flag::EOF_RECEIVED) {
            self.put(Flag::EOF_RECEIVED, true);
            // The connection is lost anyway, so what it answers changes nothing.
            let _reported = self.shared.sending_after(|| self.call("eof_received", |protocol| protocol.eof_received()));
        }
    }
}
