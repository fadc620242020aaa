//! `new_driver` on Linux: epoll with nothing in between.

use super::epoll::EpollDriver;
use crate::Driver;
use std::io;

/// Makes the best driver of this system: [`EpollDriver`] on Linux, [`PollingDriver`](crate::PollingDriver) elsewhere.
///
/// Whoever wants another one calls its constructor.
///
/// # Errors
///
/// What the system reports; mostly that no descriptor is left.
pub fn new_driver() -> io::Result<Box<dyn Driver>> {
    Ok(Box::new(EpollDriver::new()?))
}
