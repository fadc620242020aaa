//! Sockets on Windows.

use socket2::{Domain, MaybeUninitSlice, SockAddr, Socket, Type};
use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;

/// There are no signals to be kept away.
pub(super) const SEND_FLAGS: c_int = 0;

/// Not all options are inherited here.
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

/// `SO_REUSEADDR` comes near, but lets anybody take the port over.
pub(super) fn set_reuse_port(_socket: &Socket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Windows cannot share a port between listeners"))
}

/// Whether the connect goes on without us.
pub(super) fn is_under_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Receives a packet, cut to `scratch`. The plain call would answer a cut packet with an error and no sender.
pub(super) fn recv_from(socket: &Socket, scratch: &mut [MaybeUninit<u8>]) -> io::Result<(usize, SockAddr)> {
    let (count, _cut, sender) = socket.recv_from_vectored(&mut [MaybeUninitSlice::new(scratch)])?;
    Ok((count, sender))
}

/// Not on these systems yet.
pub(super) fn send_file(_: &Socket, _: &File, _offset: u64, _count: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Only Linux has an abstract namespace.
pub(super) fn abstract_address(_name: &[u8]) -> io::Result<SockAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has abstract names of Unix sockets"))
}
