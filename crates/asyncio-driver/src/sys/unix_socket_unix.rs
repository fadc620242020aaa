//! What only Unix sockets can. Not on these systems yet.

use crate::PeerCredentials;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Who is at the other end of a Unix socket.
///
/// # Errors
///
/// `Unsupported` on this system.
pub fn peer_credentials(_: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn send_fds(_: BorrowedFd<'_>, _data: &[u8], _: &[BorrowedFd<'_>]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn recv_fds(_: BorrowedFd<'_>, _room: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    Err(io::ErrorKind::Unsupported.into())
}
