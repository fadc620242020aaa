//! Sockets on Linux: opened and accepted in one system call each.

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use std::ffi::{OsStr, c_int};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;

/// A write to a dead peer is an error and not a signal.
pub(super) const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL;

/// What poll(2) says of a socket whose peer sends no more.
pub(super) const POLL_HALF_CLOSED: libc::c_short = libc::POLLRDHUP;

/// An accepted socket has the listener's `TCP_NODELAY` and keep-alive (`sk_clone_lock` in the kernel's `net/core/sock.c`).
pub(super) const ACCEPTED_INHERIT_OPTIONS: bool = true;

pub(super) fn open(domain: Domain, kind: Type) -> io::Result<Socket> {
    Socket::new_raw(domain, kind.nonblocking().cloexec(), None)
}

pub(super) fn accept(listener: &Socket) -> io::Result<(Socket, SockAddr)> {
    listener.accept4(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC)
}

pub(super) fn set_reuse_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

/// Whether the connect goes on without us.
pub(super) fn is_under_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR))
}

/// Receives a packet, cut to `scratch`.
pub(super) fn recv_from(socket: &Socket, scratch: &mut [MaybeUninit<u8>]) -> io::Result<(usize, SockAddr)> {
    socket.recv_from(scratch)
}

/// The kernel copies from the page cache, or from wherever it can map.
pub(super) fn send_file(socket: &Socket, file: &File, mut offset: u64, count: usize) -> io::Result<usize> {
    rustix::fs::sendfile(socket, file, Some(&mut offset), count).map_err(|error| match error {
        // Not a file that can be mapped, or nothing that has an offset; or a kernel or a sandbox without the call.
        Errno::INVAL | Errno::SPIPE | Errno::NOSYS | Errno::OPNOTSUPP => io::ErrorKind::Unsupported.into(),
        error => error.into(),
    })
}

/// A name in the abstract namespace is a path that begins with NUL.
pub(super) fn abstract_address(name: &[u8]) -> io::Result<SockAddr> {
    SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat()))
}
