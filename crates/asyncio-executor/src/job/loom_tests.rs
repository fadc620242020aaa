//! Models of the two ends of a job: however running, waiting, cancelling and dropping interleave, the work is done at most once
//! and whoever waits is told.

use super::{Job, JobHandle};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::pin::Pin;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Wake, Waker};

/// Whether anybody was woken. Of std: it is no part of the model, and is looked at when all threads have ended.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

fn poll<T>(handle: &mut JobHandle<T>, waker: &Waker) -> Poll<Result<T, asyncio_tasks::CancelledError>> {
    Pin::new(handle).poll(&mut Context::from_waker(waker))
}

/// A job that counts how often it ran.
fn counted(runs: &Arc<AtomicUsize>) -> (Job, JobHandle<u32>) {
    let runs = runs.clone();
    Job::new(move || {
        runs.fetch_add(1, Ordering::SeqCst);
        7
    })
}

#[test]
fn whoever_waits_is_woken_or_finds_the_result() {
    loom::model(|| {
        let runs = Arc::new(AtomicUsize::new(0));
        let (job, mut handle) = counted(&runs);
        let flag = std::sync::Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(flag.clone());
        let thread = thread::spawn(move || job.run());
        let first = poll(&mut handle, &waker);
        thread.join().unwrap();
        if first.is_pending() {
            assert!(flag.0.load(std::sync::atomic::Ordering::SeqCst));
            assert_eq!(poll(&mut handle, &waker), Poll::Ready(Ok(7)));
        } else {
            assert_eq!(first, Poll::Ready(Ok(7)));
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_cancellation_is_believed_by_both_ends() {
    loom::model(|| {
        let runs = Arc::new(AtomicUsize::new(0));
        let (job, mut handle) = counted(&runs);
        let thread = thread::spawn(move || job.run());
        let is_cancelled = handle.cancel();
        thread.join().unwrap();
        let Poll::Ready(outcome) = poll(&mut handle, Waker::noop()) else { panic!("it is over") };
        assert_eq!((outcome.is_err(), handle.cancelled()), (is_cancelled, is_cancelled));
        assert!(runs.load(Ordering::SeqCst) <= 1);
    });
}

#[test]
fn a_job_that_its_executor_drops_tells_whoever_waits() {
    loom::model(|| {
        let runs = Arc::new(AtomicUsize::new(0));
        let (job, mut handle) = counted(&runs);
        let flag = std::sync::Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(flag.clone());
        let thread = thread::spawn(move || drop(job));
        let first = poll(&mut handle, &waker);
        thread.join().unwrap();
        assert!(first.is_ready() || flag.0.load(std::sync::atomic::Ordering::SeqCst));
        assert!(first.is_ready() || matches!(poll(&mut handle, &waker), Poll::Ready(Err(_))));
        assert_eq!(runs.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_result_that_nobody_wants_is_dropped_once() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let held = Counted(drops.clone());
        // Moved through the job: it is in the closure, or in the result.
        let (job, handle) = Job::new(move || held);
        let thread = thread::spawn(move || job.run());
        drop(handle);
        thread.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    });
}
