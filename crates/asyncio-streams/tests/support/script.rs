//! Loops in virtual time, of which a script says how bytes move.

use asyncio_loop::EventLoop;
use asyncio_testing::{Script, ScriptedDriver, VirtualClock};

/// A loop in virtual time, of which the script says how bytes move.
pub(crate) fn scripted_with(write: impl FnOnce(&Script)) -> EventLoop {
    let (event_loop, script) = scripted_and_script();
    write(&script);
    event_loop
}

pub(crate) fn scripted_and_script() -> (EventLoop, Script) {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    (EventLoop::builder().driver(Box::new(driver)).build().unwrap(), script)
}
