//! One job: its start, its result, its panic, its cancellation, its context.

mod support {
    pub(crate) mod gate;
    pub(crate) mod virtual_time;
}

use asyncio_executor::{LoopExecutorExt as _, ThreadPoolExecutor, current_job, to_thread};
use asyncio_loop::{ContextVar, get_running_loop};
use asyncio_tasks::{CancelledError, LoopTasksExt as _, Runner, catch_cancelled, create_task, run, sleep, timeout};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::gate::Gate;
use support::virtual_time::virtual_loop;

// sem. 272
#[test]
fn the_default_executor_is_made_lazily_and_its_threads_are_named() {
    let name = run(async { to_thread(|| std::thread::current().name().map(String::from)).await });
    assert_eq!(name.as_deref(), Some("asyncio_0"));
}

#[test]
fn a_job_starts_before_it_is_awaited() {
    run(async {
        let gate = Gate::default();
        let gate_ = gate.clone();
        let job = get_running_loop().run_in_executor(None, move || gate_.pass()).unwrap();
        gate.wait_for(1); // Blocks the loop: the job is not waiting for it.
        assert!(job.running() && !job.done());
        gate.open();
        job.await.unwrap();
    });
}

// sem. 270
#[test]
fn a_queued_job_that_is_cancelled_never_starts() {
    let started = Arc::new(AtomicUsize::new(0));
    let counted = started.clone();
    run(async move {
        let (pool, gate) = (ThreadPoolExecutor::new(1), Gate::default());
        let gate_ = gate.clone();
        let event_loop = get_running_loop();
        let first = event_loop.run_in_executor(Some(&pool), move || gate_.pass()).unwrap();
        gate.wait_for(1);
        let count = |counted: &Arc<AtomicUsize>| {
            let counted = counted.clone();
            move || {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        };
        let by_handle = event_loop.run_in_executor(Some(&pool), count(&counted)).unwrap();
        assert!(by_handle.cancel() && by_handle.cancelled() && !by_handle.cancel());
        let by_drop = event_loop.run_in_executor(Some(&pool), count(&counted)).unwrap();
        drop(by_drop);
        let by_task = event_loop.run_in_executor(Some(&pool), count(&counted)).unwrap();
        let task = create_task(by_task);
        sleep(0).await;
        task.cancel();
        assert!(task.await.is_err());
        let kept = event_loop.run_in_executor(Some(&pool), count(&counted)).unwrap();
        event_loop.run_in_executor(Some(&pool), count(&counted)).unwrap().detach();
        let last = event_loop.run_in_executor(Some(&pool), || ()).unwrap();
        gate.open();
        first.await.unwrap();
        kept.await.unwrap();
        last.await.unwrap();
        assert!(by_handle.await.is_err());
    });
    assert_eq!(started.load(Ordering::Relaxed), 2);
}

// sem. 270
#[test]
fn a_running_job_is_told_of_its_cancellation_and_finishes_in_the_background() {
    let event_loop = virtual_loop();
    event_loop
        .run_until_complete(async {
            let (gate, seen) = (Gate::default(), Gate::default());
            let (gate_, seen_) = (gate.clone(), seen.clone());
            let (sender, receiver) = std::sync::mpsc::channel();
            let call = to_thread(move || {
                seen_.pass();
                gate_.pass();
                sender.send(current_job().unwrap().is_cancelled()).unwrap();
            });
            seen.open();
            let task = create_task(call);
            sleep(0).await;
            seen.wait_for(1);
            task.cancel();
            assert!(task.await.is_err(), "at once, though the thread is at the gate");
            gate.open();
            assert!(receiver.recv().unwrap());
        })
        .unwrap();
}

// sem. 271
#[test]
fn to_thread_copies_the_context_and_run_in_executor_does_not() {
    static VAR: ContextVar<u32> = ContextVar::new("var");
    run(async {
        VAR.set(3);
        let copied = to_thread(|| {
            let seen = VAR.get();
            VAR.set(4);
            seen
        });
        assert_eq!((copied.await, VAR.get()), (Some(3), Some(3)));
        let bare = get_running_loop().run_in_executor(None, || VAR.get()).unwrap();
        assert_eq!(bare.await, Ok(None), "nor is anything left of the job before");
    });
}

// sem. 275
#[test]
fn a_panic_travels_to_the_awaiter() {
    let mut runner = Runner::new().unwrap();
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let _ = runner.run(async { to_thread(|| panic!("{}", 7)).await });
    }));
    assert_eq!(outcome.unwrap_err().downcast_ref::<String>().unwrap(), "7");
    // An error is a value, and keeps its type.
    let error = runner.run(async { to_thread(|| "x".parse::<u8>()).await }).unwrap();
    assert!(error.is_err());
}

// sem. 275
#[test]
fn a_job_that_its_executor_drops_cancels_whoever_waits() {
    run(async {
        let (pool, gate) = (ThreadPoolExecutor::new(1), Gate::default());
        let gate_ = gate.clone();
        let event_loop = get_running_loop();
        let first = event_loop.run_in_executor(Some(&pool), move || gate_.pass()).unwrap();
        gate.wait_for(1);
        let second = event_loop.run_in_executor(Some(&pool), || ()).unwrap();
        assert_eq!(pool.cancel_queued(), 1);
        let told: Result<(), CancelledError> = second.await;
        assert!(told.unwrap_err().to_string().contains("dropped"));
        gate.open();
        first.await.unwrap();

        event_loop.set_default_executor(pool.clone());
        let gate = Gate::default();
        let gate_ = gate.clone();
        let first = event_loop.run_in_executor(None, move || gate_.pass()).unwrap();
        gate.wait_for(1);
        let raised = create_task(catch_cancelled(to_thread(|| ())));
        sleep(0).await;
        assert_eq!(pool.cancel_queued(), 1);
        assert!(raised.await.unwrap().is_err());
        gate.open();
        first.await.unwrap();
    });
}

#[test]
fn virtual_time_stands_still_while_a_job_is_awaited() {
    let event_loop = virtual_loop();
    event_loop
        .run_until_complete(async {
            let event_loop = get_running_loop();
            for _ in 0..100 {
                assert_eq!(timeout(0.001, to_thread(|| 5)).await, Ok(5));
            }
            assert_eq!(event_loop.time(), 0.0);
            sleep(5).await;
            assert_eq!(event_loop.time(), 5.0);
        })
        .unwrap();
}
