//! Sockets on the Unixes other than Linux.

use socket2::{Domain, SockAddr, Socket, Type};
use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;

/// A write to a dead peer is an error and not a signal.
pub(super) const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL;

/// Not all of them can tell of a socket whose peer sends no more before something is read.
pub(super) const POLL_HALF_CLOSED: libc::c_short = 0;

/// Not on all of them.
pub(super) const ACCEPTED_INHERIT_OPTIONS: bool = false;

pub(super) fn open(domain: Domain, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

pub(super) fn accept(listener: &Socket) -> io::Result<(Socket, SockAddr)> {
    let (socket, peer) = listener.accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket, peer))
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

/// Not on these systems yet.
pub(super) fn send_file(_: &Socket, _: &File, _offset: u64, _count: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Only Linux has an abstract namespace.
pub(super) fn abstract_address(_name: &[u8]) -> io::Result<SockAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has abstract names of Unix sockets"))
}
