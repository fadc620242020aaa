//! What groups can do beyond asyncio's: a child that reports ready, an end in two phases, and several for one result.

#[path = "support/log.rs"]
mod log;
#[path = "support/run.rs"]
mod run;

use asyncio_loop::get_running_loop;
use asyncio_tasks::{
    Ready, StartError, TaskGroup, TaskGroupError, all_tasks, catch_cancelled, create_task, current_task, first_ok,
    race, sleep, timeout,
};
use log::Log;
use run::run;
use std::cell::Cell;
use std::future::{pending, ready};
use std::rc::Rc;

type Group = TaskGroup<&'static str>;

/// Logs its name when it is cancelled, after a clean-up of so many seconds.
async fn cleans_up(log: Log<&'static str>, name: &'static str, seconds: u32) {
    drop(catch_cancelled(pending::<()>()).await);
    sleep(seconds).await;
    log.add(name);
}

mod start {
    use super::*;

    async fn serves(status: Ready<u16>) -> Result<(), &'static str> {
        sleep(2).await;
        status.set(8080);
        sleep(3).await;
        Ok(())
    }

    #[test]
    fn gives_the_value_when_the_child_is_ready_and_the_group_waits_for_its_end() {
        run(async {
            let event_loop = get_running_loop();
            let begin = event_loop.time();
            let elapsed = move || event_loop.time() - begin;
            let outcome = Group::scope(async |group| {
                let port = group.start(serves).await.unwrap();
                assert_eq!(elapsed(), 2.0);
                Ok(port)
            });
            assert_eq!(outcome.await.unwrap(), 8080);
            assert_eq!(elapsed(), 5.0);
        });
    }

    #[test]
    fn a_failure_before_is_told_to_the_starter_and_one_after_to_the_group() {
        run(async {
            let outcome = Group::scope(async |group| {
                let early = group.start(async |_: Ready<()>| Err::<(), _>("early")).await;
                assert_eq!(early, Err(StartError::Failed("early")));
                let never = group.start(async |_: Ready<()>| Ok(())).await;
                assert_eq!(never, Err(StartError::NeverReady));
                sleep(1).await;
                let late = async |status: Ready<u8>| {
                    status.set(7);
                    sleep(1).await;
                    Err::<(), _>("late")
                };
                assert_eq!(group.start(late).await, Ok(7), "and the group is as good as new");
                sleep(60).await;
                Ok(())
            });
            assert_eq!(outcome.await.unwrap_err().errors(), [&"late"]);
        });
    }

    #[test]
    fn a_child_that_is_cancelled_or_panics_before_is_told_as_that() {
        run(async {
            let outcome = Group::scope(async |group| {
                let cancels_itself = async |_: Ready<()>| {
                    current_task().unwrap().cancel();
                    sleep(1).await;
                    Ok(())
                };
                assert_eq!(group.start(cancels_itself).await, Err(StartError::Cancelled));
                Ok(())
            });
            assert!(outcome.await.is_ok());
            let told = Log::new();
            let sink = told.clone();
            let block = create_task(async move {
                let block = Group::scope(async move |group| {
                    let panics = async |_: Ready<()>| -> Result<(), &'static str> { panic!("in the child") };
                    let outcome = catch_cancelled(group.start(panics)).await;
                    sink.add(outcome);
                    sleep(60).await;
                    Ok(())
                });
                block.await.is_ok()
            });
            sleep(1).await;
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(block.result())));
            let payload = outcome.expect_err("the group resumes it");
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"in the child"));
            assert_eq!(told.take(), [Ok(Err(StartError::Cancelled))]);
        });
    }

    #[test]
    fn whoever_is_cancelled_while_it_waits_ends_the_child_first() {
        run(async {
            let log = Log::new();
            let sink = log.clone();
            let block = create_task(Group::scope(async move |group| {
                let child = move |_: Ready<()>| async move {
                    cleans_up(sink, "child", 1).await;
                    Ok(())
                };
                group.start(child).await.unwrap();
                Ok(())
            }));
            sleep(1).await;
            block.cancel();
            assert!(block.await.is_err());
            assert_eq!(log.take(), ["child"]);
        });
    }

    #[test]
    fn a_start_that_is_dropped_cancels_the_child_and_a_finished_group_takes_none() {
        run(async {
            let kept = Rc::new(Cell::new(None));
            let outcome = Group::scope(async |group| {
                let slow = async |_: Ready<()>| {
                    sleep(60).await;
                    Ok(())
                };
                let first = futures_util::future::select(Box::pin(group.start(slow)), Box::pin(sleep(1)));
                drop(first.await);
                kept.set(Some(group.clone()));
                Ok(get_running_loop().time())
            });
            let end = outcome.await.unwrap();
            assert_eq!(get_running_loop().time(), end, "nobody slept for a minute");
            let group = kept.take().unwrap();
            let refused = group.start(async |_: Ready<()>| Ok(())).await;
            assert_eq!(refused, Err(StartError::Refused(TaskGroupError::Finished)));
        });
    }
}

mod shutdown {
    use super::*;

    /// A worker that works for two seconds at a time, and looks up in between.
    async fn listens(group: Group, log: Log<&'static str>) -> Result<(), &'static str> {
        while !group.is_stopping() {
            sleep(2).await;
        }
        log.add("drained");
        Ok(())
    }

    #[test]
    fn drains_workers_that_listen_and_cuts_the_others_when_the_grace_is_over() {
        run(async {
            let (log, begin) = (Log::new(), get_running_loop().time());
            let outcome = Group::scope(async |group| {
                for _ in 0..2 {
                    group.create_task(listens(group.clone(), log.clone()));
                }
                let (waits, deaf) = (log.clone(), log.clone());
                let told = group.clone();
                group.create_task(async move {
                    told.stopping().await;
                    waits.add("told");
                    told.create_task(ready(Ok(()))).await.expect("children are taken").unwrap();
                    Ok(())
                });
                group.create_task(async move {
                    cleans_up(deaf, "cut", 1).await;
                    Ok(())
                });
                sleep(1).await;
                group.shutdown(5);
                assert!(group.is_stopping());
                Ok("body")
            });
            assert_eq!(outcome.await.unwrap(), "body");
            assert_eq!(log.take(), ["told", "drained", "drained", "cut"]);
            // A second, five of grace, and one of clean-up.
            assert_eq!(get_running_loop().time() - begin, 7.0);
        });
    }

    #[test]
    fn ends_at_once_when_all_have_drained_and_leaves_no_timer_behind() {
        run(async {
            let (log, begin) = (Log::new(), get_running_loop().time());
            let outcome = Group::scope(async |group| {
                group.create_task(listens(group.clone(), log.clone()));
                sleep(1).await;
                group.shutdown(5);
                Ok(())
            });
            assert!(outcome.await.is_ok());
            assert_eq!(get_running_loop().time() - begin, 2.0);
            assert_eq!(get_running_loop().statistics().timers, 0);
        });
    }

    #[test]
    fn the_body_is_cut_off_too_and_the_cut_can_be_moved() {
        run(async {
            let begin = get_running_loop().time();
            let outcome = Group::scope(async |group| {
                group.shutdown(None::<f64>);
                group.shutdown(60);
                group.shutdown(3);
                sleep(1000).await;
                Ok(())
            });
            let errors = outcome.await.unwrap_err();
            assert!(errors.is_empty());
            assert_eq!(get_running_loop().time() - begin, 3.0);
        });
    }

    #[test]
    fn a_failure_during_the_grace_ends_it() {
        run(async {
            let begin = get_running_loop().time();
            let outcome = Group::scope(async |group| {
                let told = group.clone();
                group.create_task(async move {
                    told.stopping().await;
                    sleep(1).await;
                    Err::<(), _>("while draining")
                });
                group.create_task(async {
                    sleep(60).await;
                    Ok(())
                });
                sleep(0).await;
                group.shutdown(5);
                Ok(())
            });
            assert_eq!(outcome.await.unwrap_err().errors(), [&"while draining"]);
            assert_eq!(get_running_loop().time() - begin, 1.0);
        });
    }

    #[test]
    fn a_group_that_has_ended_or_is_dropped_is_not_shut_down_any_more() {
        run(async {
            let group = Group::scope(async |group| Ok(group.clone())).await.unwrap();
            group.shutdown(1);
            assert!(!group.is_stopping());
            let dropped = timeout(
                1,
                Group::scope(async |group| {
                    group.shutdown(60);
                    sleep(1000).await;
                    Ok(())
                }),
            );
            assert!(dropped.await.is_err());
            assert_eq!(get_running_loop().statistics().timers, 0);
        });
    }
}

mod one_result {
    use super::*;

    async fn after(seconds: u32) -> u32 {
        sleep(seconds).await;
        seconds
    }

    #[test]
    fn the_first_wins_and_the_others_have_cleaned_up_when_it_is_told() {
        run(async {
            let log = Log::new();
            let runner = async |log: Log<&'static str>, seconds: u32| {
                let outcome = catch_cancelled(after(seconds)).await;
                if outcome.is_err() {
                    sleep(5).await;
                    log.add("cleaned up");
                }
                seconds
            };
            let begin = get_running_loop().time();
            assert_eq!(race([3, 1, 2].map(|seconds| runner(log.clone(), seconds))).await, 1);
            assert_eq!(log.take(), ["cleaned up", "cleaned up"]);
            assert_eq!(get_running_loop().time() - begin, 6.0);
            assert_eq!(all_tasks().len(), 1);
        });
    }

    #[test]
    fn of_several_that_end_at_once_the_first_in_order_wins() {
        run(async {
            assert_eq!(race([1, 2, 3].map(ready)).await, 1);
            assert_eq!(
                race(["a", "b"].map(|name| async move {
                    sleep(1).await;
                    name
                }))
                .await,
                "a"
            );
        });
    }

    #[test]
    #[should_panic(expected = "a race needs somebody who runs")]
    fn nobody_wins_a_race_of_nobody() {
        run(async { race(Vec::<std::future::Ready<()>>::new()).await });
    }

    #[test]
    fn a_race_that_is_cancelled_ends_all_and_goes_on_outwards() {
        run(async {
            let log = Log::new();
            let racers = [1, 2].map(|seconds| cleans_up(log.clone(), "racer", seconds));
            let racing = create_task(race(racers));
            sleep(1).await;
            racing.cancel();
            assert!(racing.await.is_err());
            assert_eq!(log.take(), ["racer", "racer"]);
        });
    }

    #[test]
    fn a_race_of_which_all_are_cancelled_by_somebody_else_unwinds_who_waits() {
        run(async {
            let racing = create_task(async {
                race([after(1), after(2)]).await;
                unreachable!("nobody wins");
            });
            racing.set_name("owner");
            sleep(0).await;
            sleep(0).await;
            let me = current_task().unwrap();
            for task in all_tasks().into_iter().filter(|task| *task != me && task.get_name() != "owner") {
                task.cancel();
            }
            assert!(racing.await.is_err());
        });
    }

    #[test]
    #[should_panic(expected = "a racer fell")]
    fn a_panic_is_resumed_in_who_waits() {
        run(async {
            let racers = (0..2).map(|n| async move {
                sleep(n).await;
                assert!(n > 0, "a racer fell");
            });
            race(racers).await;
        });
    }

    /// Fails after so many seconds, unless they are even.
    async fn even(seconds: u32) -> Result<u32, u32> {
        sleep(seconds).await;
        if seconds.is_multiple_of(2) { Ok(seconds) } else { Err(seconds) }
    }

    #[test]
    fn the_first_success_wins_and_failures_before_it_are_passed_over() {
        run(async {
            let begin = get_running_loop().time();
            assert_eq!(first_ok([5, 4, 3, 2, 1].map(even)).await.unwrap(), 2);
            assert_eq!(get_running_loop().time() - begin, 2.0);
        });
    }

    #[test]
    fn if_all_fail_all_errors_are_there_in_order_of_their_ends() {
        run(async {
            let errors = first_ok([5, 1, 3].map(even)).await.unwrap_err();
            assert_eq!(errors.into_errors(), [1, 3, 5]);
            let nothing = first_ok(Vec::<std::future::Ready<Result<(), ()>>>::new()).await.unwrap_err();
            assert!(nothing.is_empty());
        });
    }

    /// The result of a child, by its handle, when the block has ended.
    #[test]
    fn handles_have_their_results_after_the_block() {
        run(async {
            let handles = Rc::new(Cell::new(None));
            let outcome = Group::scope(async |group| {
                let child =
                    |seconds: u32| group.create_task(async move { Ok::<_, &'static str>(after(seconds).await) });
                handles.set(Some([1, 2].map(child)));
                Ok(())
            });
            assert!(outcome.await.is_ok());
            let values = handles.take().unwrap().map(|handle| handle.result().unwrap().unwrap());
            assert_eq!(values, [1, 2]);
        });
    }
}

#[test]
fn the_error_of_a_child_whose_start_was_given_up_is_the_groups() {
    run(async {
        let outcome = TaskGroup::<&'static str>::scope(async |group| {
            let start = group.start(|_ready: Ready<()>| async move {
                let _ = catch_cancelled(sleep(100)).await;
                Err::<(), _>("the clean-up has failed")
            });
            assert!(timeout(1, start).await.is_err());
            Ok(())
        })
        .await;
        let errors = outcome.expect_err("an error is not lost");
        assert_eq!(errors.errors(), [&"the clean-up has failed"]);
    });
}
