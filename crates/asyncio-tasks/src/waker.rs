//! `RemoteWaker`: what stands for a task on other threads.
//!
//! A waker may be cloned, woken and dropped by any thread, at any time, also after its task and its loop are gone. So what
//! a clone holds is not the task's cell but this: an `Arc` that knows where the cell is. On the owner's thread it looks
//! there; elsewhere it sends itself to the owner.
//!
//! Invariants:
//! 1. `task` is followed on the owner's thread only, where it is either null or the address of a cell that is not done:
//!    the owner nulls it when the task is done, before the cell can be freed.
//! 2. At most one message of each waker is under way; a wake that finds one under way is covered by it, because the owner
//!    clears `sent` before it schedules the task.

use crate::current_thread_id;
use crate::raw::{Header, TaskRef};
use crate::sent::Sent;
use asyncio_loop::LoopHandle;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::Wake;

/// Wakes a task from any thread.
#[derive(Debug)]
pub(crate) struct RemoteWaker {
    event_loop: LoopHandle,
    thread: u64,
    /// An `AtomicPtr` only to be `Send + Sync`: all accesses are on the owner's thread.
    task: AtomicPtr<Header>,
    sent: Sent,
}

impl RemoteWaker {
    pub(crate) fn new(event_loop: LoopHandle, thread: u64, task: NonNull<Header>) -> Self {
        Self { event_loop, thread, task: AtomicPtr::new(task.as_ptr()), sent: Sent::new() }
    }

    /// The task is done. Called on the owner's thread.
    pub(crate) fn disconnect(&self) {
        self.task.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Sends itself to the owner.
    pub(crate) fn wake_from_elsewhere(self: Arc<Self>) {
        if self.sent.must_send() {
            let event_loop = self.event_loop.clone();
            // If the loop was closed, its tasks are gone.
            let _ = event_loop.post(move || self.deliver());
        }
    }

    /// Schedules the task, on the owner's thread, after a message.
    fn deliver(&self) {
        self.sent.delivered();
        self.schedule();
    }

    /// Schedules the task. Called on the owner's thread.
    #[expect(unsafe_code, reason = "follows the pointer to the cell, on the owner's thread")]
    fn schedule(&self) {
        if let Some(task) = NonNull::new(self.task.load(Ordering::Relaxed)) {
            // SAFETY: this is the owner's thread, so by invariant 1 the cell is alive.
            unsafe { TaskRef::from_address(task) }.schedule();
        }
    }
}

impl Wake for RemoteWaker {
    fn wake(self: Arc<Self>) {
        if self.thread == current_thread_id() {
            self.schedule();
        } else {
            self.wake_from_elsewhere();
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.thread == current_thread_id() {
            self.schedule();
        } else {
            self.clone().wake_from_elsewhere();
        }
    }
}
