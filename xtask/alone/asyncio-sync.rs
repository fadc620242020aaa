//! Uses asyncio-sync and nothing else, under an executor of its own: a lock that is handed over.

use asyncio_sync::Lock;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

fn main() {
    let lock = Lock::new(1);
    let cx = &mut Context::from_waker(Waker::noop());
    let first = lock.try_acquire().expect("nobody has it");
    let mut second = pin!(lock.acquire());
    assert!(second.as_mut().poll(cx).is_pending());
    drop(first);
    let Poll::Ready(mut guard) = second.as_mut().poll(cx) else { panic!("it was handed over") };
    *guard += 1;
    println!("handed over: {guard:?}");
}
