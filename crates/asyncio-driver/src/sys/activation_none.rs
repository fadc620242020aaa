//! No service manager opens sockets for a process here.

use super::os_socket::OsSocket;
use std::io;

/// The sockets that were opened for this process by whoever started it: none on this system.
///
/// # Errors
///
/// None.
pub fn take_inherited_sockets() -> io::Result<Vec<(String, OsSocket)>> {
    Ok(Vec::new())
}
