//! Workers: a loop for each thread, work that is handed across, and how all of them end.

use asyncio_executor::{Job, Worker, WorkerError, WorkersHandle, workers};
use asyncio_loop::EventLoop;
use asyncio_tasks::{catch_cancelled, create_task, current_task, run, sleep, timeout, yield_now};
use std::cell::Cell;
use std::future::{IntoFuture as _, pending};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

type Outcome = Result<(), io::Error>;

/// Counts something on several threads.
fn counter() -> (Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let counter = Arc::new(AtomicUsize::new(0));
    (counter.clone(), counter)
}

fn thread_name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

/// A `main` that serves others until it is stopped.
async fn serve(_worker: Worker) -> Outcome {
    pending().await
}

/// Waits to be stopped, and counts when it has cleaned up.
async fn clean_up(counter: &AtomicUsize) -> Outcome {
    let cancelled = catch_cancelled(pending::<()>()).await.unwrap_err();
    sleep(0.001).await;
    counter.fetch_add(1, Ordering::Relaxed);
    match cancelled.reraise().await {}
}

#[test]
fn each_worker_has_a_thread_a_loop_and_a_number_of_its_own() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_too = seen.clone();
    let main = async move |worker: Worker| {
        let not_send = Rc::new(Cell::new(worker.index()));
        let task = create_task({
            let not_send = not_send.clone();
            async move { not_send.set(not_send.get() * 10) }
        });
        task.await.unwrap();
        seen_too.lock().unwrap().push((thread_name(), not_send.get(), worker.workers().count()));
        Outcome::Ok(())
    };
    run(workers(3, main).thread_name("it").into_future()).unwrap();
    let mut seen = seen.lock().unwrap().clone();
    seen.sort();
    assert_eq!(seen, [("it_0".into(), 0, 3), ("it_1".into(), 10, 3), ("it_2".into(), 20, 3)]);
}

#[test]
fn work_goes_to_each_in_turn_and_its_result_comes_back() {
    run(async {
        let mut workers = workers(3, serve).start().await.unwrap();
        let handle = workers.handle();
        let futures: Vec<_> =
            (0..6).map(|n| handle.submit(move || async move { (n, thread_name()) }).unwrap()).collect();
        let mut names = Vec::new();
        for (sent, future) in futures.into_iter().enumerate() {
            let (n, name) = future.await.unwrap();
            assert_eq!(n, sent);
            names.push(name);
        }
        assert_eq!(names, ["worker_0", "worker_1", "worker_2", "worker_0", "worker_1", "worker_2"]);
        // A future that is `Send` travels as it is.
        let (job, handle_of_job) = Job::new(|| 7);
        let there = handle.submit_to(2, move || handle_of_job).unwrap();
        job.run();
        assert_eq!(there.await, Ok(Ok(7)));
        workers.stop();
        workers.wait().await.unwrap();
        assert!(handle.is_stopping());
        assert!(handle.submit(async || 1).is_err() && handle.submit_to(0, async || 1).is_err());
    });
}

/// From the first step on: nobody begins before all have a loop.
#[test]
fn workers_hand_work_to_one_another() {
    let (count, counted) = counter();
    let main = async move |worker: Worker| {
        let next = (worker.index() + 1) % worker.workers().count();
        for _ in 0..100 {
            let name = worker.workers().submit_to(next, async || thread_name()).unwrap().await;
            assert_eq!(name.unwrap(), format!("worker_{next}"));
            counted.fetch_add(1, Ordering::Relaxed);
        }
        // Who has ended answers nobody, so all stay until the last has been answered.
        if counted.load(Ordering::Relaxed) == 400 {
            worker.workers().stop();
        }
        pending::<Outcome>().await
    };
    run(workers(4, main).into_future()).unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 400);
}

#[test]
fn a_stop_cancels_each_main_once_and_lets_it_clean_up() {
    let (count, counted) = counter();
    let main = async move |_: Worker| clean_up(&counted).await;
    run(async {
        let mut workers = workers(3, main).start().await.unwrap();
        for index in 0..3 {
            // What is submitted comes after the first step of the worker's main.
            workers.handle().submit_to(index, async || ()).unwrap().await.unwrap();
        }
        workers.stop();
        workers.stop(); // Nothing: the clean-up goes on.
        workers.wait().await.unwrap();
        workers.wait().await.unwrap();
    });
    assert_eq!(count.load(Ordering::Relaxed), 3);
}

#[test]
fn an_error_of_one_stops_all_and_each_error_is_told_with_its_worker() {
    let (begun, has_begun) = counter();
    let main = async move |worker: Worker| match worker.index() {
        1 => {
            while has_begun.load(Ordering::Relaxed) == 0 {
                yield_now().await;
            }
            Err(io::Error::new(io::ErrorKind::AddrInUse, "taken"))
        }
        2 => {
            begun.fetch_add(1, Ordering::Relaxed);
            let _cancelled = catch_cancelled(pending::<()>()).await;
            Err(io::Error::other("bad clean-up"))
        }
        _ => pending().await,
    };
    let error = run(workers(4, main).into_future()).unwrap_err();
    let told: Vec<_> = error.failures().iter().map(|(worker, error)| (*worker, error.to_string())).collect();
    let failed = String::from("its main function failed");
    assert_eq!(told, [(1, failed.clone()), (2, failed)]);
    assert_eq!(error.to_string(), "not all workers ended well: worker 1 worker 2");
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_panic_of_one_stops_all_and_goes_on_when_the_last_has_ended() {
    let (count, counted) = counter();
    let begun = AtomicUsize::new(0);
    let main = async move |worker: Worker| {
        begun.fetch_add(1, Ordering::Relaxed);
        if worker.index() == 0 {
            while begun.load(Ordering::Relaxed) < 3 {
                yield_now().await;
            }
            std::panic::panic_any(7_u8);
        }
        let stopped = catch_cancelled(pending::<()>()).await;
        sleep(0.001).await;
        counted.fetch_add(1, Ordering::Relaxed);
        Err(io::Error::other(format!("{stopped:?}")))
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| run(workers(3, main).into_future())));
    assert_eq!(outcome.unwrap_err().downcast_ref::<u8>(), Some(&7));
    assert_eq!(count.load(Ordering::Relaxed), 2, "not before the others have cleaned up");
}

#[test]
fn without_a_loop_for_each_no_main_is_called() {
    let (loops, made) = counter();
    let (mains, called) = counter();
    let factory = move || match made.fetch_add(1, Ordering::Relaxed) {
        1 => Err(io::Error::new(io::ErrorKind::OutOfMemory, "no descriptor is left")),
        _ => EventLoop::builder().build(),
    };
    let main = async move |_: Worker| {
        called.fetch_add(1, Ordering::Relaxed);
        Outcome::Ok(())
    };
    let error = run(workers(3, main).loop_factory(factory).into_future()).unwrap_err();
    assert!(matches!(error.failures(), [(_, WorkerError::Start(error))] if error.kind() == io::ErrorKind::OutOfMemory));
    assert_eq!((loops.load(Ordering::Relaxed), mains.load(Ordering::Relaxed)), (3, 0));
}

#[test]
fn who_is_cancelled_while_awaiting_them_stops_them_and_waits() {
    let (count, counted) = counter();
    let (begun, has_begun) = counter();
    let main = async move |_: Worker| {
        begun.fetch_add(1, Ordering::Relaxed);
        clean_up(&counted).await
    };
    run(async move {
        let waits = create_task(workers(2, main).into_future());
        while has_begun.load(Ordering::Relaxed) < 2 {
            yield_now().await;
        }
        waits.cancel();
        assert!(waits.await.is_err());
    });
    assert_eq!(count.load(Ordering::Relaxed), 2, "their clean-up was awaited");
}

#[test]
fn dropping_them_stops_them_and_a_dropped_wait_loses_nothing() {
    run(async {
        let main = async |worker: Worker| match worker.index() {
            0 => Err(io::Error::other("at once")),
            _ => pending().await,
        };
        let mut failing = workers(2, main).start().await.unwrap();
        // The first is known to have failed before the last has ended, or not: whichever, it is told in the end.
        let error = loop {
            if let Ok(outcome) = timeout(0, failing.wait()).await {
                break outcome.unwrap_err();
            }
        };
        assert!(matches!(error.failures(), [(0, WorkerError::Main(_))]));

        let running = workers(2, serve).start().await.unwrap();
        let handle = running.handle();
        let there = handle.submit(pending::<()>).unwrap();
        drop(running);
        assert!(there.await.is_err(), "what a worker leaves behind is cancelled");
    });
}

#[test]
fn a_main_that_somebody_else_cancels_is_an_error() {
    let main = async |_: Worker| {
        current_task().unwrap().cancel();
        pending::<Outcome>().await
    };
    let error = run(workers(1, main).into_future()).unwrap_err();
    assert!(matches!(error.failures(), [(0, WorkerError::Run(_))]), "{error:?}");
}

#[test]
#[should_panic(expected = "at least one worker")]
fn none_is_too_few() {
    drop(workers(0, serve));
}

#[test]
#[should_panic(expected = "`prefix` contains a NUL")]
fn a_name_that_no_thread_can_have_is_refused_at_once() {
    drop(workers(1, serve).thread_name("a\0b"));
}

#[test]
fn handles_travel() {
    fn travels<T: Send + Sync + Clone>() {}
    travels::<Worker>();
    travels::<WorkersHandle>();
}
