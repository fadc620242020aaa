//! Queues: back-pressure, three orders, and an end that nobody has to announce.

use crate::{Done, say};
use asyncio::{LifoQueue, PriorityQueue, Queue, create_task};
use std::io;
use std::rc::Rc;

const ITEMS: usize = 100_000;
const PLACES: usize = 16;
const WORKERS: usize = 4;

pub(crate) fn tour() -> io::Result<Done> {
    asyncio::run(async {
        halves().await;
        workers().await;
        orders().await;
        Ok(Done::new(2 * ITEMS, "items through queues, each once"))
    })
}

/// One producer, one consumer. The queue ends when the last sender is gone.
async fn halves() {
    let event_loop = asyncio::get_running_loop();
    let (sender, mut receiver) = Queue::new(PLACES).split();
    let begin = event_loop.time();
    let producer = create_task(async move {
        for n in 0..ITEMS {
            sender.put(n).await.expect("somebody receives");
            assert!(sender.statistics().qsize <= PLACES, "more items than places");
        }
    });
    let mut next = 0;
    while let Some(n) = receiver.next().await {
        assert_eq!(n, next, "out of order");
        next += 1;
    }
    assert_eq!((next, producer.await), (ITEMS, Ok(())), "an item was lost");
    let nanos = (event_loop.time() - begin) * 1e9 / ITEMS as f64;
    say(format_args!("{ITEMS} items through {PLACES} places, in order, until the sender was gone: {nanos:.0} ns each"));
}

/// Several workers on one queue; `join` waits until all is done.
async fn workers() {
    let queue = Rc::new(Queue::new(PLACES));
    let worker = || {
        let queue = queue.clone();
        create_task(async move {
            let mut sum = 0;
            while let Ok(n) = queue.get().await {
                sum += n;
                queue.task_done();
            }
            sum
        })
    };
    let workers = [(); WORKERS].map(|()| worker());
    for n in 0..ITEMS {
        queue.put(n).await.expect("it is open");
    }
    queue.join().await;
    assert!(queue.empty(), "`join` came too early");
    queue.shutdown(false);
    let mut sum = 0;
    for worker in workers {
        sum += worker.await.expect("nobody cancels it");
    }
    assert_eq!(sum, (0..ITEMS).sum(), "an item was lost, or was there twice");
    say(format_args!("{WORKERS} workers shared {ITEMS} items, and went home after the shutdown"));
}

/// First in, first out; the newest first; the smallest first.
async fn orders() {
    let (fifo, lifo, priority) = (Queue::new(0), LifoQueue::new(0), PriorityQueue::new(0));
    for n in [2, 3, 1] {
        fifo.put(n).await.expect("it is open");
        lifo.put(n).await.expect("it is open");
        priority.put(n).await.expect("it is open");
    }
    let first = [(); 3].map(|()| fifo.get_nowait().expect("an item"));
    let newest = [(); 3].map(|()| lifo.get_nowait().expect("an item"));
    let smallest = [(); 3].map(|()| priority.get_nowait().expect("an item"));
    assert_eq!([first, newest, smallest], [[2, 3, 1], [1, 3, 2], [1, 2, 3]]);
    say(format_args!("first in first out {first:?}, newest first {newest:?}, smallest first {smallest:?}"));
}
