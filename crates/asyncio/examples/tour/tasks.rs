//! Tasks: many at once, several waited for in four ways, and who awaits whom.

use crate::{Done, say};
use asyncio::{FIRST_COMPLETED, Future, as_completed, create_task, gather, sleep, wait, yield_now};
use std::io;

const TASKS: usize = 100_000;
const YIELDS: usize = 10;

pub(crate) fn tour() -> io::Result<Done> {
    asyncio::run(async {
        many().await;
        let several = several().await;
        graph().await;
        Ok(Done::new(TASKS + several, "tasks, each awaited, none lost"))
    })
}

/// Tasks that take turns, awaited in the order of their creation.
async fn many() {
    let event_loop = asyncio::get_running_loop();
    let begin = event_loop.time();
    let coroutine = async |n: usize| {
        for _ in 0..YIELDS {
            yield_now().await;
        }
        n
    };
    let tasks: Vec<_> = (0..TASKS).map(|n| create_task(coroutine(n))).collect();
    for (n, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await, Ok(n), "not the value of this task");
    }
    let nanos = (event_loop.time() - begin) * 1e9 / (TASKS * (YIELDS + 1)) as f64;
    say(format_args!("{TASKS} tasks at once, each yielded {YIELDS} times to all the others: {nanos:.0} ns a step"));
}

/// `gather`, `wait`, `as_completed`. Gives the number of tasks.
async fn several() -> usize {
    let delayed = async |n: u32| {
        sleep(0.002 * f64::from(n)).await;
        n
    };
    assert_eq!(gather((delayed(2), delayed(1), async { "text" })).await, (2, 1, "text"), "not the order of the items");

    let tasks = [30_000, 1, 30_000].map(|n| create_task(delayed(n)));
    let (done, pending) = wait(tasks).return_when(FIRST_COMPLETED).await;
    assert_eq!((done.len(), pending.len()), (1, 2));
    assert_eq!(done[0].result().expect("it is done"), 1, "the fastest was not the first");
    for task in pending {
        assert_eq!(task.cancelling(), 0, "`wait` has cancelled what it waited for");
        task.cancel();
    }

    let mut order = Vec::new();
    let mut completed = as_completed([3, 1, 2].map(delayed));
    while let Some(n) = completed.next().await {
        order.push(n.expect("there is no limit"));
    }
    assert_eq!(order, [1, 2, 3], "not in the order of their ends");
    say(format_args!("gather: in the order of the items; wait: the first of three; as_completed: {order:?}"));
    2 + 3 + 3
}

/// A task that awaits a task that awaits a task.
async fn graph() {
    let gate = Future::<()>::new();
    let opener = gate.clone();
    let inner = create_task(async { gate.await }).name("inner");
    let seen = inner.to_any();
    let middle = create_task(async { inner.await }).name("middle");
    let outer = create_task(async { middle.await }).name("outer");
    sleep(0).await;
    let graph = asyncio::capture_call_graph(Some(&seen)).expect("there is one of each task");
    let by_middle = &graph.awaited_by()[0];
    let by_outer = &by_middle.awaited_by()[0];
    assert_eq!([by_middle, by_outer].map(|graph| graph.task().get_name()), ["middle", "outer"]);
    let text = graph.to_string();
    assert_eq!(text.matches("tasks.rs:").count(), 3, "not each task has its place:\n{text}");
    text.lines().filter(|line| line.contains('*')).for_each(|line| say(format_args!("| {line}")));
    opener.set_result(()).expect("nobody else opens it");
    assert_eq!(outer.await, Ok(Ok(Ok(Ok(())))));
}
