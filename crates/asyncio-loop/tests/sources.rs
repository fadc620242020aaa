//! The seams for transports: endpoints that are told, and steps that run when a callback is back.

mod support {
    pub(crate) mod log;
}

use asyncio_driver::{Interest, Mode, Readiness, Source};
use asyncio_loop::{EventLoop, ReadySource, Runnable, Step};
use asyncio_testing::{Script, ScriptedDriver, VirtualClock};
use std::cell::Cell;
use std::rc::Rc;
use support::log::Log;

/// Notes what it is told, and logs when it runs.
struct Endpoint {
    name: &'static str,
    seen: Cell<Readiness>,
    log: Log<String>,
}

impl Endpoint {
    fn new(name: &'static str, log: &Log<String>) -> Rc<Self> {
        Rc::new(Self { name, seen: Cell::new(Readiness::NONE), log: log.clone() })
    }
}

impl ReadySource for Endpoint {
    fn ready(self: Rc<Self>, readiness: Readiness) -> Option<Step> {
        let before = self.seen.get();
        self.seen.set(before | readiness);
        before.is_none().then(|| self.into())
    }

    fn is_source(&self, _: Source<'_>) -> bool {
        false
    }

    fn loop_closed(self: Rc<Self>) {
        self.log.add(format!("{} closed", self.name));
    }
}

impl Runnable for Endpoint {
    fn run(self: Rc<Self>) {
        let seen = self.seen.take();
        self.log.add(format!("{} {}{}", self.name, u8::from(seen.is_readable()), u8::from(seen.is_writable())));
        assert!(self.name != "panics", "as expected");
    }
}

fn event_loop() -> (EventLoop, Script) {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    (EventLoop::builder().driver(Box::new(driver)).build().unwrap(), script)
}

#[test]
fn an_endpoint_is_told_until_it_is_removed() {
    let ((event_loop, script), log) = (event_loop(), Log::new());
    let (first, second) = (script.source(), script.source());
    let owner = Endpoint::new("first", &log);
    let key = event_loop.add_source(first.source(), Interest::BOTH, Mode::Edge, owner.clone()).unwrap();
    event_loop.add_source(second.source(), Interest::READABLE, Mode::Level, Endpoint::new("second", &log)).unwrap();
    assert_eq!((event_loop.sources::<Endpoint>().len(), event_loop.statistics().sources), (2, 2));

    first.set_ready(Readiness::BOTH);
    second.set_ready(Readiness::BOTH);
    event_loop.run_once(None).unwrap();
    assert_eq!(log.take(), ["first 11", "second 10"]);
    event_loop.modify_source(key, first.source(), Interest::WRITABLE, Mode::Edge).unwrap();
    second.set_ready(Readiness::NONE);
    event_loop.run_once(None).unwrap();
    assert_eq!(log.take(), ["first 01"]);

    event_loop.remove_source(key, first.source());
    first.set_ready(Readiness::BOTH);
    event_loop.run_until_blocked().unwrap();
    assert_eq!((log.take(), Rc::strong_count(&owner)), (vec![], 1));
    assert_eq!(event_loop.pending().len(), 1);
    event_loop.close().unwrap();
    assert_eq!(log.take(), ["second closed"]);
    let refused = event_loop.add_source(first.source(), Interest::BOTH, Mode::Edge, owner.clone());
    assert_eq!((refused.unwrap_err().kind(), Rc::strong_count(&owner)), (std::io::ErrorKind::Other, 1));
}

#[test]
fn what_is_deferred_runs_before_the_next_callback() {
    let ((event_loop, _), log) = (event_loop(), Log::new());
    event_loop.set_exception_handler(|_, _| ());
    let steps = ["one", "panics", "two"].map(|name| Endpoint::new(name, &log));
    let (inner, noted) = (event_loop.clone(), log.clone());
    event_loop.call_soon(move || {
        steps.into_iter().for_each(|step| inner.defer(step));
        noted.add(String::from("callback"));
        panic!("as expected");
    });
    let noted = log.clone();
    event_loop.call_soon(move || noted.add(String::from("next callback")));
    event_loop.run_once(None).unwrap();
    assert_eq!(log.take(), ["callback", "one 00", "panics 00", "two 00", "next callback"]);

    // An interruption does not keep it waiting, and a loop that does not run schedules it.
    let (inner, step) = (event_loop.clone(), Endpoint::new("last", &log));
    event_loop.call_soon(move || {
        inner.interrupt();
        inner.defer(step);
    });
    event_loop.run_once(None).unwrap_err();
    assert_eq!(log.take(), ["last 00"]);
    event_loop.defer(Endpoint::new("later", &log));
    assert_eq!(log.take(), [""; 0]);
    event_loop.run_once(None).unwrap();
    assert_eq!(log.take(), ["later 00"]);
}
