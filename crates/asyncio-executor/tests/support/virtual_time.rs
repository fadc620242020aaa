//! Loops in virtual time.

use asyncio_loop::EventLoop;
use asyncio_testing::{ScriptedDriver, VirtualClock};
use std::ops::Deref;

/// A loop in virtual time, which is closed at the end of the test.
pub(crate) fn virtual_loop() -> Closing {
    Closing(EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap())
}

/// Closes a loop: what belongs to it holds it.
pub(crate) struct Closing(EventLoop);

impl Deref for Closing {
    type Target = EventLoop;

    fn deref(&self) -> &EventLoop {
        &self.0
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close().unwrap();
    }
}
