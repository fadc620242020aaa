//! `timeout`, `timeout_at`, `Timeout`.

#[path = "support/run.rs"]
mod run;
#[path = "support/ticks.rs"]
mod ticks;

use asyncio_loop::get_running_loop;
use asyncio_tasks::{
    CancelledError, RescheduleError, TaskGroup, Timeout, TimeoutError, catch_cancelled, create_task, current_task,
    sleep, timeout, timeout_at, yield_now,
};
use run::run;
use std::time::Duration;
use ticks::ticks;

fn timed_out() -> TimeoutError {
    TimeoutError::default()
}

/// No limit.
const NEVER: Option<f64> = None;

fn now() -> f64 {
    get_running_loop().time()
}

fn requests() -> u32 {
    current_task().unwrap().cancelling()
}

// sem. 86
#[test]
fn the_deadline_is_fixed_when_the_limit_is_made() {
    run(async {
        let limited = timeout(5, sleep(60));
        let limit = Timeout::new(Duration::from_secs(6));
        sleep(3).await;
        let start = now();
        assert_eq!(limited.await, Err(timed_out()));
        assert!((now() - start - 2.0).abs() < 1e-9);
        assert_eq!(limit.run(sleep(60)).await, Err(timed_out()));
        assert!((now() - start - 3.0).abs() < 1e-9);
        assert!((limit.when().unwrap() - now()).abs() < 1e-9);
        assert_eq!(timeout_at(now() + 1.0, sleep(60)).await, Err(timed_out()));
        assert_eq!(timeout_at(f64::INFINITY, sleep(60)).await, Ok(()));
        assert_eq!(timeout(None::<f64>, sleep(60)).await, Ok(()));
    });
}

// sem. 87
#[test]
fn a_limit_that_has_passed_interrupts_the_first_wait_and_nothing_before() {
    run(async {
        let limit = Timeout::new(0);
        assert_eq!((limit.run(async { 1 }).await, limit.expired()), (Ok(1), false));
        let (count, outcome) = ticks(timeout(-1, sleep(60))).await;
        assert_eq!((count, outcome), (2, Err(timed_out())), "one to expire, one to be resumed");
        assert_eq!(requests(), 0);
    });
}

// sem. 88
#[test]
fn an_expiry_is_a_request_that_is_taken_back_at_the_end() {
    run(async {
        let outcome = timeout(1, async {
            let error = catch_cancelled(sleep(60)).await.unwrap_err();
            assert_eq!(requests(), 1);
            sleep(2).await; // Clean-up is not interrupted.
            error.reraise().await;
        });
        let start = now();
        assert_eq!(outcome.await, Err(timed_out()));
        assert_eq!((requests(), now() - start), (0, 3.0));
        sleep(1).await;
    });
}

// sem. 89
#[test]
fn a_request_from_outside_in_the_same_iteration_wins() {
    for outside_first in [true, false] {
        run(async move {
            let task = create_task(async { timeout(2, sleep(60)).await });
            let handle = task.to_any();
            if outside_first {
                // Set before the timer of the timeout, so it fires before.
                get_running_loop().call_later(2, move || assert!(handle.cancel()));
            } else {
                yield_now().await;
                get_running_loop().call_later(2, move || assert!(handle.cancel()));
            }
            let handle = task.to_any();
            assert!(task.await.is_err());
            assert_eq!(handle.cancelling(), 1);
        });
    }
}

// sem. 90: known defect of asyncio, done right: the request is not taken for the timeout's own.
#[test]
fn a_request_that_is_pending_when_a_timeout_of_zero_begins_is_kept() {
    run(async {
        let task = create_task(async {
            current_task().unwrap().cancel();
            timeout(0, sleep(60)).await
        });
        let handle = task.to_any();
        assert!(task.await.is_err());
        assert_eq!((handle.cancelled(), handle.cancelling()), (true, 1));
    });
}

// sem. 91
#[test]
fn of_two_limits_with_one_deadline_both_expire_and_the_outer_one_tells() {
    run(async {
        let when = now() + 1.0;
        let (outer, inner) = (Timeout::at(when), Timeout::at(when));
        let inside = inner.clone();
        let mut inner_returned = false;
        let outcome = outer.run(async {
            let _ = inside.run(sleep(60)).await;
            inner_returned = true;
        });
        assert_eq!(outcome.await, Err(timed_out()));
        assert!(outer.expired() && inner.expired() && !inner_returned);
        assert_eq!(requests(), 0);
    });
}

// sem. 92
#[test]
fn an_outer_limit_that_is_earlier_goes_through_the_inner_one() {
    run(async {
        let (outer, inner) = (Timeout::new(1), Timeout::new(2));
        let inside = inner.clone();
        assert_eq!(outer.run(async move { inside.run(sleep(60)).await }).await, Err(timed_out()));
        assert!(outer.expired() && !inner.expired());
        // And the other way round.
        assert_eq!(timeout(2, timeout(1, sleep(60))).await, Ok(Err(timed_out())));
        assert_eq!((requests(), get_running_loop().statistics().timers), (0, 0));
    });
}

// sem. 93
#[test]
fn a_body_that_swallows_gives_its_value() {
    run(async {
        let limit = Timeout::new(1);
        let outcome = limit.run(async { catch_cancelled(sleep(60)).await.is_err() });
        assert_eq!(outcome.await, Ok(true));
        assert_eq!((limit.expired(), requests()), (true, 0));
    });
}

// sem. 94
#[test]
fn a_body_that_fails_instead_gives_its_error() {
    run(async {
        let outcome = timeout(1, async {
            let _suppressed = catch_cancelled(sleep(60)).await.unwrap_err();
            Err::<(), _>("clean-up failed")
        });
        assert_eq!(outcome.await, Ok(Err("clean-up failed")));
        // A group inside has its errors, too, and no request is left.
        let outcome = timeout(1, async {
            let group = TaskGroup::scope(async |group| {
                group.create_task(async {
                    let _suppressed = catch_cancelled(sleep(60)).await.unwrap_err();
                    Err::<(), _>("child")
                });
                Ok(())
            });
            group.await.unwrap_err().into_errors()
        });
        assert_eq!((outcome.await, requests()), (Ok(vec!["child"]), 0));
    });
}

// sem. 95
#[test]
fn a_limit_can_be_moved_while_it_runs_and_not_yet_expires() {
    run(async {
        let limit = Timeout::new(1);
        assert_eq!(limit.reschedule(5.0), Err(RescheduleError::NotEntered));
        let inside = limit.clone();
        let start = now();
        let outcome = limit.run(async move {
            inside.reschedule(start + 5.0).unwrap();
            let error = catch_cancelled(sleep(60)).await.unwrap_err();
            assert_eq!(inside.reschedule(NEVER), Err(RescheduleError::Expired));
            assert!(inside.expired());
            error.reraise().await;
        });
        assert_eq!((outcome.await, now() - start), (Err(timed_out()), 5.0));
        assert_eq!(limit.reschedule(NEVER), Err(RescheduleError::Expired));
        let limit = Timeout::new(None::<f64>);
        let inside = limit.clone();
        let outcome = limit.run(async move {
            inside.reschedule(now() - 1.0).unwrap();
            inside.reschedule(NEVER).unwrap();
            sleep(1).await;
            inside.reschedule(now()).unwrap();
            sleep(60).await;
        });
        assert_eq!(outcome.await, Err(timed_out()));
        let limit = Timeout::new(9);
        limit.run(async {}).await.unwrap();
        assert_eq!((limit.reschedule(NEVER), limit.expired()), (Err(RescheduleError::Finished), false));
        for error in [RescheduleError::NotEntered, RescheduleError::Expired, RescheduleError::Finished] {
            assert!(error.to_string().contains("timeout"));
        }
    });
}

// sem. 95
#[test]
#[should_panic(expected = "a timeout has already been entered")]
fn a_limit_is_for_one_run() {
    run(async {
        let limit = Timeout::new(1);
        limit.run(async {}).await.unwrap();
        let _ = limit.run(async {}).await;
    });
}

// sem. 96
#[test]
#[should_panic(expected = "a timeout must be used inside a task")]
fn a_timeout_is_for_tasks() {
    let mut limited = Box::pin(timeout_at(1.0, async {}));
    let _ = limited.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
}

#[test]
fn a_timeout_that_is_dropped_leaves_nothing_behind() {
    run(async {
        drop(timeout(1, sleep(60)));
        {
            let mut limited = Box::pin(timeout(1, sleep(60)));
            assert!(futures_util::poll!(&mut limited).is_pending());
        }
        assert_eq!(get_running_loop().statistics().timers, 0);
        sleep(2).await;
        assert_eq!(requests(), 0);
        // Also while it expires: the request goes with it.
        let task = create_task(async {
            let limited = Box::pin(timeout(1, async {
                drop(catch_cancelled(sleep(60)).await);
                sleep(60).await;
            }));
            drop(futures_util::future::select(limited, Box::pin(sleep(3))).await);
            requests()
        });
        assert_eq!(task.await, Ok(0));
    });
}

#[test]
fn a_cancellation_from_outside_goes_through_any_number_of_limits() {
    run(async {
        let task = create_task(timeout(9, timeout(8, timeout(7, sleep(60)))));
        yield_now().await;
        task.cancel_with("through");
        assert_eq!(task.await.unwrap_err(), CancelledError::new(Some("through")));
        assert_eq!(get_running_loop().statistics().timers, 0);
    });
}

/// Two limits in one task at once: each ends its own branch.
#[test]
fn an_error_that_is_raised_in_a_branch_stays_in_its_scope() {
    run(async {
        let cancelled = || async {
            let child = create_task(async {});
            child.cancel();
            let error = child.await.unwrap_err();
            error.reraise().await;
        };
        let both = async { futures_util::join!(catch_cancelled(cancelled()), catch_cancelled(sleep(3))) };
        let (one, two) = both.await;
        assert!(one.is_err() && two.is_ok());
    });
}

/// A limit is about its branch: what the task does beside it goes on.
#[test]
fn a_limit_in_one_branch_of_a_join_leaves_the_others_alone() {
    run(async {
        let slow = async {
            let child = create_task(async {
                let error = catch_cancelled(sleep(60)).await.unwrap_err();
                sleep(5).await;
                error.reraise().await;
            });
            child.await
        };
        let start = now();
        let beside = async {
            sleep(3).await;
            now() - start
        };
        let (limited, free) = futures_util::join!(timeout(1, slow), beside);
        assert_eq!((limited, free, now() - start), (Err(timed_out()), 3.0, 6.0));
        let (one, two) = futures_util::join!(timeout(1, sleep(60)), timeout(2, sleep(60)));
        assert_eq!((one, two, requests()), (Err(timed_out()), Err(timed_out()), 0));
        // So is a group.
        let group = TaskGroup::scope(async |group| {
            group.create_task(async { Err::<(), _>("failed") });
            sleep(60).await;
            Ok(())
        });
        let (group, free) = futures_util::join!(group, sleep(3));
        assert_eq!((group.unwrap_err().into_errors(), free, requests()), (vec!["failed"], (), 0));
        // A request from outside is about all.
        let task = create_task(async { futures_util::join!(timeout(1, sleep(60)), timeout(2, sleep(60))) });
        yield_now().await;
        task.cancel();
        assert!(task.await.is_err());
    });
}
