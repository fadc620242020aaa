//! Signals as callbacks. Each test has signals of its own, because they belong to the process.
#![cfg(unix)]

#[path = "support/log.rs"]
mod log;

use asyncio_driver::{
    Notify, PollingDriver, Signal, SignalAction, SignalError, SignalWatch, signal_action, watch_signal,
};
use asyncio_loop::{EventLoop, Trigger};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use log::Log;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// Raises a signal in this thread: its handler has run when this returns.
#[expect(unsafe_code, reason = "kill(2) lets any thread of the process handle it, at any time")]
fn raise(signal: Signal) {
    // SAFETY: `raise` touches no memory of ours, and the handlers are async-signal-safe.
    let status = unsafe { libc::raise(signal.as_raw()) };
    assert_eq!(status, 0);
}

fn loops() -> [EventLoop; 2] {
    let polling = Box::new(PollingDriver::new().unwrap());
    [EventLoop::builder().build().unwrap(), EventLoop::builder().driver(polling).build().unwrap()]
}

#[test]
fn a_signal_wakes_a_loop_that_waits_and_runs_as_a_callback() {
    for event_loop in loops() {
        let log = Log::new();
        let (inner, seen) = (event_loop.clone(), log.clone());
        event_loop
            .add_signal_handler(Signal::USR1, move || {
                seen.add(inner.is_running());
                inner.stop();
            })
            .unwrap();
        for _ in 0..20 {
            std::thread::scope(|scope| {
                scope.spawn(|| raise(Signal::USR1));
                event_loop.run_forever().unwrap();
            });
        }
        assert_eq!(log.take(), [true; 20]);
        event_loop.close().unwrap();
        assert_eq!(signal_action(Signal::USR1).unwrap(), SignalAction::Default);
    }
}

#[test]
fn a_burst_is_few_calls_and_never_none() {
    for event_loop in loops() {
        let log = Log::new();
        let (seen, inner) = (log.clone(), event_loop.clone());
        event_loop
            .add_signal_handler(Signal::USR2, move || {
                seen.add(());
                inner.stop();
            })
            .unwrap();
        for _ in 0..1000 {
            raise(Signal::USR2);
        }
        // Would wait for ever if the state were lost. Another thread may take one of the signals, and be late.
        event_loop.run_forever().unwrap();
        event_loop.run_until_blocked().unwrap();
        assert!((1..1000).contains(&log.take().len()));
        raise(Signal::USR2);
        event_loop.run_forever().unwrap();
        assert!(!log.take().is_empty());
        event_loop.close().unwrap();
    }
}

#[test]
fn loops_in_two_threads_are_both_told() {
    // Ignored, if the tests were started by `nohup`.
    let before = signal_action(Signal::HUP).unwrap();
    std::thread::scope(|scope| {
        let (ready, is_ready) = std::sync::mpsc::channel();
        for _ in 0..2 {
            let ready = ready.clone();
            scope.spawn(move || {
                let event_loop = EventLoop::builder().build().unwrap();
                let inner = event_loop.clone();
                event_loop.add_signal_handler(Signal::HUP, move || inner.stop()).unwrap();
                ready.send(()).unwrap();
                event_loop.run_forever().unwrap();
                event_loop.close().unwrap();
            });
        }
        is_ready.iter().take(2).for_each(drop);
        raise(Signal::HUP);
    });
    assert_eq!(signal_action(Signal::HUP).unwrap(), before);
}

#[test]
fn handlers_are_replaced_and_removed_and_the_previous_action_comes_back() {
    assert_eq!(signal_action(Signal::WINCH).unwrap(), SignalAction::Default);
    for event_loop in loops() {
        let log = Log::new();
        let (first, second) = (log.clone(), log.clone());
        let held = Rc::new(());
        let captured = held.clone();
        assert!(!event_loop.remove_signal_handler(Signal::WINCH));
        event_loop
            .add_signal_handler(Signal::WINCH, move || {
                let _held = &captured;
                first.add("first");
            })
            .unwrap();
        assert_eq!(signal_action(Signal::WINCH).unwrap(), SignalAction::Handler);
        raise(Signal::WINCH);
        let inner = event_loop.clone();
        event_loop
            .add_signal_handler(Signal::WINCH, move || {
                second.add("second");
                inner.stop();
            })
            .unwrap();
        assert_eq!(Rc::strong_count(&held), 1);
        event_loop.run_forever().unwrap();
        assert_eq!(log.take(), ["second"], "a signal that has arrived is not lost by changing the handler");
        assert!(event_loop.remove_signal_handler(Signal::WINCH));
        assert!(!event_loop.remove_signal_handler(Signal::WINCH));
        assert_eq!(signal_action(Signal::WINCH).unwrap(), SignalAction::Default);
        raise(Signal::WINCH);
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take(), [""; 0]);
    }
}

#[test]
fn a_removed_handler_is_not_called_for_what_has_arrived() {
    for event_loop in loops() {
        event_loop.add_signal_handler(Signal::URG, || panic!("removed")).unwrap();
        let reports = Log::new();
        let sink = reports.clone();
        event_loop.set_exception_handler(move |_, report| sink.add(report.to_string()));
        raise(Signal::URG);
        assert!(event_loop.remove_signal_handler(Signal::URG));
        event_loop.run_until_blocked().unwrap();
        assert_eq!(reports.take(), [""; 0]);
    }
}

#[test]
fn what_cannot_be_handled_is_an_error_that_says_why() {
    let [event_loop, _] = loops();
    let [zero, negative, large] = [0, -1, 4711].map(Signal::from_raw);
    for signal in [Signal::KILL, Signal::STOP, Signal::SEGV, zero, negative, large] {
        let held = Rc::new(());
        let captured = held.clone();
        let error = event_loop.add_signal_handler(signal, move || drop(Rc::clone(&captured))).unwrap_err();
        assert_eq!((error.kind(), Rc::strong_count(&held)), (io::ErrorKind::InvalidInput, 1));
        let signal_error = error.get_ref().and_then(|error| error.downcast_ref::<SignalError>()).unwrap();
        assert!(matches!(signal_error, SignalError::Invalid(_) | SignalError::Refused(_)), "{signal_error}");
    }
    assert_eq!(event_loop.pending(), []);
}

#[test]
fn a_closed_loop_swallows_no_signal() {
    for event_loop in loops() {
        event_loop.close().unwrap();
        let error = event_loop.add_signal_handler(Signal::ALRM, || ()).unwrap_err();
        assert_eq!(error.to_string(), "event loop is closed");
        assert_eq!(signal_action(Signal::ALRM).unwrap(), SignalAction::Default);
    }
}

#[test]
fn a_driver_whose_notifier_takes_locks_handles_no_signal() {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let event_loop = EventLoop::builder().driver(Box::new(driver)).build().unwrap();
    let error = event_loop.add_signal_handler(Signal::ALRM, || ()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert_eq!(signal_action(Signal::ALRM).unwrap(), SignalAction::Default);
}

/// Fires a trigger in the system's signal handler itself.
#[derive(Debug)]
struct FiresInHandler(Trigger);

impl Notify for FiresInHandler {
    fn notify(&self) {
        self.0.fire();
    }
}

// sem. 23: what may be called in a signal handler is a trigger.
#[test]
fn a_trigger_may_be_fired_in_a_signal_handler() {
    static WATCH: Mutex<Option<SignalWatch>> = Mutex::new(None);
    for event_loop in loops() {
        let log = Log::new();
        let (seen, inner) = (log.clone(), event_loop.clone());
        let trigger = event_loop.create_trigger(move || {
            seen.add(());
            inner.stop();
        });
        *WATCH.lock().unwrap() = Some(watch_signal(Signal::IO, Arc::new(FiresInHandler(trigger))).unwrap());
        for _ in 0..50 {
            std::thread::scope(|scope| {
                scope.spawn(|| raise(Signal::IO));
                event_loop.run_forever().unwrap();
            });
        }
        *WATCH.lock().unwrap() = None;
        event_loop.close().unwrap();
        assert_eq!(log.take().len(), 50);
    }
}

#[test]
fn an_interrupted_wait_goes_on() {
    for event_loop in loops() {
        // Watched, so that the process lives; but by nobody of this loop.
        let other = EventLoop::builder().build().unwrap();
        other.add_signal_handler(Signal::VTALRM, || ()).unwrap();
        let stopper = event_loop.clone();
        let before = event_loop.time();
        event_loop.call_later(0.01, move || stopper.stop());
        std::thread::scope(|scope| {
            // To the process, so that it may well hit the thread that waits.
            let interrupt =
                || rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::VTALARM);
            scope.spawn(move || (0..100).for_each(|_| interrupt().unwrap()));
            event_loop.run_forever().unwrap();
        });
        assert!(event_loop.time() - before >= 0.01);
    }
}
