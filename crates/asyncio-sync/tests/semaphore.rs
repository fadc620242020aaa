//! Semaphores: order, hand-over, cancellation, bounds.

#[path = "support/run.rs"]
mod support;

use asyncio_sync::{BoundedSemaphore, Semaphore};
use asyncio_tasks::{Task, create_task, yield_now};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use support::{Log, run, settle};

/// A task that takes a permit and keeps it.
fn taker(semaphore: &Rc<Semaphore>, log: &Log<&'static str>, name: &'static str) -> Task<()> {
    let (semaphore, log) = (semaphore.clone(), log.clone());
    create_task(async move {
        semaphore.acquire().await.forget();
        log.push(name);
    })
}

#[test]
fn a_permit_that_is_there_is_taken_without_waiting() {
    // sem. 144
    let semaphore = Semaphore::default();
    let cx = &mut Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(pin!(semaphore.acquire()).poll(cx).is_ready());
    }
    assert_eq!(semaphore.statistics().value, 1);
}

#[test]
fn a_released_permit_goes_to_the_first_who_waits_and_to_nobody_else() {
    // sem. 156
    run(async {
        let (semaphore, log) = (Rc::new(Semaphore::new(1)), Log::new());
        let permit = semaphore.acquire().await;
        let first = taker(&semaphore, &log, "first");
        settle().await;
        drop(permit);
        assert_eq!(semaphore.statistics().value, 0);
        assert!(semaphore.locked());
        assert!(semaphore.try_acquire().is_none());
        let second = taker(&semaphore, &log, "second");
        settle().await;
        log.assert(["first"]);
        semaphore.release();
        settle().await;
        log.assert(["first", "second"]);
        assert!(first.done() && second.done());
    });
}

#[test]
fn it_is_locked_while_anybody_waits_though_there_are_permits() {
    // sem. 157
    run(async {
        let (semaphore, log) = (Rc::new(Semaphore::new(0)), Log::new());
        let tasks = ["0", "1"].map(|name| taker(&semaphore, &log, name));
        settle().await;
        (0..4).for_each(|_| semaphore.release());
        assert_eq!(semaphore.statistics().value, 2);
        assert!(semaphore.locked());
        assert!(semaphore.try_acquire().is_none());
        yield_now().await;
        assert!(!semaphore.locked());
        log.assert(["0", "1"]);
        assert!(tasks.iter().all(|task| task.done()));
        // Cancelled ones do not count.
        let (one, two) = (semaphore.acquire().await, semaphore.acquire().await);
        let cancelled = taker(&semaphore, &log, "2");
        settle().await;
        assert!(cancelled.cancel());
        drop((one, two));
        assert!(!semaphore.locked());
        assert!(semaphore.try_acquire().is_some());
    });
}

#[test]
fn a_woken_waiter_that_is_cancelled_gives_its_permit_to_the_next() {
    // sem. 158
    run(async {
        let (semaphore, log) = (Rc::new(Semaphore::new(0)), Log::new());
        let tasks = ["0", "1", "2", "3"].map(|name| taker(&semaphore, &log, name));
        settle().await;
        semaphore.release();
        semaphore.release();
        assert!(tasks[0].cancel());
        assert!(tasks[1].cancel());
        settle().await;
        log.assert(["2", "3"]);
        assert_eq!(semaphore.statistics().value, 0);
    });
}

#[test]
fn a_bounded_semaphore_has_never_more_permits_than_at_first() {
    // sem. 159
    run(async {
        let semaphore = BoundedSemaphore::new(2);
        assert!(semaphore.release().is_err());
        assert_eq!((semaphore.statistics().value, semaphore.statistics().bound), (2, Some(2)));
        let permit = semaphore.acquire().await;
        semaphore.try_acquire().unwrap().forget();
        assert_eq!(semaphore.release(), Ok(()));
        assert_eq!(semaphore.release(), Ok(())); // In place of `permit`, which then has nothing to give back.
        assert_eq!(semaphore.release().unwrap_err().to_string(), "bounded semaphore released too many times");
        drop(permit);
        assert_eq!(semaphore.statistics().value, 2);
        assert!(!semaphore.locked());
    });
}

#[test]
fn permits_are_for_so_many_tasks_at_a_time() {
    run(async {
        let (semaphore, running) = (Rc::new(Semaphore::new(3)), Rc::new(std::cell::Cell::new(0)));
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let (semaphore, running) = (semaphore.clone(), running.clone());
                create_task(async move {
                    let _permit = semaphore.acquire().await;
                    running.set(running.get() + 1);
                    assert!(running.get() <= 3);
                    yield_now().await;
                    running.set(running.get() - 1);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(semaphore.statistics().value, 3);
    });
}
