//! Signals as the system sends them. Alone in its process, and one signal for each test.

#![cfg(unix)]

use asyncio_driver::{
    Deadline, Driver, Notify, PollingDriver, Signal, SignalAction, SignalError, fork_generation, new_driver,
    raise_default, signal_action, watch_signal,
};
use rustix::process::{getpid, kill_process};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{env, io};

#[derive(Debug, Default)]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Notify for Count {
    fn notify(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Sends `signal` to this process, and waits until a handler of it has used `count` once more.
fn send(signal: Signal, count: &Count) {
    let before = count.get();
    kill(signal);
    // The kernel may choose any thread of the process to run the handler on.
    while count.get() == before {
        std::thread::yield_now();
    }
}

fn kill(signal: Signal) {
    let signal = rustix::process::Signal::from_named_raw(signal.as_raw()).expect("a signal with a name");
    kill_process(getpid(), signal).unwrap();
}

#[test]
fn a_signal_ends_the_wait_and_is_told_once() {
    let drivers: [Box<dyn Driver>; 2] = [new_driver().unwrap(), Box::new(PollingDriver::new().unwrap())];
    for mut driver in drivers {
        assert!(driver.capabilities().notify_in_signal_handler);
        let watch = watch_signal(Signal::USR1, driver.notifier()).unwrap();
        assert_eq!((watch.signal(), watch.take()), (Signal::USR1, false));
        for _ in 0..20 {
            kill(Signal::USR1);
            let mut events = Vec::new();
            while !watch.take() {
                driver.wait(Deadline::Never, &mut events).unwrap();
            }
            assert!(events.is_empty() && !watch.take());
            // The handler may have noted the signal and not notified yet: its notification ends one wait more.
            let soon = driver.now() + Duration::from_millis(1);
            driver.wait(Deadline::At(soon), &mut events).unwrap();
        }
    }
}

#[test]
fn the_previous_action_comes_back_with_the_last_watch() {
    let count = Arc::new(Count::default());
    assert_eq!(signal_action(Signal::USR2).unwrap(), SignalAction::Default);
    let first = watch_signal(Signal::USR2, count.clone()).unwrap();
    let second = watch_signal(Signal::USR2, count.clone()).unwrap();
    assert_eq!(signal_action(Signal::USR2).unwrap(), SignalAction::Handler);

    send(Signal::USR2, &count);
    while count.get() < 2 {
        std::thread::yield_now();
    }
    assert!(first.take() && second.take(), "both are told");
    drop(first);
    assert_eq!(signal_action(Signal::USR2).unwrap(), SignalAction::Handler);
    send(Signal::USR2, &count);
    assert!(second.take() && count.get() == 3, "who is left is told");
    drop(second);
    assert_eq!(signal_action(Signal::USR2).unwrap(), SignalAction::Default);
    assert_eq!(Arc::strong_count(&count), 1, "nothing keeps the notifier");
    // Rust programs ignore SIGPIPE, which is an action to be restored like any other.
    assert_eq!(signal_action(Signal::PIPE).unwrap(), SignalAction::Ignored);
    drop(watch_signal(Signal::PIPE, count).unwrap());
    assert_eq!(signal_action(Signal::PIPE).unwrap(), SignalAction::Ignored);
}

#[test]
fn a_burst_is_one_arrival_and_none_is_lost() {
    let count = Arc::new(Count::default());
    let watch = watch_signal(Signal::WINCH, count.clone()).unwrap();
    for _ in 0..1000 {
        kill(Signal::WINCH);
    }
    send(Signal::WINCH, &count);
    assert!(watch.take());
}

#[test]
fn watches_come_and_go_while_signals_arrive() {
    let count = Arc::new(Count::default());
    let steady = watch_signal(Signal::URG, count.clone()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let passing = Arc::new(Count::default());
                    let watch = watch_signal(Signal::URG, passing.clone()).unwrap();
                    kill(Signal::URG);
                    drop(watch);
                }
            });
        }
        for _ in 0..500 {
            kill(Signal::URG);
        }
    });
    send(Signal::URG, &count);
    assert!(steady.take());
    drop(steady);
    assert_eq!(signal_action(Signal::URG).unwrap(), SignalAction::Default);
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let notifier = Arc::new(Count::default());
    for number in [0, -1, 1000, i32::MAX, i32::MIN] {
        let error = watch_signal(Signal::from_raw(number), notifier.clone()).unwrap_err();
        assert!(matches!(error, SignalError::Invalid(bad) if bad == number), "{error}");
        assert!(matches!(signal_action(Signal::from_raw(number)), Err(SignalError::Invalid(_))));
        assert!(matches!(raise_default(Signal::from_raw(number)), Err(SignalError::Invalid(_))));
    }
    for signal in [Signal::KILL, Signal::STOP, Signal::SEGV, Signal::BUS, Signal::ILL, Signal::FPE] {
        let error = watch_signal(signal, notifier.clone()).unwrap_err();
        assert!(matches!(error, SignalError::Refused(refused) if refused == signal), "{error}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
    }
    assert_eq!(signal_action(Signal::KILL).unwrap(), SignalAction::Default);
    assert_eq!(Arc::strong_count(&notifier), 1);
}

#[test]
fn harmless_signals_can_be_raised_by_default() {
    raise_default(Signal::CONT).unwrap();
    assert_eq!(signal_action(Signal::CONT).unwrap(), SignalAction::Default);
}

/// Runs this test program again, which then comes to `die_of_a_signal` alone.
#[test]
fn a_process_ends_as_killed_by_the_signal_it_raises() {
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let status = Command::new(env::current_exe().unwrap())
            .args(["--exact", "die_of_a_signal", "--test-threads=1"])
            .env(DIE_OF, signal.as_raw().to_string())
            .output()
            .unwrap()
            .status;
        assert_eq!(status.signal(), Some(signal.as_raw()), "{signal}: {status}");
    }
}

#[test]
fn die_of_a_signal() {
    let Ok(number) = env::var(DIE_OF) else { return };
    let signal = Signal::from_raw(number.parse().unwrap());
    // Also while it is watched.
    let _watch = watch_signal(signal, Arc::new(Count::default()));
    raise_default(signal).unwrap();
    unreachable!("{signal} ends the process");
}

#[test]
fn nothing_has_forked_here() {
    assert_eq!(fork_generation(), 0);
    Command::new("true").status().unwrap();
    assert_eq!(fork_generation(), 0);
}

const DIE_OF: &str = "ASYNCIO_DRIVER_TEST_DIE_OF";
