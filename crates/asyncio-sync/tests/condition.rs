//! Conditions: notifying, taking the lock back, cancellation.

#[path = "support/run.rs"]
mod support;

use asyncio_sync::{Condition, ConditionGuard, Lock, ReleaseError};
use asyncio_tasks::{Task, catch_cancelled, create_task, move_on_after, sleep, timeout, yield_now};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use support::{Log, run, settle};

/// A task that waits to be notified once.
fn waiter(condition: &Rc<Condition>, log: &Log<&'static str>, name: &'static str) -> Task<()> {
    let (condition, log) = (condition.clone(), log.clone());
    create_task(async move {
        let mut guard = condition.acquire().await;
        guard.wait().await;
        assert!(condition.locked());
        log.push(name);
    })
}

#[test]
fn a_cancellation_waits_until_the_lock_is_held_again_and_the_last_one_counts() {
    // sem. 152
    run(async {
        let condition = Rc::new(Condition::new(0));
        let shared = condition.clone();
        let task = create_task(async move {
            let mut guard = shared.acquire().await;
            let outcome = catch_cancelled(guard.wait()).await;
            *guard += 1; // The lock is held.
            outcome.unwrap_err().message().map(String::from)
        });
        settle().await;
        let mut guard = condition.acquire().await;
        for message in ["first", "second", "last"] {
            assert!(task.cancel_with(message));
            settle().await;
            assert!(!task.done());
        }
        *guard = 10;
        drop(guard);
        assert_eq!(task.await.unwrap().as_deref(), Some("last"));
        assert_eq!(*condition.acquire().await, 11);
    });
}

#[test]
fn destructors_find_the_lock_held_when_a_wait_is_cancelled() {
    // sem. 152
    struct Look(Rc<Condition>, Log<bool>);
    impl Drop for Look {
        fn drop(&mut self) {
            self.1.push(self.0.locked());
        }
    }
    run(async {
        let (condition, log) = (Rc::new(Condition::default()), Log::new());
        let (shared, look) = (condition.clone(), Look(condition.clone(), log.clone()));
        let task = create_task(async move {
            let mut guard = shared.acquire().await;
            let _look = look; // Dropped before the guard.
            guard.wait().await;
        });
        settle().await;
        assert!(!condition.locked());
        assert!(task.cancel());
        assert!(task.await.is_err());
        log.assert([true]);
        assert!(!condition.locked());
    });
}

#[test]
fn a_notified_waiter_that_is_cancelled_passes_the_notification_on() {
    // sem. 153
    run(async {
        let (condition, log) = (Rc::new(Condition::default()), Log::new());
        let (a, b) = (waiter(&condition, &log, "a"), waiter(&condition, &log, "b"));
        settle().await;
        condition.acquire().await.notify(1);
        assert!(a.cancel());
        settle().await;
        log.assert(["b"]);
        assert!(a.cancelled());
        b.await.unwrap();
    });
}

#[test]
fn a_notified_wait_that_is_dropped_passes_the_notification_on() {
    // sem. 153
    let condition = Condition::default();
    let cx = &mut Context::from_waker(Waker::noop());
    let (mut first, mut second) = (condition.try_acquire().unwrap(), None);
    let mut dropped = Box::pin(first.wait());
    assert!(dropped.as_mut().poll(cx).is_pending());
    let mut other = Box::pin(second.insert(condition.try_acquire().unwrap()).wait());
    assert!(other.as_mut().poll(cx).is_pending());
    condition.try_acquire().unwrap().notify(1);
    assert!(other.as_mut().poll(cx).is_pending());
    drop(dropped);
    assert!(other.as_mut().poll(cx).is_ready());
}

#[test]
fn notify_counts_those_who_wait_and_needs_the_lock() {
    // sem. 154
    run(async {
        let (condition, log) = (Rc::new(Condition::default()), Log::new());
        let tasks = ["0", "1", "2", "3"].map(|name| waiter(&condition, &log, name));
        settle().await;
        assert!(condition.notify(1).is_err());
        assert!(condition.notify_all().is_err());
        assert!(tasks[0].cancel());
        let guard = condition.acquire().await;
        assert_eq!(condition.statistics().tasks_waiting, 3);
        guard.notify(1); // "1", for "0" is cancelled
        guard.notify(1); // "2", for "1" is notified
        assert_eq!(condition.statistics().tasks_waiting, 1);
        drop(guard);
        settle().await;
        // Anybody who holds the lock will do. The cancelled one has notified "3" as well, when it had the lock again.
        log.assert(["1", "2", "3"]);
        let lock = condition.lock().acquire().await;
        assert_eq!(condition.notify(1), Ok(()));
        drop(lock);
    });
}

#[test]
fn notify_all_wakes_everybody_in_order() {
    // sem. 154
    run(async {
        let (condition, log) = (Rc::new(Condition::default()), Log::new());
        let tasks = ["0", "1", "2"].map(|name| waiter(&condition, &log, name));
        settle().await;
        condition.acquire().await.notify_all();
        for task in tasks {
            task.await.unwrap();
        }
        log.assert(["0", "1", "2"]);
    });
}

#[test]
fn wait_for_looks_again_after_each_wake_up() {
    // sem. 155
    run(async {
        let condition = Rc::new(Condition::new(0));
        let shared = condition.clone();
        let task = create_task(async move {
            let (mut guard, mut looks) = (shared.acquire().await, 0);
            guard
                .wait_for(|value| {
                    looks += 1;
                    *value >= 2
                })
                .await;
            drop(guard);
            looks
        });
        settle().await;
        for _ in 0..2 {
            let mut guard = condition.acquire().await;
            *guard += 1;
            guard.notify(1);
            drop(guard);
            settle().await;
        }
        assert_eq!(task.await, Ok(3));
        // With a predicate that holds, it neither waits nor gives up the lock.
        let mut guard = condition.acquire().await;
        assert!(pin!(guard.wait_for(|_| true)).poll(&mut Context::from_waker(Waker::noop())).is_ready());
    });
}

#[test]
fn conditions_may_share_a_lock() {
    run(async {
        let lock = Rc::new(Lock::new(Vec::new()));
        let (filled, emptied) =
            (Rc::new(Condition::with_lock(lock.clone())), Rc::new(Condition::with_lock(lock.clone())));
        let (filled_too, emptied_too) = (filled.clone(), emptied.clone());
        let consumer = create_task(async move {
            let mut items = filled_too.acquire().await;
            items.wait_for(|items| !items.is_empty()).await;
            let item = items.pop();
            emptied_too.notify_all().unwrap();
            item
        });
        yield_now().await;
        let mut items = emptied.acquire().await;
        items.push(5);
        filled.notify_all().unwrap();
        items.wait_for(|items| items.is_empty()).await;
        assert!(lock.locked());
        drop(items);
        assert_eq!(consumer.await, Ok(Some(5)));
    });
}

#[test]
fn a_time_limit_leaves_the_lock_held() {
    run(async {
        let condition = Rc::new(Condition::new(1));
        let mut guard = condition.acquire().await;
        assert!(timeout(1, guard.wait()).await.is_err());
        *guard += 1;
        assert!(condition.locked());
    });
}

#[test]
fn without_a_guard_wait_gives_the_lock_up_and_takes_it_back() {
    run(async {
        let condition = Rc::new(Condition::default());
        assert_eq!(condition.wait().await, Err(ReleaseError::NotAcquired));
        let guard = condition.acquire().await;
        assert_eq!(condition.wait().await, Err(ReleaseError::Guarded));
        ConditionGuard::forget(guard);
        let shared = condition.clone();
        create_task(async move { shared.acquire().await.notify_all() });
        assert_eq!(condition.wait().await, Ok(()));
        assert!(condition.locked());
        assert_eq!(condition.release(), Ok(()));
        assert_eq!(condition.release(), Err(ReleaseError::NotAcquired));
    });
}

#[test]
fn a_dropped_wait_leaves_its_guard_without_the_lock() {
    run(async {
        let condition = Condition::new(1);
        let mut guard = condition.acquire().await;
        assert!(pin!(guard.wait()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert!(!condition.locked());
        guard.reacquire().await;
        assert_eq!((*guard, condition.locked()), (1, true));
        sleep(0).await;
    });
}

/// On virtual time: a loop that never rests would never come to the end of the sleep.
#[test]
fn a_scope_that_insists_waits_for_the_lock_as_everybody_does() {
    run(async {
        let condition = Rc::new(Condition::default());
        let begin = asyncio_loop::get_running_loop().time();
        let holder = {
            let condition = condition.clone();
            create_task(async move {
                sleep(0).await;
                let _guard = condition.acquire().await;
                sleep(5).await;
            })
        };
        let outcome = move_on_after(1, async {
            let mut guard = condition.acquire().await;
            guard.wait().await;
        });
        assert_eq!(outcome.await, None);
        assert_eq!(asyncio_loop::get_running_loop().time() - begin, 5.0);
        assert_eq!((holder.await, condition.locked()), (Ok(()), false));
    });
}
