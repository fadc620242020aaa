//! Loops on every driver, for suites that must hold on all of them.

use asyncio_driver::PollingDriver;
use asyncio_loop::EventLoop;
use asyncio_testing::{ScriptedDriver, VirtualClock};

/// Makes a `#[test]` of each `async fn` for each driver: virtual time, `polling`, the platform's best. The loop must end
/// with nothing pending.
macro_rules! on_each_driver {
    ($($(#[$meta:meta])* async fn $name:ident() $body:block)*) => {
        $($(#[$meta])* async fn $name() $body)*
        crate::drivers::on_each_driver!(@tests scripted, $($name)*);
        crate::drivers::on_each_driver!(@tests polling, $($name)*);
        crate::drivers::on_each_driver!(@tests platform, $($name)*);
    };
    // Those that have sockets of the system.
    (with sockets: $($(#[$meta:meta])* async fn $name:ident() $body:block)*) => {
        $($(#[$meta])* async fn $name() $body)*
        crate::drivers::on_each_driver!(@tests polling, $($name)*);
        crate::drivers::on_each_driver!(@tests platform, $($name)*);
    };
    (@tests $driver:ident, $($name:ident)*) => {
        mod $driver {
            $(#[test]
            fn $name() {
                crate::drivers::run_on(&crate::drivers::$driver(), super::$name());
            })*
        }
    };
}
pub(crate) use on_each_driver;

#[track_caller]
pub(crate) fn run_on(event_loop: &EventLoop, main: impl Future<Output = ()> + 'static) {
    use asyncio_tasks::LoopTasksExt as _;
    event_loop.run_until_complete(main).unwrap();
    event_loop.run_until_blocked().unwrap();
    assert_eq!(event_loop.pending(), [], "nothing is left behind");
    event_loop.close().unwrap();
}

pub(crate) fn scripted() -> EventLoop {
    EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap()
}

pub(crate) fn polling() -> EventLoop {
    EventLoop::builder().driver(Box::new(PollingDriver::new().unwrap())).build().unwrap()
}

pub(crate) fn platform() -> EventLoop {
    EventLoop::builder().build().unwrap()
}
