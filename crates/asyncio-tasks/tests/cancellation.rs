//! Cancellation of tasks: delivery, propagation, counts, messages.

#[path = "support/log.rs"]
mod log;
#[path = "support/run.rs"]
mod run;
#[path = "support/ticks.rs"]
mod ticks;

use asyncio_tasks::{
    CancelledError, Future as LoopFuture, Task, TaskGroup, all_tasks, catch_cancelled, create_task, current_task,
    sleep, timeout, yield_now,
};
use log::Log;
use run::run;
use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use ticks::ticks;

/// Logs when it is dropped: a `finally` block.
struct Finally(Log<&'static str>, &'static str);

impl Drop for Finally {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

fn cancelled(message: &str) -> CancelledError {
    CancelledError::new(Some(message))
}

// sem. 66
#[test]
fn a_request_is_accepted_until_the_task_is_done() {
    run(async {
        let task = create_task(async { drop(catch_cancelled(sleep(60)).await) });
        yield_now().await;
        assert!(task.cancel(), "though it will be ignored");
        assert!(!task.cancelled() && !task.done());
        yield_now().await;
        assert!(task.done() && !task.cancelled() && !task.cancel());
    });
}

// sem. 67
#[test]
fn a_request_goes_to_the_innermost_task_first_and_unwinds_outwards() {
    run(async {
        let log = Log::new();
        let chain = |name, inner: Option<Task<()>>| {
            let log = log.clone();
            create_task(async move {
                let _finally = Finally(log, name);
                match inner {
                    Some(inner) => inner.await.unwrap(),
                    None => sleep(60).await,
                }
            })
        };
        let inner = chain("inner", None);
        let outer = chain("outer", Some(inner.clone()));
        let main = chain("main", Some(outer.clone()));
        for _ in 0..3 {
            yield_now().await;
        }
        assert!(main.cancel());
        assert_eq!((main.cancelling(), outer.cancelling(), inner.cancelling()), (1, 1, 1));
        assert!(main.await.is_err());
        assert_eq!(log.take(), ["inner", "outer", "main"]);
        // A future is cancelled at once; who awaited it is resumed later.
        let future = LoopFuture::<()>::new();
        let awaited = future.clone();
        let task = create_task(async move { awaited.await });
        yield_now().await;
        assert!(task.cancel() && future.cancelled() && !task.done());
        assert!(task.await.is_err());
    });
}

// sem. 68
#[test]
fn a_result_that_was_not_picked_up_yet_is_lost_to_a_cancellation() {
    run(async {
        let future = LoopFuture::new();
        let awaited = future.clone();
        let task = create_task(async move { awaited.await.unwrap() });
        yield_now().await;
        future.set_result(1).unwrap();
        assert!(task.cancel());
        assert!(task.await.is_err());
        assert_eq!(future.result(), Ok(1));
        // Not lost to a scope, that is.
        let future = LoopFuture::new();
        let awaited = future.clone();
        let task = create_task(async move { catch_cancelled(awaited.into_future()).await });
        yield_now().await;
        future.set_result(1).unwrap();
        task.cancel_with("first");
        assert_eq!(task.await.unwrap(), Err(cancelled("first")));
    });
}

// sem. 69
#[test]
fn nothing_of_a_task_that_never_began_runs() {
    run(async {
        let log = Log::new();
        let body = log.clone();
        let held = Finally(log.clone(), "what it holds is dropped");
        let task = create_task(async move {
            let _held = held;
            let _finally = Finally(body.clone(), "finally");
            drop(catch_cancelled(async { body.add("began") }).await);
        });
        task.cancel();
        assert!(task.await.is_err());
        assert_eq!(log.take(), ["what it holds is dropped"]);
    });
}

// sem. 70
#[test]
fn a_chain_of_n_unwinds_in_n_and_one_iterations() {
    run(async {
        let innermost = create_task(sleep(60));
        let middle = create_task(async { innermost.await.unwrap() });
        let outermost = create_task(async { middle.await.unwrap() });
        for _ in 0..3 {
            yield_now().await;
        }
        outermost.cancel();
        let (count, result) = ticks(outermost.into_future()).await;
        assert_eq!((count, result.is_err()), (4, true));
    });
}

// sem. 71
#[test]
fn a_task_that_cancels_itself_and_returns_ends_cancelled() {
    run(async {
        let task = create_task(async {
            current_task().unwrap().cancel_with("self");
            1
        });
        assert_eq!(task.await, Err(cancelled("self")));
    });
}

// sem. 72
#[test]
fn a_task_that_cancels_itself_and_fails_has_failed() {
    run(async {
        let task = create_task(async {
            current_task().unwrap().cancel();
            Err::<(), _>("error")
        })
        .keep_errors();
        assert_eq!(task.await, Ok(Err("error")));
        let task = create_task(async {
            current_task().unwrap().cancel();
            panic!("wins");
        });
        yield_now().await;
        assert!(task.done() && !task.cancelled());
        let _: Result<(), _> = create_task(async { catch_cancelled(sleep(0)).await }).await.unwrap();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop::<Result<(), _>>(task.result())));
        assert_eq!(*outcome.unwrap_err().downcast::<&str>().unwrap(), "wins");
    });
}

// sem. 73
#[test]
fn a_task_that_cancels_itself_and_waits_has_that_wait_cancelled_at_once() {
    run(async {
        let future = LoopFuture::<()>::new();
        let awaited = future.clone();
        let task = create_task(async move {
            current_task().unwrap().cancel();
            awaited.await
        });
        yield_now().await;
        assert!(future.cancelled() && !task.done());
        yield_now().await;
        assert!(task.cancelled());
    });
}

// sem. 74
#[test]
fn what_does_not_wait_is_not_interrupted() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let task = create_task(async move {
            let done = LoopFuture::new();
            done.set_result(1).unwrap();
            current_task().unwrap().cancel();
            sink.add(done.await.unwrap());
            yield_now().await;
            sink.add(2);
        });
        assert!(task.await.is_err());
        assert_eq!(log.take(), [1]);
    });
}

// sem. 75, 76, 78
#[test]
fn two_requests_before_the_task_runs_are_one_error_and_count_two() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let task = create_task(async move {
            let error = catch_cancelled(pending::<()>()).await.unwrap_err();
            sink.add((error.message().map(str::to_owned), current_task().unwrap().cancelling()));
            sleep(1).await;
            let error = catch_cancelled(sleep(60)).await.unwrap_err();
            sink.add((error.message().map(str::to_owned), current_task().unwrap().cancelling()));
            sleep(1).await;
        });
        yield_now().await;
        assert!(task.cancel_with("one") && task.cancel_with("two"));
        sleep(2).await;
        assert_eq!(log.take(), [(Some("two".into()), 2)]);
        assert!(task.cancel_with("three"));
        let handle = task.clone();
        task.await.unwrap();
        assert_eq!(log.take(), [(Some("three".into()), 3)]);
        assert_eq!((handle.cancelling(), handle.cancelled()), (3, false));
    });
}

// sem. 77
#[test]
fn an_inner_task_that_swallows_gives_its_value() {
    run(async {
        let inner = create_task(async { catch_cancelled(sleep(60)).await.is_err() });
        let outer = create_task(async move {
            let value = inner.await;
            sleep(1).await;
            value
        });
        yield_now().await;
        yield_now().await;
        outer.cancel();
        let handle = outer.clone();
        assert_eq!(outer.await, Ok(Ok(true)));
        assert_eq!(handle.cancelling(), 1);
    });
}

// sem. 79, 80
#[test]
fn the_last_request_that_is_taken_back_withdraws_what_was_not_delivered() {
    run(async {
        let task = create_task(async { 1 });
        task.cancel();
        task.cancel();
        assert_eq!((task.uncancel(), task.uncancel(), task.uncancel()), (1, 0, 0));
        assert_eq!(task.await, Ok(1));
        let task = create_task(async { 1 });
        task.cancel();
        task.cancel();
        assert_eq!(task.uncancel(), 1);
        assert!(task.await.is_err());
    });
}

// sem. 81
#[test]
fn the_message_travels_through_all_who_wait() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let inner = create_task(async move {
            let error = catch_cancelled(sleep(60)).await.unwrap_err();
            sink.add(error.to_string());
            match error.reraise().await {}
        });
        let inner_handle = inner.to_any();
        let sink = log.clone();
        let outer = create_task(async move {
            let error = catch_cancelled(inner.into_future()).await.unwrap_err();
            sink.add(error.to_string());
            match error.reraise().await {}
        });
        yield_now().await;
        yield_now().await;
        outer.cancel_with("why");
        let handle = outer.to_any();
        let result: Result<(), _> = outer.await;
        assert_eq!(result, Err(cancelled("why")));
        assert_eq!(log.take(), ["cancelled: why"; 2]);
        for task in [inner_handle, handle] {
            assert_eq!(task.cancelled_error(), Some(cancelled("why")));
        }
    });
}

// sem. 82
#[test]
fn a_task_out_of_which_a_cancellation_comes_is_cancelled_whoever_asked() {
    run(async {
        let task = create_task(async { match cancelled("own").reraise().await {} });
        let handle = task.to_any();
        let result: Result<(), _> = task.await;
        assert_eq!(result, Err(cancelled("own")));
        assert_eq!((handle.cancelled(), handle.cancelling()), (true, 0));
        // Not so one that merely returns the error.
        assert_eq!(create_task(async { Err::<(), _>(cancelled("value")) }).await, Ok(Err(cancelled("value"))));
    });
}

// sem. 83
#[test]
fn a_request_that_was_swallowed_leaves_traces() {
    run(async {
        let task = create_task(async {
            assert!(catch_cancelled(sleep(60)).await.is_err());
            assert!(timeout(1, sleep(60)).await.is_err(), "timeouts compare with what they found");
            let group = TaskGroup::scope(async |group| {
                group.create_task(async { Err::<(), _>("failed") });
                Ok(())
            });
            let errors = group.await.unwrap_err().into_errors();
            assert_eq!(errors, ["failed"]);
            catch_cancelled(sleep(1)).await.is_err()
        });
        yield_now().await;
        task.cancel();
        assert_eq!(task.await, Ok(true), "but a group that fails cancels once more");
    });
}

// sem. 84
#[test]
fn error_handling_cannot_swallow_a_cancellation() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let inner = create_task(async {
            sleep(60).await;
            Err::<(), _>("never")
        });
        let task = create_task(async move {
            let _careless = inner.await;
            sink.add("went on");
        });
        yield_now().await;
        yield_now().await;
        task.cancel();
        assert!(task.await.is_err());
        assert_eq!(log.take(), [""; 0]);
    });
}

// sem. 85
#[test]
fn a_wait_that_refuses_because_it_is_over_leaves_the_request_to_the_task() {
    run(async {
        let inner = create_task(async {
            yield_now().await;
            1
        });
        let handle = inner.clone();
        let outer = create_task(async move { inner.await });
        yield_now().await;
        yield_now().await;
        assert!(handle.done() && !outer.done(), "it has ended, and who waits has not been resumed");
        assert!(outer.cancel());
        assert!(outer.await.is_err());
        assert_eq!(handle.result(), Ok(1));
    });
}

#[test]
fn a_destructor_may_cancel_its_own_task_and_others() {
    struct Cancels(Option<asyncio_tasks::AnyTask>, Log<&'static str>);
    impl Drop for Cancels {
        fn drop(&mut self) {
            let task = self.0.take().or_else(current_task).unwrap();
            self.1.add(if task.cancel_with("from a destructor") { "accepted" } else { "refused" });
            create_task(async {}).set_name("spawned by a destructor");
        }
    }
    run(async {
        let log = Log::new();
        // While it is dropped by a cancellation: too late to matter.
        let guard = Cancels(None, log.clone());
        let task = create_task(async move {
            let _guard = guard;
            sleep(60).await;
        });
        yield_now().await;
        task.cancel_with("first");
        assert_eq!(task.await, Err(cancelled("first")));
        assert_eq!(log.take(), ["accepted"]);
        // At the end of a step that goes on: the next wait is cancelled.
        let guard = Cancels(None, log.clone());
        let task = create_task(async move {
            drop(guard);
            sleep(60).await;
        });
        assert_eq!(task.await, Err(cancelled("from a destructor")));
        assert_eq!(log.take(), ["accepted"]);
        // In a scope that is being unwound: the clean-up of the outer scope is interrupted.
        let (guard, sink) = (Cancels(None, log.clone()), log.clone());
        let task = create_task(async move {
            let outcome = catch_cancelled(async move {
                let _guard = guard;
                sleep(60).await;
            });
            assert!(outcome.await.is_err());
            if catch_cancelled(sleep(60)).await.is_err() {
                sink.add("interrupted");
            }
        });
        yield_now().await;
        task.cancel();
        task.await.unwrap();
        assert_eq!(log.take(), ["accepted", "interrupted"]);
        // One that cancels another task which is just being resumed by the same iteration.
        let victim = create_task(sleep(1));
        let guard = Cancels(Some(victim.to_any()), log.clone());
        let task = create_task(async move {
            sleep(1).await;
            drop(guard);
        });
        task.await.unwrap();
        let done = victim.await;
        assert_eq!((log.take(), done.is_ok()), (vec!["refused"], true));
    });
}

#[test]
fn a_destructor_that_panics_during_delivery_is_the_end_of_the_task() {
    struct Fails;
    impl Drop for Fails {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    run(async {
        let log = Log::new();
        let held = Finally(log.clone(), "the rest is dropped");
        let task = create_task(async move {
            let _held = held;
            let _fails = Fails;
            sleep(60).await;
        });
        yield_now().await;
        task.cancel();
        yield_now().await;
        assert!(task.done() && !task.cancelled());
        assert_eq!(log.take(), ["the rest is dropped"]);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(task.result())));
        assert_eq!(*outcome.unwrap_err().downcast::<&str>().unwrap(), "in a destructor");
        // Inside a scope, it goes through the coroutine as any panic.
        let task = create_task(async {
            let fails = Fails;
            let outcome = catch_cancelled(async move {
                let _fails = fails;
                sleep(60).await;
            });
            outcome.await.is_err()
        });
        yield_now().await;
        task.cancel();
        yield_now().await;
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(task.result())));
        assert_eq!(*outcome.unwrap_err().downcast::<&str>().unwrap(), "in a destructor");
    });
}

#[test]
fn a_second_request_while_the_first_is_under_way_counts_and_changes_nothing_else() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let inner = create_task(async move {
            let error = catch_cancelled(sleep(60)).await.unwrap_err();
            drop(catch_cancelled(sleep(1)).await);
            sink.add("cleaned up");
            match error.reraise().await {}
        });
        let outer = create_task(async move {
            let _: () = inner.await.unwrap();
        });
        yield_now().await;
        yield_now().await;
        outer.cancel_with("one");
        yield_now().await;
        assert!(!outer.done());
        outer.cancel_with("two");
        let handle = outer.to_any();
        assert!(outer.await.is_err());
        assert_eq!((log.take(), handle.cancelling()), (vec!["cleaned up"], 2));
    });
}

/// Each task awaits the next one: a request goes down the chain, and the end of the last one comes back up.
#[test]
fn a_chain_of_a_hundred_thousand_tasks_is_cancelled_without_a_deep_stack() {
    const LENGTH: usize = 100_000;
    run(async {
        let mut head = create_task(async { sleep(60).await });
        for _ in 1..LENGTH {
            let inner = head;
            head = create_task(async move {
                // One's own cancellation does not arrive as a value.
                let _ = inner.await;
            });
        }
        sleep(0).await;
        sleep(0).await;
        assert_eq!(all_tasks().len(), LENGTH + 1);
        assert!(head.cancel());
        assert!(head.await.is_err());
        assert_eq!(all_tasks().len(), 1);
    });
}

/// Two tasks that await one another: a request goes by each of them once.
#[test]
fn a_request_goes_around_a_circle_once() {
    run(async {
        let slot: Rc<RefCell<Option<Task<()>>>> = Rc::default();
        let first = create_task({
            let slot = slot.clone();
            async move {
                let other = slot.take().expect("it was put there");
                let _ = other.await;
            }
        });
        let seen = first.to_any();
        *slot.borrow_mut() = Some(create_task(async move { drop(first.await) }));
        sleep(0).await;
        sleep(0).await;
        assert!(seen.cancel());
        assert_eq!(seen.cancelling(), 1);
        for _ in 0..3 {
            yield_now().await;
        }
        assert!(seen.cancelled(), "the other one is cancelled at its next step, and so this one");
    });
}
