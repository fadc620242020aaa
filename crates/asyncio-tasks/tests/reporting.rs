//! What reaches the exception handler.

#[path = "support/log.rs"]
mod log;
#[path = "support/loops.rs"]
mod loops;

use asyncio_loop::EventLoop;
use asyncio_tasks::{LoopTasksExt as _, sleep};
use log::Log;
use loops::event_loop;
use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

/// A loop, and the reports of it.
fn reported() -> (EventLoop, Log<String>) {
    let (event_loop, log) = (event_loop(), Log::new());
    let sink = log.clone();
    event_loop.set_exception_handler(move |_, report| sink.add(report.to_string()));
    (event_loop, log)
}

// sem. 46, 47
#[test]
fn a_panic_that_nobody_retrieved_is_reported_when_the_last_handle_goes() {
    let (event_loop, log) = reported();
    let task = event_loop.create_task(async { panic!("lost") }).name("t");
    let line = line!() - 1;
    let again = task.to_any();
    event_loop.run_until_blocked().unwrap();
    drop(task);
    assert_eq!(log.take(), [""; 0]);
    drop(again);
    let reports = log.take();
    assert_eq!(reports.len(), 1);
    for part in
        ["a task panicked, and its panic was never retrieved", "lost", "task: t", &format!("reporting.rs:{line}")]
    {
        assert!(reports[0].contains(part), "{part:?} is not in {:?}", reports[0]);
    }
    let seen = event_loop.create_task(async { panic!("seen") });
    event_loop.run_until_blocked().unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop::<Result<(), _>>(seen.result())));
    assert!(outcome.is_err());
    drop(seen);
    assert_eq!(log.take(), [""; 0]);
    event_loop.close().unwrap();
}

// sem. 63, 286
#[test]
fn tasks_that_are_destroyed_pending_are_reported_with_their_place() {
    let (event_loop, log) = reported();
    let first = event_loop.create_task(pending::<()>()).name("first");
    let inner = event_loop.clone();
    struct Spawns(EventLoop);
    impl Drop for Spawns {
        fn drop(&mut self) {
            self.0.create_task(pending::<()>()).set_name("by a destructor");
            assert!(self.0.close().is_ok());
        }
    }
    let spawns = Spawns(inner);
    event_loop.create_task(async move {
        let _spawns = spawns;
        sleep(60).await;
    });
    event_loop.run_until_blocked().unwrap();
    event_loop.close().unwrap();
    let reports = log.take();
    let messages: Vec<_> = reports.iter().map(|report| report.lines().next().unwrap()).collect();
    let destroyed = "a task was destroyed but it is pending";
    assert_eq!(messages, [destroyed, destroyed, "a task was created on an event loop that is closed"]);
    assert!(reports.iter().all(|report| report.contains("reporting.rs:")));
    assert!(reports[0].contains("task: first"));
    assert!(first.cancelled() && event_loop.all_tasks().is_empty());
}

// sem. 16
#[test]
fn what_a_closed_loop_is_given_is_dropped_and_leaves_nothing_behind() {
    let (event_loop, log) = reported();
    event_loop.close().unwrap();
    let held = std::rc::Rc::new(());
    let value = held.clone();
    let task = event_loop.create_task(async move { drop(value) });
    assert_eq!((std::rc::Rc::strong_count(&held), task.cancelled(), log.take().len()), (1, true, 1));
}

// sem. 287
#[test]
fn a_handler_that_panics_breaks_nothing() {
    let event_loop = event_loop();
    event_loop.set_exception_handler(|_, _| panic!("in the handler"));
    drop(event_loop.create_task(async { panic!("lost") }));
    event_loop.run_until_blocked().unwrap();
    assert_eq!(event_loop.run_until_complete(async { 1 }).unwrap(), 1);
    event_loop.close().unwrap();
}

// sem. 289
#[test]
fn a_report_is_its_message_and_then_its_keys_in_order() {
    let (event_loop, log) = reported();
    drop(event_loop.create_task(async { panic!("x") }).name("n"));
    event_loop.run_until_blocked().unwrap();
    let report = log.take().remove(0);
    let keys: Vec<_> = report.lines().skip(1).map(|line| line.trim().split(':').next().unwrap().to_owned()).collect();
    assert_eq!(keys, ["created at", "exception", "task"]);
    event_loop.close().unwrap();
}

#[test]
fn a_foreign_waker_that_panics_is_reported_and_stops_nobody_else() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker");
        }
    }
    let (event_loop, log) = reported();
    let inner = event_loop.clone();
    let main = async move {
        let task = inner.create_task(sleep(1));
        let told = Rc::new(Cell::new(false));
        let tells = told.clone();
        task.add_done_callback(move |_| tells.set(true));
        let mut awaiting = Box::pin(task.into_future());
        let waker = Waker::from(Arc::new(Panics));
        assert!(awaiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        sleep(5).await;
        assert!(told.get());
        assert_eq!(asyncio_tasks::all_tasks().len(), 1);
    };
    event_loop.run_until_complete(main).unwrap();
    event_loop.close().unwrap();
    let reports = log.take();
    assert!(reports.iter().any(|report| report.starts_with("a waker panicked")), "{reports:?}");
}
