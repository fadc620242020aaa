//! Loops on virtual time.

use asyncio_loop::EventLoop;
use asyncio_tasks::LoopTasksExt;
use asyncio_testing::{ScriptedDriver, VirtualClock};

pub(crate) fn event_loop() -> EventLoop {
    EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap()
}

/// Runs `main` in a loop of its own. What waits for ever is an error.
#[track_caller]
pub(crate) fn run<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
    let event_loop = event_loop();
    let output = event_loop.run_until_complete(main).unwrap();
    event_loop.close().unwrap();
    output
}
