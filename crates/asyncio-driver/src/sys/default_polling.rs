//! `new_driver` wherever there is no driver of our own: the `polling` crate.

use super::poller::PollingDriver;
use crate::Driver;
use std::io;

/// Makes the best driver of this system: [`PollingDriver`] here, `EpollDriver` on Linux.
///
/// # Errors
///
/// What the system reports; mostly that no descriptor is left.
pub fn new_driver() -> io::Result<Box<dyn Driver>> {
    Ok(Box::new(PollingDriver::new()?))
}
