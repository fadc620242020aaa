//! TLS, between a connection and the wire, by `rustls`.
//!
//! `session` is the protocol without input and output: ciphertext in, plaintext out, and back. `endpoint` makes of a session
//! and the endpoint beneath it an endpoint like any other, which is why transports, protocols and flow control know
//! nothing of TLS, and why TLS goes inside TLS. `exchange` drives what is neither reading nor writing: the handshake before a
//! connection is there, and the leave that is taken when it closes, each within its limit.
//!
//! Invariants:
//! 1. A protocol hears nothing before the handshake is done, so it need not know that there is one.
//! 2. The end of what arrives is an end only if the peer has said so; anything else is an error.
//! 3. A byte of plaintext is copied once by us on each way: out of the record that `rustls` has decrypted, and into the one
//!    that it encrypts.
//!
//! Absent on purpose: cryptography and certificates, which are `rustls`'s.

mod buffer;
mod builders;
mod context;
mod endpoint;
mod exchange;
mod layer;
mod session;
mod ssl;
mod start_tls;
mod verify;

pub(crate) use exchange::{abort_handshakes, connections};
pub(crate) use layer::Layer;
pub(crate) use ssl::{Ssl, Terms};

pub use context::{IntoPem, Pem, SslClientBuilder, SslContext, SslError, SslServerBuilder};
pub use start_tls::{LoopTlsExt, StartTls};
