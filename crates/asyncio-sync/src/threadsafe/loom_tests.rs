//! Models of the thread-safe primitives: every interleaving of a few threads, with waits that are given up at any moment.
//! `event-listener` is part of the model.

use super::{Event, Semaphore};
use loom::sync::Arc;
use loom::thread;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Interleavings with so many switches that no thread asked for.
fn model(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(check);
}

fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// However a `set` and the beginning of a wait interleave, the wait ends. (If it did not, loom would report a deadlock.)
#[test]
fn a_set_is_seen_or_wakes() {
    model(|| {
        let event = Arc::new(Event::new());
        let setting = event.clone();
        let setter = thread::spawn(move || setting.set());
        event.wait_blocking();
        assert!(event.is_set());
        setter.join().unwrap();
    });
}

/// A `set` that is taken back at once still wakes those who had begun to wait before, and nobody else's wait ends by it.
#[test]
fn a_set_that_is_cleared_wakes_who_waits_already() {
    model(|| {
        let event = Arc::new(Event::new());
        let waiting = event.clone();
        let mut wait = Box::pin(event.wait());
        assert!(poll(wait.as_mut()).is_none());
        let setter = thread::spawn(move || {
            waiting.set();
            waiting.clear();
            let mut late = Box::pin(waiting.wait());
            assert!(poll(late.as_mut()).is_none());
            late.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
        });
        drop(wait);
        assert!(setter.join().unwrap());
    });
}

/// Two threads and one permit: never both, and each gets it.
#[test]
fn a_permit_is_in_one_place() {
    model(|| {
        let shared = Arc::new((Semaphore::new(1), loom::sync::atomic::AtomicUsize::new(0)));
        let work = |(semaphore, running): &(Semaphore, loom::sync::atomic::AtomicUsize)| {
            let permit = semaphore.acquire_blocking();
            assert_eq!(running.fetch_add(1, loom::sync::atomic::Ordering::SeqCst), 0);
            running.fetch_sub(1, loom::sync::atomic::Ordering::SeqCst);
            drop(permit);
        };
        let theirs = shared.clone();
        let other = thread::spawn(move || work(&theirs));
        work(&shared);
        other.join().unwrap();
        assert_eq!(shared.0.statistics().value, 1);
    });
}

/// A wait is given up while a permit is on its way to it: the permit is the next one's, or nobody's, and never lost.
#[test]
fn a_permit_that_comes_too_late_goes_on() {
    model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let (releasing, waiting) = (semaphore.clone(), semaphore.clone());
        let mut first = Box::pin(semaphore.acquire());
        assert!(poll(first.as_mut()).is_none());
        let releaser = thread::spawn(move || releasing.release());
        let waiter = thread::spawn(move || waiting.acquire_blocking().forget());
        drop(first);
        releaser.join().unwrap();
        waiter.join().unwrap();
        assert_eq!((semaphore.statistics().value, semaphore.statistics().tasks_waiting), (0, 0));
    });
}
