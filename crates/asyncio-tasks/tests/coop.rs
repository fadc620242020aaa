//! What is always ready lets others run: row S10, on a clock that each ready result moves by hand.

use asyncio_loop::EventLoop;
use asyncio_tasks::{LoopTasksExt as _, create_task, poll_ready, sleep};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Runs a task that finds something ready every `each`, for 100 ms; how late a 1 ms timer was, each time.
fn lateness(each: Duration, asks: bool) -> Vec<f64> {
    let clock = VirtualClock::new();
    let event_loop = EventLoop::builder().driver(Box::new(ScriptedDriver::new(&clock))).build().unwrap();
    let late = Rc::new(RefCell::new(Vec::new()));
    let seen = late.clone();
    let inner = event_loop.clone();
    let main = async move {
        let is_over = Rc::new(Cell::new(false));
        let ends = is_over.clone();
        let ticker = create_task(async move {
            while !ends.get() {
                let due = inner.time() + 0.001;
                sleep(0.001).await;
                seen.borrow_mut().push(inner.time() - due);
            }
        });
        sleep(0).await;
        let reads = Duration::from_millis(100).as_nanos() / each.as_nanos();
        // Short ones before have made a look at the clock a rare thing.
        for _ in 0..1000 {
            poll_fn(poll_ready).await;
        }
        for _ in 0..reads {
            if asks {
                poll_fn(poll_ready).await;
            }
            clock.advance(each);
        }
        is_over.set(true);
        ticker.await.unwrap();
    };
    event_loop.run_until_complete(main).unwrap();
    event_loop.close().unwrap();
    late.take()
}

#[test]
fn a_task_that_is_always_ready_does_not_delay_a_timer_beyond_5_ms() {
    for micros in [1, 10, 100, 300] {
        let late = lateness(Duration::from_micros(micros), true);
        let worst = late.iter().copied().fold(0.0, f64::max);
        assert!(late.len() >= 15, "each read takes {micros} us: {} timers in 100 ms", late.len());
        assert!(worst <= 0.005, "each read takes {micros} us: late by {worst}");
        // Without it, the same task holds the timer up to its own end.
        assert_eq!(lateness(Duration::from_micros(micros), false).len(), 1);
    }
}

#[test]
fn nobody_yields_before_a_millisecond_has_gone_by_or_outside_of_a_task() {
    let event_loop = EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap();
    let main = async {
        let event_loop = asyncio_loop::get_running_loop();
        let before = event_loop.statistics().iterations_total;
        for _ in 0..100_000 {
            poll_fn(poll_ready).await;
        }
        assert_eq!(event_loop.statistics().iterations_total, before, "no time has passed");
    };
    event_loop.run_until_complete(main).unwrap();
    event_loop.close().unwrap();
    let cx = &mut Context::from_waker(Waker::noop());
    assert!((0..1000).all(|_| poll_ready(cx) == Poll::Ready(())));
}
