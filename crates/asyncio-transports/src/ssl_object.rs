//! What the handshake has agreed on.

use bytes::Bytes;

/// What the handshake of a TLS connection has agreed on; see [`Transport::ssl_object`](crate::Transport::ssl_object).
///
/// # asyncio
///
/// What `transport.get_extra_info("ssl_object")` is asked for: `version()`, `cipher()`, `selected_alpn_protocol()`,
/// `getpeercert(binary_form=True)`, `session_reused`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SslObject {
    /// `"TLSv1.3"` or `"TLSv1.2"`.
    pub version: &'static str,
    /// How bytes are encrypted.
    pub cipher: SslCipher,
    /// What both sides have chosen of the protocols that the client has offered.
    pub alpn: Option<Bytes>,
    /// The peer's certificate and those that vouch for it, each in DER. Empty if it has shown none.
    pub peer_certificates: Vec<Bytes>,
    /// Whose certificate was asked for. Absent on a server.
    pub server_hostname: Option<String>,
    /// Keys of an earlier connection were used, so that no certificate was shown.
    pub is_resumed: bool,
}

/// How the bytes of a TLS connection are encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SslCipher {
    /// The name in IANA's table, such as `"TLS_AES_256_GCM_SHA384"`.
    pub name: String,
    /// The length of the key.
    pub secret_bits: u32,
}
