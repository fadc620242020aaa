//! What runs when: one queue, iterations, cancellation. On every driver.

#[path = "support/drivers.rs"]
mod drivers;
#[path = "support/log.rs"]
mod log;

use asyncio_loop::{EventLoop, Handle, Runnable};
use log::Log;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

/// One iteration, without waiting.
fn iterate(event_loop: &EventLoop) {
    event_loop.stop();
    event_loop.run_forever().unwrap();
}

drivers::on_each_driver! {
    // sem. 1
    fn callbacks_run_in_the_order_of_scheduling(event_loop) {
        let log = Log::new();
        for n in 0..10_000 {
            event_loop.call_soon(log.adds(n));
        }
        iterate(event_loop);
        assert_eq!(log.take(), (0..10_000).collect::<Vec<_>>());
    }

    // sem. 2
    fn what_a_callback_schedules_runs_in_the_next_iteration(event_loop) {
        let log = Log::new();
        let (inner, inner_log) = (event_loop.clone(), log.clone());
        event_loop.call_soon(move || {
            inner.call_soon(inner_log.adds("child"));
            inner_log.add("parent");
        });
        event_loop.call_soon(log.adds("sibling"));
        iterate(event_loop);
        assert_eq!(log.take(), ["parent", "sibling"]);
        iterate(event_loop);
        assert_eq!(log.take(), ["child"]);
    }

    // sem. 3
    fn a_callback_that_was_ready_runs_before_a_due_timer(event_loop) {
        let log = Log::new();
        event_loop.call_later(-1, log.adds("timer"));
        event_loop.call_soon(log.adds("soon"));
        iterate(event_loop);
        assert_eq!(log.take(), ["soon", "timer"]);
    }

    // sem. 6
    fn a_callback_cancelled_in_the_same_iteration_does_not_run(event_loop) {
        let log = Log::new();
        let victim: Rc<Cell<Option<Handle>>> = Rc::default();
        let taken = victim.clone();
        event_loop.call_soon(move || taken.take().unwrap().cancel());
        victim.set(Some(event_loop.call_soon(log.adds("victim"))));
        event_loop.call_soon(log.adds("other"));
        iterate(event_loop);
        assert_eq!(log.take(), ["other"]);
    }

    // sem. 6: a timer that was due in the same iteration can be taken back, too.
    fn a_due_timer_cancelled_in_the_same_iteration_does_not_run(event_loop) {
        let log = Log::new();
        let victim = event_loop.call_later(-1, log.adds("victim"));
        event_loop.call_later(-1, log.adds("other"));
        event_loop.call_soon(move || victim.cancel());
        iterate(event_loop);
        assert_eq!(log.take(), ["other"]);
    }

    // sem. 6: and so can a step that was due.
    fn a_due_step_taken_back_in_the_same_iteration_does_not_run(event_loop) {
        struct Adds(Log<&'static str>);
        impl Runnable for Adds {
            fn run(self: Rc<Self>) {
                self.0.add("step");
            }
        }
        let log = Log::new();
        let step = Rc::new(Adds(log.clone()));
        let victim = event_loop.schedule_at(event_loop.nanos() - 2, step.clone());
        let other = event_loop.schedule_at(event_loop.nanos() - 1, step.clone());
        let inner = event_loop.clone();
        event_loop.call_soon(move || assert!(inner.unschedule(victim) && !inner.unschedule(victim)));
        iterate(event_loop);
        assert_eq!((log.take(), event_loop.unschedule(other)), (vec!["step"], false));
        assert_eq!((Rc::strong_count(&step), event_loop.statistics().timers), (1, 0));
    }

    // sem. 7
    fn cancelling_is_idempotent_and_lets_go_at_once(event_loop) {
        let held = Rc::new(());
        let captured = held.clone();
        let handle = event_loop.call_soon(move || drop(captured));
        assert_eq!((handle.cancelled(), Rc::strong_count(&held)), (false, 2));
        handle.cancel();
        handle.cancel();
        assert_eq!((handle.cancelled(), Rc::strong_count(&held)), (true, 1));
        assert_eq!(event_loop.statistics().ready, 1, "its place is skipped later");
        iterate(event_loop);
        assert_eq!(event_loop.statistics().ready, 0);
        handle.cancel();
    }

    // sem. 7
    fn cancelling_what_has_run_does_nothing(event_loop) {
        let log = Log::new();
        let first = event_loop.call_soon(log.adds("first"));
        iterate(event_loop);
        // Takes the place of the first one.
        event_loop.call_soon(log.adds("second"));
        first.cancel();
        iterate(event_loop);
        assert_eq!(log.take(), ["first", "second"]);
    }

    fn dropping_a_handle_does_nothing(event_loop) {
        let log = Log::new();
        drop(event_loop.call_soon(log.adds("soon")));
        drop(event_loop.call_later(-1, log.adds("timer")));
        iterate(event_loop);
        assert_eq!(log.take(), ["soon", "timer"]);
    }

    fn large_and_aligned_closures_run_as_small_ones(event_loop) {
        #[repr(align(64))]
        struct Aligned([u8; 64]);
        let log = Log::<usize>::new();
        let (aligned, aligned_log) = (Aligned([1; 64]), log.clone());
        event_loop.call_soon(move || {
            let whole = &aligned;
            assert_eq!((&raw const *whole).addr() % 64, 0);
            aligned_log.add(whole.0.iter().map(|n| usize::from(*n)).sum());
        });
        let (large, large_log) = ([2_usize; 100], log.clone());
        event_loop.call_soon(move || large_log.add(large.iter().sum()));
        iterate(event_loop);
        assert_eq!(log.take(), [64, 200]);
    }

    fn run_until_blocked_runs_whole_chains_and_no_later_timer(event_loop) {
        let log = Log::new();
        let (inner, inner_log) = (event_loop.clone(), log.clone());
        event_loop.call_soon(move || {
            let (again, again_log) = (inner.clone(), inner_log.clone());
            inner.call_soon(move || {
                again.call_later(-1, again_log.adds("due"));
                again.call_later(1000, again_log.adds("later"));
            });
        });
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take(), ["due"]);
        assert_eq!(event_loop.statistics().timers, 1);
    }
}

/// A program: when callback `n` runs, it schedules the callbacks in `children[n]` and cancels those in `cancels[n]`.
#[derive(Clone, Debug)]
struct Program {
    children: Vec<Vec<usize>>,
    cancels: Vec<Vec<usize>>,
}

fn program() -> impl Strategy<Value = Program> {
    let lists = || prop::collection::vec(prop::collection::vec(0_usize..40, 0..4), 40);
    (lists(), lists()).prop_map(|(children, cancels)| {
        // Each callback is scheduled by an earlier one, so that the program ends.
        let forward = |(n, list): (usize, Vec<usize>)| list.into_iter().filter(|child| *child > n).collect();
        Program { children: children.into_iter().enumerate().map(forward).collect(), cancels }
    })
}

/// What the program does: a queue, and nothing else.
fn model(program: &Program) -> Vec<usize> {
    let mut queue = VecDeque::from([(0, 0)]);
    let mut latest = [None; 40];
    let mut cancelled = Vec::new();
    let (mut next_id, mut log) = (1, Vec::new());
    while let Some((n, id)) = queue.pop_front() {
        if cancelled.contains(&id) {
            continue;
        }
        log.push(n);
        for child in &program.children[n] {
            queue.push_back((*child, next_id));
            latest[*child] = Some(next_id);
            next_id += 1;
        }
        cancelled.extend(program.cancels[n].iter().filter_map(|victim| latest[*victim]));
    }
    log
}

struct Running {
    program: Program,
    event_loop: EventLoop,
    handles: Vec<Cell<Option<Handle>>>,
    log: Log<usize>,
}

fn run(it: &Rc<Running>, n: usize) {
    it.log.add(n);
    for child in it.program.children[n].iter().copied() {
        let again = it.clone();
        it.handles[child].set(Some(it.event_loop.call_soon(move || run(&again, child))));
    }
    for victim in &it.program.cancels[n] {
        let handle = it.handles[*victim].take();
        handle.iter().for_each(Handle::cancel);
        it.handles[*victim].set(handle);
    }
}

proptest! {
    /// Whatever callbacks schedule and cancel, the loop is a queue (sem. 1, 2, 6).
    #[test]
    fn programs_run_as_in_the_model(program in program()) {
        for event_loop in [drivers::scripted(), drivers::platform(), drivers::strict()] {
            let handles = (0..40).map(|_| Cell::new(None)).collect();
            let it = Rc::new(Running { program: program.clone(), event_loop, handles, log: Log::new() });
            let first = it.clone();
            it.event_loop.call_soon(move || run(&first, 0));
            it.event_loop.run_until_blocked().unwrap();
            prop_assert_eq!(it.log.take(), model(&program));
            prop_assert_eq!(it.event_loop.pending(), []);
            it.handles.iter().for_each(|handle| drop(handle.take()));
        }
    }
}
