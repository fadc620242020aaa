//! A host with a loop of its own: it polls the loop's descriptor until the loop's deadline, and runs it once.
#![cfg(unix)]

#[path = "support/log.rs"]
mod log;

use asyncio_driver::{PollingDriver, Signal};
use asyncio_loop::{EventLoop, try_get_running_loop};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use log::Log;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{getpid, kill_process};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

fn loops() -> [EventLoop; 3] {
    let polling = Box::new(PollingDriver::new().unwrap());
    [
        EventLoop::builder().build().unwrap(),
        EventLoop::builder().strict_order(true).build().unwrap(),
        EventLoop::builder().driver(polling).build().unwrap(),
    ]
}

/// The host.
struct Host {
    event_loop: EventLoop,
    fd: OwnedFd,
    polls: usize,
}

impl Host {
    fn new(event_loop: &EventLoop) -> Self {
        Self { event_loop: event_loop.clone(), fd: event_loop.poll_fd().unwrap(), polls: 0 }
    }

    /// Whether poll(2) says that the loop has something to do, now or within the timeout.
    fn is_readable(&self, timeout: Option<Duration>) -> bool {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap(),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        let mut fds = [PollFd::from_borrowed_fd(self.fd.as_fd(), PollFlags::IN)];
        poll(&mut fds, timeout.as_ref()).unwrap() > 0
    }

    /// One turn of the host's loop.
    fn turn(&mut self) {
        let wait = self.event_loop.next_deadline().map(|when| (when - self.event_loop.time()).max(0.0));
        self.is_readable(wait.map(Duration::from_secs_f64));
        self.polls += 1;
        self.event_loop.run_once(Some(Duration::ZERO)).unwrap();
    }

    fn turn_until<T: 'static>(&mut self, log: &Log<T>, entries: usize) -> Vec<T> {
        let mut all = Vec::new();
        while all.len() < entries {
            self.turn();
            all.extend(log.take());
        }
        all
    }
}

#[test]
fn everything_reaches_a_loop_in_a_host() {
    for event_loop in loops() {
        let log = Log::new();
        let mut host = Host::new(&event_loop);
        event_loop.call_soon(log.adds("soon"));
        assert_eq!(host.turn_until(&log, 1), ["soon"]);

        event_loop.call_later(0.002, log.adds("second timer"));
        event_loop.call_later(0.001, log.adds("first timer"));
        host.polls = 0;
        assert_eq!(host.turn_until(&log, 2), ["first timer", "second timer"]);
        assert!(host.polls < 50, "the host was busy: {} turns", host.polls);

        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let (reader, mut fd) = (log.clone(), ours.try_clone().unwrap());
        event_loop
            .add_reader(&ours, move || {
                fd.read_exact(&mut [0]).unwrap();
                reader.add("read");
            })
            .unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| theirs.write_all(b"x").unwrap());
            assert_eq!(host.turn_until(&log, 1), ["read"]);
        });
        assert!(event_loop.remove_reader(&ours));
        ours.write_all(b"x").unwrap();

        let signal = log.clone();
        event_loop.add_signal_handler(Signal::PROF, move || signal.add("signal")).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| kill_process(getpid(), rustix::process::Signal::PROF).unwrap());
            assert_eq!(host.turn_until(&log, 1), ["signal"]);
        });
        event_loop.close().unwrap();
    }
}

#[test]
fn a_loop_that_does_not_run_is_asleep_so_posts_make_its_descriptor_readable() {
    for event_loop in loops() {
        let log = Log::new();
        let sink = log.clone();
        let trigger = event_loop.create_trigger(move || sink.add(()));
        let (host, handle) = (Host::new(&event_loop), event_loop.handle());
        assert!(!host.is_readable(Some(Duration::ZERO)));
        for round in 0..10 {
            // The host has looked at the deadline and is about to poll: from here on nothing may be lost.
            assert_eq!(event_loop.next_deadline(), None, "round {round}");
            if round % 2 == 0 {
                let ran = Arc::new(AtomicBool::new(false));
                let answer = ran.clone();
                handle.post(move || answer.store(true, Ordering::Relaxed)).unwrap();
                assert!(host.is_readable(Some(Duration::ZERO)), "round {round}");
                assert!(event_loop.next_deadline().is_some());
                event_loop.run_until_blocked().unwrap();
                assert!(ran.load(Ordering::Relaxed));
            } else {
                trigger.fire();
                assert!(host.is_readable(Some(Duration::ZERO)), "round {round}");
                event_loop.run_until_blocked().unwrap();
                assert_eq!(log.take().len(), 1);
            }
            assert!(!host.is_readable(Some(Duration::ZERO)), "round {round}: nothing is left, and the host may wait");
        }
    }
}

/// A thread posts whenever the last post has run, while the host waits without a limit: a lost wake-up would hang.
#[test]
fn no_post_is_lost_between_two_runs() {
    const POSTS: usize = 5_000;
    for event_loop in loops() {
        let (mut host, handle) = (Host::new(&event_loop), event_loop.handle());
        let ran = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=POSTS {
                    let count = ran.clone();
                    handle.post(move || _ = count.fetch_add(1, Ordering::Relaxed)).unwrap();
                    while n % 3 == 0 && ran.load(Ordering::Relaxed) < n {
                        std::thread::yield_now();
                    }
                }
            });
            while ran.load(Ordering::Relaxed) < POSTS {
                host.turn();
            }
        });
    }
}

#[test]
fn a_host_may_schedule_between_two_runs() {
    for event_loop in loops() {
        let log = Log::new();
        let mut host = Host::new(&event_loop);
        assert!(try_get_running_loop().is_err());
        for n in 0..5 {
            event_loop.call_soon(log.adds(n));
            assert!(event_loop.next_deadline().unwrap() <= event_loop.time());
            host.turn();
            assert_eq!((log.take(), event_loop.next_deadline()), (vec![n], None));
        }
        event_loop.stop();
        assert!(event_loop.next_deadline().is_some(), "stopping is something to do");
        host.turn();
        assert_eq!(event_loop.next_deadline(), None);
    }
}

#[test]
fn the_next_deadline_is_the_earliest_live_timer() {
    let event_loop = EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap();
    let first = event_loop.call_later(1, || ());
    event_loop.call_later(2, || ());
    assert_eq!(event_loop.next_deadline(), Some(1.0));
    first.cancel();
    assert_eq!(event_loop.next_deadline(), Some(2.0));
}

#[test]
fn a_loop_without_a_descriptor_says_so() {
    let scripted = EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap();
    assert_eq!(scripted.poll_fd().unwrap_err().kind(), io::ErrorKind::Unsupported);
    for event_loop in loops() {
        let fd = Rc::new(event_loop.poll_fd().unwrap());
        event_loop.close().unwrap();
        assert_eq!(event_loop.poll_fd().unwrap_err().kind(), io::ErrorKind::NotConnected);
        assert!(fd.try_clone().is_ok(), "the host's descriptor is its own");
    }
}
