//! `gather` and `try_gather`.

#[path = "support/log.rs"]
mod log;
#[path = "support/run.rs"]
mod run;
#[path = "support/ticks.rs"]
mod ticks;

use asyncio_tasks::{
    CancelledError, Future as LoopFuture, all_tasks, catch_cancelled, create_task, gather, sleep, try_gather, yield_now,
};
use log::Log;
use run::{event_loop, run};
use std::rc::Rc;
use ticks::ticks;

// sem. 124
#[test]
fn results_come_in_the_order_of_the_arguments() {
    run(async {
        let after = |delay: u32| async move {
            sleep(delay).await;
            delay
        };
        assert_eq!(gather(vec![after(3), after(1), after(2)]).await, [3, 1, 2]);
        assert_eq!(gather([after(2), after(1)]).await, [2, 1]);
        assert_eq!(gather((after(1), async { "two" }, create_task(async { '3' }))).await, (1, "two", Ok('3')));
        let shared = create_task(after(1));
        assert_eq!(gather([shared.clone(), shared]).await, [Ok(1), Ok(1)], "given twice, it appears twice");
    });
}

// sem. 125
#[test]
fn the_first_error_ends_it_and_the_others_run_on() {
    run(async {
        let log = Log::new();
        let item = |delay: u32, outcome: Result<u8, &'static str>| {
            let log = log.clone();
            async move {
                sleep(delay).await;
                log.add(delay);
                outcome
            }
        };
        let outcome = try_gather([item(3, Ok(1)), item(1, Err("first")), item(2, Err("second"))]).await;
        assert_eq!((outcome, log.take()), (Err("first"), vec![1]));
        sleep(5).await;
        assert_eq!(log.take(), [2, 3]);
        assert_eq!(try_gather([item(2, Ok(1)), item(1, Ok(2))]).await, Ok(vec![1, 2]));
    });
}

// sem. 126
#[test]
fn errors_and_cancellations_are_values_of_gather() {
    run(async {
        let victim = create_task(sleep(60));
        victim.cancel_with("x");
        let failing = create_task(async { Err::<(), _>("failed") });
        let slow = create_task(async {
            sleep(2).await;
            3
        });
        let (one, two, three) = gather((victim, failing, slow)).await;
        assert_eq!((one, two, three), (Err(CancelledError::new(Some("x"))), Ok(Err("failed")), Ok(3)));
    });
}

// sem. 127
#[test]
fn a_cancelled_item_of_try_gather_unwinds_who_waits_and_nobody_else() {
    run(async {
        let victim = create_task(async {
            sleep(60).await;
            Ok::<_, ()>(1)
        });
        let other = create_task(async {
            sleep(2).await;
            Ok::<_, ()>(2)
        });
        let items = [victim.clone(), other.clone()];
        let waiter = create_task(async { catch_cancelled(try_gather(items)).await });
        yield_now().await;
        yield_now().await;
        victim.cancel();
        assert!(waiter.await.unwrap().is_err());
        assert!(!other.done());
        assert_eq!(other.await, Ok(Ok(2)));
    });
}

// sem. 128
#[test]
fn cancelling_who_waits_cancels_all_items_and_unwinds_when_all_have_ended() {
    run(async {
        let log = Log::new();
        let item = |name, clean_up: u32, swallow: bool| {
            let log = log.clone();
            create_task(async move {
                let error = catch_cancelled(sleep(60)).await.unwrap_err();
                sleep(clean_up).await;
                log.add(name);
                if !swallow {
                    error.reraise().await;
                }
            })
        };
        let items = [item("a", 3, true), item("b", 1, false), item("c", 2, true)];
        let sink = log.clone();
        let waiter = create_task(async move {
            let outcome = catch_cancelled(gather(items)).await;
            sink.add("unwound");
            outcome.unwrap_err().message().map(str::to_owned)
        });
        yield_now().await;
        yield_now().await;
        assert!(waiter.cancel_with("all"));
        assert_eq!(waiter.await, Ok(Some("all".into())));
        assert_eq!(log.take(), ["b", "c", "a", "unwound"]);
    });
}

// sem. 129, 130
#[test]
fn what_is_done_is_gathered_without_waiting() {
    run(async {
        let none: [std::future::Ready<u8>; 0] = [];
        assert_eq!(ticks(gather(none)).await, (0, vec![]));
        assert_eq!(ticks(try_gather(Vec::<LoopFuture<Result<u8, ()>>>::new())).await.0, 0);
        let future = LoopFuture::new();
        future.set_result(7).unwrap();
        assert_eq!(ticks(gather([future.clone(), future])).await, (0, vec![Ok(7), Ok(7)]));
    });
}

// sem. 131
#[test]
fn after_an_error_was_delivered_nothing_is_cancelled_any_more() {
    run(async {
        let other = create_task(async {
            sleep(5).await;
            Ok::<u8, &str>(1)
        });
        let failing = create_task(async { Err("failed") });
        let items = [other.clone(), failing];
        let waiter = create_task(async move {
            let outcome = try_gather(items).await;
            drop(catch_cancelled(sleep(60)).await);
            outcome
        });
        sleep(1).await;
        waiter.cancel();
        assert_eq!(waiter.await, Ok(Err("failed")));
        assert_eq!(other.await, Ok(Ok(1)));
    });
}

#[test]
fn a_gather_that_is_dropped_detaches_and_leaves_nothing_behind() {
    run(async {
        let held = Rc::new(());
        let value = held.clone();
        let task = create_task(async move {
            sleep(1).await;
            value
        });
        drop(gather([task]));
        let future = LoopFuture::<Rc<()>>::new();
        let captured = held.clone();
        future.add_done_callback(move |_| drop(captured));
        drop(gather([future.clone(), future]));
        sleep(2).await;
        yield_now().await;
        assert_eq!((Rc::strong_count(&held), all_tasks().len()), (1, 1));
    });
}

#[test]
fn a_panic_of_an_item_is_resumed_in_who_gathers() {
    let event_loop = event_loop();
    event_loop.set_exception_handler(|_, report| panic!("nobody else is told: {report}"));
    use asyncio_tasks::LoopTasksExt as _;
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        event_loop.run_until_complete(async {
            let good = create_task(async { sleep(1).await });
            let bad = create_task(async { panic!("of an item") });
            gather((good, bad)).await
        })
    }));
    assert_eq!(*outcome.unwrap_err().downcast::<&str>().unwrap(), "of an item");
    event_loop.close().unwrap();
}
