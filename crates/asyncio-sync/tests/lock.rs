//! Locks: order, hand-over, cancellation, data.

#[path = "support/run.rs"]
mod support;

use asyncio_sync::{Lock, LockGuard, ReleaseError};
use asyncio_tasks::{Task, catch_cancelled, create_task, yield_now};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};
use support::{Log, run, settle};

/// A task that takes the lock, says so, and lets it go.
fn taker(lock: &Rc<Lock>, log: &Log<&'static str>, name: &'static str) -> Task<()> {
    let (lock, log) = (lock.clone(), log.clone());
    create_task(async move {
        let _guard = lock.acquire().await;
        log.push(name);
    })
}

#[test]
fn a_free_lock_is_taken_without_waiting() {
    // sem. 144
    let lock = Lock::new(7);
    let cx = &mut Context::from_waker(Waker::noop());
    for _ in 0..2 {
        assert!(pin!(lock.acquire()).poll(cx).is_ready());
    }
    assert!(!lock.locked());
}

#[test]
fn whoever_releases_and_acquires_again_is_behind_those_who_wait() {
    // sem. 145
    run(async {
        let (lock, log) = (Rc::new(Lock::default()), Log::new());
        let guard = lock.acquire().await;
        let tasks = ["0", "1", "2"].map(|name| taker(&lock, &log, name));
        settle().await;
        drop(guard);
        let _guard = lock.acquire().await;
        log.push("me");
        for task in tasks {
            task.await.unwrap();
        }
        log.assert(["0", "1", "2", "me"]);
    });
}

#[test]
fn a_lock_that_is_handed_over_looks_free_and_is_not() {
    // sem. 146
    run(async {
        let (lock, log) = (Rc::new(Lock::default()), Log::new());
        let guard = lock.acquire().await;
        let first = taker(&lock, &log, "first");
        settle().await;
        drop(guard);
        assert!(!lock.locked());
        assert!(lock.try_acquire().is_none());
        let second = taker(&lock, &log, "second");
        first.await.unwrap();
        second.await.unwrap();
        log.assert(["first", "second"]);
    });
}

#[test]
fn a_woken_waiter_that_is_cancelled_passes_the_lock_on() {
    // sem. 147
    run(async {
        let (lock, log) = (Rc::new(Lock::default()), Log::new());
        let guard = lock.acquire().await;
        let (first, second) = (taker(&lock, &log, "first"), taker(&lock, &log, "second"));
        settle().await;
        drop(guard);
        assert!(first.cancel());
        second.await.unwrap();
        assert!(first.await.is_err());
        log.assert(["second"]);
    });
}

#[test]
fn a_woken_waiter_that_is_dropped_passes_the_lock_on() {
    let lock = Lock::default();
    let cx = &mut Context::from_waker(Waker::noop());
    let guard = lock.try_acquire().unwrap();
    let mut first = Box::pin(lock.acquire());
    let mut second = pin!(lock.acquire());
    assert!(first.as_mut().poll(cx).is_pending());
    assert!(second.as_mut().poll(cx).is_pending());
    drop(guard);
    assert!(second.as_mut().poll(cx).is_pending());
    drop(first);
    assert!(second.as_mut().poll(cx).is_ready());
}

#[test]
fn waiters_that_were_cancelled_stand_in_nobodys_way() {
    // sem. 148
    run(async {
        let (lock, log) = (Rc::new(Lock::default()), Log::new());
        let guard = lock.acquire().await;
        let cancelled = [taker(&lock, &log, "a"), taker(&lock, &log, "b")];
        let third = taker(&lock, &log, "third");
        settle().await;
        cancelled.iter().for_each(|task| assert!(task.cancel()));
        drop(guard); // The head is cancelled, and passes it on when it leaves.
        third.await.unwrap();
        log.assert(["third"]);

        let guard = lock.acquire().await;
        let cancelled = [taker(&lock, &log, "a"), taker(&lock, &log, "b")];
        settle().await;
        cancelled.iter().for_each(|task| assert!(task.cancel()));
        drop(guard);
        assert!(lock.try_acquire().is_some()); // They are in the queue still.
        settle().await;
        assert!(!lock.locked());
    });
}

#[test]
fn a_lock_without_a_guard_is_released_by_anybody_and_once() {
    // sem. 149
    run(async {
        let lock = Rc::new(Lock::default());
        assert_eq!(lock.release(), Err(ReleaseError::NotAcquired));
        LockGuard::forget(lock.acquire().await);
        assert!(lock.locked());
        let other = lock.clone();
        create_task(async move { other.release() }).await.unwrap().unwrap();
        assert!(!lock.locked());
        assert_eq!(lock.release(), Err(ReleaseError::NotAcquired));
        let guard = lock.acquire().await;
        assert_eq!(lock.release(), Err(ReleaseError::Guarded));
        drop(guard);
        assert_eq!(lock.release(), Err(ReleaseError::NotAcquired));
    });
}

#[test]
fn it_is_not_reentrant() {
    // sem. 149
    run(async {
        let lock = Lock::default();
        let guard = lock.acquire().await;
        assert!(asyncio_tasks::timeout(1, lock.acquire()).await.is_err());
        drop(guard);
        drop(lock.acquire().await);
    });
}

#[test]
fn tasks_of_two_loops_may_share_a_primitive() {
    // sem. 164
    use asyncio_tasks::LoopTasksExt;
    let lock = Rc::new(Lock::new(0));
    let (one, other) = (support::event_loop(), support::event_loop());
    let guard = lock.try_acquire().unwrap();
    let waiting = lock.clone();
    let task = one.create_task(async move { *waiting.acquire().await += 1 });
    one.run_until_complete(settle()).unwrap();
    let releasing = lock.clone();
    drop(guard);
    other.run_until_complete(async move { asyncio_tasks::timeout(1, releasing.acquire()).await.is_err() }).unwrap();
    one.run_until_complete(async move { task.await.unwrap() }).unwrap();
    one.close().unwrap();
    other.close().unwrap();
    assert!(!lock.locked());
}

#[test]
fn a_future_that_outlives_its_cancellation_waits_anew() {
    run(async {
        let (lock, log) = (Rc::new(Lock::default()), Log::new());
        let guard = lock.acquire().await;
        let (stubborn, shared) = (log.clone(), lock.clone());
        let task = create_task(async move {
            let mut acquire = pin!(shared.acquire());
            assert!(catch_cancelled(acquire.as_mut()).await.is_err());
            let _guard = acquire.await;
            stubborn.push("stubborn");
        });
        yield_now().await;
        let other = taker(&lock, &log, "other");
        yield_now().await;
        assert!(task.cancel());
        settle().await;
        drop(guard);
        task.await.unwrap();
        other.await.unwrap();
        log.assert(["other", "stubborn"]);
    });
}

#[test]
fn the_data_is_there_for_one_at_a_time_and_then_for_the_owner() {
    let mut lock = Lock::from(vec![1]);
    lock.try_acquire().unwrap().push(2);
    lock.get_mut().push(3);
    assert_eq!(format!("{lock:?}"), "Lock { data: [1, 2, 3], locked: false, waiters: 0 }");
    let guard = lock.try_acquire().unwrap();
    assert_eq!(format!("{lock:?} {guard:?}"), "Lock { data: <locked>, locked: true, waiters: 0 } [1, 2, 3]");
    drop(guard);
    assert_eq!(lock.into_inner(), [1, 2, 3]);
}

#[test]
fn data_that_acquires_its_own_lock_to_be_shown_panics_and_locks_nothing() {
    struct Curious(Weak<Lock<Option<Self>>>);
    impl fmt::Debug for Curious {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let lock = self.0.upgrade().unwrap();
            write!(f, "{}", lock.try_acquire().is_some())
        }
    }
    let lock = Rc::new(Lock::new(None));
    *lock.try_acquire().unwrap() = Some(Curious(Rc::downgrade(&lock)));
    assert!(catch_unwind(AssertUnwindSafe(|| format!("{lock:?}"))).is_err());
    assert!(!lock.locked());
    assert!(lock.try_acquire().is_some());
}

#[test]
fn a_panic_releases_the_lock() {
    run(async {
        let lock = Rc::new(Lock::new(1));
        let shared = lock.clone();
        let task = create_task(async move {
            let mut guard = shared.acquire().await;
            *guard += 1;
            panic!("on purpose");
        });
        settle().await;
        assert!(task.done());
        assert_eq!(*lock.try_acquire().unwrap(), 2);
        assert!(catch_unwind(AssertUnwindSafe(|| task.result())).is_err());
    });
}

#[test]
fn statistics_tell_who_waits() {
    run(async {
        let (lock, log) = (Rc::new(Lock::default()), Log::new());
        let guard = lock.acquire().await;
        let tasks = [taker(&lock, &log, "a"), taker(&lock, &log, "b")];
        settle().await;
        assert_eq!((lock.statistics().locked, lock.statistics().tasks_waiting), (true, 2));
        tasks[0].cancel();
        assert_eq!(lock.statistics().tasks_waiting, 1);
        drop(guard);
        settle().await;
        assert_eq!((lock.statistics().locked, lock.statistics().tasks_waiting), (false, 0));
    });
}
