//! What is polled again, by reference, after a cancellation of its wait was delivered: it waits anew, and nothing is lost.

#[path = "support/run.rs"]
mod run;

use asyncio_loop::get_running_loop;
use asyncio_tasks::{
    Future as LoopFuture, TaskGroup, as_completed, catch_cancelled, create_task, gather, shield, sleep, timeout, wait,
};
use futures_util::StreamExt as _;
use run::run;
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;

async fn after(seconds: i32) -> i32 {
    sleep(seconds).await;
    seconds
}

#[test]
fn a_sleep_goes_on_from_where_it_was() {
    run(async {
        let mut long = pin!(sleep(5.5));
        let mut ticks = 0;
        while timeout(1, long.as_mut()).await.is_err() {
            ticks += 1;
            assert!(ticks < 10, "it never ends");
        }
        assert_eq!(ticks, 5);
        assert!((get_running_loop().time() - 5.5).abs() < 1e-6);
    });
}

#[test]
fn a_sleep_whose_time_has_come_meanwhile_is_over() {
    run(async {
        let mut long = pin!(sleep(2));
        assert!(timeout(1, long.as_mut()).await.is_err());
        sleep(5).await;
        long.await;
        assert!(get_running_loop().time() < 6.5);
    });
}

#[test]
fn the_next_of_as_completed_is_cancel_safe() {
    run(async {
        let mut completed = as_completed([create_task(after(5))]);
        assert!(timeout(1, completed.next()).await.is_err());
        assert_eq!(timeout(100, completed.next()).await, Ok(Some(Ok(Ok(5)))));
        let mut completed = Box::pin(as_completed([create_task(after(5))]));
        assert!(timeout(1, futures_util::StreamExt::next(&mut completed)).await.is_err());
        assert_eq!(timeout(100, completed.next()).await, Ok(Some(Ok(Ok(5)))));
    });
}

#[test]
fn a_future_that_was_cancelled_with_its_wait_says_so() {
    run(async {
        let future = LoopFuture::<u32>::new();
        let mut awaiting = future.clone().into_future();
        assert!(timeout(1, &mut awaiting).await.is_err());
        assert!(future.cancelled());
        assert!(timeout(5, &mut awaiting).await.expect("it is done").is_err());
    });
}

#[test]
fn a_shield_an_observed_task_and_a_wait_go_on() {
    run(async {
        let mut shielded = shield(create_task(after(5)));
        assert!(timeout(1, &mut shielded).await.is_err());
        assert_eq!(timeout(50, &mut shielded).await, Ok(Ok(5)));

        let mut task = create_task(after(5));
        let mut observed = (&mut task).into_future();
        assert!(timeout(1, &mut observed).await.is_err());
        assert_eq!(timeout(50, &mut observed).await, Ok(Ok(5)));

        let mut waiting = wait([create_task(after(5)).to_any()]).timeout(20).into_future();
        assert!(timeout(1, &mut waiting).await.is_err());
        let (done, pending) = timeout(50, &mut waiting).await.expect("it is done before");
        assert_eq!((done.len(), pending.len()), (1, 0));

        // What was waited for comes while nobody polls.
        let mut waiting = wait([create_task(after(2)).to_any()]).into_future();
        assert!(timeout(1, &mut waiting).await.is_err());
        sleep(5).await;
        assert_eq!(timeout(1, &mut waiting).await.expect("it is done").0.len(), 1);
    });
}

#[test]
fn a_gather_that_was_cancelled_with_its_wait_is_over() {
    run(async {
        let mut both = pin!(gather((create_task(after(5)), create_task(after(6)))).into_future());
        assert!(timeout(1, both.as_mut()).await.is_err());
        // As the first time, its cancellation is that of whoever awaits it.
        assert!(catch_cancelled(timeout(50, both)).await.is_err());
    });
}

#[test]
fn stopping_goes_on_and_hears_what_has_happened_meanwhile() {
    run(async {
        let outcome = TaskGroup::<()>::scope(async |group| {
            let mut stopping = Box::pin(group.stopping());
            assert!(timeout(1, stopping.as_mut()).await.is_err());
            group.shutdown(5);
            assert!(timeout(3, stopping.as_mut()).await.is_ok());
            Ok(())
        })
        .await;
        assert!(outcome.is_ok());
    });
}

/// Tasks and futures may be given as they are.
#[test]
fn a_limit_takes_whatever_can_be_awaited() {
    run(async {
        assert_eq!(timeout(10, create_task(after(1))).await, Ok(Ok(1)));
        assert!(timeout(1, create_task(after(9))).await.is_err());
        let future = LoopFuture::new();
        future.set_result(7).unwrap();
        assert_eq!(catch_cancelled(future).await, Ok(Ok(7)));
    });
}

/// A scope that was polled inside another one, which has ended, and then at the top.
#[test]
fn a_catch_scope_that_outlives_the_one_around_it_is_told() {
    run(async {
        let seen = Rc::new(Cell::new(false));
        let sees = seen.clone();
        let task = create_task(async move {
            let mut inner = Box::pin(async move { sees.set(catch_cancelled(sleep(100)).await.is_err()) });
            let first = async {
                futures_util::future::select(inner.as_mut(), Box::pin(sleep(1))).await;
            };
            timeout(50, first).await.expect("the short sleep ends first");
            inner.await;
        });
        sleep(10).await;
        task.cancel();
        assert_eq!(task.await, Ok(()));
        assert!(seen.get());
    });
}

/// Told in one place, polled in another: the request goes along.
#[test]
fn a_scope_takes_along_what_it_was_told() {
    run(async {
        let log = Rc::new(RefCell::new(Vec::new()));
        let (inner_log, outer_log) = (log.clone(), log.clone());
        let first = LoopFuture::<()>::new();
        let wanted = first.clone();
        let task = create_task(async move {
            let mut scope = Box::pin(async move {
                let outcome = catch_cancelled(sleep(1000)).await;
                inner_log.borrow_mut().push(if outcome.is_err() { "caught" } else { "slept" });
            });
            let either = async {
                futures_util::future::select(wanted.into_future(), scope.as_mut()).await;
            };
            let _ = timeout(50, either).await;
            outer_log.borrow_mut().push("selected");
            let ended = timeout(5, scope.as_mut()).await.is_ok();
            outer_log.borrow_mut().push(if ended { "ended" } else { "timed out" });
        });
        sleep(1).await;
        first.set_result(()).unwrap();
        task.cancel();
        assert_eq!(task.await, Ok(()));
        assert_eq!(*log.borrow(), ["selected", "caught", "ended"]);
        assert!(get_running_loop().time() < 3.0, "the request was made at 1 s");
    });
}
