//! Runs a test's coroutine in virtual time, and keeps what happened in order.

use asyncio_loop::EventLoop;
use asyncio_tasks::{LoopTasksExt, yield_now};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;

pub(crate) fn run<T: 'static>(main: impl Future<Output = T> + 'static) -> T {
    let event_loop = event_loop();
    let result = event_loop.run_until_complete(main).unwrap();
    event_loop.close().unwrap();
    result
}

pub(crate) fn event_loop() -> EventLoop {
    EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap()
}

/// Lets everything that is ready run, and what becomes ready by that, for a while.
pub(crate) async fn settle() {
    for _ in 0..10 {
        yield_now().await;
    }
}

pub(crate) struct Log<T>(Rc<RefCell<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Debug + PartialEq> Log<T> {
    pub(crate) fn new() -> Self {
        Self(Rc::default())
    }

    pub(crate) fn push(&self, entry: T) {
        self.0.borrow_mut().push(entry);
    }

    #[track_caller]
    pub(crate) fn assert(&self, expected: impl AsRef<[T]>) {
        assert_eq!(*self.0.borrow(), expected.as_ref());
    }
}
