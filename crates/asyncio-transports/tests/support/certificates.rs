//! Certificates for tests, made anew each time.

use crate::recorder::Recorder;
use asyncio_loop::get_running_loop;
use asyncio_transports::{Connected, LoopTransportsExt as _, Server, SslClientBuilder, SslContext, SslServerBuilder};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Vouches for others.
pub(crate) struct Authority {
    pem: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority for tests");
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem().into_bytes(), issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pem(&self) -> Vec<u8> {
        self.pem.clone()
    }

    /// A certificate for these names.
    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names).unwrap();
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate: certificate.pem().into_bytes(), key: key.serialize_pem().into_bytes() }
    }

    /// A server of this authority, called `localhost` and `127.0.0.1`.
    pub(crate) fn server(&self) -> SslServerBuilder {
        let identity = self.issue(&["localhost", "127.0.0.1"]);
        SslContext::server(identity.certificate, identity.key)
    }

    /// A client that trusts this authority.
    pub(crate) fn client(&self) -> SslClientBuilder {
        SslContext::client().root_certificates(self.pem())
    }
}

/// A client's context and a server's, that fit.
pub(crate) fn contexts() -> (SslContext, SslContext) {
    let authority = Authority::new();
    (authority.client().build().unwrap(), authority.server().build().unwrap())
}

/// An encrypted connection through a server of its own.
pub(crate) async fn secured(
    (client_context, server_context): (&SslContext, &SslContext),
    client: &Recorder,
    server: &Recorder,
) -> (Connected<Recorder>, Server) {
    let event_loop = get_running_loop();
    let factory = server.clone();
    let listening =
        event_loop.create_server(move || factory.clone(), ("127.0.0.1", 0)).ssl(server_context).await.unwrap();
    let connecting = event_loop.create_connection(|| client.clone(), listening.local_addrs()[0]).ssl(client_context);
    let connected = connecting.await.unwrap();
    server.record.until_event("made").await;
    (connected, listening)
}
