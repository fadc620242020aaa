//! `SslContext`: keys, certificates and trust, made once and used by many connections.
//!
//! Absent on purpose: choices that have one right answer. Versions, ciphers and curves are `rustls`'s defaults.

use super::verify::{AnyCertificate, AnyHostname, BySni};
use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How to encrypt, whom to trust and who to be: for clients or for servers. Cheap to clone; clones share their sessions, so that
/// a later connection resumes.
///
/// A configuration of `rustls`, in an `Arc`, is one too.
///
/// # asyncio
///
/// [`ssl.SSLContext`](https://docs.python.org/3/library/ssl.html#ssl.SSLContext), as `ssl.create_default_context` makes it. Differs:
/// a context is for one side, and does not change any more.
#[derive(Clone)]
pub struct SslContext(pub(super) Side);

#[derive(Clone)]
pub(super) enum Side {
    Client(Arc<ClientConfig>),
    Server(Arc<ServerConfig>),
}

/// Which side a context is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
}

impl SslContext {
    /// A client's: the system's certificates are trusted, and the server has to have the name that is expected.
    ///
    /// # asyncio
    ///
    /// `ssl.create_default_context()`.
    pub fn client() -> SslClientBuilder {
        SslClientBuilder {
            roots: Vec::new(),
            identity: None,
            alpn: Vec::new(),
            is_resumed: true,
            trust: Trust::Verified,
        }
    }

    /// A server's, with its certificate and those that vouch for it, and the private key.
    ///
    /// # asyncio
    ///
    /// `ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)` and `load_cert_chain`.
    pub fn server(certificate_chain: impl IntoPem, private_key: impl IntoPem) -> SslServerBuilder {
        SslServerBuilder {
            identity: (certificate_chain.into_pem(), private_key.into_pem()),
            named: Vec::new(),
            client_roots: Vec::new(),
            is_client_optional: false,
            alpn: Vec::new(),
            is_resumed: true,
        }
    }

    pub(super) const fn role(&self) -> Role {
        match &self.0 {
            Side::Client(_) => Role::Client,
            Side::Server(_) => Role::Server,
        }
    }

    /// A server that takes data before the handshake is done; see `ServerConfig::max_early_data_size`.
    pub(super) fn takes_early_data(&self) -> bool {
        matches!(&self.0, Side::Server(config) if config.max_early_data_size > 0)
    }
}

impl From<Arc<ClientConfig>> for SslContext {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self(Side::Client(config))
    }
}

impl From<Arc<ServerConfig>> for SslContext {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self(Side::Server(config))
    }
}

impl From<&Self> for SslContext {
    fn from(context: &Self) -> Self {
        context.clone()
    }
}

impl fmt::Debug for SslContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SslContext").field(&self.role()).finish()
    }
}

/// Certificates or keys in PEM: a path of a file, or the bytes themselves.
pub trait IntoPem {
    /// Converts. A file is read when the context is built.
    fn into_pem(self) -> Pem;
}

/// Certificates or keys in PEM; see [`IntoPem`].
#[derive(Clone)]
pub struct Pem(Place);

#[derive(Clone)]
enum Place {
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl IntoPem for &Path {
    fn into_pem(self) -> Pem {
        Pem(Place::File(self.to_owned()))
    }
}

impl IntoPem for PathBuf {
    fn into_pem(self) -> Pem {
        Pem(Place::File(self))
    }
}

impl IntoPem for &PathBuf {
    fn into_pem(self) -> Pem {
        self.as_path().into_pem()
    }
}

/// A path.
impl IntoPem for &str {
    fn into_pem(self) -> Pem {
        Path::new(self).into_pem()
    }
}

impl IntoPem for &[u8] {
    fn into_pem(self) -> Pem {
        Pem(Place::Bytes(self.to_vec()))
    }
}

impl IntoPem for Vec<u8> {
    fn into_pem(self) -> Pem {
        Pem(Place::Bytes(self))
    }
}

impl Pem {
    fn read(&self) -> io::Result<Vec<u8>> {
        match &self.0 {
            Place::Bytes(bytes) => Ok(bytes.clone()),
            Place::File(path) => fs::read(path)
                .map_err(|error| io::Error::new(error.kind(), format!("reading {} failed: {error}", path.display()))),
        }
    }

    fn refused(&self, what: &str) -> io::Error {
        let place = match &self.0 {
            Place::Bytes(_) => String::from("the bytes that were given"),
            Place::File(path) => path.display().to_string(),
        };
        io::Error::new(io::ErrorKind::InvalidInput, format!("{what} in {place}"))
    }

    fn certificates(&self) -> io::Result<Vec<CertificateDer<'static>>> {
        let bytes = self.read()?;
        let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
        let all = all.map_err(|error| self.refused(&format!("malformed certificates ({error})")))?;
        if all.is_empty() { Err(self.refused("no certificate")) } else { Ok(all) }
    }

    fn private_key(&self) -> io::Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(&self.read()?).map_err(|error| self.refused(&format!("no private key ({error})")))
    }
}

/// Says where it is, and never what it is: it may be a key.
impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::File(path) => f.debug_tuple("Pem").field(path).finish(),
            Place::Bytes(_) => f.debug_tuple("Pem").finish_non_exhaustive(),
        }
    }
}

/// Makes a client's context; see [`SslContext::client`].
#[derive(Clone, Debug)]
#[must_use = "nothing is made before `build`"]
pub struct SslClientBuilder {
    roots: Vec<Pem>,
    identity: Option<(Pem, Pem)>,
    alpn: Vec<Vec<u8>>,
    is_resumed: bool,
    trust: Trust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    Verified,
    AnyHostname,
    AnyCertificate,
}

impl SslClientBuilder {
    /// Trusts whom these vouch for, in place of the system's. May be called several times.
    pub fn root_certificates(mut self, roots: impl IntoPem) -> Self {
        self.roots.push(roots.into_pem());
        self
    }

    /// Who this client is, for servers that ask: its certificate and those that vouch for it, and the private key.
    pub fn certificate_chain(mut self, certificate_chain: impl IntoPem, private_key: impl IntoPem) -> Self {
        self.identity = Some((certificate_chain.into_pem(), private_key.into_pem()));
        self
    }

    /// The protocols to offer by ALPN, the best first. Default: none.
    pub fn alpn_protocols<A: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = A>) -> Self {
        self.alpn = protocols.into_iter().map(|name| name.as_ref().to_vec()).collect();
        self
    }

    /// Whether a later connection to the same server may use keys of an earlier one. Default: yes.
    pub fn session_resumption(mut self, is_resumed: bool) -> Self {
        self.is_resumed = is_resumed;
        self
    }

    /// Takes a trusted certificate of any name: whoever has one can be in the middle.
    ///
    /// # asyncio
    ///
    /// `context.check_hostname = False`.
    pub fn dangerous_accept_any_hostname(mut self) -> Self {
        self.trust = Trust::AnyHostname;
        self
    }

    /// Takes any certificate, whoever made it: anybody can be in the middle.
    ///
    /// # asyncio
    ///
    /// `context.verify_mode = ssl.CERT_NONE`.
    pub fn dangerous_accept_any_certificate(mut self) -> Self {
        self.trust = Trust::AnyCertificate;
        self
    }

    /// Makes the context. Reads files, and the system's certificates, so it may block.
    ///
    /// # Errors
    ///
    /// `NotFound` and the like if a file cannot be read; `InvalidInput` if it has not what it should; `NotFound` if the system has
    /// no certificates to trust; `InvalidData` with an [`SslError`] if a key does not fit its certificate.
    pub fn build(self) -> io::Result<SslContext> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().map_err(SslError::new)?;
        let builder = match self.trust {
            Trust::AnyCertificate => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate::new(&provider)))
            }
            Trust::Verified => builder.with_root_certificates(self.root_store()?),
            Trust::AnyHostname => {
                let verifier = WebPkiServerVerifier::builder_with_provider(self.root_store()?, provider).build();
                let verifier = verifier.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyHostname::new(verifier)))
            }
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                builder.with_client_auth_cert(chain.certificates()?, key.private_key()?).map_err(SslError::new)?
            }
        };
        config.alpn_protocols = self.alpn;
        if !self.is_resumed {
            config.resumption = Resumption::disabled();
        }
        Ok(Arc::new(config).into())
    }

    fn root_store(&self) -> io::Result<Arc<RootCertStore>> {
        if !self.roots.is_empty() {
            return root_store(&self.roots);
        }
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        // Some systems carry a few that are malformed.
        let (added, _ignored) = store.add_parsable_certificates(found.certs);
        if added > 0 {
            return Ok(Arc::new(store));
        }
        let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        let message = format!("the system has no certificates to trust; {}", reasons.join("; "));
        Err(io::Error::new(io::ErrorKind::NotFound, message))
    }
}

/// Makes a server's context; see [`SslContext::server`].
#[derive(Clone, Debug)]
#[must_use = "nothing is made before `build`"]
pub struct SslServerBuilder {
    identity: (Pem, Pem),
    named: Vec<(String, Pem, Pem)>,
    client_roots: Vec<Pem>,
    is_client_optional: bool,
    alpn: Vec<Vec<u8>>,
    is_resumed: bool,
}

impl SslServerBuilder {
    /// Another certificate and key, for clients that ask for this name (SNI). All others get the first.
    ///
    /// # asyncio
    ///
    /// `context.sni_callback`.
    pub fn certificate_for(
        mut self,
        name: impl Into<String>,
        certificate_chain: impl IntoPem,
        private_key: impl IntoPem,
    ) -> Self {
        self.named.push((name.into(), certificate_chain.into_pem(), private_key.into_pem()));
        self
    }

    /// Takes only clients with a certificate that these vouch for. May be called several times. Default: nobody is asked.
    ///
    /// # asyncio
    ///
    /// `context.verify_mode = ssl.CERT_REQUIRED` and `load_verify_locations`.
    pub fn client_certificates(mut self, roots: impl IntoPem) -> Self {
        self.client_roots.push(roots.into_pem());
        self
    }

    /// Asks clients for a certificate, and takes those without one, too.
    ///
    /// # asyncio
    ///
    /// `ssl.CERT_OPTIONAL`.
    pub fn client_certificates_are_optional(mut self) -> Self {
        self.is_client_optional = true;
        self
    }

    /// The protocols to choose from by ALPN, the best first. A client that offers others only is refused. Default: none.
    pub fn alpn_protocols<A: AsRef<[u8]>>(mut self, protocols: impl IntoIterator<Item = A>) -> Self {
        self.alpn = protocols.into_iter().map(|name| name.as_ref().to_vec()).collect();
        self
    }

    /// Whether clients may use keys of an earlier connection. Default: yes, the last 256 of them.
    pub fn session_resumption(mut self, is_resumed: bool) -> Self {
        self.is_resumed = is_resumed;
        self
    }

    /// Makes the context. Reads files, so it may block.
    ///
    /// # Errors
    ///
    /// As [`SslClientBuilder::build`].
    pub fn build(self) -> io::Result<SslContext> {
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().map_err(SslError::new)?;
        let builder = if self.client_roots.is_empty() {
            builder.with_no_client_auth()
        } else {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(root_store(&self.client_roots)?, provider.clone());
            let verifier = if self.is_client_optional { verifier.allow_unauthenticated() } else { verifier };
            let verifier = verifier.build().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            builder.with_client_cert_verifier(verifier)
        };
        let certified = |chain: &Pem, key: &Pem| -> io::Result<CertifiedKey> {
            let made = CertifiedKey::from_der(chain.certificates()?, key.private_key()?, &provider);
            Ok(made.map_err(SslError::new)?)
        };
        let mut resolver = BySni::new(certified(&self.identity.0, &self.identity.1)?);
        for (name, chain, key) in &self.named {
            resolver.add(name, certified(chain, key)?).map_err(SslError::new)?;
        }
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = self.alpn;
        if !self.is_resumed {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Arc::new(config).into())
    }
}

/// The one that builds everywhere with no more than a C compiler.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn root_store(roots: &[Pem]) -> io::Result<Arc<RootCertStore>> {
    let mut store = RootCertStore::empty();
    for pem in roots {
        for certificate in pem.certificates()? {
            store.add(certificate).map_err(SslError::new)?;
        }
    }
    Ok(Arc::new(store))
}

/// What the two sides of a TLS connection do not agree on: the source of an `io::Error` of kind `InvalidData`.
///
/// # asyncio
///
/// `ssl.SSLError`, and `ssl.SSLCertVerificationError` if [`is_certificate_error`](Self::is_certificate_error).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(transparent)]
pub struct SslError(rustls::Error);

impl SslError {
    pub(super) const fn new(error: rustls::Error) -> Self {
        Self(error)
    }

    /// Whether it is the peer's certificate that is not trusted.
    #[must_use]
    pub const fn is_certificate_error(&self) -> bool {
        matches!(self.0, rustls::Error::InvalidCertificate(_))
    }

    /// What `rustls` calls it.
    #[must_use]
    pub const fn as_rustls(&self) -> &rustls::Error {
        &self.0
    }
}

impl From<SslError> for io::Error {
    fn from(error: SslError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}
