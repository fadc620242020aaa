//! Loops on virtual time.

use asyncio_loop::EventLoop;
use asyncio_tasks::LoopTasksExt;
use asyncio_testing::{ScriptedDriver, VirtualClock};

pub(crate) fn event_loop() -> EventLoop {
    EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap()
}

/// Runs `main` in a loop of its own, which is closed also if `main` panics. What waits for ever is an error.
#[track_caller]
pub(crate) fn run<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
    struct Closes(EventLoop);
    impl Drop for Closes {
        fn drop(&mut self) {
            self.0.close().unwrap();
        }
    }
    let event_loop = Closes(event_loop());
    event_loop.0.run_until_complete(main).unwrap()
}
