//! `as_completed`.

#[path = "support/run.rs"]
mod run;

use asyncio_tasks::{Future as LoopFuture, Task, TimeoutError, as_completed, create_task, sleep};
use futures_util::StreamExt as _;
use run::run;

fn timed_out() -> TimeoutError {
    TimeoutError::default()
}

fn after(delay: u32) -> Task<u32> {
    create_task(async move {
        sleep(delay).await;
        delay
    })
}

// sem. 137
#[test]
fn each_future_is_for_the_next_that_is_done_in_any_order() {
    run(async {
        let twice = after(2);
        let completed = as_completed([after(3), twice.clone(), after(1), twice]);
        assert_eq!(completed.len(), 3, "one that is given twice counts once");
        let mut futures: Vec<_> = completed.into_iter().collect();
        let last = futures.pop().unwrap();
        let all = async { futures_util::future::join_all(futures).await };
        let (last, others) = futures_util::join!(last, all);
        assert_eq!((last, others), (Ok(Ok(1)), vec![Ok(Ok(2)), Ok(Ok(3))]), "who waits first gets the first");
    });
}

// sem. 138
#[test]
fn a_limit_is_for_the_steps_that_remain_and_cancels_nothing() {
    run(async {
        let tasks = [after(1), after(5), after(6)];
        let mut completed = as_completed(tasks.clone()).timeout(2);
        assert_eq!(completed.next().await, Some(Ok(Ok(1))));
        assert_eq!(completed.next().await, Some(Err(timed_out())));
        assert_eq!(completed.next().await, Some(Err(timed_out())));
        assert_eq!((completed.len(), tasks[1].cancelling()), (2, 0));
        sleep(10).await;
        assert_eq!(tasks[2].result(), Ok(6));
        drop(completed);
    });
}

// sem. 138: also if nobody has asked for it by then.
#[test]
fn what_ended_in_time_is_not_lost_to_the_limit() {
    run(async {
        let mut completed = as_completed([after(9), after(1)]).timeout(2);
        sleep(3).await;
        assert_eq!(completed.next_indexed().await, Some(Ok((1, Ok(1)))));
        assert_eq!(completed.next().await, Some(Err(timed_out())));
    });
}

// sem. 139
#[test]
fn as_a_stream_it_gives_what_is_done_with_its_index() {
    run(async {
        let mut completed = as_completed([after(3), after(1)]);
        assert_eq!(completed.next_indexed().await, Some(Ok((1, Ok(1)))));
        assert_eq!(futures_util::StreamExt::next(&mut completed).await, Some(Ok(Ok(3))));
        assert!(completed.is_empty() && completed.next().await.is_none());
        let coroutine = |value: u8| async move { value };
        let rest: Vec<_> = as_completed([coroutine(1), coroutine(2)]).collect().await;
        assert_eq!(rest, [Ok(1), Ok(2)]);
        let done = LoopFuture::new();
        done.set_result(4).unwrap();
        assert_eq!(as_completed([done]).next().await, Some(Ok(Ok(4))));
    });
}

/// Each comes out with the index of its own item, in the order of the ends; those that end at once, in the order of their starts.
#[test]
fn a_thousand_random_sleeps_come_out_in_the_order_of_their_ends() {
    run(async {
        let mut random = 0x9e37_79b9_u32;
        let delays: Vec<u32> = std::iter::repeat_with(|| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) % 500
        })
        .take(1000)
        .collect();
        let tasks: Vec<_> = delays.iter().map(|delay| after(*delay)).collect();
        let event_loop = asyncio_loop::get_running_loop();
        let begin = event_loop.time();
        let mut completed = as_completed(tasks.clone());
        let mut order = Vec::new();
        while let Some(next) = completed.next_indexed().await {
            let (index, value) = next.unwrap();
            assert_eq!(value, Ok(delays[index]), "not the value of this item");
            assert_eq!(tasks[index].result().unwrap(), delays[index]);
            // (A sleep of no time ends in the first iterations, which take none.)
            assert_eq!(event_loop.time() - begin, f64::from(delays[index]));
            order.push(index);
        }
        let mut expected: Vec<_> = (0..1000).collect();
        expected.sort_by_key(|index| delays[*index]);
        assert_eq!(order, expected);
    });
}
