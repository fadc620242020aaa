//! `Host`: where to connect to, or where to listen, in the forms in which people write that.
//!
//! Absent on purpose: looking names up. That is the resolver's affair, on floor 3.

use asyncio_driver::Address;
use asyncio_executor::{AddressFamily, LoopExecutorExt as _, SocketKind};
use asyncio_loop::EventLoop;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// A host and a port, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(Form);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Address(SocketAddr),
    /// `None` is this machine, or all of its interfaces.
    Named(Option<String>, String),
    /// A string without a port.
    Malformed(String),
}

/// What can be given as a host: `("example.org", 443)`, `("", 8080)` for all interfaces, `("example.org", "https")`,
/// `"example.org:443"`, `"[::1]:443"`, a `SocketAddr`, `(IpAddr, u16)`.
pub trait IntoHost {
    /// Converts. A string that makes no sense is an error when it is used.
    fn into_host(self) -> Host;
}

/// One host or several: whatever is [`IntoHost`], an array, a slice or a `Vec` of that, or `(["a", "b"], port)`.
pub trait IntoHosts {
    /// Converts.
    fn into_hosts(self) -> Vec<Host>;
}

impl Host {
    fn named(host: &str, port: String) -> Self {
        Self(Form::Named((!host.is_empty()).then(|| host.to_owned()), port))
    }

    /// What a certificate would be for.
    pub(crate) fn name(&self) -> Option<String> {
        match &self.0 {
            Form::Address(address) => Some(address.ip().to_string()),
            Form::Named(host, _) => host.clone(),
            Form::Malformed(_) => None,
        }
    }

    /// The addresses that it stands for, in the order of the resolver. `is_passive`: to listen on, so that nothing stands for
    /// all interfaces.
    pub(crate) async fn resolve(
        &self,
        event_loop: &EventLoop,
        family: AddressFamily,
        is_passive: bool,
    ) -> io::Result<Vec<SocketAddr>> {
        self.resolve_for(event_loop, SocketKind::Stream, family, is_passive).await
    }

    /// As `resolve`, for sockets of this `kind`.
    pub(crate) async fn resolve_for(
        &self,
        event_loop: &EventLoop,
        kind: SocketKind,
        family: AddressFamily,
        is_passive: bool,
    ) -> io::Result<Vec<SocketAddr>> {
        let (host, port) = match &self.0 {
            Form::Address(address) => return Ok(vec![*address]),
            Form::Malformed(text) => {
                let message = format!("{text:?} has no port: a host is given as \"host:port\"");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            Form::Named(host, port) => (host, port),
        };
        let lookup = event_loop.getaddrinfo(host.as_deref(), port.as_str()).family(family).kind(kind);
        let found = lookup.flags(if is_passive { AI_PASSIVE } else { 0 }).await?;
        if found.is_empty() {
            let message = format!("getaddrinfo({self}) returned an empty list");
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        Ok(found.into_iter().map(|found| found.address).collect())
    }
}

/// The same on all systems.
const AI_PASSIVE: i32 = 1;

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Form::Address(address) => Address::Ip(*address).fmt(f),
            Form::Named(host, port) => write!(f, "{}:{port}", host.as_deref().unwrap_or("*")),
            Form::Malformed(text) => f.write_str(text),
        }
    }
}

impl IntoHost for Host {
    fn into_host(self) -> Host {
        self
    }
}

impl IntoHost for SocketAddr {
    fn into_host(self) -> Host {
        Host(Form::Address(self))
    }
}

impl IntoHost for (IpAddr, u16) {
    fn into_host(self) -> Host {
        SocketAddr::from(self).into_host()
    }
}

impl IntoHost for (&str, u16) {
    fn into_host(self) -> Host {
        Host::named(self.0, self.1.to_string())
    }
}

impl IntoHost for (&str, &str) {
    fn into_host(self) -> Host {
        Host::named(self.0, self.1.to_owned())
    }
}

impl IntoHost for (String, u16) {
    fn into_host(self) -> Host {
        (self.0.as_str(), self.1).into_host()
    }
}

impl IntoHost for &str {
    fn into_host(self) -> Host {
        let Some((host, port)) = self.rsplit_once(':') else { return Host(Form::Malformed(self.to_owned())) };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Host::named(host, port.to_owned())
    }
}

impl IntoHost for String {
    fn into_host(self) -> Host {
        self.as_str().into_host()
    }
}

impl<H: IntoHost> IntoHosts for H {
    fn into_hosts(self) -> Vec<Host> {
        vec![self.into_host()]
    }
}

impl<H: IntoHost> IntoHosts for Vec<H> {
    fn into_hosts(self) -> Vec<Host> {
        self.into_iter().map(H::into_host).collect()
    }
}

impl<H: IntoHost, const N: usize> IntoHosts for [H; N] {
    fn into_hosts(self) -> Vec<Host> {
        self.into_iter().map(H::into_host).collect()
    }
}

impl<H: IntoHost + Clone> IntoHosts for &[H] {
    fn into_hosts(self) -> Vec<Host> {
        self.iter().cloned().map(H::into_host).collect()
    }
}

impl<const N: usize> IntoHosts for ([&str; N], u16) {
    fn into_hosts(self) -> Vec<Host> {
        self.0.into_iter().map(|host| (host, self.1).into_host()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_may_be_written_in_many_ways() {
        let named = ("example.org", 443).into_host();
        assert_eq!("example.org:443".into_host(), named);
        assert_eq!(("example.org", "443").into_host(), named);
        assert_eq!((String::from("example.org"), 443).into_host(), named);
        assert_eq!(["example.org:443"].into_hosts()[0], named);
        assert_eq!((["example.org", ""], 443).into_hosts(), [named, ("", 443).into_host()]);
        assert_eq!("[::1]:80".into_host(), ("::1", 80).into_host());
        assert_eq!("::1:80".into_host(), ("::1", 80).into_host());
        assert_eq!((IpAddr::from([1, 2, 3, 4]), 5).into_host(), SocketAddr::from(([1, 2, 3, 4], 5)).into_host());
        assert_eq!(("", 80).into_host().to_string(), "*:80");
        assert_eq!("nothing".into_host(), Host(Form::Malformed("nothing".into())));
    }
}
