//! What only Unix sockets can: say who is at the other end, and carry descriptors. On Linux.

use crate::PeerCredentials;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Who is at the other end of a Unix socket, as it was when the connection was made.
///
/// # Errors
///
/// `InvalidInput` if it is not a connected Unix socket, or the other end is a process that this one cannot see (of another
/// container).
pub fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<PeerCredentials> {
    let found = sockopt::socket_peercred(socket).map_err(|error| match error {
        // `PERM` is what `rustix` makes of process number 0: another kind of socket, or a process that we cannot see.
        Errno::OPNOTSUPP | Errno::NOPROTOOPT | Errno::INVAL | Errno::PERM => not_unix(),
        error => error.into(),
    })?;
    Ok(PeerCredentials {
        pid: u32::try_from(found.pid.as_raw_nonzero().get()).ok(),
        uid: found.uid.as_raw(),
        gid: found.gid.as_raw(),
    })
}

fn not_unix() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "only a connected Unix socket knows who is at its other end")
}

pub(super) fn send_fds(socket: BorrowedFd<'_>, data: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
    if data.is_empty() || fds.len() > FDS_MAX {
        let message = format!("descriptors travel with one byte at least, and {FDS_MAX} at a time at most");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(sendmsg(socket, &[IoSlice::new(data)], &mut control, SendFlags::NOSIGNAL)?)
}

pub(super) fn recv_fds(socket: BorrowedFd<'_>, room: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(room)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok((received.bytes, fds))
}

/// `SCM_MAX_FD` of the kernel.
const FDS_MAX: usize = 253;
