//! The two ends of a queue.

#[path = "support/run.rs"]
mod support;

use asyncio_queue::{Queue, QueueShutDown, Receiver};
use asyncio_tasks::create_task;
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use support::{Log, run, settle};

#[test]
fn the_end_comes_when_the_last_sender_is_gone_and_the_rest_was_taken() {
    run(async {
        let (sender, mut receiver) = Queue::new(0).split();
        let other = sender.clone();
        sender.put(1).await.unwrap();
        drop(sender);
        other.put_nowait(2).unwrap();
        drop(other);
        assert_eq!((receiver.next().await, receiver.next().await, receiver.next().await), (Some(1), Some(2), None));
        assert_eq!(receiver.get().await, Err(QueueShutDown(())));
    });
}

#[test]
fn a_receiver_that_waits_is_woken_by_the_end() {
    run(async {
        let (sender, mut receiver) = Queue::<u32>::new(0).split();
        let task = create_task(async move { receiver.next().await });
        settle().await;
        drop(sender);
        assert_eq!(task.await, Ok(None));
    });
}

#[test]
fn without_receivers_items_come_back_and_what_is_left_is_dropped() {
    run(async {
        let (sender, receiver) = Queue::new(1).split();
        let item = Rc::new(5);
        sender.put(item.clone()).await.unwrap();
        let blocked = sender.clone();
        let task = create_task(async move { blocked.put(Rc::new(6)).await });
        settle().await;
        drop(receiver.clone());
        assert!(!sender.is_shut_down());
        drop(receiver);
        assert_eq!(task.await.unwrap(), Err(QueueShutDown(Rc::new(6))));
        assert!(sender.put_nowait(item.clone()).is_err());
        assert_eq!(Rc::strong_count(&item), 1);
        sender.join().await; // What was dropped counts as done.
    });
}

/// Polls the stream once.
async fn poll(receiver: &mut Receiver<u32>) -> Poll<Option<u32>> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *receiver).poll_next(cx))).await
}

#[test]
fn a_stream_that_is_let_be_keeps_no_item_from_the_others() {
    run(async {
        let (sender, mut idle) = Queue::new(0).split();
        let [first, second] = [idle.clone(), idle.clone()];
        let mut also_idle = idle.clone();
        for stream in [&mut idle, &mut also_idle] {
            assert!(poll(stream).await.is_pending());
        }
        let tasks = [first, second].map(|receiver| create_task(async move { receiver.get().await }));
        settle().await;
        sender.put_nowait(7).unwrap();
        settle().await;
        sender.put_nowait(8).unwrap();
        settle().await;
        assert!(tasks.iter().all(|task| task.done()));
        // A stream that is polled again has its turn, and one that is dropped is no longer counted.
        sender.put_nowait(9).unwrap();
        drop(also_idle);
        assert_eq!(poll(&mut idle).await, Poll::Ready(Some(9)));
        assert_eq!(sender.statistics().tasks_waiting_get, 0);
    });
}

#[test]
fn a_stream_that_is_let_be_may_also_be_woken_last() {
    run(async {
        let (sender, mut idle) = Queue::new(0).split();
        let other = idle.clone();
        let woken = idle.clone();
        let leaves = create_task(async move { woken.get().await });
        settle().await;
        assert!(poll(&mut idle).await.is_pending());
        let stays = create_task(async move { other.get().await });
        settle().await;
        sender.put_nowait(7).unwrap();
        leaves.cancel(); // It was woken: its wake-up goes on, past the stream.
        settle().await;
        assert_eq!(stays.await, Ok(Ok(7)));
    });
}

#[test]
fn receivers_compete_and_the_work_is_joined() {
    run(async {
        let (sender, receiver) = Queue::new(2).split();
        let log = Log::new();
        let workers: Vec<_> = (0..3)
            .map(|_| {
                let (mut receiver, log) = (receiver.clone(), log.clone());
                create_task(async move {
                    while let Some(item) = receiver.next().await {
                        log.push(item);
                        receiver.task_done();
                    }
                })
            })
            .collect();
        drop(receiver);
        for n in 0..6 {
            sender.put(n).await.unwrap();
        }
        sender.join().await;
        log.assert([0, 1, 2, 3, 4, 5]);
        assert_eq!(sender.statistics().tasks_waiting_get, 3);
        drop(sender);
        for worker in workers {
            worker.await.unwrap();
        }
    });
}

#[test]
fn a_receiver_is_a_stream() {
    let (sender, mut receiver) = Queue::new(0).split();
    let cx = &mut Context::from_waker(Waker::noop());
    assert_eq!(Pin::new(&mut receiver).poll_next(cx), Poll::Pending);
    sender.put_nowait(1).unwrap();
    sender.put_nowait(2).unwrap();
    assert_eq!(receiver.size_hint(), (2, None));
    drop(sender);
    for expected in [Some(1), Some(2), None, None] {
        assert_eq!(Pin::new(&mut receiver).poll_next(cx), Poll::Ready(expected));
    }
}

#[test]
fn a_stream_that_is_dropped_passes_its_wake_up_on() {
    run(async {
        let (sender, mut receiver) = Queue::new(0).split();
        let other = receiver.clone();
        assert!(Pin::new(&mut receiver).poll_next(&mut Context::from_waker(Waker::noop())).is_pending());
        let task = create_task(async move { other.get().await });
        settle().await;
        sender.put_nowait(7).unwrap();
        drop(receiver);
        assert_eq!(task.await, Ok(Ok(7)));
    });
}

#[test]
fn both_ends_report_how_full_it_was_at_most() {
    let (sender, receiver) = Queue::new(4).split();
    (0..3).for_each(|n| sender.put_nowait(n).unwrap());
    assert_eq!((receiver.get_nowait(), receiver.get_nowait()), (Ok(0), Ok(1)));
    sender.put_nowait(3).unwrap();
    let (there, here) = (sender.statistics(), receiver.statistics());
    assert_eq!(there, here);
    assert_eq!((here.qsize, here.peak_size, here.maxsize, here.unfinished_tasks), (2, 3, 4, 4));
}
