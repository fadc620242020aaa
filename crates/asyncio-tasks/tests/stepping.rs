//! When tasks run: steps, iterations, names, who is current, who is listed.

#[path = "support/log.rs"]
mod log;
#[path = "support/run.rs"]
mod run;
#[path = "support/ticks.rs"]
mod ticks;

use asyncio_loop::{RunError, get_running_loop};
use asyncio_tasks::{
    Future as LoopFuture, LoopTasksExt, ResultError, RunUntilCompleteError, Task, all_tasks, create_task, current_task,
    sleep, yield_now,
};
use log::Log;
use run::{event_loop, run};
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use ticks::ticks;

// sem. 12
#[test]
fn run_until_complete_takes_an_iteration_also_for_what_is_done() {
    let event_loop = event_loop();
    let future = event_loop.create_future();
    future.set_result(1).unwrap();
    let before = event_loop.statistics().iterations_total;
    assert_eq!(event_loop.run_until_complete(future.into_future()).unwrap(), Ok(1));
    assert!(event_loop.statistics().iterations_total > before);
    event_loop.close().unwrap();
}

// sem. 13
#[test]
fn a_loop_that_is_stopped_first_leaves_the_task_pending() {
    let event_loop = event_loop();
    let inner = event_loop.clone();
    let outcome = event_loop.run_until_complete(async move {
        inner.stop();
        sleep(1).await;
    });
    assert!(matches!(outcome, Err(RunUntilCompleteError::Stopped)));
    assert_eq!(outcome.unwrap_err().to_string(), "event loop stopped before Future completed");
    let tasks = event_loop.all_tasks();
    assert!(tasks.len() == 1 && !tasks[0].done());
    event_loop.run_until_complete(sleep(2)).unwrap();
    assert!(tasks[0].done());
    event_loop.close().unwrap();
}

// sem. 14
#[test]
fn an_interrupt_in_the_last_step_does_not_stop_the_next_run() {
    let event_loop = event_loop();
    let inner = event_loop.clone();
    let outcome = event_loop.run_until_complete(async move { inner.interrupt() });
    assert!(matches!(outcome, Err(RunUntilCompleteError::Run(RunError::Interrupted))));
    let log = Log::new();
    let sink = log.clone();
    event_loop
        .run_until_complete(async move {
            sleep(1).await;
            sink.add("to the end");
        })
        .unwrap();
    assert_eq!(log.take(), ["to the end"]);
    event_loop.close().unwrap();
}

// sem. 35
#[test]
fn a_sleep_of_no_time_sets_no_timer_and_one_that_ends_early_takes_its_timer_back() {
    run(async {
        let timers = || get_running_loop().statistics().timers;
        let sleeper = create_task(sleep(0));
        let other = create_task(sleep(-1));
        yield_now().await;
        assert_eq!((timers(), sleeper.done()), (0, false));
        yield_now().await;
        assert!(sleeper.done() && other.done());
        let long = create_task(sleep(Duration::from_secs(3600)));
        yield_now().await;
        assert_eq!(timers(), 1);
        long.cancel();
        yield_now().await;
        assert_eq!((timers(), long.cancelled()), (0, true));
        let before = get_running_loop().time();
        sleep(f64::MAX.min(1e6)).await;
        assert!((get_running_loop().time() - before - 1e6).abs() < 1e-6);
    });
}

// sem. 36
#[test]
#[should_panic(expected = "NaN")]
fn a_sleep_for_no_number_panics_before_anything_waits() {
    drop(sleep(f64::NAN));
}

// sem. 53
#[test]
fn tasks_start_in_the_next_iteration_in_order_of_creation() {
    run(async {
        let log = Log::new();
        let start = get_running_loop().statistics().iterations_total;
        for n in 0..3 {
            let log = log.clone();
            create_task(async move { log.add((n, get_running_loop().statistics().iterations_total - start)) });
        }
        assert_eq!(log.take(), []);
        yield_now().await;
        assert_eq!(log.take(), [(0, 1), (1, 1), (2, 1)]);
    });
}

// sem. 54
#[test]
fn awaiting_a_coroutine_costs_nothing_and_a_fresh_task_one_iteration() {
    run(async {
        assert_eq!(ticks(async { 1 }).await, (0, 1));
        let task = create_task(async { 2 });
        assert_eq!(ticks(task.into_future()).await, (2, Ok(2)), "one to run it, one to be resumed");
    });
}

// sem. 56
#[test]
fn a_yield_goes_to_the_end_of_the_queue() {
    run(async {
        let log = Log::new();
        let tasks: Vec<_> = (0..2)
            .map(|n| {
                let log = log.clone();
                create_task(async move {
                    for round in 0..3 {
                        log.add((round, n));
                        yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(log.take(), [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]);
    });
}

// sem. 57
#[test]
fn a_task_that_awaits_itself_panics() {
    run(async {
        let slot = Rc::new(RefCell::new(None::<Task<()>>));
        let inner = slot.clone();
        let task = create_task(async move {
            let myself = inner.borrow_mut().take().unwrap();
            drop(myself.await);
        });
        let any = task.to_any();
        *slot.borrow_mut() = Some(task);
        let log = Log::new();
        let reports = log.clone();
        get_running_loop().set_exception_handler(move |_, report| {
            reports.add(report.panic_message().map(str::to_owned));
        });
        yield_now().await;
        assert!(any.done() && !any.cancelled());
        drop(any);
        yield_now().await;
        assert_eq!(log.take(), [Some("a task cannot await itself".into())]);
    });
}

// sem. 58
#[test]
fn the_outcome_is_there_before_anybody_is_told() {
    run(async {
        let log = Log::new();
        let task = create_task(async { 5 });
        let (sink, handle) = (log.clone(), task.clone());
        task.add_done_callback(move |any| sink.add((any.done(), handle.result())));
        yield_now().await;
        assert_eq!(task.result(), Ok(5), "and at once");
        assert_eq!(log.take(), []);
        yield_now().await;
        assert_eq!(log.take(), [(true, Ok(5))]);
        assert_eq!(create_task(async {}).result(), Err(ResultError::NotDone));
    });
}

// sem. 60
#[test]
fn the_current_task_is_the_one_whose_step_runs() {
    let event_loop = event_loop();
    let log = Log::new();
    assert!(current_task().is_none());
    let sink = log.clone();
    event_loop.call_soon(move || sink.add(current_task().is_some()));
    let sink = log.clone();
    event_loop
        .run_until_complete(async move {
            let me = current_task().unwrap();
            let task = create_task(async move { assert!(current_task().unwrap() != me) });
            let in_callback = sink.clone();
            task.add_done_callback(move |_| in_callback.add(current_task().is_some()));
            task.await.unwrap();
            sink.add(current_task().is_some());
        })
        .unwrap();
    assert_eq!(log.take(), [false, false, true]);
    event_loop.close().unwrap();
}

// sem. 61
#[test]
fn all_tasks_are_the_unfinished_ones_of_one_loop_in_order() {
    let other = event_loop();
    other.create_task(async {});
    run(async {
        let names = || all_tasks().iter().map(asyncio_tasks::AnyTask::get_name).collect::<Vec<_>>();
        current_task().unwrap().set_name("main");
        let kept = create_task(sleep(1)).name("kept");
        let brief = create_task(async {}).name("brief");
        assert_eq!(names(), ["main", "kept", "brief"]);
        yield_now().await;
        assert!(brief.done());
        assert_eq!(names(), ["main", "kept"]);
        kept.await.unwrap();
        assert_eq!(names(), ["main"]);
    });
    assert_eq!(other.all_tasks().len(), 1);
    other.run_until_blocked().unwrap();
    assert_eq!(other.all_tasks(), []);
    other.close().unwrap();
}

// sem. 62
#[test]
fn names_are_numbered_unless_they_are_given() {
    run(async {
        let number = |name: String| name.strip_prefix("Task-").unwrap().parse::<u32>().unwrap();
        let (one, two) = (create_task(async {}), create_task(async {}));
        assert_eq!(number(one.get_name()) + 1, number(two.get_name()));
        let named = create_task(async {}).name(7);
        assert_eq!(named.get_name(), "7");
        named.set_name("seven");
        assert_eq!(named.get_name(), "seven");
        assert!(format!("{named:?}").contains("seven"));
    });
}

// sem. 63: known defect of asyncio, done right: the loop owns its tasks.
#[test]
fn a_task_without_a_handle_runs_on() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        drop(create_task(async move {
            sleep(1).await;
            sink.add("done");
        }));
        sleep(2).await;
        assert_eq!(log.take(), ["done"]);
        let sink = log.clone();
        let guard = create_task(async move {
            sleep(1).await;
            sink.add("never");
        })
        .abort_on_drop();
        yield_now().await;
        drop(guard);
        sleep(2).await;
        assert_eq!(log.take(), [""; 0]);
        let kept = create_task(async { 3 }).abort_on_drop();
        assert_eq!(kept.await, Ok(3));
        let detached = create_task(async { 4 }).abort_on_drop().detach();
        assert_eq!(detached.await, Ok(4));
    });
}

// sem. 64
#[test]
fn a_task_knows_its_coroutine_and_its_place_also_when_it_is_done() {
    async fn coroutine() {}
    run(async {
        let task = create_task(coroutine());
        let line = line!() - 1;
        for _ in 0..2 {
            assert!(task.coroutine_name().contains("coroutine"));
            assert_eq!((task.location().line(), task.location().file().ends_with("stepping.rs")), (line, true));
            yield_now().await;
        }
        assert!(task.done());
    });
}

#[test]
fn results_are_shared_by_clones_and_taken_by_one() {
    run(async {
        let task = create_task(async { String::from("x") });
        let (two, three) = (task.clone(), task.clone());
        assert_eq!((task.await, two.await.as_deref()), (Ok(String::from("x")), Ok("x")));
        assert_eq!(three.result().as_deref(), Ok("x"));
        let mut observed = create_task(async { 1 });
        assert_eq!((&mut observed).await, Ok(1));
    });
}

/// A value whose clone panics is still dropped, once.
#[test]
fn a_value_that_cannot_be_cloned_stays_where_it_is() {
    struct Fails(Rc<()>);
    impl Clone for Fails {
        fn clone(&self) -> Self {
            panic!("no copy of {:?}", self.0);
        }
    }
    run(async {
        let held = Rc::new(());
        let value = Fails(held.clone());
        let task = create_task(async move { value });
        yield_now().await;
        for _ in 0..2 {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(task.result())));
            assert_eq!(*outcome.unwrap_err().downcast::<String>().unwrap(), "no copy of ()");
        }
        assert_eq!(Rc::strong_count(&held), 2);
        drop(task);
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

#[test]
fn a_panic_goes_to_whoever_awaits() {
    run(async {
        let task = create_task(async { panic!("carried") });
        let awaiter = create_task(async move {
            let task: Task<()> = task;
            task.await
        });
        sleep(1).await;
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| awaiter.result()));
        let Err(payload) = outcome else { panic!("it has a result") };
        assert_eq!(*payload.downcast::<&str>().unwrap(), "carried");
    });
}

#[test]
fn what_waits_for_ever_is_a_deadlock_on_virtual_time() {
    let event_loop = event_loop();
    let outcome = event_loop.run_until_complete(LoopFuture::<()>::into_future(event_loop.create_future()));
    let Err(RunUntilCompleteError::Run(RunError::Driver(error))) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.kind(), std::io::ErrorKind::Deadlock);
    event_loop.set_exception_handler(|_, _| ());
    event_loop.close().unwrap();
}

#[test]
fn a_sleep_that_has_moved_takes_its_timer_out_of_the_loop_that_has_it() {
    let (one, other) = (event_loop(), event_loop());
    let moving = Rc::new(RefCell::new(Box::pin(sleep(60))));
    let begun = moving.clone();
    let poll = move || poll_fn(move |cx| Poll::Ready(begun.borrow_mut().as_mut().poll(cx).is_pending()));
    assert!(one.run_until_complete(poll.clone()()).unwrap());
    assert_eq!(one.statistics().timers, 1);
    let slept = other.run_until_complete(async move {
        let own = create_task(sleep(1)); // The first timer of its loop, as the one that has moved was.
        yield_now().await;
        assert!(poll().await);
        *moving.borrow_mut() = Box::pin(sleep(0));
        own.await
    });
    assert!(matches!(slept, Ok(Ok(()))), "{slept:?}");
    assert_eq!(one.statistics().timers, 0);
    one.close().unwrap();
    other.close().unwrap();
}
