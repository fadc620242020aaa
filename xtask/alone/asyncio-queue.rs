//! Uses asyncio-queue and nothing else, under an executor of its own: a consumer that waits for an item.

use asyncio_queue::PriorityQueue;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

fn main() {
    let queue = PriorityQueue::new(0);
    let cx = &mut Context::from_waker(Waker::noop());
    let mut get = pin!(queue.get());
    assert!(get.as_mut().poll(cx).is_pending());
    for n in [3, 1, 2] {
        queue.put_nowait(n).expect("there is no bound");
    }
    assert_eq!(get.as_mut().poll(cx), Poll::Ready(Ok(1)));
    println!("got the smallest of {} items", queue.qsize() + 1);
}
