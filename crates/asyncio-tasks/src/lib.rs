#![doc = include_str!("../README.md")]

mod any_future;
mod as_completed;
mod cancel_scope;
mod catch;
mod coop;
mod current;
mod ensure;
mod error;
mod error_group;
mod ext;
mod factory;
mod future;
mod gather;
mod graph;
mod group_shutdown;
mod group_start;
mod levels;
mod lookout;
mod loop_tasks;
mod move_on;
mod race;
mod raw;
mod runner;
mod scopes;
mod sent;
mod shield;
mod sleep;
#[cfg(feature = "tracing")]
mod spans;
#[cfg(not(feature = "tracing"))]
#[path = "spans_off.rs"]
mod spans;
mod task;
mod task_core;
mod task_group;
mod task_state;
mod threads;
mod timeout;
mod wait;
mod wait_queue;
mod waits;
mod waker;

pub use any_future::{AnyFuture, AwaitAny, ensure_future};
pub use as_completed::{AsCompleted, NextCompleted, NextCompletedIter, as_completed};
pub use cancel_scope::{CancelScope, Scoped};
pub use catch::{CatchCancelled, Reraise, catch_cancelled};
pub use coop::poll_ready;
pub use ensure::{Ensure, Gatherable};
pub use error::{CancelledError, InvalidStateError, TimeoutError};
pub use error_group::ErrorGroup;
pub use ext::{LoopTasksExt, RunUntilCompleteError};
pub use factory::TaskFactory;
pub use future::{Await, Future, SetResultError};
pub use gather::{Gather, GatherAll, TryGather, gather, try_gather};
pub use graph::{
    AwaitedLock, DumpedState, DumpedTask, FutureCallGraph, TaskDump, capture_call_graph, dump_tasks, format_call_graph,
    print_call_graph,
};
pub use group_start::{Ready, StartError};
pub use move_on::{effective_deadline, fail_after, fail_at, move_on_after, move_on_at};
pub use race::{first_ok, race};
pub use runner::{LoopShutdown, Runner, RunnerBuilder, RunnerError, run, try_run};
pub use shield::{Shield, shield};
pub use sleep::{Sleep, sleep, yield_now};
pub use task::{
    AbortOnDrop, AnyTask, CallbackKey, Join, Observe, ResultError, Task, all_tasks, create_task, current_task,
};

pub use task_group::{TaskGroup, TaskGroupError};
pub use threads::{CancelHandle, LoopHandleExt, ThreadFuture, ThreadFutureError};
pub use timeout::{RescheduleError, Timeout, TimeoutFuture, timeout, timeout_at, wait_for};
pub use wait::{
    ALL_COMPLETED, AllCompleted, FIRST_COMPLETED, FIRST_EXCEPTION, FirstCompleted, FirstException, ReturnWhen,
    TryWaitable, WaitFor, Waitable, Waiting, wait,
};
pub use wait_queue::{Wait, WaitQueue, WaiterState};

pub(crate) use current::current_thread_id;
