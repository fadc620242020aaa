//! `LoopTasks`: what a loop knows of its tasks. An extension of the loop, made with its first task.
//!
//! Invariant: every unfinished task is in `unfinished`, which owns it: a task whose handle was dropped runs on.

use crate::current::{current, current_thread_id};
use crate::error::CancelledError;
use crate::raw::{Header, TaskList, TaskRef};
use crate::task_state::DoneCallback;
use crate::waits;
use crate::waker::RemoteWaker;
use asyncio_loop::{ContextSnapshot, EventLoop, ExceptionContext, Extension, LoopHandle};
use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The tasks of one loop.
pub(crate) struct LoopTasks {
    event_loop: EventLoop,
    handle: LoopHandle,
    thread: u64,
    unfinished: TaskList,
    pub(crate) factory: crate::factory::FactorySlot,
}

impl LoopTasks {
    /// The tasks of `event_loop`.
    pub(crate) fn of(event_loop: &EventLoop) -> Rc<Self> {
        let new = |event_loop: &EventLoop| Self {
            event_loop: event_loop.clone(),
            handle: event_loop.handle(),
            thread: current_thread_id(),
            unfinished: TaskList::default(),
            factory: crate::factory::FactorySlot::default(),
        };
        // What a closed loop is given it keeps for ever.
        if event_loop.is_closed() { Rc::new(new(event_loop)) } else { event_loop.extension(new) }
    }

    /// The tasks of the loop that is running in this thread.
    ///
    /// # Panics
    ///
    /// If none is.
    #[track_caller]
    pub(crate) fn running() -> Rc<Self> {
        match current() {
            Some(task) => task.state.tasks.clone(),
            None => Self::of(&asyncio_loop::get_running_loop()),
        }
    }

    pub(crate) const fn event_loop(&self) -> &EventLoop {
        &self.event_loop
    }

    /// Owns a new task until it is done.
    pub(crate) fn adopt(&self, task: &TaskRef) {
        self.unfinished.push(task);
    }

    /// Ends a task that was made after the loop was closed.
    #[cold]
    pub(crate) fn refuse(&self, task: &TaskRef) {
        let report = ExceptionContext::new("a task was created on an event loop that is closed")
            .with("task", task.state.name().to_string())
            .with_location(task.state.location);
        self.event_loop.call_exception_handler(report);
        task.destroy();
    }

    pub(crate) fn done(&self, task: &TaskRef) {
        self.unfinished.remove(task);
    }

    /// The unfinished tasks, oldest first.
    pub(crate) fn unfinished(&self) -> Vec<TaskRef> {
        self.unfinished.to_vec()
    }

    /// The number for the default name of the next task of the process.
    pub(crate) fn next_number() -> u32 {
        /// Threads take numbers in blocks, for a locked instruction would cost as much as the rest of a spawn.
        const BLOCK: u32 = 1024;
        static NEXT_BLOCK: AtomicU32 = AtomicU32::new(0);
        thread_local! {
            static NUMBER: Cell<u32> = const { Cell::new(0) };
        }
        let mut number = NUMBER.get();
        if number.is_multiple_of(BLOCK) {
            // Relaxed: the number itself is all that is shared.
            number = NEXT_BLOCK.fetch_add(1, Ordering::Relaxed).wrapping_mul(BLOCK);
        }
        NUMBER.set(number.wrapping_add(1));
        number.wrapping_add(1)
    }

    /// Callable from any thread.
    pub(crate) fn is_own_thread(&self) -> bool {
        self.thread == current_thread_id()
    }

    /// Callable from any thread.
    pub(crate) fn remote_waker(&self, task: NonNull<Header>) -> RemoteWaker {
        RemoteWaker::new(self.handle.clone(), self.thread, task)
    }
}

impl Extension for LoopTasks {
    /// Ends the tasks that are left: their coroutines are dropped where they stand.
    fn loop_closed(&self) {
        for task in self.unfinished() {
            if task.state.is_done() {
                continue; // By the destructor of another one.
            }
            let report = ExceptionContext::new("a task was destroyed but it is pending")
                .with("task", task.state.name().to_string())
                .with_location(task.state.location);
            self.event_loop.call_exception_handler(report);
            task.destroy();
        }
    }
}

impl fmt::Debug for LoopTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopTasks").field("unfinished", &self.unfinished.len()).finish_non_exhaustive()
    }
}

impl DoneCallback {
    /// Tells whoever registered, by an entry of the ready queue.
    pub(crate) fn tell(self, event_loop: &EventLoop, cancelled: Option<&CancelledError>) {
        match self {
            Self::Wait(wait) => {
                waits::settle(wait, cancelled);
            }
            Self::Call { context, call, .. } => schedule_in(event_loop, context, call),
        }
    }
}

/// `call_soon` in a given copy of a context.
pub(crate) fn schedule_in(event_loop: &EventLoop, mut context: ContextSnapshot, call: impl FnOnce() + 'static) {
    // Handles copy the current context, so this one is made current for a moment.
    context.exchange();
    event_loop.call_soon(call);
    context.exchange();
}
