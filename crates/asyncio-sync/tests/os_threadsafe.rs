//! The primitives of several threads: the same tests as for those of one, and what only threads can do.

#[path = "suite/event.rs"]
mod event;
#[path = "suite/semaphore.rs"]
mod semaphore;
#[path = "support/run.rs"]
mod support;

use asyncio_sync::threadsafe::{Event, Semaphore, SemaphorePermit, WaitQueue};
use asyncio_tasks::create_task;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};
use std::thread;
use support::{Log, run, settle};

#[test]
fn a_task_waits_for_what_a_thread_sets_and_the_other_way_round() {
    let events = Arc::new((Event::new(), Event::new()));
    thread::scope(|scope| {
        let (asked, answered) = &*events;
        scope.spawn(|| {
            for _ in 0..1000 {
                asked.wait_blocking();
                asked.clear();
                answered.set();
            }
        });
        let events = events.clone();
        asyncio_tasks::run(async move {
            let (asked, answered) = &*events;
            for _ in 0..1000 {
                asked.set();
                answered.wait().await;
                answered.clear();
            }
        });
    });
}

#[test]
fn an_event_that_is_cleared_wakes_nobody_who_came_later() {
    run(async {
        let (event, log) = (Rc::new(Event::new()), Log::new());
        let waiter = |name: &'static str| {
            let (event, log) = (event.clone(), log.clone());
            create_task(async move {
                event.wait().await;
                log.push(name);
            })
        };
        let early = waiter("early");
        settle().await;
        event.set();
        event.clear();
        let _late = waiter("late");
        early.cancel(); // It was woken, and its wake-up is nobody else's.
        settle().await;
        log.assert([]);
        event.set();
        settle().await;
        log.assert(["late"]);
    });
}

#[test]
fn a_thread_waits_no_longer_than_it_wants() {
    let (event, semaphore) = (Event::new(), Semaphore::new(1));
    assert!(!event.wait_blocking_timeout(0.001));
    let permit = semaphore.acquire_blocking_timeout(0).unwrap();
    assert!(semaphore.acquire_blocking_timeout(0.001).is_none());
    assert!(semaphore.acquire_blocking_timeout(-1).is_none());
    assert_eq!((event.statistics().tasks_waiting, semaphore.statistics().tasks_waiting), (0, 0), "they have left");
    assert_eq!(semaphore.statistics().value, 0, "what was not acquired is not released");
    drop(permit);
    event.set();
    assert!(event.wait_blocking_timeout(0));
    assert!(semaphore.acquire_blocking_timeout(f64::INFINITY).is_some());
    semaphore.acquire_blocking().forget();
    assert!(semaphore.locked());
}

#[test]
fn permits_are_for_so_many_threads_and_tasks_at_a_time() {
    const ROUNDS: usize = 500;
    let semaphore = Arc::new(Semaphore::new(2));
    let running = Arc::new(AtomicUsize::new(0));
    let work = |running: &AtomicUsize| {
        assert!(running.fetch_add(1, Ordering::SeqCst) < 2);
        thread::yield_now();
        running.fetch_sub(1, Ordering::SeqCst);
    };
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    let permit = semaphore.acquire_blocking();
                    work(&running);
                    drop(permit);
                }
            });
        }
        let (semaphore, running) = (semaphore.clone(), running.clone());
        asyncio_tasks::run(async move {
            for _ in 0..ROUNDS {
                let permit = semaphore.acquire().await;
                work(&running);
                drop(permit);
            }
        });
    });
    assert_eq!((semaphore.statistics().value, semaphore.statistics().tasks_waiting), (2, 0));
}

#[test]
fn a_task_does_not_block_its_loop() {
    run(async {
        let (event, semaphore) = (Event::new(), Semaphore::new(0));
        let blocked = [
            catch_unwind(AssertUnwindSafe(|| event.wait_blocking())),
            catch_unwind(AssertUnwindSafe(|| drop(semaphore.acquire_blocking()))),
            catch_unwind(AssertUnwindSafe(|| assert!(semaphore.acquire_blocking_timeout(1).is_none()))),
        ];
        for outcome in blocked {
            let message = *outcome.unwrap_err().downcast::<&str>().unwrap();
            assert_eq!(message, "a task must not block its loop: await instead, or block in `to_thread`");
        }
        event.set();
        semaphore.release();
        event.wait_blocking(); // There is nothing to wait for.
        drop(semaphore.acquire_blocking());
    });
}

#[test]
fn a_permit_on_its_way_is_in_no_other_hands() {
    let semaphore = Semaphore::new(0);
    let cx = &mut Context::from_waker(Waker::noop());
    let mut first = pin!(semaphore.acquire());
    assert!(first.as_mut().poll(cx).is_pending());
    {
        let mut dropped = pin!(semaphore.acquire());
        assert!(dropped.as_mut().poll(cx).is_pending());
        semaphore.release(); // For the first.
        semaphore.release(); // For the one who is dropped.
        assert!(semaphore.try_acquire().is_none());
        assert_eq!(semaphore.statistics().value, 0);
    }
    assert_eq!(semaphore.statistics().value, 1);
    let permit = semaphore.try_acquire().unwrap();
    assert!(first.as_mut().poll(cx).is_ready());
    drop(permit);
    assert_eq!(semaphore.statistics().value, 2);
}

#[test]
fn a_waker_may_use_the_semaphore_that_it_is_called_by() {
    struct Uses(Arc<Semaphore>);
    impl Wake for Uses {
        fn wake(self: Arc<Self>) {
            assert_eq!(self.0.statistics().tasks_waiting, 0);
            assert!(self.0.try_acquire().is_none(), "the permit is not in the hands of whoever is woken by it");
            self.0.release();
        }
    }
    let semaphore = Arc::new(Semaphore::new(0));
    let waker = Waker::from(Arc::new(Uses(semaphore.clone())));
    let mut acquire = pin!(semaphore.acquire());
    assert!(acquire.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    semaphore.release();
    assert_eq!(semaphore.statistics().value, 1, "the one of the waker");
    assert!(acquire.poll(&mut Context::from_waker(&waker)).is_ready());
}

#[test]
fn a_waker_may_be_the_last_that_holds_a_permit() {
    struct Holds {
        _permit: SemaphorePermit<'static>,
    }
    impl Wake for Holds {
        fn wake(self: Arc<Self>) {}
    }
    let semaphore: &'static Semaphore = Box::leak(Box::new(Semaphore::new(3)));
    let holder = || Waker::from(Arc::new(Holds { _permit: semaphore.try_acquire().unwrap() }));
    let wakers = [holder(), holder(), holder()];
    let mut acquires = [(); 3].map(|()| Box::pin(semaphore.acquire()));
    for (waker, acquire) in wakers.into_iter().zip(&mut acquires) {
        assert!(acquire.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    let [mut woken, mut polled, dropped] = acquires;
    // Its waker is called, dropped for another one, or dropped with the wait: each gives a permit back, and that one goes on.
    semaphore.release();
    assert!(woken.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert!(polled.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    drop(dropped);
    let end = semaphore.statistics();
    assert_eq!((end.value, end.tasks_waiting), (4, 0), "three, and the one that was added");
}

#[test]
fn a_wait_that_leaves_says_whether_it_was_woken() {
    let queue = WaitQueue::new();
    assert!(!queue.wake_next());
    let [first, second, third] = [(); 3].map(|()| queue.wait());
    assert!(queue.wake_next());
    assert_eq!((first.leave(), second.leave()), (true, false));
    queue.wake_all();
    assert_eq!((queue.len(), queue.wake_next()), (1, false));
    third.block();
    assert!(queue.is_empty());
    assert!(!queue.wait().block_until(asyncio_sync::threadsafe::Wait::deadline(0.001)));
}
