//! How many iterations lie between the start of an `await` and its end: as measured on CPython.

#[path = "support/run.rs"]
mod run;
#[path = "support/ticks.rs"]
mod ticks;

use asyncio_tasks::{Future as LoopFuture, TaskGroup, create_task, gather, shield, sleep, wait, wait_for, yield_now};
use run::run;
use ticks::ticks;

async fn trivial() -> u8 {
    1
}

fn finished() -> LoopFuture<u8> {
    let future = LoopFuture::new();
    future.set_result(1).unwrap();
    future
}

// sem. 48, 54, 97, 105, 130, 134
#[test]
fn everything_takes_as_many_iterations_as_in_asyncio() {
    run(async {
        let mut found = Vec::new();
        let mut note = |what, (count, _): (u64, ())| found.push((what, count));
        note("a coroutine that does not wait", ticks(async { _ = trivial().await }).await);
        note("a future that is done", ticks(async { drop(finished().await) }).await);
        note("sleep(0)", ticks(sleep(0)).await);
        note("gather of what is done", ticks(async { drop(gather([finished()]).await) }).await);
        note("gather of a coroutine", ticks(async { drop(gather([trivial()]).await) }).await);
        note("wait for what is done", ticks(async { drop(wait([finished()]).await) }).await);
        note("shield of a coroutine", ticks(async { _ = shield(trivial()).await }).await);
        note("wait_for of a coroutine", ticks(async { _ = wait_for(trivial(), 5).await }).await);
        note("wait_for of what is done", ticks(async { _ = wait_for(finished(), 5).await }).await);
        let group = async {
            TaskGroup::<()>::scope(async |group| {
                group.create_task(async { Ok(trivial().await) });
                Ok(())
            })
            .await
            .unwrap();
        };
        note("a group with a child", ticks(group).await);
        let expected = [0, 0, 1, 0, 3, 2, 3, 0, 0, 3];
        assert_eq!(found.iter().map(|(_, count)| *count).collect::<Vec<_>>(), expected, "{found:?}");
    });
}

// sem. 53, 54
#[test]
fn a_task_runs_in_the_next_iteration_and_nesting_adds_two() {
    fn nest(depth: u32) -> std::pin::Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            if depth > 0 {
                create_task(nest(depth - 1)).await.unwrap();
            }
        })
    }
    run(async {
        let task = create_task(trivial());
        assert_eq!((ticks(yield_now()).await.0, task.done()), (1, true));
        for depth in 1..5 {
            assert_eq!(ticks(nest(depth)).await.0, u64::from(2 * depth));
        }
    });
}

// sem. 70
#[test]
fn cancelling_a_chain_of_four_tasks_takes_four() {
    run(async {
        let mut task = create_task(sleep(60));
        for _ in 0..2 {
            task = create_task(async { task.await.unwrap() });
        }
        for _ in 0..4 {
            yield_now().await;
        }
        task.cancel();
        assert_eq!(ticks(task.into_future()).await.0, 4);
    });
}
