//! A loop on virtual time.

use asyncio_loop::EventLoop;
use asyncio_testing::{ScriptedDriver, VirtualClock};

pub(crate) fn event_loop() -> EventLoop {
    EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap()
}
