//! Loops on every driver, for suites that must hold on all of them.

use asyncio_driver::PollingDriver;
use asyncio_loop::EventLoop;
use asyncio_testing::{ScriptedDriver, VirtualClock};

/// Makes a `#[test]` of each function for each driver: virtual time, `polling`, the platform's best, and that one once more
/// with `strict_order`. Each loop is closed at the end, for what it still holds may hold the loop.
macro_rules! on_each_driver {
    ($($(#[$meta:meta])* fn $name:ident($event_loop:ident) $body:block)*) => {
        $($(#[$meta])* fn $name($event_loop: &asyncio_loop::EventLoop) $body)*
        crate::drivers::on_each_driver!(@tests scripted, $($name)*);
        crate::drivers::on_each_driver!(@tests polling, $($name)*);
        crate::drivers::on_each_driver!(@tests platform, $($name)*);
        crate::drivers::on_each_driver!(@tests strict, $($name)*);
    };
    (@tests $driver:ident, $($name:ident)*) => {
        mod $driver {
            $(#[test]
            fn $name() {
                let event_loop = crate::drivers::$driver();
                super::$name(&event_loop);
                event_loop.close().unwrap();
            })*
        }
    };
}
pub(crate) use on_each_driver;

pub(crate) fn scripted() -> EventLoop {
    EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap()
}

pub(crate) fn polling() -> EventLoop {
    EventLoop::builder().driver(Box::new(PollingDriver::new().unwrap())).build().unwrap()
}

pub(crate) fn platform() -> EventLoop {
    EventLoop::builder().build().unwrap()
}

pub(crate) fn strict() -> EventLoop {
    EventLoop::builder().strict_order(true).build().unwrap()
}
