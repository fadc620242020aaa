//! `wait`.

#[path = "support/run.rs"]
mod run;
#[path = "support/ticks.rs"]
mod ticks;

use asyncio_tasks::{
    FIRST_COMPLETED, FIRST_EXCEPTION, Future as LoopFuture, Task, catch_cancelled, create_task, sleep, wait, yield_now,
};
use run::run;
use ticks::ticks;

fn after(delay: u32) -> Task<u32> {
    create_task(async move {
        sleep(delay).await;
        delay
    })
}

// sem. 133
#[test]
fn members_are_never_cancelled() {
    run(async {
        let tasks = [after(1), after(5)];
        let (done, pending) = wait(tasks.clone()).timeout(2).await;
        assert_eq!((done.len(), pending.len(), pending[0].cancelling()), (1, 1, 0));
        assert_eq!(done[0].result(), Ok(1));
        let waiting = tasks.clone();
        let waiter = create_task(async { drop(wait(waiting).await) });
        yield_now().await;
        waiter.cancel();
        assert!(waiter.await.is_err());
        assert_eq!(tasks[1].cancelling(), 0);
        assert_eq!(wait(tasks).await.0.len(), 2);
        // The callbacks are taken back: nothing of the wait is left in the member.
        let held = std::rc::Rc::new(());
        let member = LoopFuture::<()>::new();
        for _ in 0..3 {
            let (inner, held) = (member.clone(), held.clone());
            let waiter = create_task(async move {
                let _held = held;
                drop(catch_cancelled(wait([inner]).into_future()).await);
            });
            yield_now().await;
            waiter.cancel();
            waiter.await.unwrap();
        }
        assert_eq!(std::rc::Rc::strong_count(&held), 1);
    });
}

// sem. 134
#[test]
fn members_that_are_done_take_two_iterations() {
    run(async {
        let future = LoopFuture::new();
        future.set_result(1).unwrap();
        assert_eq!(ticks(wait([future]).into_future()).await.0, 2);
    });
}

// sem. 135
#[test]
fn a_cancelled_member_has_not_failed() {
    run(async {
        let task = |delay: u32, outcome: Result<u8, &'static str>| {
            create_task(async move {
                sleep(delay).await;
                outcome
            })
        };
        let tasks = [task(9, Ok(1)), task(1, Ok(2)), task(3, Err("failed"))];
        tasks[0].cancel();
        let (done, pending) = wait(tasks).return_when(FIRST_EXCEPTION).await;
        assert_eq!((done.len(), pending.len()), (3, 0));
        assert_eq!(done[2].result(), Ok(Err("failed")));
        let (done, pending) = wait([task(5, Ok(1)), task(2, Err("x"))]).return_when(FIRST_EXCEPTION).await;
        assert_eq!((done.len(), pending.len()), (1, 1));
        let (done, pending) = wait([after(2), after(1)]).return_when(FIRST_COMPLETED).await;
        assert_eq!((done[0].result(), pending.len()), (Ok(1), 1));
    });
}

// sem. 136
#[test]
#[should_panic(expected = "no task or future to wait for")]
fn there_must_be_something_to_wait_for() {
    run(async {
        wait(Vec::<Task<()>>::new()).await;
    });
}

// sem. 136
#[test]
fn a_member_that_is_given_twice_is_waited_for_once() {
    run(async {
        let task = after(1);
        let (done, pending) = wait([task.clone(), task]).await;
        assert!(!done.is_empty() && pending.is_empty());
    });
}
