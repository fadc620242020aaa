//! Where there is no system call for several packets: one at a time.

use super::{socket, socket_address, socket_os};
use crate::{Packet, Packets};
use socket2::Socket;
use std::io;

/// Takes the packet that arrived first.
pub(super) fn recv(socket: &Socket, packets: &mut Packets) -> io::Result<()> {
    let (count, sender) = match packets.free_slots().next() {
        Some(slot) => socket_os::recv_from(socket, socket::uninitialised(slot))?,
        None => return Ok(()),
    };
    packets.push(count, socket_address::from_system(&sender))
}

/// Sends the first of `packets`.
pub(super) fn send(socket: &Socket, packets: &[Packet<'_>]) -> io::Result<usize> {
    let Some(packet) = packets.first() else { return Ok(0) };
    match packet.to {
        Some(to) => {
            let to = socket_address::to_system(to)?;
            socket.send_to_with_flags(packet.bytes, &to, socket_os::SEND_FLAGS)?
        }
        None => socket.send_with_flags(packet.bytes, socket_os::SEND_FLAGS)?,
    };
    Ok(1)
}
