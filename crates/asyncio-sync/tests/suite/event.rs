//! Events: what holds for the one of a thread and for that of several.

use super::Event;
use super::support::{Log, run, settle};
use asyncio_tasks::{Task, create_task};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

fn waiter(event: &Rc<Event>, log: &Log<&'static str>, name: &'static str) -> Task<()> {
    let (event, log) = (event.clone(), log.clone());
    create_task(async move {
        event.wait().await;
        log.push(name);
    })
}

#[test]
fn a_set_event_is_not_waited_for() {
    // sem. 144
    let event = Event::new();
    assert!(!event.is_set());
    event.set();
    assert!(event.is_set());
    assert!(pin!(event.wait()).poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

#[test]
fn set_and_clear_in_one_step_wake_all_who_wait() {
    // sem. 150
    run(async {
        let (event, log) = (Rc::new(Event::new()), Log::new());
        let tasks = ["0", "1", "2"].map(|name| waiter(&event, &log, name));
        settle().await;
        assert_eq!((event.statistics().is_set, event.statistics().tasks_waiting), (false, 3));
        event.set();
        event.clear();
        for task in tasks {
            task.await.unwrap();
        }
        log.assert(["0", "1", "2"]);
        assert!(!event.is_set());
    });
}

#[test]
fn whoever_comes_when_it_is_set_is_before_those_who_were_woken() {
    // sem. 151
    run(async {
        let (event, log) = (Rc::new(Event::new()), Log::new());
        let tasks = ["0", "1", "2"].map(|name| waiter(&event, &log, name));
        settle().await;
        event.set();
        event.wait().await;
        log.push("late");
        for task in tasks {
            task.await.unwrap();
        }
        log.assert(["late", "0", "1", "2"]);
    });
}

#[test]
fn a_waiter_that_is_cancelled_leaves_the_others_alone() {
    run(async {
        let (event, log) = (Rc::new(Event::new()), Log::new());
        let tasks = ["0", "1", "2"].map(|name| waiter(&event, &log, name));
        settle().await;
        assert!(tasks[1].cancel());
        event.set();
        assert!(tasks[2].cancel()); // Woken, and not run: it is cancelled all the same.
        settle().await;
        log.assert(["0"]);
        assert_eq!(tasks.map(|task| task.cancelled()), [false, true, true]);
    });
}
