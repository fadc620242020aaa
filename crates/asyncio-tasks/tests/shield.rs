//! `shield`.

#[path = "support/log.rs"]
mod log;
#[path = "support/run.rs"]
mod run;
#[path = "support/ticks.rs"]
mod ticks;

use asyncio_loop::get_running_loop;
use asyncio_tasks::{Future as LoopFuture, catch_cancelled, create_task, shield, sleep, yield_now};
use log::Log;
use run::run;
use ticks::ticks;

// sem. 140
#[test]
fn only_who_waits_is_cancelled_and_a_later_panic_is_reported() {
    run(async {
        let log = Log::new();
        let reports = log.clone();
        get_running_loop().set_exception_handler(move |_, report| {
            reports.add(report.panic_message().unwrap_or("none").to_owned());
        });
        let inner = create_task(async {
            sleep(2).await;
            panic!("behind the shield");
        });
        let handle = inner.to_any();
        let waiter = create_task(async {
            let inner: asyncio_tasks::Task<()> = inner;
            let _ = shield(inner).await;
        });
        yield_now().await;
        yield_now().await;
        waiter.cancel();
        assert!(waiter.await.is_err());
        assert!(!handle.done() && handle.cancelling() == 0);
        drop(handle);
        sleep(3).await;
        assert_eq!(log.take(), ["behind the shield"]);
    });
}

// sem. 141
#[test]
fn what_is_done_is_not_waited_for_and_a_cancelled_item_tells() {
    run(async {
        let future = LoopFuture::new();
        future.set_result(1).unwrap();
        assert_eq!(ticks(shield(future)).await, (0, Ok(1)));
        let task = create_task(sleep(60));
        let handle = task.to_any();
        get_running_loop().call_later(1, move || assert!(handle.cancel_with("inner")));
        assert_eq!(shield(task).await.unwrap_err().message(), Some("inner"));
        // The task of a coroutine has no such value: who waits is unwound.
        let waiter = create_task(async {
            let coroutine = async {
                asyncio_tasks::current_task().unwrap().cancel_with("coroutine");
                sleep(60).await;
            };
            catch_cancelled(shield(coroutine)).await
        });
        assert_eq!(waiter.await.unwrap().unwrap_err().message(), Some("coroutine"));
    });
}

// sem. 142
#[test]
fn nobody_need_keep_what_is_shielded() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let waiter = create_task(async move {
            shield(async move {
                sleep(2).await;
                sink.add("done");
            })
            .await;
        });
        yield_now().await;
        waiter.cancel();
        assert!(waiter.await.is_err());
        sleep(5).await;
        assert_eq!(log.take(), ["done"]);
    });
}
