//! Queues of several threads: the same tests as for those of one, and what only threads can do.

#[path = "suite/queue.rs"]
mod queue;
#[path = "support/run.rs"]
mod support;

use asyncio_queue::threadsafe::{LifoQueue, PriorityQueue, Queue};
use asyncio_queue::{GetError, PutError, QueueEmpty, QueueFull, QueueShutDown};
use asyncio_tasks::{create_task, yield_now};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use support::run;

/// T12: one queue is used by two loops and by plain threads at once, by putters and getters of each kind; some gets are
/// cancelled at any moment, woken or not. Every item arrives once.
#[test]
fn one_queue_is_used_from_loops_and_threads_at_once() {
    const EACH: u32 = 2_000;
    for maxsize in [1, 7, 0] {
        let queue = Arc::new(Queue::new(maxsize));
        let got = thread::scope(|scope| {
            let putters = [
                scope.spawn(|| (0..EACH).for_each(|n| queue.put_blocking(n).unwrap())),
                scope.spawn(|| {
                    let queue = queue.clone();
                    asyncio_tasks::run(async move {
                        for n in EACH..2 * EACH {
                            queue.put(n).await.unwrap();
                        }
                    });
                }),
            ];
            let by_blocking = scope.spawn(|| {
                let mut got = Vec::new();
                while let Ok(item) = queue.get_blocking() {
                    got.push(item);
                    queue.task_done();
                }
                got
            });
            let by_awaiting = scope.spawn(|| {
                let queue = queue.clone();
                asyncio_tasks::run(get_and_cancel(queue))
            });
            putters.into_iter().for_each(|putter| putter.join().unwrap());
            queue.join_blocking();
            queue.shutdown(false);
            let mut got = by_blocking.join().unwrap();
            got.extend(by_awaiting.join().unwrap());
            got
        });
        assert_eq!(got.len(), 2 * EACH as usize, "none comes twice");
        assert_eq!(got.into_iter().collect::<BTreeSet<_>>().len(), 2 * EACH as usize, "none is lost");
        let end = queue.statistics();
        assert_eq!((end.qsize, end.unfinished_tasks, end.tasks_waiting_get, end.tasks_waiting_put), (0, 0, 0, 0));
        assert!(maxsize == 0 || end.peak_size <= maxsize, "{end:?}");
    }
}

/// Gets until the end, and cancels every third get a little later, whatever has become of it.
async fn get_and_cancel(queue: Arc<Queue<u32>>) -> Vec<u32> {
    let mut got = Vec::new();
    for round in 0.. {
        let getting = queue.clone();
        let task = create_task(async move { getting.get().await });
        yield_now().await;
        if round % 3 == 0 {
            task.cancel();
        }
        match task.await {
            Ok(Ok(item)) => {
                got.push(item);
                queue.task_done();
            }
            Ok(Err(QueueShutDown(()))) => break,
            Err(_) => {}
        }
    }
    got
}

#[test]
fn each_thread_finds_its_own_items_in_order() {
    let queue = Queue::new(3);
    thread::scope(|scope| {
        for putter in 0..3 {
            let queue = &queue;
            scope.spawn(move || (0..1000).for_each(|n| queue.put_blocking((putter, n)).unwrap()));
        }
        let mut next = [0; 3];
        for _ in 0..3000 {
            let (putter, n): (usize, u32) = queue.get_blocking().unwrap();
            assert_eq!(n, next[putter]);
            next[putter] += 1;
        }
    });
}

#[test]
fn stacks_and_heaps_lose_nothing_either() {
    let (stack, heap) = (LifoQueue::new(4), PriorityQueue::new(4));
    thread::scope(|scope| {
        scope.spawn(|| (0..1000).for_each(|n| stack.put_blocking(n).unwrap()));
        scope.spawn(|| (0..1000).for_each(|n| heap.put_blocking(n).unwrap()));
        let sums =
            (0..1000).fold((0, 0), |(a, b), _| (a + stack.get_blocking().unwrap(), b + heap.get_blocking().unwrap()));
        assert_eq!(sums, (499_500, 499_500));
    });
    assert_eq!((stack.statistics().unfinished_tasks, heap.statistics().peak_size <= 4), (1000, true));
}

#[test]
fn a_thread_waits_no_longer_than_it_wants() {
    let queue = Queue::new(1);
    assert_eq!(queue.get_blocking_timeout(0.001), Err(GetError::from(QueueEmpty::default())));
    assert_eq!(queue.put_blocking_timeout(1, 0), Ok(()));
    assert_eq!(queue.put_blocking_timeout(2, 0.001), Err(PutError::Full(QueueFull(2))));
    assert_eq!((queue.qsize(), queue.statistics().tasks_waiting_put, queue.statistics().tasks_waiting_get), (1, 0, 0));
    queue.shutdown(false);
    assert_eq!(queue.put_blocking_timeout(3, 1), Err(PutError::ShutDown(QueueShutDown(3))));
    assert_eq!((queue.get_blocking_timeout(1), queue.get_blocking()), (Ok(1), Err(QueueShutDown(()))));
}

#[test]
fn a_shutdown_ends_the_waiting_of_threads() {
    let (empty, full) = (Queue::<u32>::new(0), Queue::new(1));
    full.put_nowait(1).unwrap();
    thread::scope(|scope| {
        let getter = scope.spawn(|| empty.get_blocking());
        let putter = scope.spawn(|| full.put_blocking(2));
        let joiner = scope.spawn(|| full.join_blocking());
        empty.shutdown(false);
        full.shutdown(true);
        assert_eq!(getter.join().unwrap(), Err(QueueShutDown(())));
        assert_eq!(putter.join().unwrap(), Err(QueueShutDown(2)));
        joiner.join().unwrap();
    });
}

#[test]
fn a_task_does_not_block_its_loop() {
    run(async {
        let queue = Queue::new(1);
        let message = "a task must not block its loop: await instead, or block in `to_thread`";
        let blocked = catch_unwind(AssertUnwindSafe(|| queue.get_blocking()));
        assert_eq!(*blocked.unwrap_err().downcast::<&str>().unwrap(), message);
        assert_eq!((queue.put_blocking(1), queue.get_blocking()), (Ok(()), Ok(1)), "there is nothing to wait for");
    });
}
