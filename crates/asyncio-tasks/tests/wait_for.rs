//! `wait_for`.

#[path = "support/log.rs"]
mod log;
#[path = "support/run.rs"]
mod run;
#[path = "support/ticks.rs"]
mod ticks;

use asyncio_loop::{ContextVar, get_running_loop};
use asyncio_tasks::{
    Future as LoopFuture, TimeoutError, catch_cancelled, create_task, current_task, sleep, wait_for, yield_now,
};
use log::Log;
use run::run;
use ticks::ticks;

fn timed_out() -> TimeoutError {
    TimeoutError::default()
}

// sem. 97
#[test]
fn the_coroutine_runs_in_the_waiting_task() {
    static SEEN: ContextVar<u8> = ContextVar::new("seen");
    run(async {
        let me = current_task();
        let (count, outcome) = ticks(wait_for(
            async {
                SEEN.set(1);
                current_task()
            },
            5,
        ))
        .await;
        assert_eq!((count, outcome), (0, Ok(me)));
        assert_eq!(SEEN.get(), Some(1));
    });
}

// sem. 98
#[test]
fn without_time_only_what_is_done_has_a_result() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        assert_eq!(wait_for(async move { sink.add("began") }, 0).await, Err(timed_out()));
        assert_eq!(log.take(), [""; 0]);
        let future = LoopFuture::new();
        future.set_result(1).unwrap();
        assert_eq!(wait_for(future, -1).await, Ok(Ok(1)));
        let future = LoopFuture::<u8>::new();
        assert_eq!(wait_for(future.clone(), 0).await, Err(timed_out()));
        assert!(future.cancelled());
        let task = create_task(async { 2 });
        yield_now().await;
        assert_eq!(wait_for(task, 0).await, Ok(Ok(2)));
        let task = create_task(sleep(60));
        let handle = task.to_any();
        assert_eq!(wait_for(task, 0).await, Err(timed_out()));
        assert!(handle.cancelled());
    });
}

// sem. 99
#[test]
fn the_end_is_awaited_and_may_take_longer() {
    run(async {
        let time = || get_running_loop().time();
        let start = time();
        let slow = async {
            let error = catch_cancelled(sleep(60)).await.unwrap_err();
            sleep(2).await;
            error.reraise().await
        };
        assert_eq!(wait_for(slow, 1).await.unwrap_err(), timed_out());
        assert_eq!(time() - start, 3.0);
        let stubborn = create_task(async { catch_cancelled(sleep(60)).await.is_err() });
        assert_eq!(wait_for(stubborn, 1).await, Ok(Ok(true)));
        let failing = create_task(async {
            let _suppressed = catch_cancelled(sleep(60)).await.unwrap_err();
            Err::<(), _>("on the way out")
        });
        assert_eq!(wait_for(failing, 1).await, Ok(Ok(Err("on the way out"))));
    });
}

// sem. 100
#[test]
fn a_result_and_a_request_in_the_same_iteration_are_a_cancellation() {
    run(async {
        let future = LoopFuture::new();
        let task = create_task(wait_for(future.clone(), 5));
        yield_now().await;
        future.set_result(1).unwrap();
        task.cancel();
        assert!(task.await.is_err());
    });
}

// sem. 101
#[test]
fn cancelling_who_waits_cancels_what_is_waited_for_first() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let inner = create_task(async move {
            let error = catch_cancelled(sleep(60)).await.unwrap_err();
            sleep(1).await;
            sink.add("inner");
            error.reraise().await
        });
        let outer = create_task(async { wait_for(inner, 30).await.is_ok() });
        yield_now().await;
        yield_now().await;
        outer.cancel();
        assert!(outer.await.is_err());
        assert_eq!(log.take(), ["inner"]);
    });
}

// sem. 102
#[test]
fn a_task_that_others_cancel_is_no_timeout() {
    run(async {
        let inner = create_task(sleep(60));
        let handle = inner.to_any();
        get_running_loop().call_later(1, move || assert!(handle.cancel_with("others")));
        let outcome = wait_for(inner, 30).await.unwrap();
        assert_eq!(outcome.unwrap_err().message(), Some("others"));
    });
}

// sem. 103
#[test]
fn the_error_is_that_of_the_system() {
    let error = std::io::Error::from(timed_out());
    assert_eq!((error.kind(), error.to_string().as_str()), (std::io::ErrorKind::TimedOut, "timed out"));
}
