//! Eager start.

#[path = "support/log.rs"]
mod log;
#[path = "support/run.rs"]
mod run;
#[path = "support/ticks.rs"]
mod ticks;

use asyncio_loop::get_running_loop;
use asyncio_tasks::{LoopTasksExt, TaskFactory, all_tasks, create_task, current_task, gather, yield_now};
use log::Log;
use run::{event_loop, run};
use ticks::ticks;

// sem. 296
#[test]
fn the_first_step_runs_at_once_as_the_current_task() {
    run(async {
        let me = current_task();
        let task = create_task(async { current_task() }).eager_start();
        assert!(task.done() && current_task() == me);
        assert_eq!(all_tasks().len(), 1);
        let itself = task.to_any();
        assert_eq!(task.await.unwrap(), Some(itself));
        let log = Log::new();
        let sink = log.clone();
        let waits = create_task(async move {
            sink.add(1);
            yield_now().await;
            sink.add(2);
        })
        .eager_start();
        assert_eq!((log.take(), waits.done()), (vec![1], false));
        waits.await.unwrap();
        assert_eq!(log.take(), [2]);
    });
}

// sem. 297
#[test]
fn without_a_loop_that_runs_a_task_starts_as_any_other() {
    let event_loop = event_loop();
    event_loop.set_task_factory(TaskFactory::Eager);
    assert_eq!(event_loop.get_task_factory(), TaskFactory::Eager);
    let by_factory = event_loop.create_task(async { 1 });
    let inner = event_loop.clone();
    let by_hand = event_loop
        .create_task(async move {
            // If this ran inside `eager_start`, it could run the loop inside its own poll.
            inner.run_until_blocked().unwrap_err().to_string()
        })
        .eager_start();
    assert!(!by_factory.done() && !by_hand.done());
    event_loop.run_until_blocked().unwrap();
    assert_eq!((by_factory.result(), by_hand.done()), (Ok(1), true));
    event_loop.close().unwrap();
}

// sem. 298
#[test]
fn a_panic_of_the_first_step_is_kept_in_the_task() {
    run(async {
        let task = create_task(async { panic!("eager") }).eager_start();
        assert!(task.done());
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop::<Result<(), _>>(task.result())));
        assert_eq!(*outcome.unwrap_err().downcast::<&str>().unwrap(), "eager");
    });
}

// sem. 299
#[test]
fn an_eager_child_runs_before_the_next_statement_and_gathering_it_takes_no_time() {
    let event_loop = event_loop();
    event_loop.set_task_factory(TaskFactory::Eager);
    let log = Log::new();
    let sink = log.clone();
    event_loop
        .run_until_complete(async move {
            let child = sink.clone();
            create_task(async move { child.add("child") });
            sink.add("parent");
            assert_eq!(ticks(gather([std::future::ready(1), std::future::ready(2)])).await, (0, vec![1, 2]));
            get_running_loop().set_task_factory(TaskFactory::Queued);
            assert_eq!(ticks(gather([std::future::ready(1)])).await.0, 3);
        })
        .unwrap();
    assert_eq!(log.take(), ["child", "parent"]);
    event_loop.close().unwrap();
}

// sem. 296: the step that was queued before is not another one.
#[test]
fn a_task_that_was_started_eagerly_is_not_polled_again_until_it_is_woken() {
    run(async {
        let log = Log::new();
        let polled = log.clone();
        let task = create_task(std::future::poll_fn(move |_| {
            polled.add("polled");
            std::task::Poll::<()>::Pending
        }));
        let task = task.eager_start();
        yield_now().await;
        yield_now().await;
        assert_eq!(log.take(), ["polled"]);
        task.cancel();
        assert!(task.await.is_err());
        assert_eq!(log.take(), [""; 0]);
    });
}

/// The entry of the queue that was overtaken does nothing, whatever happens before it comes.
#[test]
fn a_task_that_is_cancelled_right_after_its_eager_start_is_unwound_once() {
    run(async {
        let task = create_task(async { drop(asyncio_tasks::catch_cancelled(yield_now()).await) }).eager_start();
        task.cancel();
        assert_eq!(task.await, Ok(()));
        let task = create_task(std::future::pending::<()>()).eager_start();
        task.cancel();
        assert!(task.await.is_err());
    });
}

/// Counted: what is ready in the loop before and after.
#[test]
fn an_eager_child_that_never_waits_is_never_queued() {
    let event_loop = event_loop();
    event_loop.set_task_factory(TaskFactory::Eager);
    event_loop
        .run_until_complete(async {
            let before = get_running_loop().statistics();
            for n in 0..1000 {
                assert_eq!(create_task(async move { n }).await, Ok(n));
            }
            let after = get_running_loop().statistics();
            assert_eq!((after.ready, after.iterations_total), (before.ready, before.iterations_total));
            drop(create_task(yield_now()));
            assert_eq!(get_running_loop().statistics().ready, before.ready + 1, "and one that waits is");
        })
        .unwrap();
    event_loop.close().unwrap();
}
