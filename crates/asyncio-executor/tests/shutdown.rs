//! The end of the default executor, by hand and by a runner.

mod support {
    pub(crate) mod gate;
    pub(crate) mod virtual_time;
}

use asyncio_executor::{
    Executor, ExecutorShutDown, Job, LoopExecutorExt as _, RejectedJob, ThreadPoolExecutor, UnfinishedJob, to_thread,
};
use asyncio_loop::{EventLoop, get_running_loop, new_event_loop};
use asyncio_tasks::{LoopTasksExt as _, Runner, create_task, run};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use support::gate::Gate;
use support::virtual_time::virtual_loop;

// sem. 272
#[test]
fn after_shutdown_the_default_executor_is_an_error_and_explicit_ones_go_on() {
    run(async {
        let event_loop = get_running_loop();
        to_thread(|| ()).await;
        event_loop.shutdown_default_executor(None::<f64>).await.unwrap();
        let refused: Result<_, ExecutorShutDown> = event_loop.run_in_executor(None, || ());
        assert!(refused.is_err());
        event_loop.set_default_executor(ThreadPoolExecutor::new(1));
        assert!(event_loop.run_in_executor(None, || ()).is_err(), "for good");
        let pool = ThreadPoolExecutor::new(1);
        assert_eq!(event_loop.run_in_executor(Some(&pool), || 1).unwrap().await, Ok(1));
        event_loop.shutdown_default_executor(1).await.unwrap();
    });
}

// sem. 272
#[test]
fn shutdown_before_first_use_counts_too() {
    run(async {
        let event_loop = get_running_loop();
        event_loop.shutdown_default_executor(1).await.unwrap();
        assert!(event_loop.run_in_executor(None, || ()).is_err());
    });
}

#[test]
fn to_thread_after_shutdown_panics_with_the_reason() {
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
        run(async {
            get_running_loop().shutdown_default_executor(1).await.unwrap();
            to_thread(|| ()).await;
        });
    }));
    assert!(outcome.unwrap_err().downcast_ref::<String>().unwrap().contains("shut down"));
}

// sem. 273
#[test]
fn a_shutdown_that_takes_too_long_says_which_jobs_are_stuck() {
    let gate = Gate::default();
    let event_loop = virtual_loop();
    let gate_ = gate.clone();
    let error = event_loop
        .run_until_complete(async move {
            let event_loop = get_running_loop();
            event_loop
                .set_default_executor(ThreadPoolExecutor::builder().max_workers(1).thread_name_prefix("disk").build());
            let gate = gate_.clone();
            let line = line!() + 1;
            event_loop.run_in_executor(None, move || gate.pass()).unwrap().detach();
            event_loop.run_in_executor(None, || ()).unwrap().detach();
            drop(event_loop.run_in_executor(None, || ()).unwrap()); // Cancelled: not reported.
            gate_.wait_for(1);
            let error = event_loop.shutdown_default_executor(0).await.unwrap_err();
            assert_eq!(error.jobs()[0].location().line(), line);
            error
        })
        .unwrap();
    let names: Vec<_> = error.jobs().iter().map(UnfinishedJob::thread).collect();
    assert_eq!(names, [Some("disk_0"), None]);
    assert!(error.to_string().contains("tests/shutdown.rs"));
    gate.open();
}

#[test]
fn a_runner_joins_the_default_executor_after_the_last_task() {
    let is_done = Arc::new(AtomicBool::new(false));
    let gate = Gate::default();
    let (is_done_, gate_) = (is_done.clone(), gate.clone());
    struct Opens(Gate);
    impl Drop for Opens {
        fn drop(&mut self) {
            self.0.open();
        }
    }
    run(async move {
        let opens = Opens(gate_.clone());
        create_task(async move {
            let _opens = opens; // When it is cancelled.
            std::future::pending::<()>().await;
        });
        let job = move || {
            gate_.pass();
            is_done_.store(true, Ordering::SeqCst);
        };
        get_running_loop().run_in_executor(None, job).unwrap().detach();
    });
    assert!(is_done.load(Ordering::SeqCst));
}

/// An executor that is never over, and lets all the time of its runner pass.
struct Endless(VirtualClock);

impl Executor for Endless {
    fn submit(&self, job: Job) -> Result<(), RejectedJob> {
        Err(RejectedJob::new(job))
    }

    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let clock = self.0.clone();
        Box::pin(std::future::poll_fn(move |_| {
            clock.advance(Duration::from_secs(300));
            Poll::Pending
        }))
    }
}

// sem. 273
#[test]
fn a_runner_waits_for_300_seconds_and_reports_what_it_abandons() {
    let clock = VirtualClock::new();
    let builder = EventLoop::builder().driver(Box::new(ScriptedDriver::new(&clock)));
    let mut runner = Runner::builder().loop_builder(builder).build().unwrap();
    let event_loop = runner.get_loop().unwrap();
    let reports = Rc::new(RefCell::new(Vec::new()));
    let reports_ = reports.clone();
    event_loop.set_exception_handler(move |_, report| {
        reports_.borrow_mut().push((report.message().to_owned(), report.error().unwrap().to_string()));
    });
    event_loop.set_default_executor(Endless(clock));
    runner.run(async { assert!(get_running_loop().run_in_executor(None, || ()).is_err()) }).unwrap();
    runner.close();
    let told = ("the default executor was abandoned", "the executor did not finish in time");
    assert_eq!(*reports.borrow(), [(told.0.to_owned(), told.1.to_owned())]);
    assert_eq!(event_loop.time(), 300.0);
}

#[test]
fn closing_a_loop_shuts_its_executor_down_without_waiting() {
    let event_loop = new_event_loop().unwrap();
    let gate = Gate::default();
    let gate_ = gate.clone();
    let pool = ThreadPoolExecutor::new(1);
    event_loop.set_default_executor(pool.clone());
    let job = event_loop.run_in_executor(None, move || gate_.pass()).unwrap();
    gate.wait_for(1);
    event_loop.close().unwrap();
    assert!(pool.submit(|| ()).is_err());
    let refused: Result<_, ExecutorShutDown> = event_loop.run_in_executor(None, || ());
    assert!(refused.is_err());
    assert!(!job.done());
    gate.open();
}
