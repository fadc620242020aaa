//! What another thread sees of a loop: the step that it is in, its place, and since when.

use asyncio_driver::LoopTime;
use asyncio_loop::{EventLoop, LoopProgress, StepUnderWay};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

fn virtual_loop() -> (EventLoop, VirtualClock) {
    let clock = VirtualClock::new();
    let event_loop = EventLoop::builder().driver(Box::new(ScriptedDriver::new(&clock))).build().unwrap();
    (event_loop, clock)
}

/// What another thread is told.
fn elsewhere(progress: &LoopProgress) -> Option<StepUnderWay> {
    std::thread::scope(|scope| scope.spawn(|| progress.step()).join().unwrap())
}

type Seen = Rc<RefCell<Vec<Option<StepUnderWay>>>>;

/// A callback that lets a second pass, asks from another thread, and lets another second pass.
fn look(clock: &VirtualClock, progress: &LoopProgress, seen: &Seen) -> impl FnOnce() + 'static {
    let (clock, progress, seen) = (clock.clone(), progress.clone(), seen.clone());
    move || {
        clock.advance(Duration::from_secs(1));
        seen.borrow_mut().push(elsewhere(&progress));
        clock.advance(Duration::from_secs(1));
    }
}

#[test]
fn a_step_is_seen_with_its_place_and_its_beginning_and_not_before_or_after() {
    let (event_loop, clock) = virtual_loop();
    let (progress, seen) = (event_loop.progress(), Seen::default());
    assert_eq!(elsewhere(&progress), None);
    let begin = event_loop.time();
    let line = line!() + 1;
    event_loop.call_soon(look(&clock, &progress, &seen));
    event_loop.call_soon(look(&clock, &progress, &seen));
    event_loop.call_later(60, look(&clock, &progress, &seen));
    event_loop.run_until_blocked().unwrap();
    assert_eq!(elsewhere(&progress), None, "it waits");
    event_loop.run_once(None).unwrap();
    assert_eq!(elsewhere(&progress), None);
    let seen: Vec<_> = seen.take().into_iter().map(Option::unwrap).collect();
    let lines: Vec<_> = seen.iter().map(|step| step.location.unwrap().line()).collect();
    assert_eq!(lines, [line, line + 1, line + 2]);
    let since = [0.0, 2.0, 60.0].map(|seconds| LoopTime::from_secs_f64(begin + seconds));
    assert_eq!([seen[0].since, seen[1].since, seen[2].since], since);
    event_loop.close().unwrap();
}

#[test]
fn what_asks_first_is_a_step_without_a_place_until_the_end_of_its_iteration() {
    let (event_loop, clock) = virtual_loop();
    let seen = Seen::default();
    let (inner, sink, time) = (event_loop.clone(), seen.clone(), clock.clone());
    clock.advance(Duration::from_secs(1));
    let begin = LoopTime::from_secs_f64(event_loop.time());
    event_loop.call_soon(move || {
        let progress = inner.progress();
        inner.call_soon(look(&time, &progress, &sink));
        look(&time, &progress, &sink)();
    });
    let line = line!() - 3;
    event_loop.run_until_blocked().unwrap();
    let seen = seen.take();
    assert_eq!(seen[0].map(|step| (step.location, step.since)), Some((None, begin)));
    assert_eq!(seen[1].and_then(|step| step.location).map(std::panic::Location::line), Some(line));
    event_loop.close().unwrap();
}

#[test]
fn a_panic_ends_its_step_and_a_loop_that_was_closed_is_in_none() {
    let (event_loop, _) = virtual_loop();
    event_loop.set_exception_handler(|_, _| ());
    let progress = event_loop.progress();
    event_loop.call_soon(|| panic!("as expected"));
    event_loop.run_until_blocked().unwrap();
    assert_eq!(elsewhere(&progress), None);
    event_loop.close().unwrap();
    assert_eq!(elsewhere(&progress), None);
}
