//! Running and stopping, interrupting, and what may not run.

#[path = "support/drivers.rs"]
mod drivers;
#[path = "support/log.rs"]
mod log;

use asyncio_loop::{RunError, try_get_running_loop};
use asyncio_testing::{Operation, ScriptedDriver, VirtualClock};
use log::Log;
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

drivers::on_each_driver! {
    // sem. 10
    fn stop_before_a_run_gives_one_iteration_that_does_not_wait(event_loop) {
        let log = Log::new();
        event_loop.call_later(5, log.adds("never"));
        let (inner, inner_log) = (event_loop.clone(), log.clone());
        event_loop.call_soon(move || {
            inner_log.add("first");
            inner.call_soon(inner_log.adds("second"));
        });
        let before = event_loop.time();
        event_loop.stop();
        event_loop.run_forever().unwrap();
        assert_eq!(log.take(), ["first"]);
        assert_eq!(event_loop.statistics().iterations_total, 1);
        // Also if nothing is ready.
        event_loop.run_until_blocked().unwrap();
        event_loop.stop();
        event_loop.run_forever().unwrap();
        assert_eq!(log.take(), ["second"]);
        assert!(event_loop.time() - before < 2.5, "it waited");
    }

    // sem. 11
    fn stop_lets_the_rest_of_the_iteration_run(event_loop) {
        let log = Log::new();
        let (inner, inner_log) = (event_loop.clone(), log.clone());
        event_loop.call_soon(move || {
            inner.stop();
            inner.call_soon(inner_log.adds("next run"));
        });
        event_loop.call_soon(log.adds("same batch"));
        event_loop.run_forever().unwrap();
        assert_eq!(log.take(), ["same batch"]);
        event_loop.stop();
        event_loop.run_forever().unwrap();
        assert_eq!(log.take(), ["next run"]);
    }

    // sem. 9
    fn an_interrupt_leaves_at_once_and_keeps_the_rest(event_loop) {
        let log = Log::new();
        let inner = event_loop.clone();
        event_loop.call_soon(log.adds("before"));
        event_loop.call_soon(move || inner.interrupt());
        event_loop.call_soon(log.adds("after"));
        let stopper = event_loop.clone();
        event_loop.call_soon(move || stopper.stop());
        assert!(matches!(event_loop.run_forever(), Err(RunError::Interrupted)));
        assert_eq!(log.take(), ["before"]);
        event_loop.run_forever().unwrap();
        assert_eq!(log.take(), ["after"]);
    }

    fn an_interrupt_before_a_run_ends_it_at_once(event_loop) {
        let log = Log::new();
        event_loop.interrupt();
        assert!(matches!(event_loop.run_forever(), Err(RunError::Interrupted)), "and does not wait for ever");
        event_loop.call_soon(log.adds("once"));
        event_loop.stop();
        event_loop.run_forever().unwrap();
        assert_eq!(log.take(), ["once"]);
    }

    // sem. 15
    fn a_running_loop_cannot_be_run(event_loop) {
        let log = Log::new();
        let (inner, inner_log) = (event_loop.clone(), log.clone());
        event_loop.call_soon(move || {
            assert!(matches!(inner.run_forever(), Err(RunError::AlreadyRunning)));
            assert!(matches!(inner.run_once(None), Err(RunError::AlreadyRunning)));
            assert!(matches!(inner.run_until_blocked(), Err(RunError::AlreadyRunning)));
            assert!(inner.is_running());
            inner_log.add("still running");
            inner.stop();
        });
        event_loop.run_forever().unwrap();
        assert_eq!(log.take(), ["still running"]);
        assert!(!event_loop.is_running());
    }

    // sem. 15, 24: and the refused run leaves the running one where it was.
    fn another_loop_cannot_be_run_inside(event_loop) {
        let log = Log::new();
        let other = drivers::platform();
        let (inner, inner_log) = (event_loop.clone(), log.clone());
        other.call_soon(log.adds("not now"));
        let refused = other.clone();
        event_loop.call_soon(move || {
            assert!(matches!(refused.run_forever(), Err(RunError::OtherLoopRunning)));
            assert!(!refused.is_running());
            assert!(try_get_running_loop().unwrap().is_same(&inner));
            inner_log.add("refused");
            inner.stop();
        });
        event_loop.run_forever().unwrap();
        other.run_until_blocked().unwrap();
        assert_eq!(log.take(), ["refused", "not now"]);
    }

    // sem. 24
    fn a_loop_is_running_only_while_it_runs(event_loop) {
        assert!(!event_loop.is_running() && try_get_running_loop().is_err());
        let inner = event_loop.clone();
        let seen = Rc::new(Cell::new(false));
        let sees = seen.clone();
        event_loop.call_soon(move || sees.set(inner.is_running() && try_get_running_loop().unwrap().is_same(&inner)));
        event_loop.run_until_blocked().unwrap();
        assert!(seen.get());
        assert!(!event_loop.is_running() && try_get_running_loop().is_err());
        // A refused run leaves nothing behind (CPython 3.13.0 left the slot filled).
        event_loop.close().unwrap();
        assert!(matches!(event_loop.run_forever(), Err(RunError::Closed)));
        assert!(!event_loop.is_running() && try_get_running_loop().is_err());
    }

    // sem. 16
    fn a_running_loop_cannot_be_closed(event_loop) {
        let inner = event_loop.clone();
        event_loop.call_soon(move || {
            assert!(matches!(inner.close(), Err(RunError::AlreadyRunning)));
            inner.stop();
        });
        event_loop.run_forever().unwrap();
        assert!(!event_loop.is_closed());
    }
}

#[test]
fn a_deadlock_is_an_error_that_says_so() {
    let event_loop = drivers::scripted();
    let error = io::Error::from(event_loop.run_forever().unwrap_err());
    assert_eq!(error.kind(), io::ErrorKind::Deadlock);
    assert!(error.to_string().contains("nothing can ever happen"), "{error}");
    // It is no catastrophe: with something to do, the loop goes on.
    let stopper = event_loop.clone();
    event_loop.call_later(3600, move || stopper.stop());
    event_loop.run_forever().unwrap();
}

#[test]
fn a_driver_that_cannot_wait_ends_the_run_and_loses_nothing() {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    let event_loop = asyncio_loop::EventLoop::builder().driver(Box::new(driver)).build().unwrap();
    let log = Log::new();
    event_loop.call_soon(log.adds("ready"));
    event_loop.call_later(1, log.adds("timer"));
    event_loop.handle().post(|| ()).unwrap();
    script.fail_next(Operation::Wait, io::Error::other("out of order"));
    match event_loop.run_forever() {
        Err(RunError::Driver(error)) => assert_eq!(error.to_string(), "out of order"),
        other => panic!("{other:?}"),
    }
    assert!(!event_loop.is_running() && try_get_running_loop().is_err());
    assert_eq!(log.take(), [""; 0]);
    let stopper = event_loop.clone();
    event_loop.call_later(2, move || stopper.stop());
    event_loop.run_forever().unwrap();
    assert_eq!(log.take(), ["ready", "timer"]);
}

#[test]
fn spurious_wake_ups_are_nothing() {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    let event_loop = asyncio_loop::EventLoop::builder().driver(Box::new(driver)).build().unwrap();
    let stopper = event_loop.clone();
    event_loop.call_later(1, move || stopper.stop());
    script.wake_spuriously(5);
    event_loop.run_forever().unwrap();
    assert_eq!(event_loop.time(), 1.0);
    assert_eq!(script.statistics().waits, 5 + 1);
}

#[test]
fn a_payload_that_panics_when_dropped_does_not_leave_the_loop() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as expected: dropped");
        }
    }
    let event_loop = drivers::scripted();
    let log = Log::new();
    event_loop.call_soon(|| std::panic::panic_any(Bomb));
    event_loop.call_soon(log.adds("after"));
    let outcome = catch_unwind(AssertUnwindSafe(|| event_loop.run_until_blocked()));
    assert!(matches!(outcome, Ok(Ok(()))));
    assert_eq!(log.take(), ["after"]);
}

#[test]
fn run_once_waits_no_longer_than_it_may() {
    let event_loop = drivers::scripted();
    event_loop.run_once(Some(Duration::from_millis(1500))).unwrap();
    assert_eq!(event_loop.time(), 1.5);
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
    assert_eq!(event_loop.time(), 1.5);
    let log = Log::new();
    event_loop.call_later(0.25, log.adds(()));
    event_loop.run_once(None).unwrap();
    assert_eq!((event_loop.time(), log.take().len()), (1.75, 1));
}

// sem. 30: the earlier of its limit and the first deadline ends a wait.
#[test]
fn run_once_waits_for_a_timer_and_for_its_limit_whichever_is_first() {
    let event_loop = drivers::scripted();
    let log = Log::new();
    event_loop.call_later(1, log.adds("timer"));
    event_loop.run_once(Some(Duration::from_secs(60))).unwrap();
    assert_eq!((event_loop.time(), log.take()), (1.0, vec!["timer"]));
    event_loop.call_later(60, log.adds("timer"));
    event_loop.run_once(Some(Duration::from_secs(1))).unwrap();
    assert_eq!((event_loop.time(), log.take()), (2.0, vec![]));
}
