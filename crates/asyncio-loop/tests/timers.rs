//! Timers: order, deadlines, cancellation. On every driver; days pass on virtual time only.

#[path = "support/drivers.rs"]
mod drivers;
#[path = "support/log.rs"]
mod log;

use asyncio_loop::{EventLoop, IntoDelay, get_running_loop};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use log::Log;
use proptest::prelude::*;
use std::time::Duration;

const DAY: f64 = 86_400.0;

drivers::on_each_driver! {
    // sem. 26
    fn timers_fire_in_the_order_of_their_deadlines(event_loop) {
        let log = Log::new();
        for millis in [3_u64, 1, 2, 0] {
            event_loop.call_later(Duration::from_millis(millis), log.adds(millis));
        }
        let stopper = event_loop.clone();
        event_loop.call_later(0.004, move || stopper.stop());
        event_loop.run_forever().unwrap();
        assert_eq!(log.take(), [0, 1, 2, 3]);
    }

    // sem. 26
    fn a_past_deadline_comes_first_whenever_it_was_set(event_loop) {
        let log = Log::new();
        event_loop.call_later(0, log.adds("0"));
        event_loop.call_later(-5, log.adds("-5"));
        event_loop.call_at(f64::NEG_INFINITY, log.adds("long ago"));
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take(), ["long ago", "-5", "0"]);
    }

    // sem. 27
    fn a_due_timer_runs_after_what_was_ready_in_the_same_iteration(event_loop) {
        let log = Log::new();
        let (inner, inner_log) = (event_loop.clone(), log.clone());
        event_loop.call_soon(move || {
            inner.call_later(0, inner_log.adds("timer"));
            inner.call_soon(inner_log.adds("soon"));
        });
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
        assert_eq!(log.take(), [""; 0]);
        event_loop.run_once(Some(Duration::ZERO)).unwrap();
        assert_eq!(log.take(), ["soon", "timer"]);
    }

    // sem. 28
    fn equal_deadlines_fire_in_the_order_of_setting(event_loop) {
        let log = Log::new();
        let when = event_loop.time() + 0.002;
        for n in 0..100 {
            event_loop.call_at(when, log.adds(n));
        }
        let stopper = event_loop.clone();
        event_loop.call_at(when, move || stopper.stop());
        event_loop.run_forever().unwrap();
        assert_eq!(log.take(), (0..100).collect::<Vec<_>>());
    }

    // sem. 29
    fn no_timer_is_early(event_loop) {
        let log = Log::new();
        for micros in [1_u64, 17, 99, 100, 333, 999, 1000, 1001, 1777, 3000] {
            let (inner, inner_log) = (event_loop.clone(), log.clone());
            let delay = Duration::from_micros(micros).into_delay();
            let due = event_loop.nanos() + delay.as_nanos();
            event_loop.call_later(delay, move || inner_log.add(inner.nanos() - due));
        }
        while event_loop.statistics().timers > 0 {
            event_loop.run_once(None).unwrap();
        }
        let late = log.take();
        assert!(late.iter().all(|nanos| *nanos >= 0), "early by {late:?} ns");
    }

    // sem. 31
    fn cancelled_timers_are_gone_at_once(event_loop) {
        let handles: Vec<_> = (0..1000).map(|n| event_loop.call_later(n, || panic!("cancelled"))).collect();
        assert_eq!(event_loop.statistics().timers, 1000);
        handles.iter().for_each(asyncio_loop::TimerHandle::cancel);
        assert_eq!((event_loop.statistics().timers, event_loop.next_deadline()), (0, None));
        event_loop.run_until_blocked().unwrap();
    }

    // sem. 32
    fn cancelling_counts_once_and_only_while_the_timer_is_set(event_loop) {
        let log = Log::new();
        let kept = event_loop.call_later(1000, || ());
        let fired = event_loop.call_later(-1, log.adds("fired"));
        event_loop.run_until_blocked().unwrap();
        assert_eq!(event_loop.statistics().timers, 1);
        fired.cancel();
        assert_eq!(event_loop.statistics().timers, 1, "one that has fired was counted again");
        let other = event_loop.call_later(1000, || ());
        kept.cancel();
        kept.cancel();
        assert_eq!(event_loop.statistics().timers, 1, "one was counted twice");
        assert!(kept.cancelled() && !other.cancelled());
        assert_eq!((log.take().len(), event_loop.statistics().timers_fired_total), (1, 1));
    }

    // sem. 34
    fn the_clock_never_goes_back_and_is_the_one_of_all_deadlines(event_loop) {
        let mut earlier = event_loop.time();
        for _ in 0..1000 {
            let later = event_loop.time();
            assert!(later >= earlier);
            earlier = later;
        }
        let handle = event_loop.call_later(0.5, || ());
        assert!(handle.when() >= earlier + 0.5 && handle.when() <= event_loop.time() + 0.5);
        assert!((event_loop.call_at(12.5, || ()).when() - 12.5).abs() < f64::EPSILON);
    }

    fn a_destructor_may_use_the_loop_when_its_timer_is_cancelled(event_loop) {
        struct Reenters(EventLoop, Log<&'static str>);
        impl Drop for Reenters {
            fn drop(&mut self) {
                self.0.call_soon(self.1.adds("from a destructor"));
                self.0.call_later(-1, self.1.adds("timer from a destructor")).cancel();
            }
        }
        let log = Log::new();
        let captured = Reenters(event_loop.clone(), log.clone());
        event_loop.call_later(1, move || drop(captured)).cancel();
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take(), ["from a destructor"]);
    }
}

// sem. 33: what is no number does not compile; what is not a number panics, at the line of the caller.
#[test]
#[should_panic(expected = "NaN")]
fn a_delay_of_nan_is_refused() {
    drivers::scripted().call_later(f64::NAN, || ());
}

// sem. 33
#[test]
#[should_panic(expected = "NaN")]
fn a_deadline_of_nan_is_refused() {
    drivers::scripted().call_at(f64::NAN, || ());
}

// sem. 33
#[test]
fn infinity_is_never_also_when_time_can_jump() {
    let event_loop = drivers::scripted();
    let never = event_loop.call_later(f64::INFINITY, || panic!("never is here"));
    assert_eq!(event_loop.next_deadline(), None);
    let error = std::io::Error::from(event_loop.run_forever().unwrap_err());
    assert_eq!(error.kind(), std::io::ErrorKind::Deadlock);
    never.cancel();
    assert_eq!(event_loop.statistics().timers, 0);
}

// sem. 30
#[test]
fn a_hundred_days_are_exact() {
    let clock = VirtualClock::new();
    let driver = ScriptedDriver::new(&clock);
    let script = driver.script();
    let event_loop = EventLoop::builder().driver(Box::new(driver)).build().unwrap();
    let log = Log::new();
    let (inner, inner_log) = (event_loop.clone(), log.clone());
    event_loop.call_later(100.0 * DAY, move || {
        inner_log.add(inner.time());
        inner.stop();
    });
    event_loop.run_forever().unwrap();
    assert_eq!(log.take(), [100.0 * DAY]);
    assert_eq!(clock.elapsed(), Duration::from_secs(100 * 86_400));
    assert_eq!(script.statistics().waits, 1, "not one for each day");
}

// sem. 30: a far deadline is no problem for the system's wait.
#[test]
fn a_wait_for_a_far_deadline_can_be_ended() {
    for (event_loop, far) in [drivers::platform(), drivers::polling()]
        .iter()
        .flat_map(|event_loop| [DAY, 100.0 * DAY, 1e9, 9.2e9, f64::INFINITY].map(|far| (event_loop, far)))
    {
        let timer = event_loop.call_later(far, || panic!("too early"));
        let handle = event_loop.handle();
        std::thread::scope(|scope| {
            scope.spawn(|| handle.post(|| get_running_loop().stop()));
            event_loop.run_forever().unwrap();
        });
        timer.cancel();
    }
}

#[test]
fn the_loop_waits_once_for_each_deadline() {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    let event_loop = EventLoop::builder().driver(Box::new(driver)).build().unwrap();
    let stopper = event_loop.clone();
    for n in 1..=1000 {
        event_loop.call_later(n * 60, || ());
    }
    event_loop.call_later(60_000, move || stopper.stop());
    event_loop.run_forever().unwrap();
    // A timer of a far level of the wheel is on its way down, and is not waited for twice.
    assert_eq!((script.statistics().waits, event_loop.statistics().timers_fired_total), (1000, 1001));
}

#[test]
fn a_cancelled_earliest_timer_is_not_waited_for() {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    let event_loop = EventLoop::builder().driver(Box::new(driver)).build().unwrap();
    let stopper = event_loop.clone();
    for n in 1..20 {
        event_loop.call_later(n, || ()).cancel();
    }
    event_loop.call_later(20, move || stopper.stop());
    event_loop.run_forever().unwrap();
    assert_eq!((event_loop.time(), script.statistics().waits), (20.0, 1));
}

#[derive(Clone, Debug)]
enum Op {
    Later(i64),
    Cancel(usize),
    Advance(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (-1000_i64..5_000_000_000).prop_map(Op::Later),
        2 => any::<usize>().prop_map(Op::Cancel),
        1 => (0_u64..3_000_000_000).prop_map(Op::Advance),
    ]
}

proptest! {
    /// Whatever is set and cancelled when: each timer fires exactly at its deadline, or at once if it has passed; ordered by
    /// deadline, then by setting (sem. 26, 28, 29, 32).
    #[test]
    fn timers_fire_as_in_the_model(ops in prop::collection::vec(op(), 1..100)) {
        let event_loop = drivers::scripted();
        let log = Log::new();
        let mut handles = Vec::new();
        // Deadline, order of setting, and when it is expected to run.
        let mut model: Vec<(i64, usize, i64)> = Vec::new();
        let mut expected = Vec::new();
        for op in ops {
            let now = event_loop.nanos();
            match op {
                Op::Later(nanos) => {
                    let (inner, inner_log, n) = (event_loop.clone(), log.clone(), handles.len());
                    let when = now + nanos;
                    let delay = if nanos < 0 { nanos as f64 / 1e9 } else { 0.0 };
                    let fire = move || inner_log.add((n, inner.nanos()));
                    handles.push(if nanos < 0 {
                        event_loop.call_later(delay, fire)
                    } else {
                        event_loop.call_later(Duration::from_nanos(nanos.unsigned_abs()), fire)
                    });
                    model.push((when, n, when.max(now)));
                }
                Op::Cancel(n) if !handles.is_empty() => {
                    let n = n % handles.len();
                    handles[n].cancel();
                    model.retain(|(_, order, _)| *order != n);
                }
                Op::Cancel(_) => {}
                Op::Advance(nanos) => {
                    let end = now + i64::try_from(nanos).unwrap();
                    let stopper = event_loop.clone();
                    event_loop.call_later(Duration::from_nanos(nanos), move || stopper.stop());
                    event_loop.run_forever().unwrap();
                    model.sort_unstable();
                    let due = model.partition_point(|(when, ..)| *when <= end);
                    expected.extend(model.drain(..due).map(|(_, n, at)| (n, at)));
                    prop_assert_eq!(log.take(), std::mem::take(&mut expected));
                }
            }
            prop_assert_eq!(event_loop.statistics().timers, model.len());
        }
        // Timers that are left hold the loop.
        event_loop.close().unwrap();
    }
}
