//! `LoopTasksExt`: the methods of a loop that have to do with tasks and futures.

use crate::factory::TaskFactory;
use crate::future::Future as LoopFuture;
use crate::graph::{TaskDump, dump_on};
use crate::loop_tasks::LoopTasks;
use crate::task::{AnyTask, Task, all_tasks_of, spawn_on};
use asyncio_driver::Signal;
use asyncio_loop::{EventLoop, RunError};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::rc::Rc;

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the trait")]
    pub trait Sealed {}
    impl Sealed for asyncio_loop::EventLoop {}
}

/// What floor 2 adds to [`EventLoop`]. Sealed: only `EventLoop` has it.
pub trait LoopTasksExt: sealed::Sealed {
    /// Runs `coroutine` as a task of this loop. Its first step comes after all that is ready now.
    ///
    /// # asyncio
    ///
    /// [`loop.create_task`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_task). Same.
    #[track_caller]
    fn create_task<F: Future + 'static>(&self, coroutine: F) -> Task<F::Output>;

    /// A future of this loop.
    ///
    /// # asyncio
    ///
    /// [`loop.create_future`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.create_future). Same.
    #[track_caller]
    fn create_future<T: 'static>(&self) -> LoopFuture<T>;

    /// Runs the loop until `coroutine` is done, and gives its result. It becomes a task first.
    ///
    /// # Errors
    ///
    /// [`RunUntilCompleteError::Run`] if the loop cannot be run, is interrupted, or its driver fails;
    /// [`RunUntilCompleteError::Stopped`] if it is stopped before the coroutine is done;
    /// [`RunUntilCompleteError::Cancelled`] if the coroutine ends cancelled. In the first two cases the task is still there.
    ///
    /// # Panics
    ///
    /// With the panic of the coroutine.
    ///
    /// # asyncio
    ///
    /// [`loop.run_until_complete`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.run_until_complete).
    /// Same; a task or future is awaited by an `async` block.
    #[track_caller]
    fn run_until_complete<F: Future + 'static>(&self, coroutine: F) -> Result<F::Output, RunUntilCompleteError>;

    /// The unfinished tasks of this loop, oldest first.
    fn all_tasks(&self) -> Vec<AnyTask>;

    /// Sets how new tasks start.
    ///
    /// # asyncio
    ///
    /// [`loop.set_task_factory`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.set_task_factory).
    fn set_task_factory(&self, factory: TaskFactory);

    /// What the unfinished tasks of this loop are at: name, place, state, who waits for whom.
    ///
    /// # asyncio
    ///
    /// None inside a process; `python -m asyncio ps` and `pstree` look at another one.
    fn dump_tasks(&self) -> TaskDump;

    /// Writes [`dump_tasks`](Self::dump_tasks) to stderr each time `signal` comes in, such as `Signal::USR1`, also if the loop
    /// hangs.
    ///
    /// The dump is written by a signal handler of the loop. A loop that hangs inside a callback or a step of a task does not come to
    /// that: if it has not answered after 200 ms, a thread of its own, which hears of the signal too, writes what can be seen
    /// from outside. That is for how long the step has been going on, where its task was created (or its callback scheduled),
    /// and on Linux what the kernel says of the thread: whether it runs or sleeps, in which system call. The dump follows when
    /// the loop goes on.
    ///
    /// Ends with `remove_signal_handler`, with another handler for `signal`, or with the loop, and so does the thread.
    ///
    /// Costs a thread that sleeps, and as long as it lives a reading of the clock and a lock in each step, a few dozen nanoseconds
    /// (see `EventLoop::progress`).
    ///
    /// # Errors
    ///
    /// As `EventLoop::add_signal_handler`, which this uses; or no thread, or no descriptor, is left.
    ///
    /// # asyncio
    ///
    /// None; `faulthandler.register` is for threads.
    #[track_caller]
    fn dump_tasks_on(&self, signal: Signal) -> io::Result<()>;

    /// How new tasks start.
    ///
    /// # asyncio
    ///
    /// [`loop.get_task_factory`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.get_task_factory).
    fn get_task_factory(&self) -> TaskFactory;
}

/// Why [`run_until_complete`](LoopTasksExt::run_until_complete) has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunUntilCompleteError {
    /// The loop did not run to the end.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The loop was stopped before the future was done. Run it again.
    #[error("event loop stopped before Future completed")]
    Stopped,
    /// The coroutine ended cancelled.
    #[error(transparent)]
    Cancelled(#[from] crate::CancelledError),
}

impl From<RunUntilCompleteError> for std::io::Error {
    fn from(error: RunUntilCompleteError) -> Self {
        match error {
            RunUntilCompleteError::Run(error) => error.into(),
            RunUntilCompleteError::Cancelled(error) => error.into(),
            RunUntilCompleteError::Stopped => Self::other(error),
        }
    }
}

impl LoopTasksExt for EventLoop {
    #[track_caller]
    fn create_task<F: Future + 'static>(&self, coroutine: F) -> Task<F::Output> {
        spawn_on(&LoopTasks::of(self), coroutine, Location::caller())
    }

    #[track_caller]
    fn create_future<T: 'static>(&self) -> LoopFuture<T> {
        LoopFuture::on(LoopTasks::of(self), Location::caller())
    }

    #[track_caller]
    fn run_until_complete<F: Future + 'static>(&self, coroutine: F) -> Result<F::Output, RunUntilCompleteError> {
        let task = spawn_on(&LoopTasks::of(self), coroutine, Location::caller());
        run_task(self, &task)
    }

    fn all_tasks(&self) -> Vec<AnyTask> {
        all_tasks_of(&LoopTasks::of(self))
    }

    fn set_task_factory(&self, factory: TaskFactory) {
        LoopTasks::of(self).set_factory(factory);
    }

    fn dump_tasks(&self) -> TaskDump {
        TaskDump::of(&LoopTasks::of(self))
    }

    #[track_caller]
    fn dump_tasks_on(&self, signal: Signal) -> io::Result<()> {
        dump_on(self, signal)
    }

    fn get_task_factory(&self) -> TaskFactory {
        LoopTasks::of(self).get_factory()
    }
}

/// Adds to a deadlock that the driver has found who waits for whom.
fn name_the_stuck(event_loop: &EventLoop, error: RunError) -> RunError {
    match error {
        RunError::Driver(error) if error.kind() == io::ErrorKind::Deadlock => {
            let report = Stuck(format!("{error}\n{}", event_loop.dump_tasks()));
            RunError::Driver(io::Error::new(io::ErrorKind::Deadlock, report))
        }
        error => error,
    }
}

/// A deadlock with its dump. A `main` that returns the error shows it by `Debug`, so that has lines, too, and not `\n`.
#[derive(thiserror::Error)]
#[error("{0}")]
struct Stuck(String);

impl fmt::Debug for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Runs the loop until `task` is done.
pub(crate) fn run_task<T: 'static>(event_loop: &EventLoop, task: &Task<T>) -> Result<T, RunUntilCompleteError> {
    let is_over = Rc::new(Cell::new(false));
    let (stopper, is_late) = (event_loop.clone(), is_over.clone());
    let callback = task.add_done_callback(move |_| {
        // After an interrupt in the last step it is still queued, and comes in the next run, which it must not stop.
        if !is_late.get() {
            stopper.stop();
        }
    });
    let outcome = event_loop.run_forever();
    is_over.set(true);
    task.remove_done_callback(callback);
    outcome.map_err(|error| name_the_stuck(event_loop, error))?;
    if !task.done() {
        return Err(RunUntilCompleteError::Stopped);
    }
    Ok(task.take_result()?)
}
