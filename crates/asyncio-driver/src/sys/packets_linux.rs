//! Several packets in one system call: `recvmmsg` and `sendmmsg`.
//!
//! Invariants:
//! 1. Every pointer in the headers is to something that lives until the call is back.
//! 2. The system writes at most `msg_namelen` bytes of an address and `iov_len` bytes of a packet.

#![expect(unsafe_code, reason = "neither `socket2` nor `rustix` receives several packets at a time")]

use super::socket_address;
use crate::{Packet, Packets};
use socket2::{SockAddr, SockAddrStorage, Socket};
use std::ffi::c_uint;
use std::io;
use std::mem;
use std::os::fd::AsRawFd as _;
use std::ptr;

/// Takes packets that have arrived, as many as there are and have room.
pub(super) fn recv(socket: &Socket, packets: &mut Packets) -> io::Result<()> {
    let mut senders: [SockAddrStorage; BATCH] = std::array::from_fn(|_| SockAddrStorage::zeroed());
    let mut slices = [EMPTY; BATCH];
    let mut headers = [NO_MESSAGE; BATCH];
    let mut wanted = 0;
    for (slot, ((slice, sender), header)) in
        packets.free_slots().zip(slices.iter_mut().zip(&mut senders).zip(&mut headers))
    {
        *slice = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot.len() };
        header.msg_hdr.msg_name = ptr::from_mut(sender).cast();
        header.msg_hdr.msg_namelen = sender.size_of();
        header.msg_hdr.msg_iov = slice;
        header.msg_hdr.msg_iovlen = 1;
        wanted += 1;
    }
    if wanted == 0 {
        return Ok(());
    }
    // SAFETY: invariants 1 and 2; `wanted` headers were filled in, with pointers to what this function has borrowed.
    let count = unsafe { libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), wanted, NO_FLAGS, ptr::null_mut()) };
    let Ok(count) = usize::try_from(count) else { return Err(io::Error::last_os_error()) };
    for (header, sender) in headers.iter().zip(senders).take(count) {
        // SAFETY: the system has written `msg_namelen` bytes of an address into this storage, which was zeroed.
        let sender = unsafe { SockAddr::new(sender, header.msg_hdr.msg_namelen) };
        packets.push(header.msg_len as usize, socket_address::from_system(&sender))?;
    }
    Ok(())
}

/// Sends `packets` in order, and says how many have left.
pub(super) fn send(socket: &Socket, packets: &[Packet<'_>]) -> io::Result<usize> {
    let mut receivers = [const { None }; BATCH];
    let mut slices = [EMPTY; BATCH];
    let mut headers = [NO_MESSAGE; BATCH];
    let mut wanted: c_uint = 0;
    for (packet, ((slice, receiver), header)) in
        packets.iter().zip(slices.iter_mut().zip(&mut receivers).zip(&mut headers))
    {
        *receiver = match packet.to.map(socket_address::to_system).transpose() {
            Ok(address) => address,
            // Those before it leave; next time it is the first, and this is what is wrong with it.
            Err(_) if wanted > 0 => break,
            Err(error) => return Err(error),
        };
        *slice = libc::iovec { iov_base: packet.bytes.as_ptr().cast_mut().cast(), iov_len: packet.bytes.len() };
        if let Some(address) = receiver {
            header.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = address.len();
        }
        header.msg_hdr.msg_iov = slice;
        header.msg_hdr.msg_iovlen = 1;
        wanted += 1;
    }
    // SAFETY: invariant 1; `wanted` headers were filled in, and the system only reads what they point to.
    let count = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), wanted, SEND_FLAGS) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// So many packets go in one call at most.
const BATCH: usize = 32;
const EMPTY: libc::iovec = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
// SAFETY: all zeros is a header without address, bytes and control data; `musl` has private padding in it.
const NO_MESSAGE: libc::mmsghdr = unsafe { mem::zeroed() };

#[cfg(not(target_env = "musl"))]
const NO_FLAGS: i32 = 0;
#[cfg(not(target_env = "musl"))]
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;
#[cfg(target_env = "musl")]
const NO_FLAGS: c_uint = 0;
#[cfg(target_env = "musl")]
const SEND_FLAGS: c_uint = libc::MSG_NOSIGNAL as c_uint;
