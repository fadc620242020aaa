//! Runs a test on the platform's best loop.

use asyncio_loop::EventLoop;
use asyncio_tasks::LoopTasksExt as _;

/// Runs `main` to its end. The loop must have nothing pending then.
#[track_caller]
pub(crate) fn run(main: impl Future<Output = ()> + 'static) {
    let event_loop = EventLoop::builder().build().unwrap();
    event_loop.run_until_complete(main).unwrap();
    event_loop.run_until_blocked().unwrap();
    assert_eq!(event_loop.pending(), [], "nothing is left behind");
    event_loop.close().unwrap();
}
