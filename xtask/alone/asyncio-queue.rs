//! Uses asyncio-queue and nothing else, under an executor of its own: a consumer that waits for an item; and between threads.

use asyncio_queue::{PriorityQueue, threadsafe};
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

    let shared = threadsafe::Queue::new(1);
    std::thread::scope(|scope| {
        scope.spawn(|| (1..=3).for_each(|n| shared.put_blocking(n).expect("nobody shuts it down")));
        assert_eq!([(); 3].map(|()| shared.get_blocking()), [Ok(1), Ok(2), Ok(3)]);
    });
}
