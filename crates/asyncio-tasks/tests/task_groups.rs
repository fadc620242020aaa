//! `TaskGroup`.

#[path = "support/log.rs"]
mod log;
#[path = "support/run.rs"]
mod run;
#[path = "support/ticks.rs"]
mod ticks;

use asyncio_loop::get_running_loop;
use asyncio_tasks::{
    LoopTasksExt, Task, TaskFactory, TaskGroup, TaskGroupError, catch_cancelled, create_task, current_task, sleep,
    yield_now,
};
use log::Log;
use run::{event_loop, run};
use std::rc::Rc;
use ticks::ticks;

type Group = TaskGroup<&'static str>;

fn requests() -> u32 {
    current_task().unwrap().cancelling()
}

/// A coroutine that fails after a while, also if it is cancelled.
async fn fails(delay: u32, error: &'static str) -> Result<(), &'static str> {
    drop(catch_cancelled(sleep(delay)).await);
    Err(error)
}

async fn sleeps(delay: u32) -> Result<(), &'static str> {
    sleep(delay).await;
    Ok(())
}

// sem. 104
#[test]
#[should_panic(expected = "a task group must be used inside a task")]
fn a_group_is_for_tasks() {
    let mut block = Box::pin(Group::scope(async |_| Ok(())));
    let _ = block.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
}

// sem. 105
#[test]
fn the_block_waits_for_all_children_and_for_nothing_without_any() {
    run(async {
        assert_eq!(ticks(Group::scope(async |_| Ok(1))).await.0, 0);
        let log = Log::new();
        let block = Group::scope(async |group| {
            for delay in [3, 1, 2] {
                let log = log.clone();
                group.create_task(async move {
                    sleep(delay).await;
                    log.add(delay);
                    Ok(())
                });
            }
            Ok("value")
        });
        assert_eq!((block.await.unwrap(), log.take()), ("value", vec![1, 2, 3]));
    });
}

// sem. 106
#[test]
fn children_may_have_children_while_the_block_ends() {
    run(async {
        fn nest(group: &Group, log: &Log<u32>, depth: u32) {
            let (inner, log) = (group.clone(), log.clone());
            group.create_task(async move {
                sleep(1).await;
                log.add(depth);
                if depth < 3 {
                    nest(&inner, &log, depth + 1);
                }
                Ok(())
            });
        }
        let log = Log::new();
        Group::scope(async |group| {
            nest(group, &log, 0);
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(log.take(), [0, 1, 2, 3]);
    });
}

// sem. 107
#[test]
fn the_first_failure_cancels_the_siblings_and_the_body() {
    run(async {
        let mut sibling = None;
        let mut body = 0;
        let block = Group::scope(async |group| {
            sibling = Some(group.create_task(sleeps(60)));
            group.create_task(fails(1, "failed"));
            sleep(60).await;
            body = 1;
            Ok(())
        });
        assert_eq!(block.await.unwrap_err().into_errors(), ["failed"]);
        assert!(sibling.unwrap().cancelled());
        assert_eq!((body, requests(), get_running_loop().time() < 50.0), (0, 0, true));
    });
}

// sem. 108
#[test]
fn a_child_that_others_cancel_is_no_failure() {
    run(async {
        let block = Group::scope(async |group| {
            let child = group.create_task(sleeps(60));
            let other = group.create_task(sleeps(2));
            yield_now().await;
            child.cancel();
            Ok(other)
        });
        assert!(block.await.unwrap().result().unwrap().is_ok());
    });
}

// sem. 109, 110
#[test]
fn errors_come_in_the_order_of_their_ends_and_that_of_the_body_last() {
    run(async {
        let block = Group::scope(async |group| {
            group.create_task(async {
                drop(catch_cancelled(sleep(60)).await);
                fails(2, "second").await
            });
            group.create_task(fails(60, "first"));
            sleep(1).await;
            Err::<(), _>("body")
        });
        let group = block.await.unwrap_err();
        assert_eq!(group.to_string().lines().next(), Some("unhandled errors in a task group (3 errors)"));
        assert_eq!((group.len(), group.is_empty()), (3, false));
        assert_eq!(group.into_errors(), ["first", "second", "body"]);
        assert_eq!(requests(), 0);
    });
}

// sem. 111
#[test]
fn a_body_that_swallows_goes_on_and_may_create_nothing() {
    run(async {
        let mut refused = None;
        let block = Group::scope(async |group| {
            group.create_task(fails(1, "child"));
            drop(catch_cancelled(sleep(60)).await);
            sleep(1).await;
            refused = group.try_create_task(sleeps(1)).err();
            Ok(())
        });
        assert_eq!(block.await.unwrap_err().errors(), [&"child"]);
        assert_eq!(refused, Some(TaskGroupError::ShuttingDown));
    });
}

// sem. 112
#[test]
fn a_group_that_has_ended_takes_no_children_and_drops_what_it_is_given() {
    run(async {
        let mut kept = None;
        Group::scope(async |group| {
            kept = Some(group.clone());
            Ok(())
        })
        .await
        .unwrap();
        let group = kept.unwrap();
        let held = Rc::new(());
        let value = held.clone();
        let refused = group.try_create_task(async move {
            drop(value);
            Ok(())
        });
        assert_eq!(refused.unwrap_err(), TaskGroupError::Finished);
        assert_eq!(Rc::strong_count(&held), 1);
        let task: Task<Result<(), _>> = group.create_task(sleeps(1));
        assert!(task.await.is_err(), "it is a task that was cancelled");
        group.cancel();
    });
}

// sem. 113
#[test]
fn nothing_of_the_inner_cancellation_is_left() {
    run(async {
        let block = Group::scope(async |group| {
            group.create_task(fails(1, "x"));
            sleep(60).await;
            Ok(())
        });
        assert!(block.await.is_err());
        assert_eq!(requests(), 0);
        sleep(1).await;
    });
}

// sem. 114
#[test]
fn a_cancellation_from_outside_goes_on_when_all_have_ended() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let task = create_task(async move {
            let child_sink = sink.clone();
            let block = Group::scope(async |group| {
                group.create_task(async move {
                    let error = catch_cancelled(sleep(60)).await.unwrap_err();
                    sleep(2).await;
                    child_sink.add("child");
                    error.reraise().await;
                    Ok(())
                });
                sleep(60).await;
                Ok(())
            });
            let outcome = catch_cancelled(block).await;
            sink.add("owner");
            outcome.unwrap_err().message().map(str::to_owned)
        });
        sleep(1).await;
        task.cancel_with("outside");
        let handle = task.to_any();
        assert_eq!(task.await, Ok(Some("outside".into())));
        assert_eq!((log.take(), handle.cancelling()), (vec!["child", "owner"], 1));
    });
}

// sem. 115
#[test]
fn errors_outrank_a_cancellation_which_is_delivered_next() {
    run(async {
        let task = create_task(async move {
            let block = Group::scope(async |group| {
                group.create_task(fails(60, "child"));
                sleep(60).await;
                Ok(())
            });
            let errors = block.await.unwrap_err().into_errors();
            (errors, catch_cancelled(sleep(60)).await.is_err())
        });
        sleep(1).await;
        task.cancel();
        assert_eq!(task.await, Ok((vec!["child"], true)));
    });
}

// sem. 116
#[test]
fn every_request_interrupts_the_wait_for_the_children_and_it_goes_on() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let task = create_task(async move {
            let block = Group::scope(async |group| {
                group.create_task(async move {
                    for n in 0..3 {
                        if catch_cancelled(sleep(10)).await.is_err() {
                            sink.add(n);
                        }
                    }
                    Ok(())
                });
                Ok(())
            });
            drop(block.await);
        });
        for _ in 0..3 {
            sleep(1).await;
            task.cancel();
            assert!(!task.done());
        }
        assert!(task.await.is_err());
        assert_eq!(log.take(), [0], "the children are cancelled once");
    });
}

// sem. 117
#[test]
fn a_panic_is_resumed_when_all_have_ended() {
    let event_loop = event_loop();
    let log = Log::new();
    for in_body in [true, false] {
        let sink = log.clone();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            event_loop.run_until_complete(async move {
                let block = Group::scope(async |group| {
                    group.create_task(async move {
                        drop(catch_cancelled(sleep(60)).await);
                        sleep(1).await;
                        sink.add("sibling");
                        Ok(())
                    });
                    if !in_body {
                        group.create_task(async { if true { panic!("bare") } else { Ok(()) } });
                    }
                    sleep(1).await;
                    assert!(!in_body, "bare");
                    Ok(())
                });
                drop(block.await);
            })
        }));
        assert_eq!(*outcome.unwrap_err().downcast::<&str>().unwrap(), "bare");
        assert_eq!(log.take(), ["sibling"]);
    }
    event_loop.close().unwrap();
}

// sem. 118
#[test]
fn a_group_inside_a_group_is_one_error_of_it() {
    run(async {
        let outer = TaskGroup::<String>::scope(async |outer| {
            outer.create_task(async {
                sleep(1).await;
                Err::<(), _>(String::from("outer child"))
            });
            let inner = Group::scope(async |inner| {
                inner.create_task(fails(60, "inner child"));
                sleep(60).await;
                Ok(())
            });
            inner.await.map_err(|group| format!("{:?}", group.into_errors()))
        });
        let (wanted, rest) = outer.await.unwrap_err().split(|error| error.starts_with('['));
        assert_eq!(wanted.unwrap().into_errors(), ["[\"inner child\"]"]);
        assert_eq!((rest.unwrap().into_errors(), requests()), (vec![String::from("outer child")], 0));
    });
}

// sem. 120
#[test]
fn the_failure_of_an_eager_child_is_told_an_iteration_later() {
    let event_loop = event_loop();
    event_loop.set_task_factory(TaskFactory::Eager);
    event_loop
        .run_until_complete(async {
            let mut went_on = false;
            let block = Group::scope(async |group| {
                let child = group.create_task(async { Err::<(), _>("at once") });
                assert!(child.done());
                went_on = group.try_create_task(sleeps(60)).is_ok();
                sleep(60).await;
                Ok(())
            });
            assert_eq!(block.await.unwrap_err().into_errors(), ["at once"]);
            assert!(went_on);
        })
        .unwrap();
    event_loop.close().unwrap();
}

// sem. 121
#[test]
fn a_group_that_is_cancelled_ends_without_an_error() {
    run(async {
        let block = Group::scope(async |group| {
            group.create_task(sleeps(60));
            group.cancel();
            group.cancel();
            sleep(60).await;
            Ok(1)
        });
        let cut = block.await.unwrap_err();
        assert!(cut.is_empty());
        assert_eq!(cut.to_string(), "no value and no error: cancelled, or given nothing to do");
        assert_eq!(requests(), 0);
        let block = Group::scope(async |group| {
            let inner = group.clone();
            group.create_task(fails(60, "real"));
            group.create_task(async move {
                sleep(1).await;
                inner.cancel();
                Ok(())
            });
            Ok(1)
        });
        assert_eq!(block.await.unwrap_err().into_errors(), ["real"]);
        let block = Group::scope(async |group| {
            group.create_task(sleeps(60));
            group.cancel();
            Ok(2)
        });
        assert_eq!((block.await.unwrap(), requests()), (2, 0));
    });
}

// sem. 121
#[test]
fn a_block_that_is_meant_to_be_cancelled_tells_the_cut_from_a_failure() {
    run(async {
        let cut = Group::scope_until_cancelled(async |group| {
            group.cancel();
            sleep(1).await;
            Ok(1)
        });
        assert_eq!(cut.await.unwrap(), None);
        let whole = Group::scope_until_cancelled(async |group| {
            group.create_task(sleeps(60));
            group.cancel();
            Ok(2)
        });
        assert_eq!(whole.await.unwrap(), Some(2));
        let drained = Group::scope_until_cancelled(async |group| {
            group.shutdown(1);
            sleep(60).await;
            Ok(3)
        });
        assert_eq!(drained.await.unwrap(), None);
        let failed = Group::scope_until_cancelled(async |group| {
            group.create_task(fails(0, "real"));
            sleep(60).await;
            Ok(())
        });
        assert_eq!(failed.await.unwrap_err().into_errors(), ["real"]);
        assert_eq!(requests(), 0);
    });
}

// sem. 122
#[test]
fn a_cancellation_from_outside_during_an_abort_is_kept() {
    run(async {
        let task = create_task(async {
            let block = Group::scope(async |group| {
                group.create_task(async {
                    drop(catch_cancelled(sleep(60)).await);
                    sleep(5).await;
                    Ok(())
                });
                group.create_task(fails(1, "first"));
                sleep(60).await;
                Ok(())
            });
            drop(block.await);
            catch_cancelled(sleep(1)).await.is_err()
        });
        sleep(3).await;
        task.cancel();
        assert_eq!(task.await, Ok(true));
    });
}

// sem. 123
#[test]
fn children_need_no_handle_and_end_with_a_block_that_is_dropped() {
    run(async {
        let log = Log::new();
        let sink = log.clone();
        let block = Box::pin(Group::scope(async move |group| {
            group.create_task(async move {
                if catch_cancelled(sleep(60)).await.is_err() {
                    sink.add("cancelled");
                }
                Ok(())
            });
            Ok(())
        }));
        drop(futures_util::future::select(block, Box::pin(sleep(1))).await);
        yield_now().await;
        yield_now().await;
        assert_eq!(log.take(), ["cancelled"]);
    });
}

#[test]
fn a_hundred_thousand_children_take_linear_time() {
    run(async {
        let block = Group::scope(async |group| {
            for _ in 0..100_000 {
                group.create_task(async { Ok(()) });
            }
            Ok(())
        });
        assert!(block.await.is_ok());
    });
}

#[test]
fn errors_of_many_types_are_divided_by_type_and_print_as_a_tree() {
    use std::error::Error;
    use std::io;

    type Boxed = Box<dyn Error>;
    run(async {
        let outcome = TaskGroup::<Boxed>::scope(async |group| {
            group.create_task(async { Err::<(), Boxed>(io::Error::other("the disk is full").into()) });
            group.create_task(async { Err::<(), _>(Boxed::from("first line\nsecond line")) });
            group.create_task(async {
                let inner = TaskGroup::<Boxed>::scope(async |group| {
                    group.create_task(async { Err::<(), Boxed>(io::Error::other("the line is dead").into()) });
                    Ok(())
                });
                inner.await.map_err(|errors| Boxed::from(errors.to_string()))
            });
            sleep(60).await;
            Ok(())
        });
        let errors = outcome.await.unwrap_err();
        let tree = "unhandled errors in a task group (3 errors)
  - the disk is full
  - first line
    second line
  - unhandled errors in a task group (1 error)
      - the line is dead";
        assert_eq!(errors.to_string(), tree);
        let (io, rest) = errors.split(|error| error.is::<io::Error>());
        assert_eq!(io.unwrap().errors()[0].to_string(), "the disk is full");
        let rest = rest.unwrap();
        assert_eq!(rest.len(), 2);
        let lines = rest.filter(|error| error.to_string().starts_with("first")).unwrap();
        assert_eq!(lines.len(), 1);
        assert!(lines.filter(|error| error.is::<io::Error>()).is_none());
    });
}

/// A child's error that came in while the group was cancelled from outside reaches whoever awaits the task of the group, of whatever
/// type that is: it returns in the very step in which the request is made pending again.
#[test]
fn an_error_of_the_clean_up_is_not_lost_to_a_cancellation_from_outside() {
    run(async {
        let task = create_task(TaskGroup::<String>::scope(async |group| {
            group.create_task(async {
                if catch_cancelled(sleep(60)).await.is_err() { Err("data lost".to_owned()) } else { Ok(()) }
            });
            sleep(60).await;
            Ok(())
        }));
        sleep(1).await;
        task.cancel();
        let errors = task.await.expect("it has a value").expect_err("which is the error");
        assert_eq!(errors.errors(), ["data lost"]);
    });
}

#[test]
fn the_errors_of_a_group_go_through_the_question_mark() {
    use asyncio_tasks::ErrorGroup;
    use std::error::Error;
    use std::io;

    type Anything = Box<dyn Error + Send + Sync>;

    async fn fail<E: 'static>(error: E) -> Result<(), ErrorGroup<E>> {
        TaskGroup::scope(async |group| {
            group.create_task(async { Err::<(), _>(error) });
            Ok(())
        })
        .await
    }
    async fn into_anything() -> Result<(), Anything> {
        Ok(fail(String::from("text")).await?)
    }
    async fn boxed_into_anything() -> Result<(), Anything> {
        Ok(fail(Anything::from("boxed")).await?)
    }
    async fn boxed_into_boxed() -> Result<(), Box<dyn Error>> {
        Ok(fail::<Box<dyn Error>>("local".into()).await?)
    }
    async fn into_io() -> io::Result<()> {
        Ok(fail(io::Error::other("disk")).await?)
    }
    run(async {
        let error = into_anything().await.unwrap_err();
        assert_eq!(error.downcast::<ErrorGroup<String>>().unwrap().into_errors(), ["text"]);
        let head = "unhandled errors in a task group (1 error)";
        assert_eq!(boxed_into_anything().await.unwrap_err().to_string(), format!("{head}\n  - boxed"));
        assert_eq!(boxed_into_boxed().await.unwrap_err().to_string(), format!("{head}\n  - local"));
        let error = into_io().await.unwrap_err();
        assert_eq!(error.to_string(), format!("{head}\n  - disk"));
        let group = error.downcast::<ErrorGroup<io::Error>>().unwrap();
        assert_eq!(group.errors()[0].to_string(), "disk");
    });
}
