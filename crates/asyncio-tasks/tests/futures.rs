//! Loop futures: setting, cancelling, callbacks, awaiting.

#[path = "support/log.rs"]
mod log;
#[path = "support/run.rs"]
mod run;

use asyncio_loop::{ContextVar, get_running_loop};
use asyncio_tasks::{
    AnyFuture, CancelledError, Future as LoopFuture, InvalidStateError, LoopTasksExt, ResultError, create_task,
    ensure_future, sleep, yield_now,
};
use log::Log;
use run::{event_loop, run};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

// sem. 37, 38
#[test]
fn callbacks_run_later_and_in_order_of_registration() {
    run(async {
        let log = Log::new();
        let future = LoopFuture::new();
        for n in 0..3 {
            let log = log.clone();
            future.add_done_callback(move |future| log.add((n, future.result())));
        }
        future.set_result(7).unwrap();
        assert_eq!(log.take(), [], "not inside `set_result`");
        yield_now().await;
        assert_eq!(log.take(), [(0, Ok(7)), (1, Ok(7)), (2, Ok(7))]);
        let late = log.clone();
        future.add_done_callback(move |future| late.add((9, future.result())));
        assert_eq!(log.take(), [], "nor inside `add_done_callback`");
        yield_now().await;
        assert_eq!(log.take(), [(9, Ok(7))]);
    });
}

// sem. 39
#[test]
fn a_callback_can_be_taken_back_until_it_is_queued() {
    run(async {
        let log = Log::new();
        let future = LoopFuture::<()>::new();
        let keys: Vec<_> = (0..4)
            .map(|n| {
                let log = log.clone();
                future.add_done_callback(move |_| log.add(n))
            })
            .collect();
        assert_eq!((future.remove_done_callback(keys[0]), future.remove_done_callback(keys[2])), (1, 1));
        assert_eq!(future.remove_done_callback(keys[2]), 0);
        future.set_result(()).unwrap();
        assert_eq!(future.remove_done_callback(keys[1]), 0, "queued already");
        yield_now().await;
        assert_eq!(log.take(), [1, 3]);
    });
}

/// The order stays that of registration also when the first place becomes free.
#[test]
fn a_callback_that_comes_after_one_was_removed_is_the_last() {
    run(async {
        let log = Log::new();
        let future = LoopFuture::<()>::new();
        let add = |n| {
            let log = log.clone();
            future.add_done_callback(move |_| log.add(n))
        };
        let first = add(1);
        add(2);
        future.remove_done_callback(first);
        add(3);
        future.set_result(()).unwrap();
        yield_now().await;
        assert_eq!(log.take(), [2, 3]);
    });
}

// sem. 40
#[test]
fn a_callback_that_panics_is_reported_and_the_next_one_runs() {
    let event_loop = event_loop();
    let log = Log::new();
    let reports = log.clone();
    event_loop.set_exception_handler(move |_, report| reports.add(report.panic_message().unwrap().to_owned()));
    let future = event_loop.create_future::<()>();
    future.add_done_callback(|_| panic!("first"));
    let second = log.clone();
    future.add_done_callback(move |_| second.add(String::from("second")));
    future.set_result(()).unwrap();
    event_loop.run_until_blocked().unwrap();
    assert_eq!(log.take(), ["first", "second"]);
    event_loop.close().unwrap();
}

// sem. 41
#[test]
fn a_callback_runs_in_the_context_of_its_registration() {
    static WHO: ContextVar<&str> = ContextVar::new("who");
    run(async {
        let log = Log::new();
        let future = LoopFuture::<()>::new();
        WHO.set("registered");
        let sink = log.clone();
        future.add_done_callback(move |_| sink.add(WHO.get()));
        WHO.set("completed");
        future.set_result(()).unwrap();
        yield_now().await;
        assert_eq!(log.take(), [Some("registered")]);
    });
}

// sem. 37, 38, 39, 40, 41: of a task, too.
#[test]
fn the_callbacks_of_a_task_are_as_those_of_a_future() {
    static WHO: ContextVar<&str> = ContextVar::new("who");
    let event_loop = event_loop();
    let log = Log::new();
    let reports = log.clone();
    event_loop.set_exception_handler(move |_, report| reports.add((report.panic_message().unwrap().to_owned(), None)));
    let task = event_loop.create_task(yield_now());
    let adds = |name: &'static str| {
        let log = log.clone();
        task.add_done_callback(move |task| log.add((format!("{name} {}", task.done()), WHO.get())))
    };
    WHO.set("registered");
    let first = adds("first");
    task.add_done_callback(|_| panic!("second"));
    let removed = adds("removed");
    let third = adds("third");
    WHO.set("completed");
    assert_eq!((task.remove_done_callback(removed), task.remove_done_callback(removed)), (1, 0));
    while !task.done() {
        event_loop.run_once(None).unwrap();
    }
    assert_eq!(log.take(), [], "not inside the last step");
    assert_eq!((task.remove_done_callback(first), task.remove_done_callback(third)), (0, 0), "queued already");
    WHO.set("late");
    adds("fourth");
    assert_eq!(log.take(), [], "nor inside `add_done_callback`");
    event_loop.run_until_blocked().unwrap();
    let expected = [
        ("first true", Some("registered")),
        ("second", None),
        ("third true", Some("registered")),
        ("fourth true", Some("late")),
    ];
    assert_eq!(log.take(), expected.map(|(name, who)| (name.to_owned(), who)));
    event_loop.close().unwrap();
}

// sem. 42
#[test]
fn a_done_future_takes_no_other_result() {
    run(async {
        let future = LoopFuture::new();
        assert_eq!(future.result(), Err(ResultError::NotDone));
        assert!(!future.done());
        future.set_result(String::from("one")).unwrap();
        let refused = future.set_result(String::from("two")).unwrap_err();
        assert_eq!((refused.0.as_str(), refused.to_string().as_str()), ("two", "the future is done already"));
        assert_eq!(InvalidStateError::from(refused), InvalidStateError::Done);
        assert!(!future.cancel() && !future.cancelled());
        assert_eq!(future.result(), Ok(String::from("one")));
        let failing = LoopFuture::<Result<u8, &str>>::new();
        failing.set_exception("no").unwrap();
        assert_eq!(failing.set_exception("never").unwrap_err().0, Err("never"));
        assert_eq!(failing.await, Ok(Err("no")));
    });
}

// sem. 43, 44
#[test]
fn cancelling_a_future_takes_effect_at_once_and_keeps_the_message() {
    run(async {
        let future = LoopFuture::<()>::new();
        assert!(future.cancel_with("why"));
        assert!(future.cancelled() && future.done() && !future.cancel());
        let error = CancelledError::new(Some("why"));
        assert_eq!(future.result(), Err(ResultError::Cancelled(error.clone())));
        assert_eq!(future.cancelled_error(), Some(error.clone()));
        assert_eq!((&future).await, Err(error));
        assert_eq!(future.set_result(()).unwrap_err().0, ());
    });
}

// sem. 49, 55
#[test]
fn all_who_wait_are_resumed_in_the_order_in_which_they_began_and_not_at_once() {
    run(async {
        let log = Log::new();
        let future = LoopFuture::new();
        for n in 0..4 {
            let (future, log) = (future.clone(), log.clone());
            create_task(async move { log.add((n, future.await)) });
        }
        yield_now().await;
        future.set_result("x").unwrap();
        assert_eq!(log.take(), []);
        yield_now().await;
        assert_eq!(log.take(), [0, 1, 2, 3].map(|n| (n, Ok("x"))));
    });
}

// sem. 50
#[test]
fn a_future_of_another_loop_of_the_thread_can_be_awaited() {
    let (one, two) = (event_loop(), event_loop());
    let future = one.create_future::<u8>();
    let awaited = future.clone();
    let task = two.create_task(async move { awaited.await });
    two.run_until_blocked().unwrap();
    future.set_result(3).unwrap();
    one.run_until_blocked().unwrap();
    assert!(!task.done());
    two.run_until_blocked().unwrap();
    assert_eq!(task.result(), Ok(Ok(3)));
    assert!(future.get_loop().is_same(&one) && task.get_loop().is_same(&two));
    one.close().unwrap();
    two.close().unwrap();
}

// sem. 51
#[test]
fn ensuring_a_future_gives_the_same_one() {
    run(async {
        let future = LoopFuture::<u8>::new();
        let ensured = ensure_future(future.clone());
        assert!(ensured.is_same(&AnyFuture::from(future.clone())));
        future.set_result(1).unwrap();
        assert_eq!((ensured.done(), ensured.result()), (true, Ok(1)));
        let task = create_task(async { 2 });
        assert!(ensure_future(task.clone()).is_same(&task.into()));
        assert_eq!(ensure_future(async { 3 }).await, Ok(3));
    });
}

#[test]
fn a_future_can_be_awaited_without_a_loop_that_runs() {
    let event_loop = event_loop();
    let future = event_loop.create_future::<u8>();
    let mut awaiting = Box::pin((&future).into_future());
    struct Counts(std::sync::atomic::AtomicUsize);
    impl std::task::Wake for Counts {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let count = std::sync::Arc::new(Counts(0.into()));
    let waker = count.clone().into();
    let mut cx = std::task::Context::from_waker(&waker);
    for _ in 0..2 {
        assert!(awaiting.as_mut().poll(&mut cx).is_pending());
    }
    future.set_result(5).unwrap();
    assert_eq!(count.0.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(awaiting.as_mut().poll(&mut cx), std::task::Poll::Ready(Ok(5)));
    event_loop.close().unwrap();
}

/// A value whose `clone` uses the future that it is in.
#[test]
fn a_value_may_use_its_future_while_it_is_cloned() {
    #[derive(Debug)]
    struct Nosy(Rc<RefCell<Option<LoopFuture<Nosy>>>>, Rc<Cell<u32>>);
    impl Clone for Nosy {
        fn clone(&self) -> Self {
            if let Some(future) = &*self.0.borrow() {
                assert!(future.done() && !future.cancel() && !future.cancelled());
                assert!(future.set_result(Nosy(Rc::default(), self.1.clone())).is_err());
                future.add_done_callback(|_| ());
                self.1.set(self.1.get() + 1);
            }
            Self(self.0.clone(), self.1.clone())
        }
    }
    run(async {
        let (slot, count) = (Rc::new(RefCell::new(None)), Rc::new(Cell::new(0)));
        let future = LoopFuture::new();
        *slot.borrow_mut() = Some(future.clone());
        future.set_result(Nosy(slot.clone(), count.clone())).unwrap();
        drop(future.result().unwrap());
        drop((&future).await.unwrap());
        assert_eq!(count.get(), 2);
        *slot.borrow_mut() = None;
    });
}

#[test]
fn a_future_that_is_never_done_goes_with_its_last_handle_and_takes_its_callbacks_along() {
    run(async {
        let held = Rc::new(());
        for n in 0..3 {
            let future = LoopFuture::<()>::new();
            for _ in 0..n {
                let held = held.clone();
                future.add_done_callback(move |_| drop(held));
            }
            drop(future);
            assert_eq!(Rc::strong_count(&held), 1, "{n} callbacks");
        }
        // One that is done lives until they have run.
        let future = LoopFuture::new();
        let log = Log::new();
        let sink = log.clone();
        future.add_done_callback(move |future| sink.add(future.result()));
        future.set_result(held.clone()).unwrap();
        drop(future);
        yield_now().await;
        assert_eq!(log.take(), [Ok(held.clone())]);
        yield_now().await;
        assert_eq!(Rc::strong_count(&held), 1);
    });
}

#[test]
fn a_task_that_stops_waiting_leaves_nothing_behind() {
    run(async {
        let future = LoopFuture::<()>::new();
        for _ in 0..3 {
            let awaited = future.clone();
            let task = create_task(async move {
                let sleeping = std::pin::pin!(sleep(1));
                let waiting = std::pin::pin!(awaited.into_future());
                futures_util::future::select(sleeping, waiting).await;
            });
            assert!(task.await.is_ok());
        }
        assert!(!future.done(), "dropping is not cancelling");
        assert!(format!("{future:?}").contains("pending"));
        assert!(future.location().file().ends_with("futures.rs"));
        assert!(get_running_loop().is_same(&future.get_loop()));
    });
}
