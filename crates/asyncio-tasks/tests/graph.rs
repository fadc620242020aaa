//! Who awaits whom: call graphs, dumps of all tasks, and what a deadlock says. The expected trees are whole texts.

use asyncio_driver::Signal;
use asyncio_loop::{EventLoop, get_running_loop};
use asyncio_tasks::{
    AnyTask, DumpedState, Future, LoopTasksExt as _, Task, TaskGroup, all_tasks, capture_call_graph, create_task,
    current_task, dump_tasks, format_call_graph, gather, shield, sleep, wait,
};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

fn run<T: 'static>(main: impl std::future::Future<Output = T> + 'static) -> T {
    let event_loop = virtual_loop();
    let output = event_loop.run_until_complete(main).expect("it runs to the end");
    event_loop.close().expect("it is not running");
    output
}

fn virtual_loop() -> EventLoop {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    EventLoop::builder().driver(Box::new(driver)).build().expect("a driver is given")
}

/// The names in a graph, as `task(waiter(..) waiter)`.
fn names(graph: &asyncio_tasks::FutureCallGraph) -> String {
    let waiters: Vec<_> = graph.awaited_by().iter().map(names).collect();
    let cycle = if graph.is_cyclic() { "!" } else { "" };
    let name = graph.task().get_name();
    if waiters.is_empty() { format!("{name}{cycle}") } else { format!("{name}({})", waiters.join(" ")) }
}

fn graph_of(task: &AnyTask) -> String {
    names(&capture_call_graph(Some(task)).expect("of a task there is always one"))
}

fn named(name: &str) -> AnyTask {
    all_tasks().into_iter().find(|task| task.get_name() == name).expect("it is unfinished")
}

async fn forever() {
    Future::<()>::new().await.unwrap_or_default();
}

// sem. 143
#[test]
fn awaiting_a_task_is_an_edge_and_goes_with_the_wait() {
    run(async {
        let inner = create_task(sleep(1)).name("inner");
        let seen = inner.to_any();
        let outer = create_task(async { inner.await }).name("outer");
        sleep(0.5).await;
        assert_eq!(graph_of(&seen), "inner(outer)");
        let _ = outer.await;
        assert_eq!(graph_of(&seen), "inner");
    });
}

// sem. 143
#[test]
fn observing_gather_wait_and_shield_are_edges() {
    run(async {
        current_task().expect("inside a task").set_name("main");
        let mut leaf = create_task(forever()).name("leaf");
        let seen = leaf.to_any();
        let observer = create_task(async move { (&mut leaf).await }).name("observer");
        sleep(0).await;
        assert_eq!(graph_of(&seen), "leaf(observer)");
        observer.cancel();
        let _ = observer.await;

        let [one, two, three] = ["one", "two", "three"].map(|name| create_task(forever()).name(name).to_any());
        let gathering = create_task(gather((forever(), forever()))).name("gathering");
        let waiting = create_task({
            let tasks = [one.clone(), two.clone()];
            async move { wait(tasks).await }
        });
        waiting.set_name("waiting");
        let shielding =
            create_task(async move { shield(create_task(forever()).name("shielded")).await }).name("shielding");
        sleep(0).await;
        sleep(0).await;
        assert_eq!(graph_of(&one), "one(waiting)");
        assert_eq!(graph_of(&two), "two(waiting)");
        assert_eq!(graph_of(&three), "three");
        assert_eq!(graph_of(&named("shielded")), "shielded(shielding)");
        let dump = dump_tasks();
        let gathering_now = dump.tasks().iter().find(|task| *task.task() == gathering.to_any()).expect("unfinished");
        assert_eq!(gathering_now.awaits().len(), 2);
        for task in [gathering.to_any(), shielding.to_any(), waiting.to_any()] {
            task.cancel();
        }
        let _ = (gathering.await, shielding.await, waiting.await);
        assert_eq!(graph_of(&one), "one", "the edge is gone with the wait");
    });
}

// sem. 143
#[test]
fn the_owner_of_a_group_awaits_its_children() {
    run(async {
        current_task().expect("inside a task").set_name("owner");
        let outcome = TaskGroup::scope(async |group| {
            let child: Task<Result<(), Arc<String>>> = group.create_task(async {
                sleep(1).await;
                Ok(())
            });
            child.set_name("child");
            let seen = child.to_any();
            drop(child);
            assert_eq!(graph_of(&seen), "child(owner)");
            Ok::<_, String>(seen)
        })
        .await;
        assert_eq!(graph_of(&outcome.expect("no child fails")), "child");
    });
}

#[test]
fn the_tree_of_a_live_program_is_the_expected_one() {
    let text = run(async {
        let text = Rc::new(RefCell::new(String::new()));
        let leaf = create_task({
            let text = text.clone();
            async move {
                sleep(1).await;
                *text.borrow_mut() = format_call_graph(None);
            }
        })
        .name("leaf");
        let middle = create_task(async { leaf.await }).name("middle");
        let top = create_task(async { gather((middle,)).await }).name("top");
        let _ = top.await;
        text.take()
    });
    let mut lines = text.lines();
    let mut expect = |start: &str, end: &str| {
        let line = lines.next().unwrap_or_default();
        assert!(line.starts_with(start) && line.ends_with(end), "{line:?} is not {start:?}..{end:?} in\n{text}");
    };
    expect("* Task(name=\"leaf\")", "");
    expect("  + Coroutine:", "");
    expect("  |   graph::the_tree_of_a_live_program_is_the_expected_one::{{closure}}", "");
    expect("  + Awaited by:", "");
    expect("     * Task(name=\"middle\")", "");
    expect("       + Coroutine:", "");
    expect("       |   graph::the_tree_of_a_live_program_is_the_expected_one::{{closure}}", "");
    expect("       + Awaited by:", "");
    expect("          * Task(name=\"top\")", "");
    expect("            + Coroutine:", "");
    expect("            |   graph::the_tree_of_a_live_program_is_the_expected_one::{{closure}}", "");
    expect("            + Awaited by:", "");
    expect("               * Task(name=\"Task-", "\")");
    expect("                 + Coroutine:", "");
    expect("                 |   graph::the_tree_of_a_live_program_is_the_expected_one::{{closure}}", "");
    assert_eq!(lines.next(), None);
    assert!(text.contains("tests/graph.rs:"), "places are there");
}

// sem. 300
#[test]
fn in_a_plain_callback_there_is_no_graph() {
    run(async {
        let seen = Rc::new(RefCell::new(None));
        let tell = seen.clone();
        get_running_loop().call_soon(move || {
            *tell.borrow_mut() = Some((capture_call_graph(None).is_none(), format_call_graph(None)));
        });
        sleep(0).await;
        assert_eq!(seen.take(), Some((true, String::new())));
    });
}

// sem. 300
#[test]
#[should_panic(expected = "no running event loop")]
fn outside_a_loop_it_is_a_caller_s_mistake() {
    let _ = capture_call_graph(None);
}

// sem. 301
#[test]
fn a_dump_says_what_each_task_is_at() {
    run(async {
        current_task().expect("inside a task").set_name("main");
        let sleeper = create_task(sleep(1)).name("sleeper");
        let waiter = create_task(async { sleeper.await }).name("waiter");
        let future = Future::<u8>::new();
        let place = future.location();
        let stuck = create_task(async move { future.await }).name("stuck");
        sleep(0).await;
        let _late = create_task(async {}).name("late");
        let dump = dump_tasks();
        let states: Vec<_> = dump.tasks().iter().map(|task| (task.task().get_name(), task.state())).collect();
        let expected = [
            ("main", DumpedState::Running),
            ("sleeper", DumpedState::Waiting),
            ("waiter", DumpedState::Waiting),
            ("stuck", DumpedState::Waiting),
            ("late", DumpedState::Ready),
        ];
        assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state)));
        assert_eq!(dump.tasks()[3].awaited_futures(), [place]);
        assert_eq!(dump.tasks()[1].awaited_by(), [waiter.to_any()]);
        assert_eq!(
            dump.tasks()[2].awaits(),
            dump.tasks()[1..2].iter().map(|task| task.task().clone()).collect::<Vec<_>>()
        );
        let text = dump.to_string();
        assert!(text.starts_with("5 unfinished tasks\nmain: running, created at "), "{text}");
        assert!(
            text.contains(&format!("sleeper: waiting, created at {}", dump.tasks()[1].task().location())),
            "{text}"
        );
        assert!(text.contains("    waits in a queue or for the time\n    awaited by waiter\n"), "{text}");
        assert!(text.contains(&format!("    waits for a future created at {place}\n")), "{text}");
        stuck.cancel();
    });
}

#[test]
fn tasks_that_await_one_another_are_a_cycle_with_places() {
    let event_loop = virtual_loop();
    let error = event_loop
        .run_until_complete(async {
            let slot: Rc<RefCell<Option<Task<()>>>> = Rc::default();
            let first = create_task({
                let slot = slot.clone();
                async move {
                    let other = slot.take().expect("it was put there");
                    let _ = other.await;
                }
            })
            .name("first");
            *slot.borrow_mut() = Some(create_task(async { drop(first.await) }).name("second"));
            sleep(1).await;
            let seen = named("first");
            assert_eq!(graph_of(&seen), "first(second(first!))");
            forever().await;
        })
        .expect_err("nothing can ever happen");
    let error = std::io::Error::from(error);
    assert_eq!(error.kind(), std::io::ErrorKind::Deadlock);
    let text = error.to_string();
    assert!(text.contains("3 unfinished tasks"), "{text}");
    let cycle = text.split_once("these wait for one another in a circle:\n").expect("the cycle is named").1;
    let names: Vec<_> = cycle.lines().map(|line| line.split_whitespace().next().unwrap_or_default()).collect();
    assert_eq!(names, ["first", "second"]);
    assert!(cycle.lines().all(|line| line.contains("tests/graph.rs:")), "{cycle}");
    event_loop.close().expect("it is not running");
}

#[cfg(unix)]
#[test]
fn a_dump_on_a_signal_is_a_handler_of_the_loop() {
    let event_loop = asyncio_loop::new_event_loop().expect("a loop");
    event_loop.dump_tasks_on(Signal::USR2).expect("it can be caught");
    assert!(event_loop.dump_tasks().is_empty());
    assert!(event_loop.remove_signal_handler(Signal::USR2));
    event_loop.close().expect("it is not running");
}
