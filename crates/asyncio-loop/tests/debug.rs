//! Debug mode: each mistake is one report that names its place. On virtual time, which callbacks let pass by hand.

#[path = "support/log.rs"]
mod log;

use asyncio_loop::{EventLoop, PendingKind};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use log::Log;
use std::time::Duration;

struct Debugged {
    event_loop: EventLoop,
    clock: VirtualClock,
    reports: Log<(String, u32)>,
}

fn debugged() -> Debugged {
    let clock = VirtualClock::new();
    let driver = Box::new(ScriptedDriver::new(&clock));
    let event_loop = EventLoop::builder().driver(driver).debug(true).build().unwrap();
    let reports = Log::new();
    let sink = reports.clone();
    event_loop.set_exception_handler(move |_, report| {
        sink.add((report.to_string(), report.location().map_or(0, std::panic::Location::line)));
    });
    Debugged { event_loop, clock, reports }
}

/// Callbacks that take 99 ms and 100 ms; gives the line of the second.
fn schedule(it: &Debugged) -> u32 {
    let (quick, slow) = (it.clock.clone(), it.clock.clone());
    it.event_loop.call_soon(move || quick.advance(Duration::from_millis(99)));
    it.event_loop.call_soon(move || slow.advance(Duration::from_millis(100)));
    line!() - 1
}

#[test]
fn a_slow_callback_is_reported_once_with_its_place() {
    let it = debugged();
    let line = schedule(&it);
    it.event_loop.run_until_blocked().unwrap();
    let reports = it.reports.take();
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0].1, line);
    assert!(
        reports[0].0.contains("took 0.100 seconds") && reports[0].0.contains("tests/debug.rs:"),
        "{}",
        reports[0].0
    );
}

#[test]
fn the_limit_can_be_set() {
    let it = debugged();
    assert_eq!(it.event_loop.slow_callback_duration(), Duration::from_millis(100));
    it.event_loop.set_slow_callback_duration(0.099);
    schedule(&it);
    it.event_loop.run_until_blocked().unwrap();
    assert_eq!(it.reports.take().len(), 2);
    it.event_loop.set_slow_callback_duration(Duration::from_secs(1));
    schedule(&it);
    it.event_loop.run_until_blocked().unwrap();
    assert_eq!(it.reports.take().len(), 0);
}

#[test]
fn a_slow_timer_and_a_slow_trigger_are_reported_too() {
    let it = debugged();
    let (timer, trigger) = (it.clock.clone(), it.clock.clone());
    it.event_loop.call_later(5, move || timer.advance(Duration::from_secs(1)));
    it.event_loop.create_trigger(move || trigger.advance(Duration::from_secs(1))).fire();
    it.event_loop.run_once(None).unwrap();
    it.event_loop.run_once(None).unwrap();
    assert_eq!(it.reports.take().len(), 2);
}

#[test]
fn without_debug_mode_nothing_is_reported() {
    let it = debugged();
    assert!(it.event_loop.get_debug());
    it.event_loop.set_debug(false);
    schedule(&it);
    it.event_loop.call_later(60, || ());
    it.event_loop.run_until_blocked().unwrap();
    it.event_loop.close().unwrap();
    assert_eq!(it.reports.take(), []);
}

#[test]
fn a_panic_in_debug_mode_is_one_report() {
    let it = debugged();
    it.event_loop.call_soon(|| panic!("as expected"));
    it.event_loop.run_until_blocked().unwrap();
    assert_eq!(it.reports.take().len(), 1);
}

#[test]
fn what_is_scheduled_on_a_closed_loop_is_reported_with_its_place() {
    let it = debugged();
    it.event_loop.close().unwrap();
    assert_eq!(it.reports.take(), []);
    let line = line!() + 1;
    let handle = it.event_loop.call_soon(|| panic!("closed"));
    let timer = it.event_loop.call_later(1, || panic!("closed"));
    assert!(handle.cancelled() && timer.cancelled());
    let reports = it.reports.take();
    assert_eq!([reports[0].1, reports[1].1], [line, line + 1]);
    assert!(reports[0].0.starts_with("a callback was scheduled on an event loop that is closed"), "{}", reports[0].0);
}

#[test]
fn each_kind_of_leak_is_named_with_its_origin() {
    let it = debugged();
    let line = line!() + 1;
    it.event_loop.call_soon(|| ());
    it.event_loop.call_later(60, || ());
    let _trigger = it.event_loop.create_trigger(|| ());
    let items = it.event_loop.pending();
    let found: Vec<_> = items.iter().map(|it| (it.kind(), it.location().unwrap().line())).collect();
    let expected = [(PendingKind::Ready, line), (PendingKind::Timer, line + 1), (PendingKind::Trigger, line + 2)];
    assert_eq!(found, expected);
    it.event_loop.close().unwrap();
    let [(report, _)] = &it.reports.take()[..] else { panic!("not one report") };
    assert!(report.starts_with("an event loop was closed with 3 things pending"), "{report}");
    for (what, line) in [("callback scheduled", line), ("timer set", line + 1), ("trigger created", line + 2)] {
        let place = format!("{what} at {}:{line}:", file!());
        assert!(report.contains(&place), "no {place:?} in {report}");
    }
    assert_eq!(it.event_loop.pending(), [], "and now they are gone");
}

/// Those that need a kernel.
#[cfg(unix)]
#[test]
fn leaked_watches_and_signals_are_named_with_their_origin() {
    use asyncio_driver::Signal;
    use std::os::fd::AsRawFd;

    let event_loop = EventLoop::builder().build().unwrap();
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let line = line!() + 1;
    event_loop.add_reader(&ours, || ()).unwrap();
    event_loop.add_writer(&ours, || ()).unwrap();
    event_loop.add_signal_handler(Signal::CONT, || ()).unwrap();
    let fd = u64::try_from(ours.as_raw_fd()).unwrap();
    let items = event_loop.pending();
    let found: Vec<_> = items.iter().map(|it| (it.kind(), it.location().unwrap().line())).collect();
    let expected = [
        (PendingKind::Reader(fd), line),
        (PendingKind::Writer(fd), line + 1),
        (PendingKind::Signal(Signal::CONT), line + 2),
    ];
    assert_eq!(found, expected);
    assert_eq!(items[0].to_string(), format!("reader of descriptor {fd} added at {}:{line}:16", file!()));
    assert!(items[2].to_string().starts_with("handler of SIGCONT added at "), "{}", items[2]);
}

#[test]
fn a_loop_that_has_done_all_its_work_leaks_nothing() {
    let it = debugged();
    it.event_loop.call_soon(|| ());
    it.event_loop.call_later(-1, || ());
    it.event_loop.call_later(60, || ()).cancel();
    it.event_loop.handle().post(|| ()).unwrap();
    drop(it.event_loop.create_trigger(|| ()));
    it.event_loop.run_until_blocked().unwrap();
    assert_eq!(it.event_loop.pending(), []);
    let statistics = it.event_loop.statistics();
    assert_eq!((statistics.ready, statistics.timers, statistics.watches), (0, 0, 0));
    it.event_loop.close().unwrap();
    assert_eq!(it.reports.take(), []);
}
