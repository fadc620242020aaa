//! Datagram endpoints, on every driver: virtual time, `polling`, and the platform's best.

#[path = "support/drivers.rs"]
mod drivers;
#[path = "support/packets.rs"]
mod packets;

#[path = "datagrams/opening.rs"]
mod opening;
#[path = "datagrams/sending.rs"]
mod sending;
#[path = "datagrams/system.rs"]
mod system;
