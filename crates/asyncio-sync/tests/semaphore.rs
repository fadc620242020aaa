//! Semaphores of one thread, and bounded ones.

#[path = "suite/semaphore.rs"]
mod suite;
#[path = "support/run.rs"]
mod support;

use asyncio_sync::{BoundedSemaphore, Semaphore};
use asyncio_tasks::yield_now;
use std::rc::Rc;
use std::task::{Context, Waker};
use suite::taker;
use support::{Log, run, settle};

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
        assert_eq!(format!("{semaphore:?}"), "BoundedSemaphore { value: 2, bound: 2, waiters: 0 }");
    });
}

#[test]
fn a_permit_that_was_released_in_place_of_one_on_its_way_is_not_one_too_many() {
    let semaphore = BoundedSemaphore::new(1);
    semaphore.try_acquire().unwrap().forget();
    let mut woken = Box::pin(semaphore.acquire());
    assert!(woken.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!((semaphore.release(), semaphore.release()), (Ok(()), Ok(())));
    drop(woken);
    assert_eq!(semaphore.statistics().value, 1);
}
