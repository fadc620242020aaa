//! Drivers: the same callbacks and the same coroutines on every one of them, and a day of timers on virtual time.

use crate::{Done, say};
use asyncio::driver::{Driver, PollingDriver, new_driver};
use asyncio::{EventLoop, Queue, Runner, create_task, sleep, timeout};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// What makes a driver.
type Factory = fn() -> io::Result<Box<dyn Driver>>;

/// The choice: epoll on Linux, what `polling` finds on this system, and a clock that jumps.
const DRIVERS: [(&str, Factory); 3] = [
    ("the platform's", new_driver),
    ("polling", || Ok(Box::new(PollingDriver::new()?))),
    ("virtual time", || Ok(Box::new(ScriptedDriver::new(&VirtualClock::new())))),
];

pub(crate) fn tour() -> io::Result<Done> {
    let mut traces = Vec::new();
    for (name, driver) in DRIVERS {
        let event_loop = EventLoop::builder().driver(driver()?).build()?;
        let callbacks = scheduling(&event_loop)?;
        // One argument: nothing else of the program knows what it runs on.
        let mut runner =
            Runner::builder().loop_factory(move || EventLoop::builder().driver(driver()?).build()).build()?;
        let coroutines = runner.run(coroutines())?;
        runner.close();
        say(format_args!("{name}: {callbacks}; {coroutines}"));
        traces.push((callbacks, coroutines));
    }
    assert!(traces.windows(2).all(|pair| pair[0] == pair[1]), "drivers differ: {traces:?}");
    let timers = a_day()?;
    Ok(Done::new(traces.len(), format!("drivers, one order; {timers} timers of a virtual day")))
}

/// A producer, a consumer and a limit; what happened is the same everywhere.
async fn coroutines() -> String {
    let (sender, mut receiver) = Queue::new(1).split();
    let producer = create_task(async move {
        for item in ["one", "two", "three"] {
            sleep(0.001).await;
            sender.put(item).await.expect("somebody receives");
        }
        sleep(60).await;
    });
    let mut trace = Vec::new();
    while trace.len() < 3 {
        trace.extend(receiver.next().await);
    }
    trace.push(if timeout(0.005, receiver.next()).await.is_err() { "timed out" } else { "a fourth" });
    producer.cancel();
    trace.push(if producer.await.is_err() { "cancelled" } else { "done" });
    assert_eq!(trace, ["one", "two", "three", "timed out", "cancelled"]);
    trace.join(", ")
}

/// A program whose order is the same everywhere.
fn scheduling(event_loop: &EventLoop) -> io::Result<String> {
    let trace: Rc<RefCell<Vec<&str>>> = Rc::default();
    let add = |entry| {
        let trace = trace.clone();
        move || trace.borrow_mut().push(entry)
    };
    event_loop.call_later(0.002, add("2 ms"));
    event_loop.call_later(0.001, add("1 ms"));
    event_loop.call_later(-1, add("overdue"));
    event_loop.call_soon(add("soon"));
    let (inner, nested) = (event_loop.clone(), add("nested"));
    event_loop.call_soon(move || drop(inner.call_soon(nested)));
    event_loop.call_soon(add("cancelled")).cancel();
    event_loop.handle().call_soon_threadsafe(|| ()).expect("an open loop");
    let stopper = event_loop.clone();
    event_loop.call_later(0.003, move || stopper.stop());
    event_loop.run_forever()?;
    event_loop.close()?;
    let trace = trace.borrow();
    assert_eq!(*trace, ["soon", "overdue", "nested", "1 ms", "2 ms"]);
    Ok(trace.join(", "))
}

/// A timer each second for a day, in no time.
fn a_day() -> io::Result<u32> {
    const SECONDS: u32 = 86_400;
    fn tick(event_loop: &EventLoop, left: u32) {
        let inner = event_loop.clone();
        event_loop.call_later(1, move || if left == 1 { inner.stop() } else { tick(&inner, left - 1) });
    }
    let clock = VirtualClock::new();
    let event_loop = EventLoop::builder().driver(Box::new(ScriptedDriver::new(&clock))).build()?;
    let stopwatch = asyncio::new_event_loop()?;
    let begin = stopwatch.time();
    tick(&event_loop, SECONDS);
    event_loop.run_forever()?;
    assert_eq!(clock.elapsed().as_secs(), u64::from(SECONDS), "a second went missing");
    let millis = (stopwatch.time() - begin) * 1e3;
    say(format_args!("virtual time: a day of one timer each second, exact to the nanosecond, in {millis:.0} ms"));
    event_loop.close()?;
    Ok(SECONDS)
}
