//! Catch scopes: who gets a cancellation, alone and beside others in one task.

#[path = "support/log.rs"]
mod log;
#[path = "support/run.rs"]
mod run;

use asyncio_loop::get_running_loop;
use asyncio_tasks::{CancelledError, Future as LoopFuture, catch_cancelled, create_task, sleep, timeout, yield_now};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use log::Log;
use run::run;
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;

type Boxed<T> = Pin<Box<dyn Future<Output = T>>>;

/// Logs when it is dropped.
struct Finally(Log<&'static str>, &'static str);

impl Drop for Finally {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}

fn cancelled(message: &str) -> CancelledError {
    CancelledError::new(Some(message))
}

// sem. 76
#[test]
fn a_scope_ends_with_the_error_when_its_inside_is_gone_and_may_wait() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let task = create_task(async move {
            let finally = Finally(sink.clone(), "inside dropped");
            let inside = async move {
                let _finally = finally;
                sleep(60).await;
            };
            let error = catch_cancelled(inside).await.unwrap_err();
            sink.add("caught");
            sleep(1).await;
            sink.add("cleaned up");
            error.to_string()
        });
        yield_now().await;
        task.cancel_with("x");
        assert_eq!(task.await.unwrap(), "cancelled: x");
        assert_eq!(log.take(), ["inside dropped", "caught", "cleaned up"]);
    });
}

#[test]
fn the_innermost_scope_gets_it_and_passes_it_on() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let task = create_task(async move {
            let inner = async {
                let error = catch_cancelled(sleep(60)).await.unwrap_err();
                sink.add("inner");
                error.reraise().await;
            };
            let error = catch_cancelled(inner).await.unwrap_err();
            sink.add("outer");
            error.reraise().await;
        });
        yield_now().await;
        let before = get_running_loop().statistics().iterations_total;
        task.cancel_with("on");
        assert_eq!(task.await, Err(cancelled("on")));
        assert_eq!(get_running_loop().statistics().iterations_total - before, 2, "all of it in one step");
        assert_eq!(log.take(), ["inner", "outer"]);
    });
}

#[test]
fn a_scope_gives_the_value_of_what_is_not_cancelled() {
    run(async {
        assert_eq!(catch_cancelled(async { 1 }).await, Ok(1));
        let future = LoopFuture::<()>::new();
        future.cancel_with("by others");
        assert_eq!(catch_cancelled(future.into_future()).await, Ok(Err(cancelled("by others"))));
    });
}

/// A scope in each branch: none of them is around all that waits.
#[test]
fn a_join_with_scopes_in_all_branches_is_passed_over_as_one_wait() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let task = create_task(async move {
            let branch = |name| {
                let finally = Finally(sink.clone(), name);
                async move {
                    let _finally = finally;
                    drop(catch_cancelled(sleep(60)).await);
                }
            };
            let all = async { futures_util::join!(branch("one"), branch("two")) };
            let outcome = catch_cancelled(all).await;
            sink.add("around");
            outcome.is_err()
        });
        yield_now().await;
        task.cancel();
        assert_eq!(task.await, Ok(true));
        assert_eq!(log.take(), ["two", "one", "around"]);
    });
}

/// The scope in one branch is not around the other branch.
#[test]
fn a_join_with_a_bare_branch_is_unwound_as_one() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let task = create_task(async move {
            let finally = Finally(sink.clone(), "scoped");
            let scoped = async move {
                let _finally = finally;
                drop(catch_cancelled(sleep(60)).await);
            };
            let bare = async {
                sleep(1).await;
                sink.add("never");
            };
            let outcome = catch_cancelled(async { futures_util::join!(scoped, bare) }).await;
            sleep(5).await;
            outcome.is_err()
        });
        yield_now().await;
        task.cancel();
        assert_eq!(task.await, Ok(true));
        assert_eq!(log.take(), ["scoped"]);
        // Without a scope around, the task ends.
        let task = create_task(async { futures_util::join!(catch_cancelled(sleep(60)), sleep(1)) });
        yield_now().await;
        task.cancel();
        assert!(task.await.is_err());
    });
}

/// Once the bare branch has ended, the scope is around all that waits.
#[test]
fn a_scope_that_is_alone_again_gets_it() {
    run(async {
        let task = create_task(async { futures_util::join!(catch_cancelled(sleep(60)), sleep(1)) });
        sleep(2).await;
        task.cancel_with("alone");
        assert_eq!(task.await, Ok((Err(cancelled("alone")), ())));
    });
}

#[test]
fn both_branches_of_a_select_are_dropped_with_it() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let task = create_task(async move {
            let branch = |name| {
                let finally = Finally(sink.clone(), name);
                Box::pin(async move {
                    let _finally = finally;
                    drop(catch_cancelled(sleep(60)).await);
                })
            };
            futures_util::future::select(branch("left"), branch("right")).await;
        });
        yield_now().await;
        task.cancel();
        assert!(task.await.is_err());
        assert_eq!(log.take(), ["left", "right"]);
        // The loser of a select takes its scope and its wait along.
        let task = create_task(async {
            let lost = Box::pin(catch_cancelled(sleep(60)));
            drop(futures_util::future::select(lost, Box::pin(sleep(1))).await);
            catch_cancelled(sleep(60)).await.is_err()
        });
        sleep(2).await;
        task.cancel();
        assert_eq!(task.await, Ok(true));
    });
}

/// A combinator that polls only what was woken must find the scope that was told.
#[test]
fn a_scope_inside_futures_unordered_is_reached() {
    run(async {
        let task = create_task(async {
            let mut all: FuturesUnordered<Boxed<usize>> = FuturesUnordered::new();
            for n in 0..3 {
                all.push(Box::pin(async move {
                    sleep(n).await;
                    if n == 2 && catch_cancelled(sleep(60)).await.is_err() { 100 } else { n }
                }));
            }
            let mut found = Vec::new();
            while let Some(n) = all.next().await {
                found.push(n);
            }
            found
        });
        sleep(5).await;
        task.cancel();
        assert_eq!(task.await, Ok(vec![0, 1, 100]));
    });
}

#[test]
fn futures_unordered_with_many_scopes_is_unwound_as_one() {
    run(async {
        let held = Rc::new(());
        let inner = held.clone();
        let task = create_task(async move {
            let mut all: FuturesUnordered<Boxed<()>> = FuturesUnordered::new();
            for _ in 0..5 {
                let held = inner.clone();
                all.push(Box::pin(async move {
                    drop(catch_cancelled(sleep(60)).await);
                    drop(held);
                }));
            }
            drop(inner);
            while all.next().await.is_some() {}
        });
        sleep(1).await;
        task.cancel();
        assert!(task.await.is_err());
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

/// Branches that await tasks: all get the request, and the clean-up of all is waited for.
#[test]
fn a_join_of_tasks_is_unwound_when_all_have_ended() {
    run(async {
        let log = Log::new();
        let child = |name, clean_up: u32| {
            let log = log.clone();
            create_task(async move {
                let error = catch_cancelled(sleep(60)).await.unwrap_err();
                sleep(clean_up).await;
                log.add(name);
                error.reraise().await;
            })
        };
        let (quick, slow) = (child("quick", 1), child("slow", 3));
        let sink = log.clone();
        let task = create_task(async move {
            let both = async { futures_util::join!(quick.into_future(), slow.into_future()) };
            let outcome = catch_cancelled(both).await;
            sink.add("unwound");
            outcome.is_err()
        });
        yield_now().await;
        yield_now().await;
        task.cancel();
        assert_eq!(task.await, Ok(true));
        assert_eq!(log.take(), ["quick", "slow", "unwound"]);
    });
}

#[test]
fn what_is_moved_to_another_task_is_cancelled_with_that_one() {
    type Scoped = Boxed<Result<(), CancelledError>>;
    run(async {
        let slot: Rc<RefCell<Option<Scoped>>> = Rc::default();
        let giver = slot.clone();
        let first = create_task(async move {
            let mut scoped: Scoped = Box::pin(catch_cancelled(async { drop(catch_cancelled(sleep(60)).await) }));
            assert!(futures_util::poll!(&mut scoped).is_pending());
            *giver.borrow_mut() = Some(scoped);
            sleep(60).await;
        });
        yield_now().await;
        let scoped = slot.borrow_mut().take().unwrap();
        let second = create_task(scoped);
        yield_now().await;
        first.cancel();
        assert!(first.await.is_err(), "no scope of its own is left");
        assert!(!second.done());
        second.cancel();
        assert_eq!(second.await, Ok(Ok(())), "the inner scope took it");
    });
}

#[test]
fn a_timeout_that_is_moved_to_another_task_ends_it_there() {
    run(async {
        let slot = Rc::new(RefCell::new(None));
        let giver = slot.clone();
        let first = create_task(async move {
            let mut limited = Box::pin(timeout(5, sleep(60)));
            assert!(futures_util::poll!(&mut limited).is_pending());
            *giver.borrow_mut() = Some(limited);
            sleep(10).await;
            "undisturbed"
        });
        yield_now().await;
        let limited = slot.borrow_mut().take().unwrap();
        let second = create_task(limited);
        let handle = second.to_any();
        assert!(second.await.unwrap().is_err());
        assert_eq!((first.await, handle.cancelling()), (Ok("undisturbed"), 0));
    });
}

/// Waits that overlap for ever, as of a pool in one task, must not pile up.
#[test]
fn a_task_that_never_waits_for_nothing_still_works_after_many_waits() {
    run(async {
        let task = create_task(async {
            let mut all: FuturesUnordered<asyncio_tasks::Sleep> = FuturesUnordered::new();
            all.push(sleep(0.5));
            for _ in 0..5000 {
                all.push(sleep(1));
                all.next().await;
            }
            while all.next().await.is_some() {}
            catch_cancelled(sleep(1e9)).await.is_err()
        });
        sleep(10_000).await;
        task.cancel();
        assert_eq!(task.await, Ok(true));
    });
}

#[test]
fn outside_of_any_task_there_are_no_cancellations() {
    let waker = std::task::Waker::noop();
    let mut cx = std::task::Context::from_waker(waker);
    let mut scoped = Box::pin(catch_cancelled(async { 1 }));
    assert!(matches!(scoped.as_mut().poll(&mut cx), std::task::Poll::Ready(Ok(1))));
    let mut raised = Box::pin(cancelled("nobody").reraise());
    assert!(raised.as_mut().poll(&mut cx).is_pending());
}
