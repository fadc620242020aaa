//! Barriers: rounds, leaving, abort and reset.

#[path = "support/run.rs"]
mod support;

use asyncio_sync::{Barrier, BrokenBarrierError};
use asyncio_tasks::{Task, create_task, timeout};
use std::rc::Rc;
use support::{Log, run, settle};

type Outcome = (u8, Result<usize, String>);

fn arrive(barrier: &Rc<Barrier>, log: &Log<Outcome>, name: u8) -> Task<()> {
    let (barrier, log) = (barrier.clone(), log.clone());
    create_task(async move {
        let outcome: Result<usize, BrokenBarrierError> = barrier.wait().await;
        log.push((name, outcome.map_err(|error| error.to_string())));
    })
}

#[test]
fn the_last_one_to_come_goes_first_and_the_barrier_is_used_again() {
    // sem. 160
    run(async {
        let (barrier, log) = (Rc::new(Barrier::new(3)), Log::new());
        let _first = [0, 1].map(|name| arrive(&barrier, &log, name));
        settle().await;
        assert_eq!((barrier.n_waiting(), barrier.parties(), barrier.broken()), (2, 3, false));
        let _second = [2, 3].map(|name| arrive(&barrier, &log, name)); // The fourth one comes while the three leave.
        settle().await;
        log.assert([(2, Ok(2)), (0, Ok(0)), (1, Ok(1))]);
        assert_eq!(barrier.n_waiting(), 1);
        let _third = [4, 5].map(|name| arrive(&barrier, &log, name));
        settle().await;
        log.assert([(2, Ok(2)), (0, Ok(0)), (1, Ok(1)), (5, Ok(2)), (3, Ok(0)), (4, Ok(1))]);
        assert_eq!((barrier.n_waiting(), barrier.statistics().tasks_inside), (0, 0));
    });
}

#[test]
fn whoever_comes_while_the_others_leave_waits_for_the_next_round() {
    // sem. 160
    run(async {
        let (barrier, log) = (Rc::new(Barrier::new(2)), Log::new());
        let tasks = [0, 1].map(|name| arrive(&barrier, &log, name));
        asyncio_tasks::yield_now().await;
        // The second one has gone; the first one is about to.
        log.assert([(1, Ok(1))]);
        assert_eq!((barrier.n_waiting(), barrier.statistics().tasks_inside), (0, 1));
        let late = arrive(&barrier, &log, 2);
        settle().await;
        assert!(tasks.iter().all(|task| task.done()) && !late.done());
        assert_eq!(barrier.n_waiting(), 1);
    });
}

#[test]
fn abort_is_for_those_inside_and_for_all_who_come_until_a_reset() {
    // sem. 161
    run(async {
        let (barrier, log) = (Rc::new(Barrier::new(2)), Log::new());
        let _inside = arrive(&barrier, &log, 0);
        settle().await;
        barrier.abort();
        settle().await;
        let _later = arrive(&barrier, &log, 1);
        settle().await;
        assert!(barrier.broken());
        let broken = |text: &str| Err(text.to_owned());
        log.assert([(0, broken("abort or reset of barrier")), (1, broken("barrier aborted"))]);
        barrier.reset();
        let _again = [2, 3].map(|name| arrive(&barrier, &log, name));
        settle().await;
        assert!(!barrier.broken());
        log.assert([(0, broken("abort or reset of barrier")), (1, broken("barrier aborted")), (3, Ok(1)), (2, Ok(0))]);
    });
}

#[test]
fn reset_ends_the_waits_and_the_barrier_works_on() {
    // sem. 162
    run(async {
        let (barrier, log) = (Rc::new(Barrier::new(2)), Log::new());
        let _inside = arrive(&barrier, &log, 0);
        settle().await;
        barrier.reset();
        assert!(!barrier.broken());
        let _next = [1, 2].map(|name| arrive(&barrier, &log, name));
        settle().await;
        log.assert([(0, Err("abort or reset of barrier".to_owned())), (2, Ok(1)), (1, Ok(0))]);
        barrier.reset(); // With nobody inside, it does nothing.
        assert_eq!(barrier.n_waiting(), 0);
    });
}

#[test]
fn a_waiter_that_is_cancelled_is_simply_gone() {
    // sem. 163
    run(async {
        let (barrier, log) = (Rc::new(Barrier::new(2)), Log::new());
        let gone = arrive(&barrier, &log, 0);
        settle().await;
        assert!(gone.cancel());
        settle().await;
        assert_eq!((barrier.n_waiting(), barrier.broken()), (0, false));
        let tasks = [1, 2].map(|name| arrive(&barrier, &log, name));
        asyncio_tasks::yield_now().await;
        // The round is complete; the one that is cancelled before it has left is cancelled all the same.
        assert!(tasks[0].cancel());
        settle().await;
        assert!(tasks[0].cancelled());
        log.assert([(2, Ok(1))]);
        let _next = [3, 4].map(|name| arrive(&barrier, &log, name));
        settle().await;
        log.assert([(2, Ok(1)), (4, Ok(1)), (3, Ok(0))]);
    });
}

#[test]
fn a_wait_that_is_kept_beyond_a_cancellation_stays_inside() {
    run(async {
        // With or without a look between the cancellation and the round's end.
        for looks_before in [true, false] {
            let (barrier, log) = (Rc::new(Barrier::new(2)), Log::new());
            let mut wait = Box::pin(barrier.wait());
            assert!(timeout(1, wait.as_mut()).await.is_err());
            if looks_before {
                assert!(timeout(1, wait.as_mut()).await.is_err());
            }
            assert_eq!(barrier.n_waiting(), 1);
            let _other = arrive(&barrier, &log, 1);
            assert_eq!(timeout(1, wait.as_mut()).await, Ok(Ok(0)));
            log.assert([(1, Ok(1))]);
        }
    });
}

#[test]
fn a_wait_for_the_next_round_that_is_kept_beyond_a_cancellation_takes_part_in_it() {
    run(async {
        let (barrier, log) = (Rc::new(Barrier::new(2)), Log::new());
        let mut first = Box::pin(barrier.wait());
        assert!(timeout(1, first.as_mut()).await.is_err());
        assert_eq!(barrier.wait().await, Ok(1));
        let mut late = Box::pin(barrier.wait()); // For as long as the first one has not left.
        assert!(timeout(1, late.as_mut()).await.is_err());
        assert_eq!((first.await, barrier.n_waiting()), (Ok(0), 0));
        let _other = arrive(&barrier, &log, 1);
        settle().await;
        assert_eq!(timeout(1, late.as_mut()).await, Ok(Ok(1)));
        settle().await;
        log.assert([(1, Ok(0))]);
    });
}

#[test]
fn a_barrier_for_one_never_waits() {
    // sem. 144
    run(async {
        let barrier = Barrier::new(1);
        for _ in 0..3 {
            assert_eq!(barrier.wait().await, Ok(0));
        }
    });
}

#[test]
#[should_panic(expected = "a barrier is for one task at least")]
fn a_barrier_for_nobody_is_a_mistake() {
    let _ = Barrier::new(0);
}

#[test]
fn its_error_is_an_io_error_too() {
    run(async {
        let barrier = Barrier::new(2);
        barrier.abort();
        let error: std::io::Error = barrier.wait().await.unwrap_err().into();
        assert_eq!(error.to_string(), "barrier aborted");
    });
}
