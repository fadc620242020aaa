//! Workloads on bare callbacks: `call_soon`, `call_later`, and `call_soon_threadsafe` from another thread.

use asyncio::prelude::*;
use asyncio::{EventLoop, Future};
use peers_common::{Clock, Random, machine};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How many callbacks are scheduled at once.
const BATCH: u64 = 1000;

/// Trivial callbacks; the last of a batch schedules the next batch.
pub(crate) fn callsoon(n: u64) {
    measure(move |done| schedule_batch(&asyncio::get_running_loop(), &Rc::new(Cell::new(0)), n, &done));
}

fn schedule_batch(event_loop: &EventLoop, counter: &Rc<Cell<u64>>, n: u64, done: &Future<()>) {
    let batch = BATCH.min(n - counter.get());
    for _ in 1..batch {
        let counter = counter.clone();
        event_loop.call_soon(move || counter.set(counter.get() + 1));
    }
    let (again, counter, done) = (event_loop.clone(), counter.clone(), done.clone());
    event_loop.call_soon(move || {
        counter.set(counter.get() + 1);
        if counter.get() < n {
            schedule_batch(&again, &counter, n, &done);
        } else {
            done.set_result(()).expect("it is set once");
        }
    });
}

/// How many timers are pending all the time.
const LIVE: u32 = 10_000;

/// One timer more, set by `call_later` and cancelled over and over, while others are pending.
pub(crate) fn timer_churn_10k(n: u64) {
    asyncio::run(async move {
        let event_loop = asyncio::get_running_loop();
        let mut random = Random::default();
        let mut set = || {
            let delay = Duration::from_micros(10_000_000 + random.below(10_000_000));
            event_loop.call_later(delay, || unreachable!("the program is over by then"))
        };
        let live: Vec<_> = (0..LIVE).map(|_| set()).collect();
        asyncio::yield_now().await;
        let clock = Clock::start();
        for done in 1..=n {
            set().cancel();
            // As often as the peers yield, whose timers are futures.
            if done % 100 == 0 {
                asyncio::yield_now().await;
            }
        }
        let outcome = clock.stop();
        assert!(live.iter().all(|timer| !timer.cancelled()));
        outcome.report();
    });
}

/// Round trips with a foreign thread on `core`: it posts a callback, which answers on a std channel.
pub(crate) fn xthread(n: u64, core: usize) {
    measure(move |done| {
        let handle = asyncio::get_running_loop().handle();
        let (answers, answers_end) = mpsc::channel();
        let finish = finish_on_loop(done);
        #[expect(clippy::disallowed_methods, reason = "the workload is about a foreign thread")]
        thread::spawn(move || {
            machine::pin_this_thread(core);
            for value in 0..n {
                let answers = answers.clone();
                handle
                    .call_soon_threadsafe(move || answers.send(value).expect("the thread waits"))
                    .expect("it is open");
                assert_eq!(answers_end.recv(), Ok(value));
            }
            handle.call_soon_threadsafe(finish).expect("it is open");
        });
    });
}

/// Posts without waiting, until the loop has handled the last.
pub(crate) fn xthread_flood(n: u64) {
    thread_local! {
        static HANDLED: Cell<u64> = const { Cell::new(0) };
    }
    measure(move |done| {
        let handle = asyncio::get_running_loop().handle();
        let finish = finish_on_loop(done);
        #[expect(clippy::disallowed_methods, reason = "the workload is about a foreign thread")]
        thread::spawn(move || {
            machine::pin_this_thread(1);
            for _ in 1..n {
                handle.call_soon_threadsafe(|| HANDLED.set(HANDLED.get() + 1)).expect("it is open");
            }
            let last = move || {
                assert_eq!(HANDLED.get() + 1, n);
                finish();
            };
            handle.call_soon_threadsafe(last).expect("it is open");
        });
    });
}

/// Something to be called on the loop's thread, which finishes the future that stays there.
fn finish_on_loop(done: Future<()>) -> impl FnOnce() + Send + 'static {
    thread_local! {
        static DONE: Cell<Option<Future<()>>> = const { Cell::new(None) };
    }
    DONE.set(Some(done));
    || DONE.take().expect("it was put there").set_result(()).expect("it is set once")
}

/// Runs a workload inside a task, until it has set the future.
fn measure(workload: impl FnOnce(Future<()>) + 'static) {
    asyncio::run(async {
        let clock = Clock::start();
        let done = asyncio::get_running_loop().create_future();
        workload(done.clone());
        done.await.expect("nobody cancels it");
        clock.stop().report();
    });
}
