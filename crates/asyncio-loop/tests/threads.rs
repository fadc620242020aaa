//! What comes from other threads: order, wake-ups, cancellation, triggers. On every driver.

#[path = "support/drivers.rs"]
mod drivers;
#[path = "support/log.rs"]
mod log;

use asyncio_loop::{ClosedError, ContextVar, EventLoop, RemoteCallHandle, get_running_loop};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use log::Log;
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

const THREADS: usize = 8;
const POSTS: usize = 100_000;

thread_local! {
    /// What the loop of this test's thread was sent.
    static RECEIVED: RefCell<Vec<(usize, usize)>> = const { RefCell::new(Vec::new()) };
}

/// Adds to what this thread has received: posted callbacks are `Send`, a log is not.
fn receive(from: usize, n: usize) {
    RECEIVED.with_borrow_mut(|received| received.push((from, n)));
}

drivers::on_each_driver! {
    // sem. 21
    fn no_post_is_lost_and_each_thread_keeps_its_order(event_loop) {
        let handle = event_loop.handle();
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let handle = &handle;
                scope.spawn(move || {
                    for n in 0..POSTS {
                        let post = move || {
                            receive(thread, n);
                            if RECEIVED.with_borrow(Vec::len) == THREADS * POSTS {
                                get_running_loop().stop();
                            }
                        };
                        handle.post(post).unwrap();
                    }
                });
            }
            // On virtual time nothing else can happen until the threads are done: then the loop stops.
            while !matches!(event_loop.run_forever(), Ok(())) {
                std::thread::yield_now();
            }
        });
        let mut next = [0; THREADS];
        for (thread, n) in RECEIVED.take() {
            assert_eq!(next[thread], n, "thread {thread}");
            next[thread] += 1;
        }
        assert_eq!(next, [POSTS; THREADS]);
    }

    // sem. 21
    fn a_post_behind_a_whole_batch_of_posts_is_not_forgotten(event_loop) {
        // An iteration takes in 256 posts. The one that is made meanwhile comes when just as many are left.
        let handle = event_loop.handle();
        let poster = handle.clone();
        event_loop.call_soon(move || {
            for n in 0..512 {
                let again = poster.clone();
                poster
                    .post(move || {
                        receive(0, n);
                        if n == 0 {
                            again.post(|| get_running_loop().stop()).unwrap();
                        }
                    })
                    .unwrap();
            }
        });
        event_loop.run_forever().unwrap();
        assert_eq!(RECEIVED.take().len(), 512);
    }

    // sem. 21
    fn a_call_from_another_thread_joins_the_queue_at_its_end(event_loop) {
        let handle = event_loop.handle();
        event_loop.call_soon(|| receive(0, 1));
        std::thread::scope(|scope| scope.spawn(|| handle.post(|| receive(0, 2))).join().unwrap().unwrap());
        // Made after the thread was joined, so it comes after the thread's call.
        event_loop.call_soon(|| receive(0, 3));
        event_loop.run_until_blocked().unwrap();
        assert_eq!(RECEIVED.take(), [(0, 1), (0, 2), (0, 3)]);
    }

    // sem. 21: also from inside a callback, and for the loop's own thread.
    fn arrival_decides_about_the_order_inside_a_callback_too(event_loop) {
        let (inner, handle) = (event_loop.clone(), event_loop.handle());
        event_loop.call_soon(move || {
            inner.call_soon(|| receive(0, 1));
            std::thread::scope(|scope| scope.spawn(|| handle.post(|| receive(0, 2))).join().unwrap().unwrap());
            inner.call_soon(|| receive(0, 3));
            handle.post(|| receive(0, 4)).unwrap();
            inner.call_soon(|| receive(0, 5));
        });
        event_loop.run_until_blocked().unwrap();
        assert_eq!(RECEIVED.take(), (1..6).map(|n| (0, n)).collect::<Vec<_>>());
    }

    // sem. 22
    fn waking_a_loop_that_was_woken_already_is_no_error(event_loop) {
        let handle = event_loop.handle();
        for n in 0..100_000 {
            handle.post(move || receive(0, n)).unwrap();
        }
        event_loop.run_until_blocked().unwrap();
        assert_eq!(RECEIVED.take().len(), 100_000);
    }

    // sem. 23
    fn a_remote_call_is_cancelled_or_run_and_never_both(event_loop) {
        let (ran, cancelled) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        let handle = event_loop.handle();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    let ran = ran.clone();
                    let call = handle.call_soon_threadsafe(move || _ = ran.fetch_add(1, Ordering::Relaxed)).unwrap();
                    if call.cancel() {
                        cancelled.fetch_add(1, Ordering::Relaxed);
                        assert!(!call.cancel(), "cancelled twice");
                    }
                }
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                event_loop.run_until_blocked().unwrap();
            }
        });
        event_loop.run_until_blocked().unwrap();
        assert_eq!(ran.load(Ordering::Relaxed) + cancelled.load(Ordering::Relaxed), 10_000);
    }

    fn a_cancelled_remote_call_lets_go_at_once(event_loop) {
        let held = Arc::new(());
        let captured = held.clone();
        let call = event_loop.handle().call_soon_threadsafe(move || drop(captured)).unwrap();
        assert!(call.cancel());
        assert_eq!(Arc::strong_count(&held), 1);
        event_loop.run_until_blocked().unwrap();
        assert!(!call.cancel());
    }

    fn a_cancelled_remote_call_lets_go_of_its_context_too(event_loop) {
        static HELD: ContextVar<Arc<()>> = ContextVar::new("held");
        let (held, handle) = (Arc::new(()), event_loop.handle());
        let value = held.clone();
        let call = std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    HELD.set(value);
                    handle.call_soon_threadsafe(|| ()).unwrap()
                })
                .join()
                .unwrap()
        });
        assert_eq!(Arc::strong_count(&held), 2);
        assert!(call.cancel());
        assert_eq!(Arc::strong_count(&held), 1);
        event_loop.run_until_blocked().unwrap();
    }

    fn a_remote_call_that_has_begun_cannot_be_cancelled(event_loop) {
        let (sender, receiver) = std::sync::mpsc::channel::<RemoteCallHandle>();
        let outcome = Arc::new(AtomicBool::new(true));
        let answer = outcome.clone();
        let call = move || answer.store(receiver.recv().unwrap().cancel(), Ordering::Relaxed);
        sender.send(event_loop.handle().call_soon_threadsafe(call).unwrap()).unwrap();
        event_loop.run_until_blocked().unwrap();
        assert!(!outcome.load(Ordering::Relaxed));
    }

    fn a_call_runs_in_the_context_of_its_caller(event_loop) {
        static USER: ContextVar<u32> = ContextVar::new("user");
        let handle = event_loop.handle();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                USER.set(7);
                handle.post(|| assert_eq!(USER.get(), Some(7))).unwrap();
                USER.set(8);
                handle.post(|| {
                    assert_eq!(USER.get(), Some(8));
                    USER.set(9);
                })
                .unwrap();
            });
        });
        let reports = Log::new();
        let sink = reports.clone();
        event_loop.set_exception_handler(move |_, report| sink.add(report.to_string()));
        event_loop.run_until_blocked().unwrap();
        assert_eq!((reports.take(), USER.get()), (vec![], None));
    }

    fn a_trigger_coalesces_and_is_never_lost(event_loop) {
        let log = Log::new();
        let count = log.clone();
        let trigger = event_loop.create_trigger(move || count.add(()));
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take().len(), 0);
        for _ in 0..1000 {
            trigger.fire();
        }
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take().len(), 1);
        // What is written before a trigger is fired is seen by the callback: else the last number would be missed.
        let (latest, seen) = (Arc::new(AtomicUsize::new(0)), Log::new());
        let (there, sink, inner) = (latest.clone(), seen.clone(), event_loop.clone());
        let trigger = event_loop.create_trigger(move || {
            let latest = there.load(Ordering::Relaxed);
            sink.add(latest);
            if latest == 10_000 {
                inner.stop();
            }
        });
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1..=10_000 {
                    latest.store(n, Ordering::Relaxed);
                    trigger.fire();
                }
            });
            while event_loop.run_forever().is_err() {
                std::thread::yield_now();
            }
        });
        assert_eq!(seen.take().last(), Some(&10_000));
    }

    fn abandoned_triggers_are_forgotten(event_loop) {
        for _ in 0..10_000 {
            drop(event_loop.create_trigger(|| ()));
        }
        assert_eq!(event_loop.pending(), []);
        let log = Log::new();
        event_loop.create_trigger({
            let mut once = Some(log.adds(()));
            move || once.take().into_iter().for_each(|add| add())
        })
        .fire();
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take().len(), 1, "one that was fired before is not");
    }

    fn a_closed_loop_accepts_nothing(event_loop) {
        let held = Arc::new(());
        let (pending, refused, handle) = (held.clone(), held.clone(), event_loop.handle());
        handle.post(move || drop(pending)).unwrap();
        let call = handle.call_soon_threadsafe(|| ()).unwrap();
        let trigger = event_loop.create_trigger(|| panic!("closed"));
        assert!(!handle.is_closed());
        event_loop.close().unwrap();
        assert_eq!(Arc::strong_count(&held), 2, "a pending call is dropped");
        assert!(handle.is_closed());
        let error: ClosedError = handle.post(move || drop(refused)).unwrap_err();
        assert_eq!(error.to_string(), "event loop is closed");
        assert!(handle.call_soon_threadsafe(|| ()).is_err());
        assert_eq!(Arc::strong_count(&held), 1);
        trigger.fire();
        call.cancel();
    }

    fn a_flood_of_posts_while_closing_loses_no_destructor(event_loop) {
        let held = Arc::new(());
        let (handle, start) = (event_loop.handle(), Barrier::new(3));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    loop {
                        let captured = held.clone();
                        if handle.post(move || drop(captured)).is_err() {
                            break;
                        }
                    }
                });
            }
            start.wait();
            // Once: with every iteration more have come meanwhile.
            event_loop.run_once(Some(Duration::ZERO)).unwrap();
            event_loop.close().unwrap();
        });
        assert_eq!(Arc::strong_count(&held), 1);
    }
}

#[test]
fn a_loop_that_was_dropped_accepts_nothing() {
    let event_loop = drivers::platform();
    let (handle, held) = (event_loop.handle(), Arc::new(()));
    let captured = held.clone();
    handle.post(move || drop(captured)).unwrap();
    drop(event_loop);
    assert_eq!(Arc::strong_count(&held), 1);
    assert!(handle.is_closed());
    assert!(handle.post(|| ()).is_err());
}

#[test]
fn a_loop_that_is_awake_is_not_notified() {
    let clock = VirtualClock::new();
    let driver = ScriptedDriver::new(&clock);
    let script = driver.script();
    let event_loop = EventLoop::builder().driver(Box::new(driver)).build().unwrap();
    let notifications = || script.statistics().notifications;

    // From inside a callback, and from a thread while a callback runs.
    let handle = event_loop.handle();
    let inner = event_loop.clone();
    event_loop.call_soon(move || {
        for _ in 0..100 {
            handle.post(|| ()).unwrap();
        }
        std::thread::scope(|scope| scope.spawn(|| handle.post(|| ())).join().unwrap().unwrap());
        inner.stop();
    });
    event_loop.run_forever().unwrap();
    assert_eq!(notifications(), 0);

    // A loop that does not run is asleep: one notification for all that comes, for a host that waits.
    let handle = event_loop.handle();
    for _ in 0..100 {
        handle.post(|| ()).unwrap();
    }
    assert_eq!(notifications(), 1);
    event_loop.run_until_blocked().unwrap();
    assert_eq!(event_loop.statistics().callbacks_total, 1 + 101 + 100);

    // And one for a loop that blocks.
    let _hold = clock.hold();
    let before = notifications();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            handle.post(|| get_running_loop().stop()).unwrap();
        });
        event_loop.run_forever().unwrap();
    });
    assert_eq!(notifications() - before, 1);
}

#[test]
fn a_blocked_loop_is_woken_by_every_kind_of_call() {
    for event_loop in [drivers::platform(), drivers::polling()] {
        let stopper = event_loop.clone();
        let trigger = event_loop.create_trigger(move || stopper.stop());
        let handle = event_loop.handle();
        for way in 0..300 {
            std::thread::scope(|scope| {
                scope.spawn(|| match way % 3 {
                    0 => handle.post(|| get_running_loop().stop()).unwrap(),
                    1 => drop(handle.call_soon_threadsafe(|| get_running_loop().stop()).unwrap()),
                    _ => trigger.fire(),
                });
                event_loop.run_forever().unwrap();
            });
        }
        event_loop.close().unwrap();
    }
}
