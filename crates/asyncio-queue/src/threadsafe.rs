//! Queues that several threads use at once: the tasks of their loops by `.await`, and plain threads by blocking.
//!
//! The names, the order and the promises are those of the queues at the crate's root, so a program changes its imports when a
//! thread joins in. Where getters or putters of several threads run at the same moment, which of them is first is up to
//! the threads.
//!
//! ```
//! use asyncio_queue::threadsafe::Queue;
//! use std::sync::Arc;
//!
//! let queue = Arc::new(Queue::new(2));
//! let thread = std::thread::Builder::new().spawn({
//!     let queue = queue.clone();
//!     move || {
//!         (1..=4).for_each(|n| queue.put_blocking(n).unwrap());
//!         queue.shutdown(false);
//!     }
//! })?;
//! let sum = asyncio_tasks::run(async move {
//!     let mut sum = 0;
//!     while let Ok(n) = queue.get().await {
//!         sum += n;
//!     }
//!     sum
//! });
//! assert_eq!(sum, 10);
//! thread.join().unwrap();
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Blocking
//!
//! What ends in `_blocking` is for threads without a loop: plain ones, or those of an executor. In a task it would stop the loop, and
//! with it whoever could end the wait, so it panics there if it has to wait.
//!
//! # asyncio
//!
//! None: its queues are not thread-safe. `queue.Queue` is what blocks; here it is one object for both sides.

mod attempts;
mod core;
mod queue;
mod storage;

#[cfg(all(test, asyncio_loom))]
mod loom_tests;

pub use queue::{LifoQueue, PriorityQueue, Queue};
