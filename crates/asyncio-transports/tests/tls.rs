//! TLS: both ends of ours, on every driver, and on virtual time where time matters. `interop` has strangers as peers.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/drivers.rs"]
mod drivers;
#[path = "support/recorder.rs"]
mod recorder;

#[path = "tls/closing.rs"]
mod closing;
#[path = "tls/contexts.rs"]
mod contexts;
#[path = "tls/handshakes.rs"]
mod handshakes;
#[cfg(target_os = "linux")]
#[path = "tls/interop.rs"]
mod interop;
#[path = "tls/limits.rs"]
mod limits;
#[path = "tls/moving.rs"]
mod moving;
#[path = "tls/start_tls.rs"]
mod start_tls;
