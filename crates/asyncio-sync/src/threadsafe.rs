//! Primitives that several threads use at once: the tasks of their loops by `.await`, and plain threads by blocking.
//!
//! The names, the order and the promises are those of the types at the crate's root, so a program changes its imports when a
//! thread joins in. What differs is the price: atomic operations and a short lock, one allocation for each wait, and the
//! mutual visibility that threads need: what happened before a `set` or a `release` is seen by whoever it wakes.
//!
//! ```
//! use asyncio_sync::threadsafe::Event;
//! use std::sync::Arc;
//!
//! let ready = Arc::new(Event::new());
//! let thread = std::thread::Builder::new().spawn({
//!     let ready = ready.clone();
//!     move || ready.set()
//! })?;
//! asyncio_tasks::run(async move { ready.wait().await });
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
//! None: its primitives are not thread-safe. `threading` has the ones that block; here it is one object for both sides.

mod event;
mod semaphore;
mod wait_queue;

#[cfg(all(test, asyncio_loom))]
mod loom_tests;

pub use event::{Event, EventWait};
pub use semaphore::{Semaphore, SemaphoreAcquire, SemaphorePermit};
pub use wait_queue::{Wait, WaitQueue};
