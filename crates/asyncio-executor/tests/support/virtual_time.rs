//! Loops in virtual time.

use asyncio_loop::EventLoop;
use asyncio_testing::{ScriptedDriver, VirtualClock};

/// A loop in virtual time.
pub(crate) fn virtual_loop() -> EventLoop {
    EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap()
}
