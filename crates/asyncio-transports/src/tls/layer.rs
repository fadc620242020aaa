//! `Layer`: what a connection keeps of TLS beside its endpoint: what was agreed on, and how it ends.

use super::endpoint::TlsEndpoint;
use super::exchange::{Exchange, Part, Party};
use crate::connection::Connection;
use crate::extra_info::ExtraInfo;
use crate::flow_control::WriteLimits;
use crate::ssl_object::{SslCipher, SslObject};
use asyncio_loop::Delay;
use bytes::Bytes;
use rustls::{CommonState, HandshakeKind, ProtocolVersion};
use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;

/// The TLS of one connection.
pub(crate) struct Layer {
    agreed: RefCell<Option<SslObject>>,
    server_hostname: Option<String>,
    shutdown_limit: Delay,
    /// The dialogue that has the endpoint.
    exchange: RefCell<Option<Rc<Exchange>>>,
}

impl Layer {
    pub(super) fn new(server_hostname: Option<String>, shutdown_limit: Delay) -> Self {
        Self { agreed: RefCell::default(), server_hostname, shutdown_limit, exchange: RefCell::default() }
    }

    /// The handshake is done.
    pub(super) fn note_agreed(&self, endpoint: &TlsEndpoint) {
        self.agreed.replace(Some(describe(endpoint.session().common(), self.server_hostname.clone())));
    }

    pub(super) fn set_exchange(&self, exchange: Option<Rc<Exchange>>) {
        let old = self.exchange.replace(exchange);
        drop(old); // With nothing borrowed.
    }

    /// Takes leave of the peer; then the connection is lost.
    pub(crate) fn part(self: &Rc<Self>, connection: &Rc<Connection>) {
        let exchange = self.exchange.borrow().clone();
        if let Some(exchange) = exchange {
            // Either leave is being taken, or there is nobody yet to take leave of.
            if !exchange.is_leave() {
                connection.lose(None);
            }
            return;
        }
        let endpoint =
            connection.detach().and_then(|endpoint| (endpoint as Box<dyn Any>).downcast::<TlsEndpoint>().ok());
        let Some(endpoint) = endpoint else { return connection.lose(None) };
        let (parting, layer) = (connection.clone(), self.clone());
        let party = Party::Connection(Rc::downgrade(connection));
        let limit = self.shutdown_limit;
        let exchange = Exchange::begin(connection.event_loop(), endpoint, Part::Leave, limit, party, move |outcome| {
            layer.set_exchange(None);
            if outcome.endpoint.as_ref().is_some_and(|endpoint| endpoint.session().is_peer_closed()) {
                parting.note_end_of_peer();
            }
            drop(outcome.endpoint);
            parting.lose(outcome.result.err().filter(|error| error.kind() == io::ErrorKind::TimedOut));
        });
        if exchange.is_under_way() {
            self.set_exchange(Some(exchange));
        }
    }

    /// The connection is being lost: whatever dialogue there is, ends.
    pub(crate) fn abandon(&self) {
        let exchange = self.exchange.take();
        if let Some(exchange) = exchange {
            exchange.abandon();
        }
    }

    /// asyncio's for TLS: 128 KiB and 512 KiB.
    pub(crate) fn limits(&self) -> WriteLimits {
        WriteLimits::new(Some(HIGH_BYTES), None).unwrap_or_default()
    }

    pub(crate) fn ssl_object(&self) -> Option<SslObject> {
        self.agreed.borrow().clone()
    }

    pub(crate) fn extra_info(&self, name: &str) -> Option<ExtraInfo> {
        let agreed = self.ssl_object()?;
        match name {
            "ssl_object" => Some(ExtraInfo::SslObject(agreed)),
            "cipher" => Some(ExtraInfo::Cipher(agreed.cipher)),
            "peercert" => agreed.peer_certificates.into_iter().next().map(ExtraInfo::Certificate),
            _ => None,
        }
    }
}

fn describe(agreed: &CommonState, server_hostname: Option<String>) -> SslObject {
    let version = match agreed.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let suite = agreed.negotiated_cipher_suite().map(|suite| suite.suite());
    let name = suite.and_then(|suite| suite.as_str()).unwrap_or_default().replace("TLS13_", "TLS_");
    let secret_bits = if name.contains("AES_128") { 128 } else { 256 };
    let certificates = agreed.peer_certificates().unwrap_or_default();
    SslObject {
        version,
        cipher: SslCipher { name, secret_bits },
        alpn: agreed.alpn_protocol().map(Bytes::copy_from_slice),
        peer_certificates: certificates.iter().map(|certificate| Bytes::copy_from_slice(certificate)).collect(),
        server_hostname,
        is_resumed: agreed.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layer").field("agreed", &self.agreed).finish_non_exhaustive()
    }
}

/// asyncio's `FLOW_CONTROL_HIGH_WATER_SSL_WRITE`.
const HIGH_BYTES: usize = 512 * 1024;
