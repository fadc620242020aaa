//! `CancelScope`: level-triggered, nested, shielded, with deadlines; on examples, and on random programs against a model.

#[path = "support/log.rs"]
mod log;
#[path = "support/run.rs"]
mod run;

use asyncio_loop::get_running_loop;
use asyncio_tasks::{
    CancelScope, Future as LoopFuture, TaskGroup, TimeoutError, catch_cancelled, create_task, current_task,
    effective_deadline, fail_after, fail_at, move_on_after, move_on_at, shield, sleep, timeout, yield_now,
};
use futures_util::FutureExt as _;
use log::Log;
use run::run;
use std::future::pending;
use std::rc::Rc;

fn now() -> f64 {
    get_running_loop().time()
}

/// Whether a sleep of so many seconds was cancelled.
async fn is_cut(seconds: u32) -> bool {
    catch_cancelled(sleep(seconds)).await.is_err()
}

#[test]
fn code_that_swallows_is_cancelled_again_at_each_further_wait() {
    run(async {
        let scope = CancelScope::new();
        let cancel = scope.clone();
        get_running_loop().call_later(1, move || cancel.cancel());
        let begin = now();
        let outcome = scope.run(async {
            for _ in 0..5 {
                assert!(is_cut(60).await);
            }
            assert!(catch_cancelled(yield_now()).await.is_err(), "a yield is a wait, too");
            assert!(catch_cancelled(async { LoopFuture::<()>::new().await }).await.is_err());
            "value"
        });
        assert_eq!(outcome.await, Some("value"), "what has a value keeps it");
        assert!(scope.cancel_called() && !scope.cancelled_caught() && !scope.expired());
        assert_eq!((now() - begin, current_task().unwrap().cancelling()), (1.0, 0));
        assert!(!is_cut(1).await, "outside of the scope all is as before");
    });
}

#[test]
fn a_scope_gives_none_when_it_has_ended_what_is_inside() {
    run(async {
        let begin = now();
        let scope = CancelScope::after(2);
        assert_eq!(scope.run(sleep(60)).await, None);
        assert!(scope.cancel_called() && scope.cancelled_caught() && scope.expired());
        assert_eq!(scope.run_again(), None, "and is used up");
        assert_eq!(move_on_after(1, async { 7 }).await, Some(7));
        assert_eq!(move_on_at(now() + 1.0, sleep(60)).await, None);
        assert_eq!(fail_after(1, sleep(60)).await, Err(TimeoutError::default()));
        assert_eq!(fail_at(now() + 5.0, sleep(1)).await, Ok(()));
        assert_eq!((now() - begin, get_running_loop().statistics().timers), (5.0, 0));
    });
}

trait RunAgain {
    fn run_again(&self) -> Option<()>;
}

impl RunAgain for CancelScope {
    /// What comes of entering it once more: nothing but a panic.
    fn run_again(&self) -> Option<()> {
        let again = std::panic::AssertUnwindSafe(self.run(async {})).catch_unwind().now_or_never();
        let payload = again.expect("it does not wait").expect_err("it is used up");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"a cancel scope has already been entered"));
        None
    }
}

#[test]
fn one_that_is_cancelled_before_it_is_entered_ends_at_the_first_wait() {
    run(async {
        let (scope, log) = (CancelScope::new(), Log::new());
        scope.cancel();
        let sink = log.clone();
        let outcome = scope.run(async move {
            sink.add("up to the first wait");
            sleep(1).await;
            sink.add("never");
        });
        assert_eq!(outcome.await, None);
        assert_eq!(log.take(), ["up to the first wait"]);
        let past = CancelScope::at(now() - 1.0);
        assert_eq!((past.run(async { 1 }).await, past.expired()), (Some(1), true));
    });
}

#[test]
fn a_task_that_cancels_its_own_scope_goes_on_to_its_next_wait() {
    run(async {
        let scope = CancelScope::new();
        let inner = scope.clone();
        let outcome = scope.run(async move {
            inner.cancel();
            sleep(1).await;
        });
        assert_eq!(outcome.await, None);
        let scope = CancelScope::new();
        let inner = scope.clone();
        assert_eq!(scope.run(async move { inner.cancel() }).await, Some(()));
        assert_eq!(current_task().unwrap().cancelling(), 0);
        assert!(!is_cut(1).await, "nothing is left of it");
    });
}

/// Who takes the cancellation: told "timed out" from "cancelled from outside", whichever comes first.
#[test]
fn in_every_order_the_outermost_that_is_cancelled_takes_it() {
    // When the outer one, the inner one and the task are cancelled; in each order, also at once.
    let times = [1_u32, 2, 3];
    for (outer, inner, task) in times
        .iter()
        .flat_map(|outer| times.iter().flat_map(move |inner| [0, 1, 2, 3].map(|task| (*outer, *inner, task))))
    {
        run(async move {
            let log = Log::new();
            let sink = log.clone();
            let worker = create_task(async move {
                let (outside, inside) = (CancelScope::after(outer), CancelScope::after(inner));
                let result = outside.run(async {
                    let result = inside.run(sleep(60)).await;
                    sink.add(format!("inner {}", result.is_none() && inside.cancelled_caught()));
                    sleep(60).await;
                });
                let result = result.await;
                sink.add(format!("outer {}", result.is_none() && outside.cancelled_caught()));
            });
            if task > 0 {
                let cancelled = worker.to_any();
                get_running_loop().call_later(task, move || assert!(cancelled.cancel() || cancelled.done()));
            }
            let outcome = worker.await;
            let first = outer.min(inner);
            let mut expected = Vec::new();
            if inner < outer && (task == 0 || task > inner) {
                expected.push("inner true");
            }
            // A request from outside in the same iteration wins.
            let is_task_cancelled = task > 0 && task <= if inner < outer { outer } else { first };
            if !is_task_cancelled {
                expected.push("outer true");
            }
            assert_eq!(outcome.is_err(), is_task_cancelled, "{outer} {inner} {task}");
            assert_eq!(log.take(), expected, "{outer} {inner} {task}");
        });
    }
}

#[test]
fn a_shield_lets_bounded_clean_up_run_inside_a_cancelled_parent() {
    run(async {
        let begin = now();
        let (scope, log) = (CancelScope::after(1), Log::new());
        let sink = log.clone();
        let outcome = scope.run(async move {
            let _ = catch_cancelled(pending::<()>()).await;
            let clean_up = CancelScope::after(5).shield();
            let done = clean_up.run(async {
                sleep(2).await;
                "in time"
            });
            sink.add(done.await.expect("it has two seconds of five"));
            let hangs = CancelScope::after(5).shield();
            assert_eq!(hangs.run(sleep(60)).await, None);
            assert!(hangs.expired() && hangs.cancelled_caught());
            sink.add("cut off");
            sleep(0).await;
            sink.add("never");
        });
        assert_eq!(outcome.await, None);
        assert_eq!(log.take(), ["in time", "cut off"]);
        assert_eq!(now() - begin, 8.0);
    });
}

#[test]
fn what_comes_while_a_shield_is_entered_is_told_when_it_is_left() {
    run(async {
        let begin = now();
        let (scope, shield) = (CancelScope::after(1), CancelScope::new().shield());
        let outcome = scope.run(async move {
            assert_eq!(shield.run(async { is_cut(3).await }).await, Some(false));
            assert_eq!(now() - begin, 3.0);
            sleep(60).await;
        });
        assert_eq!(outcome.await, None);
        assert_eq!(now() - begin, 3.0);
    });
}

#[test]
fn a_deadline_can_be_moved_while_it_runs() {
    run(async {
        let begin = now();
        let scope = CancelScope::after(1);
        let moved = scope.clone();
        let outcome = scope.run(async move {
            moved.reschedule(begin + 5.0);
            assert!(!is_cut(2).await);
            moved.reschedule(None);
            assert_eq!(moved.when(), None);
            assert!(!is_cut(10).await);
            moved.reschedule(begin + 1.0);
            sleep(60).await;
        });
        assert_eq!(outcome.await, None);
        assert_eq!((now() - begin, scope.when()), (12.0, Some(begin + 1.0)));
    });
}

#[test]
fn the_effective_deadline_is_right_at_any_depth() {
    run(async {
        assert_eq!(effective_deadline(), f64::INFINITY);
        let begin = now();
        let outer = CancelScope::at(begin + 10.0);
        let outcome = outer.run(async {
            assert_eq!(effective_deadline(), begin + 10.0);
            let later = CancelScope::at(begin + 20.0).run(async {
                let sooner = CancelScope::at(begin + 5.0).run(async {
                    let shield = CancelScope::at(begin + 50.0).shield();
                    assert_eq!(shield.run(async { effective_deadline() }).await, Some(begin + 50.0));
                    let other = create_task(async { effective_deadline() }).eager_start();
                    assert_eq!(other.await, Ok(f64::INFINITY), "another task is in no scope of this one");
                    effective_deadline()
                });
                assert_eq!(sooner.await, Some(begin + 5.0));
                assert_eq!(effective_deadline(), begin + 10.0);
                outer.reschedule(begin + 7.0);
                assert_eq!(effective_deadline(), begin + 7.0);
                outer.cancel();
                effective_deadline()
            });
            assert_eq!(later.await, Some(f64::NEG_INFINITY));
        });
        assert_eq!(outcome.await, Some(()));
        assert_eq!(effective_deadline(), f64::INFINITY);
    });
}

#[test]
fn requests_to_the_task_and_limits_around_go_through_and_are_told_once() {
    run(async {
        let scope = CancelScope::new();
        let outcome = timeout(1, async {
            scope
                .run(async {
                    assert!(is_cut(60).await);
                    assert!(!is_cut(5).await, "told once: clean-up may take its time");
                    "value"
                })
                .await
        });
        assert_eq!(outcome.await, Ok(Some("value")));
        assert!(!scope.cancel_called());
        let limit = CancelScope::new().run(async { timeout(1, sleep(60)).await });
        assert!(limit.await.expect("the scope was not cancelled").is_err());
    });
}

#[test]
fn a_scope_around_a_group_ends_its_children_once_and_waits_for_them() {
    run(async {
        let (begin, log) = (now(), Log::new());
        let sink = log.clone();
        let outcome = move_on_after(1, async move {
            let block = TaskGroup::<()>::scope(async |group| {
                for seconds in [2, 4] {
                    let sink = sink.clone();
                    group.create_task(async move {
                        assert!(is_cut(60).await);
                        sink.add(is_cut(seconds).await);
                        Ok(())
                    });
                }
                Ok(())
            });
            let _ = block.await;
            unreachable!("it is cancelled");
        });
        assert_eq!(outcome.await, None);
        assert_eq!(log.take(), [false, false], "a child is another task: it is told once");
        assert_eq!(now() - begin, 5.0);
    });
}

#[test]
fn a_task_that_is_awaited_inside_is_cancelled_and_a_shielded_one_is_not() {
    run(async {
        let inner = create_task(sleep(60));
        let seen = inner.to_any();
        assert!(move_on_after(1, async { inner.await }).await.is_none());
        assert!(seen.cancelled());
        let inner = create_task(sleep(60));
        let seen = inner.to_any();
        assert!(move_on_after(1, shield(inner)).await.is_none());
        assert!(!seen.done());
        seen.cancel();
    });
}

#[test]
fn one_branch_of_a_join_is_cancelled_and_the_other_goes_on() {
    run(async {
        let scope = CancelScope::new();
        let cancel = scope.clone();
        let left = scope.run(async {
            assert!(is_cut(60).await);
            assert!(is_cut(60).await);
            sleep(60).await;
        });
        let right = async {
            sleep(1).await;
            cancel.cancel();
            is_cut(2).await
        };
        let begin = now();
        assert_eq!(futures_util::join!(left, right), (None, false));
        assert_eq!(now() - begin, 3.0);
    });
}

#[test]
fn a_scope_that_is_dropped_or_taken_back_inside_leaves_nothing_behind() {
    run(async {
        let scope = CancelScope::after(10);
        drop(futures_util::future::select(Box::pin(scope.run(sleep(60))), Box::pin(sleep(1))).await);
        scope.cancel();
        assert!(!scope.cancel_called(), "it was left");
        assert!(!is_cut(20).await);
        // Whoever swallows a request of the task's takes it back; here it was the scope's.
        let outcome = move_on_after(1, async {
            assert!(is_cut(60).await);
            current_task().unwrap().uncancel();
            assert!(is_cut(60).await);
            assert!(is_cut(60).await);
        });
        assert_eq!(outcome.await, Some(()));
        assert_eq!((current_task().unwrap().cancelling(), get_running_loop().statistics().timers), (0, 0));
        assert!(!is_cut(1).await);
    });
}

#[test]
fn a_scope_may_move_to_another_task_with_its_shield() {
    run(async {
        let (outer, inner) = (CancelScope::new(), CancelScope::new());
        let (inside, around) = (inner.clone(), outer.clone());
        let moved = outer.run(async move {
            let shield = CancelScope::new().shield();
            let mut work = Box::pin(inside.run(async move { shield.run(async { is_cut(5).await }).await }));
            assert!(futures_util::poll!(work.as_mut()).is_pending());
            around.cancel();
            Some(work)
        });
        let work = moved.await.flatten().expect("it does not wait");
        let task = create_task(work);
        sleep(1).await;
        inner.cancel();
        assert_eq!(task.await, Ok(Some(Some(false))), "the shield holds there, too");
        assert_eq!(current_task().unwrap().cancelling(), 0);
    });
}

mod model {
    use super::*;
    use std::pin::Pin;

    /// A program of one task.
    #[derive(Clone, Debug)]
    enum Op {
        Sleep(u32),
        /// Swallows what comes out of it.
        Swallow(Vec<Op>),
        Scope {
            deadline: Option<u32>,
            shield: bool,
            body: Vec<Op>,
        },
        /// Cancels the scope so many levels further out, if there is one.
        Cancel(usize),
    }

    /// What is seen of it, each with the time.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Seen {
        Slept,
        Swallowed(bool),
        Left { caught: bool, called: bool },
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) % limit
        }

        fn seconds(&mut self) -> u32 {
            u32::try_from(self.below(6)).unwrap_or(0)
        }

        fn program(&mut self, depth: usize) -> Vec<Op> {
            let length = 1 + self.below(4);
            (0..length).map(|_| self.op(depth)).collect()
        }

        fn op(&mut self, depth: usize) -> Op {
            match self.below(if depth == 0 { 5 } else { 10 }) {
                0..=3 => Op::Sleep(self.seconds()),
                4 => Op::Cancel(usize::try_from(self.below(4)).unwrap_or(0)),
                5..=6 => Op::Swallow(self.program(depth - 1)),
                _ => Op::Scope {
                    deadline: (self.below(2) == 0).then(|| self.seconds()),
                    shield: self.below(4) == 0,
                    body: self.program(depth - 1),
                },
            }
        }
    }

    /// A scope of the model.
    struct Modelled {
        deadline: Option<u32>,
        shield: bool,
        cancelled: bool,
    }

    #[derive(Default)]
    struct Model {
        now: u32,
        scopes: Vec<Modelled>,
        seen: Vec<(u32, Seen)>,
    }

    struct Cancelled;

    impl Model {
        /// The scopes that are heard of here: from the innermost shield inwards, the shield included.
        fn audible(&self) -> &[Modelled] {
            let from = self.scopes.iter().rposition(|scope| scope.shield).unwrap_or(0);
            &self.scopes[from..]
        }

        /// Deadlines pass as time goes on, behind shields as well.
        fn pass(&mut self, until: u32) {
            self.now = until;
            for scope in &mut self.scopes {
                scope.cancelled |= scope.deadline.is_some_and(|deadline| deadline <= until);
            }
        }

        fn run(&mut self, program: &[Op]) -> Result<(), Cancelled> {
            for op in program {
                match op {
                    Op::Sleep(seconds) => self.sleep(*seconds)?,
                    Op::Swallow(body) => {
                        let outcome = self.run(body);
                        self.seen.push((self.now, Seen::Swallowed(outcome.is_err())));
                    }
                    Op::Scope { deadline, shield, body } => self.scope(*deadline, *shield, body)?,
                    Op::Cancel(out) => {
                        if let Some(scope) = self.scopes.iter_mut().rev().nth(*out) {
                            scope.cancelled = true;
                        }
                    }
                }
            }
            Ok(())
        }

        fn sleep(&mut self, seconds: u32) -> Result<(), Cancelled> {
            let now = self.now;
            let wake = now + seconds;
            let cut = self
                .audible()
                .iter()
                .filter_map(|scope| if scope.cancelled { Some(now) } else { scope.deadline })
                .min();
            // Deadlines are set before the sleeps inside, so they come first.
            match cut.filter(|cut| *cut <= wake) {
                Some(cut) => {
                    self.pass(cut);
                    Err(Cancelled)
                }
                None => {
                    self.pass(wake);
                    self.seen.push((self.now, Seen::Slept));
                    Ok(())
                }
            }
        }

        fn scope(&mut self, delay: Option<u32>, shield: bool, body: &[Op]) -> Result<(), Cancelled> {
            let deadline = delay.map(|delay| self.now + delay);
            self.scopes.push(Modelled { deadline, shield, cancelled: delay == Some(0) });
            let outcome = self.run(body);
            let scope = self.scopes.pop().expect("it was pushed");
            let is_wanted_around = !shield && self.audible().iter().any(|scope| scope.cancelled);
            let caught = outcome.is_err() && scope.cancelled && !is_wanted_around;
            self.seen.push((self.now, Seen::Left { caught, called: scope.cancelled }));
            if caught { Ok(()) } else { outcome }
        }
    }

    /// Runs a program for real.
    struct Real {
        begin: f64,
        log: Log<(u32, Seen)>,
    }

    impl Real {
        fn see(&self, seen: Seen) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds, and few")]
            self.log.add(((now() - self.begin) as u32, seen));
        }

        fn run(self: Rc<Self>, program: Vec<Op>, scopes: Vec<CancelScope>) -> Pin<Box<dyn Future<Output = ()>>> {
            Box::pin(async move {
                for op in program {
                    match op {
                        Op::Sleep(seconds) => {
                            sleep(seconds).await;
                            self.see(Seen::Slept);
                        }
                        Op::Swallow(body) => {
                            let outcome = catch_cancelled(self.clone().run(body, scopes.clone())).await;
                            self.see(Seen::Swallowed(outcome.is_err()));
                        }
                        Op::Scope { deadline, shield, body } => self.scope(deadline, shield, body, &scopes).await,
                        Op::Cancel(out) => {
                            if let Some(scope) = scopes.iter().rev().nth(out) {
                                scope.cancel();
                            }
                        }
                    }
                }
            })
        }

        async fn scope(self: &Rc<Self>, deadline: Option<u32>, shield: bool, body: Vec<Op>, around: &[CancelScope]) {
            let scope = CancelScope::at(deadline.map(|delay| now() + f64::from(delay)));
            let scope = if shield { scope.shield() } else { scope };
            let mut scopes = around.to_vec();
            scopes.push(scope.clone());
            let _left = Left(self, &scope);
            scope.run(self.clone().run(body, scopes)).await;
        }
    }

    /// Says that a scope was left, also by unwinding.
    struct Left<'a>(&'a Real, &'a CancelScope);

    impl Drop for Left<'_> {
        fn drop(&mut self) {
            self.0.see(Seen::Left { caught: self.1.cancelled_caught(), called: self.1.cancel_called() });
        }
    }

    /// Programs of up to five levels. Reproduce one with its number.
    #[test]
    fn a_hundred_thousand_random_nestings_do_as_the_model() {
        let numbers = if cfg!(miri) { 0..100 } else { 0..100_000 };
        run(async move {
            for number in numbers {
                let program = Random(0x9e37_79b9_7f4a_7c15 ^ (number + 1)).program(5);
                let mut model = Model::default();
                let outcome = model.run(&program);
                assert!(outcome.is_ok(), "nothing is around the program");
                let real = Rc::new(Real { begin: now(), log: Log::new() });
                let outcome = catch_cancelled(real.clone().run(program.clone(), Vec::new())).await;
                assert!(outcome.is_ok(), "program {number}: {program:?}: {:?} {:?}", real.log.take(), model.seen);
                assert_eq!(real.log.take(), model.seen, "program {number}: {program:?}");
                assert_eq!(current_task().unwrap().cancelling(), 0, "program {number}: {program:?}");
            }
            assert_eq!(get_running_loop().statistics().timers, 0);
        });
    }
}
