//! Unix sockets: their files, and `CreateUnixServer`.
//!
//! Invariants:
//! 1. A file is removed only if it is a socket on which nobody listens, or the one that we have made.
//! 2. What was bound is private until its mode is set: nobody can connect before `listen`.
//!
//! Absent on purpose: connecting, which needs nothing of this.

use crate::server::{Factory, Server};
use crate::tls::Ssl;
use asyncio_driver::{Address, ConnectOptions, ListenOptions, OsSocket};
use asyncio_loop::EventLoop;
use std::fmt;
use std::fs;
use std::future::{IntoFuture, Ready, ready};
use std::io;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};

/// What can be given as the address of a Unix socket: a path, or an [`Address`], such as an abstract name.
pub trait IntoUnixAddress {
    /// Converts. A path that begins with NUL is an abstract name.
    fn into_unix_address(self) -> Address;
}

impl IntoUnixAddress for Address {
    fn into_unix_address(self) -> Address {
        self
    }
}

impl IntoUnixAddress for PathBuf {
    fn into_unix_address(self) -> Address {
        match self.as_os_str().as_encoded_bytes() {
            [0, name @ ..] => Address::UnixAbstract(name.to_vec()),
            _ => Address::Unix(self),
        }
    }
}

impl IntoUnixAddress for &Path {
    fn into_unix_address(self) -> Address {
        self.to_path_buf().into_unix_address()
    }
}

impl IntoUnixAddress for &PathBuf {
    fn into_unix_address(self) -> Address {
        self.clone().into_unix_address()
    }
}

impl IntoUnixAddress for &str {
    fn into_unix_address(self) -> Address {
        PathBuf::from(self).into_unix_address()
    }
}

/// A server on a Unix socket that is being made; see
/// [`create_unix_server`](crate::LoopTransportsExt::create_unix_server). Await it.
#[must_use = "nothing listens unless it is awaited"]
pub struct CreateUnixServer {
    event_loop: EventLoop,
    factory: Factory,
    place: Place,
    backlog: u32,
    mode: Option<u32>,
    is_started: bool,
    is_cleaned_up: bool,
    pub(crate) ssl: Ssl,
}

enum Place {
    Address(Address),
    Socket(OsSocket),
}

impl CreateUnixServer {
    pub(crate) fn at(event_loop: &EventLoop, factory: Factory, address: Address) -> Self {
        Self::new(event_loop, factory, Place::Address(address))
    }

    pub(crate) fn on_socket(event_loop: &EventLoop, factory: Factory, socket: OsSocket) -> Self {
        Self::new(event_loop, factory, Place::Socket(socket))
    }

    fn new(event_loop: &EventLoop, factory: Factory, place: Place) -> Self {
        let event_loop = event_loop.clone();
        let ssl = Ssl::default();
        Self { event_loop, factory, place, backlog: 100, mode: None, is_started: true, is_cleaned_up: true, ssl }
    }

    /// How many connections may wait to be accepted. Default 100.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// The permission bits of the socket file, in force before anybody can connect. Default: what the umask leaves.
    pub fn mode(mut self, bits: u32) -> Self {
        self.mode = Some(bits);
        self
    }

    /// Whether to listen at once. Default: yes.
    pub fn start_serving(mut self, is_started: bool) -> Self {
        self.is_started = is_started;
        self
    }

    /// Whether closing the server removes the socket file, if it is still the same one. Default: yes.
    pub fn cleanup_socket(mut self, is_cleaned_up: bool) -> Self {
        self.is_cleaned_up = is_cleaned_up;
        self
    }

    fn run(self) -> io::Result<Server> {
        let terms = self.ssl.for_server()?;
        let (endpoint, file) = match self.place {
            Place::Socket(socket) => {
                let endpoint = self.event_loop.with_driver(|driver| driver.adopt_listener(socket))?;
                let file = match endpoint.local_addr() {
                    Ok(Address::Unix(path)) => SocketFile::new(path),
                    _ => None,
                };
                (endpoint, file)
            }
            Place::Address(address) => {
                if let Address::Unix(path) = &address {
                    remove_stale(path, |address| {
                        let options = ConnectOptions::default();
                        self.event_loop.with_driver(|driver| driver.connect(address, &options)).map(drop)
                    })?;
                }
                let mut options = ListenOptions::default();
                options.bind_only = true;
                let bound = self.event_loop.with_driver(|driver| driver.listen(&address, &options));
                let endpoint = bound.map_err(|error| about(&address, &error))?;
                let file = match &address {
                    Address::Unix(path) => SocketFile::new(path.clone()),
                    _ => None,
                };
                (endpoint, file)
            }
        };
        if let (Some(bits), Some(file)) = (self.mode, &file)
            && let Err(error) = file.set_mode(bits)
        {
            file.remove();
            return Err(error);
        }
        let file = file.filter(|_| self.is_cleaned_up);
        let server = Server::new(&self.event_loop, vec![endpoint], self.backlog, self.factory, file, terms);
        if self.is_started {
            server.start_serving()?;
        }
        Ok(server)
    }
}

impl IntoFuture for CreateUnixServer {
    type Output = io::Result<Server>;
    type IntoFuture = Ready<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        ready(self.run())
    }
}

impl fmt::Debug for CreateUnixServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateUnixServer")
            .field("backlog", &self.backlog)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

fn about(address: &Address, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("error while attempting to bind on address {address}: {error}"))
}

/// Removes a socket file that a server which is gone has left. One that is alive, or another kind of file, stays.
/// `connect` finds out which it is.
pub(crate) fn remove_stale(path: &Path, connect: impl FnOnce(&Address) -> io::Result<()>) -> io::Result<()> {
    if !is_socket(path) {
        return Ok(()); // Binding will tell if something else is there.
    }
    let address = Address::Unix(path.to_path_buf());
    match connect(&address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, format!("another server listens on {address}"))),
    }
}

/// The file of a socket that we have bound.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: PathBuf) -> Option<Self> {
        let identity = identity(&path)?;
        Some(Self { path, identity })
    }

    /// Removes it, if it is still the same. Somebody else may have done so.
    pub(crate) fn remove(&self) {
        if identity(&self.path) == Some(self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }

    #[cfg(unix)]
    fn set_mode(&self, bits: u32) -> io::Result<()> {
        fs::set_permissions(&self.path, fs::Permissions::from_mode(bits))
    }

    #[cfg(not(unix))]
    fn set_mode(&self, _bits: u32) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "files have no permission bits here"))
    }
}

/// Device and number of the file at `path`.
#[cfg(unix)]
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_path: &Path) -> Option<(u64, u64)> {
    None
}

#[cfg(unix)]
fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

#[cfg(not(unix))]
fn is_socket(_path: &Path) -> bool {
    false
}
