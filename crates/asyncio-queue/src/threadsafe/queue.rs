//! `Queue`, `LifoQueue`, `PriorityQueue`: three shells around one core. They differ in the order of the items only.

use super::core::Core;
use super::storage::{SharedFifo, SharedHeap, SharedLifo};
use crate::error::{GetError, PutError, QueueShutDown, TaskDoneError};
use crate::statistics::QueueStatistics;
use asyncio_loop::IntoDelay;
use asyncio_sync::threadsafe::Wait;
use std::fmt;
use std::future::Future;

macro_rules! queues {
    ($($(#[$meta:meta])* $name:ident [$($bound:tt)*] $storage:ident;)*) => {
        $(queues!(@one $(#[$meta])* $name [$($bound)*] $storage);)*
    };
    (@one $(#[$meta:meta])* $name:ident [$($bound:tt)*] $storage:ident) => {
        $(#[$meta])*
        pub struct $name<T $($bound)*> {
            core: Core<$storage<T>>,
        }

        impl<T $($bound)*> $name<T> {
            /// An empty queue for at most `maxsize` items; 0 means without a bound.
            ///
            /// # asyncio
            ///
            /// Same; a negative number, which means 0 there, does not compile.
            #[must_use]
            pub fn new(maxsize: usize) -> Self {
                Self { core: Core::new(maxsize) }
            }

            /// Puts an item; waits while the queue is full.
            ///
            /// Takes the room if there is any, also if others wait for some: they have been woken, and look again.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe. A dropped `put` has put nothing, and its item is dropped with it; if it had been woken, the next one is.
            ///
            /// # Errors
            ///
            /// If the queue is shut down, before or during the wait. The item comes back.
            ///
            /// # asyncio
            ///
            /// `Queue.put`. Same.
            pub fn put(&self, item: T) -> impl Future<Output = Result<(), QueueShutDown<T>>> + Unpin {
                self.core.put(item)
            }

            /// Puts an item, if there is room.
            ///
            /// # Errors
            ///
            /// If the queue is shut down, or else if it is full. The item comes back.
            ///
            /// # asyncio
            ///
            /// `Queue.put_nowait`. Same, from any thread.
            pub fn put_nowait(&self, item: T) -> Result<(), PutError<T>> {
                self.core.put_nowait(item)
            }

            /// Puts an item; blocks this thread while the queue is full.
            ///
            /// # Errors
            ///
            /// If the queue is shut down, before or during the wait. The item comes back.
            ///
            /// # Panics
            ///
            /// If it has to wait, in a task.
            ///
            /// # asyncio
            ///
            /// `queue.Queue.put`. Same.
            #[track_caller]
            pub fn put_blocking(&self, item: T) -> Result<(), QueueShutDown<T>> {
                self.core.put_blocking(item, None).map_err(|error| QueueShutDown(error.into_inner()))
            }

            /// As [`put_blocking`](Self::put_blocking), for at most `timeout`.
            ///
            /// # Errors
            ///
            /// If the queue is shut down, or still full when the time is over. The item comes back.
            ///
            /// # Panics
            ///
            /// If it has to wait, in a task; or if `timeout` is NaN.
            ///
            /// # asyncio
            ///
            /// `queue.Queue.put(timeout)`. Same.
            #[track_caller]
            pub fn put_blocking_timeout(&self, item: T, timeout: impl IntoDelay) -> Result<(), PutError<T>> {
                self.core.put_blocking(item, Some(Wait::deadline(timeout)))
            }

            /// Takes the next item; waits while the queue is empty.
            ///
            /// Takes one at once if there is any, also if others wait for one: they have been woken, and look again.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: an item leaves the queue in the very poll that returns it. If a dropped `get` had been woken, the next one
            /// is.
            ///
            /// # Errors
            ///
            /// If the queue is shut down and nothing is left in it.
            ///
            /// # asyncio
            ///
            /// `Queue.get`. Same.
            pub fn get(&self) -> impl Future<Output = Result<T, QueueShutDown>> + Unpin {
                self.core.get()
            }

            /// Takes the next item, if there is one.
            ///
            /// # Errors
            ///
            /// If the queue is empty.
            ///
            /// # asyncio
            ///
            /// `Queue.get_nowait`. Same, from any thread.
            pub fn get_nowait(&self) -> Result<T, GetError> {
                self.core.get_nowait()
            }

            /// Takes the next item; blocks this thread while the queue is empty.
            ///
            /// # Errors
            ///
            /// If the queue is shut down and nothing is left in it.
            ///
            /// # Panics
            ///
            /// If it has to wait, in a task.
            ///
            /// # asyncio
            ///
            /// `queue.Queue.get`. Same.
            #[track_caller]
            pub fn get_blocking(&self) -> Result<T, QueueShutDown> {
                self.core.get_blocking(None).map_err(|_| QueueShutDown(()))
            }

            /// As [`get_blocking`](Self::get_blocking), for at most `timeout`.
            ///
            /// # Errors
            ///
            /// If the queue is still empty when the time is over, or shut down with nothing left in it.
            ///
            /// # Panics
            ///
            /// If it has to wait, in a task; or if `timeout` is NaN.
            ///
            /// # asyncio
            ///
            /// `queue.Queue.get(timeout)`. Same.
            #[track_caller]
            pub fn get_blocking_timeout(&self, timeout: impl IntoDelay) -> Result<T, GetError> {
                self.core.get_blocking(Some(Wait::deadline(timeout)))
            }

            /// Takes the next item as `get` does, and then as many more as are there, up to `limit` in all. Appends them to `items` and
            /// says how many they are.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: all items leave the queue in the poll that appends them.
            ///
            /// # Errors
            ///
            /// If the queue is shut down and nothing is left in it.
            ///
            /// # asyncio
            ///
            /// No counterpart.
            pub async fn get_many(&self, items: &mut Vec<T>, limit: usize) -> Result<usize, QueueShutDown> {
                self.core.get_many(items, limit).await
            }

            /// Says that the work on an item that was taken is done: [`join`](Self::join) waits for that.
            ///
            /// # Panics
            ///
            /// If it is called more often than items were put; see [`try_task_done`](Self::try_task_done).
            ///
            /// # asyncio
            ///
            /// `Queue.task_done`. Same; `ValueError` is a panic.
            #[track_caller]
            pub fn task_done(&self) {
                if let Err(error) = self.try_task_done() {
                    panic!("{error}");
                }
            }

            /// As [`task_done`](Self::task_done), for callers who do not know whether there is anything unfinished.
            ///
            /// # Errors
            ///
            /// If it is called more often than items were put.
            pub fn try_task_done(&self) -> Result<(), TaskDoneError> {
                self.core.task_done()
            }

            /// Waits until every item that was put has been marked done; does not wait if that is so.
            ///
            /// # Cancel safety
            ///
            /// Cancel safe: there is nothing to lose.
            ///
            /// # asyncio
            ///
            /// `Queue.join`. Same.
            pub async fn join(&self) {
                self.core.join().await;
            }

            /// As [`join`](Self::join), by blocking this thread.
            ///
            /// # Panics
            ///
            /// If it has to wait, in a task.
            ///
            /// # asyncio
            ///
            /// `queue.Queue.join`. Same.
            #[track_caller]
            pub fn join_blocking(&self) {
                self.core.join_blocking();
            }

            /// Ends the queue: nothing can be put any more. What is left can still be taken, unless `immediate`, which drops it all, as if it
            /// had been marked done. Everybody who waits is woken.
            ///
            /// # asyncio
            ///
            /// `Queue.shutdown`. Same, from any thread.
            pub fn shutdown(&self, immediate: bool) {
                self.core.shutdown(immediate);
            }

            /// Whether it was shut down.
            ///
            /// # asyncio
            ///
            /// No counterpart.
            #[must_use]
            pub fn is_shut_down(&self) -> bool {
                self.core.is_shut_down()
            }

            /// How many items are in the queue: an estimate while other threads use it.
            ///
            /// # asyncio
            ///
            /// `Queue.qsize`. Same.
            #[must_use]
            pub fn qsize(&self) -> usize {
                self.core.qsize()
            }

            /// Whether there is no item in the queue, at this moment.
            ///
            /// # asyncio
            ///
            /// `Queue.empty`. Same.
            #[must_use]
            pub fn empty(&self) -> bool {
                self.core.empty()
            }

            /// Whether there is no room, at this moment. There always is if the queue has no bound.
            ///
            /// # asyncio
            ///
            /// `Queue.full`. Same.
            #[must_use]
            pub fn full(&self) -> bool {
                self.core.full()
            }

            /// How many items there may be; 0 if there is no bound.
            ///
            /// # asyncio
            ///
            /// `Queue.maxsize`. Same.
            #[must_use]
            pub fn maxsize(&self) -> usize {
                self.core.maxsize()
            }

            /// A snapshot, for tests and for looking at a program that hangs. Those who were woken count as waiting until they have run.
            #[must_use]
            pub fn statistics(&self) -> QueueStatistics {
                self.core.statistics()
            }
        }

        impl<T $($bound)*> Default for $name<T> {
            /// Without a bound.
            fn default() -> Self {
                Self::new(0)
            }
        }

        impl<T $($bound)*> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.core.describe(stringify!($name), f)
            }
        }
    };
}

queues! {
    /// A queue between threads: first in, first out. Puts and gets take no lock; room for `maxsize` items is allocated at once. A bound of
    /// 2³¹ items or more is none: nothing is allocated beforehand, and a `put` never waits.
    ///
    /// # asyncio
    ///
    /// As [`asyncio_queue::Queue`](crate::Queue), and `queue.Queue` at the same time.
    Queue[] SharedFifo;

    /// A queue between threads, from which the item that was put last is taken first.
    ///
    /// # asyncio
    ///
    /// As [`asyncio_queue::LifoQueue`](crate::LifoQueue), and `queue.LifoQueue` at the same time.
    LifoQueue[] SharedLifo;

    /// A queue between threads, from which the smallest item is taken first; equal ones in the order in which they were put.
    ///
    /// Comparing two items must not use the queue that they are in: an `Ord` that does deadlocks, or panics, for the queue is locked at that
    /// moment.
    ///
    /// # asyncio
    ///
    /// As [`asyncio_queue::PriorityQueue`](crate::PriorityQueue), and `queue.PriorityQueue` at the same time.
    PriorityQueue[: Ord] SharedHeap;
}
