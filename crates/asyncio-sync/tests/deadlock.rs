//! Who waits for whom, where locks are held: what a dump says, and the report of a program that can never go on.

#[path = "support/run.rs"]
mod support;

use asyncio_sync::{Condition, Lock, Semaphore};
use asyncio_tasks::{LoopTasksExt, create_task, dump_tasks, sleep, yield_now};
use std::io;
use std::rc::Rc;
use support::{Log, event_loop, run, settle};

/// Runs `main`, which gets stuck; what the error says.
fn deadlock(main: impl Future<Output = ()> + 'static) -> String {
    let event_loop = event_loop();
    let error = io::Error::from(event_loop.run_until_complete(main).expect_err("nothing can ever happen"));
    assert_eq!(error.kind(), io::ErrorKind::Deadlock);
    event_loop.close().expect("it is not running");
    error.to_string()
}

/// What a report says about the circle.
fn circle(report: &str) -> Vec<&str> {
    let (_, circle) = report.split_once("these wait for one another in a circle:\n").expect("the circle is named");
    circle.lines().map(str::trim).collect()
}

#[test]
fn two_locks_taken_in_opposite_order_are_a_circle_with_file_and_line() {
    let (first, second) = (Rc::new(Lock::default()), Rc::new(Lock::default()));
    let start = line!() + 1;
    let report = deadlock(async move {
        let (a, b) = (first.clone(), second.clone());
        let left = create_task(async move {
            let _held = a.acquire().await;
            sleep(1).await;
            let _never = b.acquire().await;
        })
        .name("left");
        let right = create_task(async move {
            let _held = second.acquire().await;
            sleep(1).await;
            let _never = first.acquire().await;
        })
        .name("right");
        let _ = left.await;
        let _ = right.await;
    });
    let line = |offset: u32| format!("{}:{}", file!(), start + offset);
    let expected = [
        format!("left created at {}:20", line(2)),
        format!("waits for a lock held by right, acquired at {}:32", line(9)),
        format!("right created at {}:21", line(8)),
        format!("waits for a lock held by left, acquired at {}:27", line(3)),
    ];
    assert_eq!(circle(&report), expected, "{report}");
    assert!(report.contains("\n3 unfinished tasks\n"), "{report}");
}

#[test]
fn a_lock_acquired_twice_by_one_task_is_a_circle_of_one() {
    let report = deadlock(async {
        let lock = Lock::default();
        let _held = lock.acquire().await;
        let _never = lock.acquire().await;
    });
    let circle = circle(&report);
    assert_eq!(circle.len(), 2, "{report}");
    assert!(circle[1].starts_with("waits for a lock held by Task-"), "{report}");
}

#[test]
fn whoever_awaits_a_task_that_waits_for_his_lock_is_in_the_circle() {
    let report = deadlock(async {
        let lock = Rc::new(Lock::default());
        let _held = lock.acquire().await;
        let wanted = lock.clone();
        let _ = create_task(async move { drop(wanted.acquire().await) }).name("wants").await;
    });
    let circle = circle(&report);
    assert_eq!(circle.len(), 3, "{report}");
    assert!(report.contains("wants: waiting"), "{report}");
}

#[test]
fn a_dump_names_the_holder_and_the_place_and_follows_the_lock_from_hand_to_hand() {
    run(async {
        let lock = Rc::new(Lock::default());
        let taker = |name: &'static str| {
            let lock = lock.clone();
            create_task(async move {
                let _held = lock.acquire().await;
                sleep(1).await;
            })
            .name(name)
        };
        let (first, second) = (taker("first"), taker("second"));
        let holders = Log::new();
        let look = || {
            for waiting in dump_tasks().tasks() {
                for lock in waiting.awaited_locks() {
                    let holder = lock.holder.as_ref().expect("a task holds it");
                    holders.push(format!("{} holds what {} wants", holder.get_name(), waiting.task().get_name()));
                }
            }
        };
        settle().await;
        look();
        assert_eq!(lock.statistics().acquired_at.map(std::panic::Location::file), Some(file!()));
        let third = taker("third");
        sleep(1).await;
        settle().await;
        look();
        holders.assert(["first holds what second wants".to_owned(), "second holds what third wants".to_owned()]);
        third.cancel();
        first.await.unwrap();
        second.await.unwrap();
        assert_eq!(lock.statistics().acquired_at, None);
    });
}

#[test]
fn a_lock_that_no_living_task_holds_has_a_place_and_no_holder() {
    let report = deadlock(async {
        let lock = Rc::new(Lock::default());
        let taken = lock.clone();
        create_task(async move { asyncio_sync::LockGuard::forget(taken.acquire().await) }).await.unwrap();
        drop(lock.acquire().await);
    });
    assert!(report.contains("    waits for a lock, acquired at "), "{report}");
    assert!(!report.contains("circle"), "{report}");
}

#[test]
fn after_a_wait_a_condition_is_held_by_who_waited_since_he_acquired_it() {
    run(async {
        let condition = Rc::new(Condition::default());
        let waiting = condition.clone();
        let (line, waiter) = (
            line!() + 2,
            create_task(async move {
                let mut guard = waiting.acquire().await;
                guard.wait().await;
                sleep(1).await;
            })
            .name("waiter"),
        );
        yield_now().await;
        condition.acquire().await.notify(1);
        settle().await;
        let held = condition.statistics().lock.acquired_at.expect("the waiter holds it again");
        assert_eq!((held.file(), held.line()), (file!(), line));
        waiter.await.unwrap();
    });
}

#[test]
fn of_a_queue_that_nobody_holds_nothing_is_claimed() {
    let report = deadlock(async {
        let semaphore = Semaphore::new(1);
        let _held = semaphore.acquire().await;
        let _never = semaphore.acquire().await;
    });
    assert!(report.contains("    waits in a queue or for the time\n"), "{report}");
    assert!(!report.contains("circle"), "{report}");
}
