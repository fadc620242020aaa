//! Random trees of scopes, limits, shields, joins, tasks and groups, cancelled at random: whatever happens, all of it ends, every
//! destructor runs once, nothing is left, and who awaits a task is resumed when its clean-up is complete.

#[path = "support/loops.rs"]
mod loops;

use asyncio_tasks::{
    LoopTasksExt as _, TaskGroup, all_tasks, catch_cancelled, create_task, gather, shield, sleep, timeout, wait,
    yield_now,
};
use futures_util::future::{join_all, select};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use loops::event_loop;
use proptest::prelude::*;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

#[derive(Clone, Debug)]
enum Node {
    Sleep(u32),
    Yield,
    Then(Box<Node>, Box<Node>),
    Suppress(Box<Node>),
    CleanUp(Box<Node>, u32),
    Timeout(u32, Box<Node>),
    Shield(Box<Node>),
    Task(Box<Node>),
    Observe(Box<Node>),
    Join(Vec<Node>),
    Unordered(Vec<Node>),
    Select(Box<Node>, Box<Node>),
    Gather(Vec<Node>),
    Wait(Vec<Node>),
    Group(Vec<Node>, bool),
}

fn node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![(0..6_u32).prop_map(Node::Sleep), Just(Node::Yield)];
    leaf.prop_recursive(5, 24, 3, |node| {
        let boxed = node.clone().prop_map(Box::new);
        let some = proptest::collection::vec(node, 1..4);
        prop_oneof![
            (boxed.clone(), boxed.clone()).prop_map(|(one, two)| Node::Then(one, two)),
            boxed.clone().prop_map(Node::Suppress),
            (boxed.clone(), 0..4_u32).prop_map(|(inner, time)| Node::CleanUp(inner, time)),
            (0..5_u32, boxed.clone()).prop_map(|(limit, inner)| Node::Timeout(limit, inner)),
            boxed.clone().prop_map(Node::Shield),
            boxed.clone().prop_map(Node::Task),
            boxed.clone().prop_map(Node::Observe),
            some.clone().prop_map(Node::Join),
            some.clone().prop_map(Node::Unordered),
            (boxed.clone(), boxed).prop_map(|(one, two)| Node::Select(one, two)),
            some.clone().prop_map(Node::Gather),
            some.clone().prop_map(Node::Wait),
            (some, any::<bool>()).prop_map(|(children, fails)| Node::Group(children, fails)),
        ]
    })
}

/// How many coroutines live; what is dropped twice makes it less than nothing.
#[derive(Clone, Default)]
struct Live(Rc<Cell<u32>>);

struct Guard(Live);

impl Live {
    fn guard(&self) -> Guard {
        self.0.set(self.0.get() + 1);
        Guard(self.clone())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let left = self.0.0.get().checked_sub(1).expect("dropped twice");
        self.0.0.set(left);
    }
}

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

fn all(nodes: Vec<Node>, live: &Live) -> Vec<Boxed> {
    nodes.into_iter().map(|node| run(node, live.clone())).collect()
}

/// What runs as a task: `own` counts what lives in it.
async fn body(node: Node, own: Live, live: Live) {
    let _own = own.guard();
    run(node, live).await;
}

fn run(node: Node, live: Live) -> Boxed {
    let guard = live.guard();
    Box::pin(async move {
        let _guard = guard;
        match node {
            Node::Sleep(time) => sleep(time).await,
            Node::Yield => yield_now().await,
            Node::Then(one, two) => {
                run(*one, live.clone()).await;
                run(*two, live).await;
            }
            Node::Suppress(inner) => drop(catch_cancelled(run(*inner, live)).await),
            Node::CleanUp(inner, time) => {
                if let Err(error) = catch_cancelled(run(*inner, live.clone())).await {
                    run(Node::Sleep(time), live).await;
                    error.reraise().await;
                }
            }
            Node::Timeout(limit, inner) => _ = timeout(limit, run(*inner, live)).await,
            Node::Shield(inner) => {
                // A cancelled item is a value here, as a task; as a coroutine it would unwind this task.
                _ = shield(create_task(run(*inner, live))).await;
            }
            Node::Task(inner) => {
                let own = Live::default();
                let outcome = catch_cancelled(create_task(body(*inner, own.clone(), live)).into_future()).await;
                assert_eq!(own.0.get(), 0, "resumed before the task has cleaned up");
                if let Err(error) = outcome {
                    error.reraise().await;
                }
            }
            Node::Observe(inner) => {
                let own = Live::default();
                let mut task = create_task(body(*inner, own.clone(), live));
                drop((&mut task).await);
                assert_eq!(own.0.get(), 0, "told before the task has cleaned up");
            }
            Node::Join(inner) => drop(join_all(all(inner, &live)).await),
            Node::Unordered(inner) => {
                let mut unordered: FuturesUnordered<_> = all(inner, &live).into_iter().collect();
                while unordered.next().await.is_some() {}
            }
            Node::Select(one, two) => drop(select(run(*one, live.clone()), run(*two, live)).await),
            Node::Gather(inner) => drop(gather(all(inner, &live)).await),
            Node::Wait(inner) => {
                let tasks: Vec<_> = all(inner, &live).into_iter().map(create_task).collect();
                drop(wait(tasks).timeout(3).await);
            }
            Node::Group(inner, fails) => {
                let block = TaskGroup::scope(async |group| {
                    for child in all(inner, &live) {
                        group.create_task(async move {
                            child.await;
                            if fails { Err("failed") } else { Ok(()) }
                        });
                    }
                    Ok(())
                });
                drop(block.await);
            }
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_cancelled_everything_ends_once(
        tree in node(),
        cancels in proptest::collection::vec((0..8_u32, any::<prop::sample::Index>()), 0..6),
    ) {
        let event_loop = event_loop();
        let live = Live::default();
        let root = event_loop.create_task(run(tree, live.clone()));
        let main = root.to_any();
        for (time, which) in cancels {
            let main = main.clone();
            event_loop.call_later(time, move || {
                let tasks = all_tasks();
                let victim = if main.done() || tasks.is_empty() { main } else { which.get(&tasks).clone() };
                victim.cancel();
            });
        }
        // Not a task of the loop that could be cancelled itself: the end is when nothing is left.
        for _ in 0..10_000 {
            if event_loop.all_tasks().is_empty() {
                break;
            }
            event_loop.run_once(None).expect("nothing waits for ever");
        }
        prop_assert!(main.done() && event_loop.all_tasks().is_empty());
        drop((main, root));
        event_loop.run_until_blocked().unwrap();
        prop_assert_eq!(live.0.get(), 0);
        prop_assert_eq!(Rc::strong_count(&live.0), 1);
        event_loop.close().unwrap();
    }
}
