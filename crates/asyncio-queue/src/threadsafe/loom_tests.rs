//! Models of the queues between threads: every interleaving of a few threads, with waits that are given up at any moment.
//! `event-listener` and `concurrent-queue` are part of the model.

use super::core::Core;
use super::storage::{SharedFifo, SharedLifo, SharedStorage};
use crate::error::GetError;
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

/// Items come through, in order, over one place: whoever has to wait is woken. (If not, loom reports a deadlock.)
fn every_item_comes_through<S: SharedStorage<Item = u32> + Send + Sync + 'static>() {
    model(|| {
        let core = Arc::new(Core::<S>::new(1));
        let putting = core.clone();
        let putter = thread::spawn(move || {
            for n in 0..2 {
                putting.put_blocking(n, None).unwrap();
            }
        });
        for n in 0..2 {
            assert_eq!(core.get_blocking(None), Ok(n));
        }
        putter.join().unwrap();
        assert!(core.empty());
    });
}

#[test]
fn every_item_comes_through_without_a_lock() {
    every_item_comes_through::<SharedFifo<u32>>();
}

#[test]
fn every_item_comes_through_under_a_lock() {
    every_item_comes_through::<SharedLifo<u32>>();
}

/// A getter that is woken, or is about to be, gives up: the item is another getter's.
#[test]
fn an_item_for_a_getter_that_leaves_is_the_next_ones() {
    model(|| {
        let core = Arc::new(Core::<SharedLifo<u32>>::new(0));
        let mut leaving = Box::pin(core.get());
        assert!(poll(leaving.as_mut()).is_none());
        let (putting, getting) = (core.clone(), core.clone());
        let putter = thread::spawn(move || putting.put_nowait(7).unwrap());
        let getter = thread::spawn(move || getting.get_blocking(None));
        drop(leaving);
        assert_eq!(getter.join().unwrap(), Ok(7));
        putter.join().unwrap();
    });
}

/// A putter that is woken, or is about to be, gives up: the room is another putter's.
#[test]
fn room_for_a_putter_that_leaves_is_the_next_ones() {
    model(|| {
        let core = Arc::new(Core::<SharedLifo<u32>>::new(1));
        core.put_nowait(1).unwrap();
        let mut leaving = Box::pin(core.put(2));
        assert!(poll(leaving.as_mut()).is_none());
        let (putting, getting) = (core.clone(), core.clone());
        let getter = thread::spawn(move || getting.get_nowait());
        let putter = thread::spawn(move || putting.put_blocking(3, None));
        drop(leaving);
        assert_eq!((getter.join().unwrap(), putter.join().unwrap()), (Ok(1), Ok(())));
        assert_eq!(core.get_nowait(), Ok(3));
    });
}

/// Shutting down ends every wait, and what was put before is either taken or left: never both, never neither.
#[test]
fn a_shutdown_ends_every_wait_and_loses_nothing() {
    model(|| {
        let core = Arc::new(Core::<SharedFifo<u32>>::new(0));
        let (putting, getting) = (core.clone(), core.clone());
        let getter = thread::spawn(move || getting.get_blocking(None));
        let putter = thread::spawn(move || putting.put_nowait(1).is_ok());
        core.shutdown(false);
        let (is_put, got) = (putter.join().unwrap(), getter.join().unwrap());
        let taken = usize::from(got.is_ok()) + usize::from(core.get_nowait().is_ok());
        assert_eq!(taken, usize::from(is_put));
        assert!(matches!(core.get_nowait(), Err(GetError::ShutDown(_))));
        assert_eq!(core.statistics().unfinished_tasks, taken);
    });
}

/// An immediate one drops what is there, counts it as done, and lets those go on who wait for that.
#[test]
fn an_immediate_shutdown_ends_the_work_too() {
    model(|| {
        let core = Arc::new(Core::<SharedLifo<u32>>::new(0));
        core.put_nowait(1).unwrap();
        let shutting = core.clone();
        let other = thread::spawn(move || shutting.shutdown(true));
        core.join_blocking();
        assert_eq!(core.statistics().unfinished_tasks, 0);
        other.join().unwrap();
    });
}

/// Whoever waits for the work to be done learns it, however late the last "done" comes.
#[test]
fn joining_ends_with_the_last_done() {
    model(|| {
        let core = Arc::new(Core::<SharedLifo<u32>>::new(0));
        core.put_nowait(1).unwrap();
        core.put_nowait(2).unwrap();
        let working = core.clone();
        let worker = thread::spawn(move || {
            working.get_nowait().unwrap();
            working.task_done().unwrap();
        });
        core.get_nowait().unwrap();
        core.task_done().unwrap();
        core.join_blocking();
        worker.join().unwrap();
        assert!(core.task_done().is_err());
    });
}
