//! Semaphores: what holds for the one of a thread and for that of several: order, hand-over, cancellation.

use super::Semaphore;
use super::support::{Log, run, settle};
use asyncio_tasks::{Task, create_task, yield_now};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

/// A task that takes a permit and keeps it.
pub(crate) fn taker(semaphore: &Rc<Semaphore>, log: &Log<&'static str>, name: &'static str) -> Task<()> {
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
fn one_permit_more_than_can_be_counted_is_lost() {
    let semaphore = Semaphore::new(usize::MAX);
    semaphore.release();
    assert_eq!(semaphore.statistics().value, usize::MAX);
    let permit = semaphore.try_acquire();
    assert_eq!((permit.is_some(), semaphore.statistics().value), (true, usize::MAX - 1));
}

#[test]
fn it_shows_its_value_and_how_many_wait() {
    let semaphore = Semaphore::new(3);
    assert_eq!(format!("{semaphore:?}"), "Semaphore { value: 3, waiters: 0 }");
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
