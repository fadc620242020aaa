//! `Runner` and `run`: from a plain function into a coroutine and back, with everything cleaned up.
//!
//! The order of the end is asyncio's: the main task; then all that is left is cancelled at once and awaited, and errors of
//! it reported; then the hooks of upper floors (the executor) run; then the loop is closed.

use crate::error::CancelledError;
use crate::ext::{LoopTasksExt as _, RunUntilCompleteError, run_task};
use crate::loop_tasks::LoopTasks;
use crate::task::{AnyTask, spawn_on};
use asyncio_driver::{Signal, SignalAction, raise_default, signal_action};
use asyncio_loop::{Context, EventLoop, ExceptionContext, LoopBuilder, RunError, new_event_loop, try_get_running_loop};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;

/// Runs `main` in a loop of its own and gives its result, when everything that it left behind has been cleaned up.
///
/// Tasks that are left are cancelled and awaited. Ctrl-C (`SIGINT`) cancels `main`, which may clean up; a second one ends
/// the loop after the callback under way. A process that was interrupted ends as killed by `SIGINT`, as shells expect. If the
/// loop answers none, because a step of it blocks, the third in a row ends the process at once, without any clean-up.
///
/// # Panics
///
/// If a loop is running in this thread already, no loop can be made, or `main` ends cancelled by somebody else;
/// [`try_run`] gives these as errors. With the panic of `main`.
///
/// # asyncio
///
/// [`asyncio.run`](https://docs.python.org/3/library/asyncio-runner.html#asyncio.run). Same; `debug=` and `loop_factory=` are
/// methods of [`Runner::builder`].
#[track_caller]
pub fn run<F: Future + 'static>(main: F) -> F::Output {
    expect_output(try_run_at(RunnerBuilder::default(), main, Location::caller()))
}

#[track_caller]
fn expect_output<T>(outcome: Result<T, RunnerError>) -> T {
    match outcome {
        Ok(output) => output,
        Err(RunnerError::Interrupted) => {
            let _ = raise_default(Signal::INT);
            panic!("interrupted by SIGINT");
        }
        Err(error) => panic!("asyncio::run: {error}"),
    }
}

/// As [`run`], with its own failures as errors.
///
/// # Errors
///
/// If a loop is running in this thread, no loop can be made, `main` ends cancelled, or `SIGINT` came in.
///
/// # Panics
///
/// With the panic of `main`.
#[track_caller]
pub fn try_run<F: Future + 'static>(main: F) -> Result<F::Output, RunnerError> {
    try_run_at(RunnerBuilder::default(), main, Location::caller())
}

fn try_run_at<F: Future + 'static>(
    builder: RunnerBuilder,
    main: F,
    location: &'static Location<'static>,
) -> Result<F::Output, RunnerError> {
    if try_get_running_loop().is_ok() {
        return Err(RunnerError::InsideLoop);
    }
    let mut runner = builder.build().map_err(RunnerError::NewLoop)?;
    let outcome = runner.run_at(main, None, location);
    runner.close();
    outcome
}

/// Why a [`Runner`] has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// A loop is running in this thread: await the coroutine instead.
    #[error("cannot be called from a running event loop")]
    InsideLoop,
    /// The runner was closed.
    #[error("the runner is closed")]
    Closed,
    /// No loop could be made.
    #[error("the event loop could not be made: {0}")]
    NewLoop(io::Error),
    /// The loop did not run to the end.
    #[error(transparent)]
    Run(RunError),
    /// The loop was stopped before the main task was done.
    #[error("event loop stopped before Future completed")]
    Stopped,
    /// The main task ended cancelled, by somebody else than `SIGINT`.
    #[error("the main task was cancelled")]
    Cancelled(#[source] CancelledError),
    /// `SIGINT` came in, and the main task has ended because of it: asyncio's `KeyboardInterrupt`.
    #[error("interrupted by SIGINT")]
    Interrupted,
}

impl From<RunnerError> for io::Error {
    fn from(error: RunnerError) -> Self {
        match error {
            RunnerError::NewLoop(error) => error,
            RunnerError::Run(error) => error.into(),
            RunnerError::Interrupted => Self::new(io::ErrorKind::Interrupted, error),
            other => Self::other(other),
        }
    }
}

/// Makes a [`Runner`].
#[derive(Default)]
#[must_use = "`build` makes the runner"]
pub struct RunnerBuilder {
    debug: Option<bool>,
    factory: Option<LoopFactory>,
}

type LoopFactory = Box<dyn FnOnce() -> io::Result<EventLoop>>;

impl fmt::Debug for RunnerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerBuilder").field("debug", &self.debug).finish_non_exhaustive()
    }
}

impl RunnerBuilder {
    /// Switches the debug mode of the loop. Default: what the loop has.
    pub fn debug(self, debug: bool) -> Self {
        Self { debug: Some(debug), ..self }
    }

    /// Makes the loop by `factory` instead of `new_event_loop`: this is how a driver is chosen.
    pub fn loop_factory(self, factory: impl FnOnce() -> io::Result<EventLoop> + 'static) -> Self {
        Self { factory: Some(Box::new(factory)), ..self }
    }

    /// Makes the loop by `builder` instead of `new_event_loop`.
    pub fn loop_builder(self, builder: LoopBuilder) -> Self {
        self.loop_factory(move || builder.build())
    }

    /// Does what [`run`] does, with these options: makes the runner, runs `main`, and cleans up.
    ///
    /// # Panics
    ///
    /// As [`run`].
    #[track_caller]
    pub fn run<F: Future + 'static>(self, main: F) -> F::Output {
        expect_output(try_run_at(self, main, Location::caller()))
    }

    /// Makes the runner and its loop.
    ///
    /// # Errors
    ///
    /// If the loop cannot be made.
    pub fn build(self) -> io::Result<Runner> {
        let event_loop = self.factory.map_or_else(new_event_loop, |factory| factory())?;
        if let Some(debug) = self.debug {
            event_loop.set_debug(debug);
        }
        Ok(Runner { event_loop, context: Context::new(), is_closed: false })
    }
}

/// A loop and a context for several runs, one after the other. Closing it, or dropping it, cleans up.
///
/// # asyncio
///
/// [`asyncio.Runner`](https://docs.python.org/3/library/asyncio-runner.html#asyncio.Runner). Same; made at once, not lazily.
#[derive(Debug)]
pub struct Runner {
    event_loop: EventLoop,
    context: Context,
    is_closed: bool,
}

impl Runner {
    /// A runner with a loop as [`new_event_loop`] makes it.
    ///
    /// # Errors
    ///
    /// If the loop cannot be made.
    pub fn new() -> Result<Self, RunnerError> {
        Self::builder().build().map_err(RunnerError::NewLoop)
    }

    /// Starts to make a runner.
    pub fn builder() -> RunnerBuilder {
        RunnerBuilder::default()
    }

    /// Runs `coroutine` to its end and gives its result. Context variables that it sets stay set for the next run.
    ///
    /// # Errors
    ///
    /// As [`try_run`]; the runner can be used again, unless it was closed.
    ///
    /// # Panics
    ///
    /// With the panic of the coroutine.
    ///
    /// # asyncio
    ///
    /// [`Runner.run`](https://docs.python.org/3/library/asyncio-runner.html#asyncio.Runner.run). Same.
    #[track_caller]
    pub fn run<F: Future + 'static>(&mut self, coroutine: F) -> Result<F::Output, RunnerError> {
        self.run_at(coroutine, None, Location::caller())
    }

    /// As [`run`](Self::run), in `context`.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    ///
    /// # Panics
    ///
    /// With the panic of the coroutine.
    #[track_caller]
    pub fn run_in_context<F: Future + 'static>(
        &mut self,
        context: &Context,
        coroutine: F,
    ) -> Result<F::Output, RunnerError> {
        self.run_at(coroutine, Some(context), Location::caller())
    }

    fn run_at<F: Future + 'static>(
        &mut self,
        coroutine: F,
        context: Option<&Context>,
        location: &'static Location<'static>,
    ) -> Result<F::Output, RunnerError> {
        if self.is_closed {
            return Err(RunnerError::Closed);
        }
        if try_get_running_loop().is_ok() {
            return Err(RunnerError::InsideLoop);
        }
        let context = context.unwrap_or(&self.context).clone();
        let main = context.run(|| spawn_on(&LoopTasks::of(&self.event_loop), coroutine, location));
        let interrupts = Interrupts::watch(&self.event_loop, &main.to_any());
        let outcome = run_task(&self.event_loop, &main);
        context.run(|| main.to_any().export_context());
        let interrupted = interrupts.finish();
        match outcome {
            Ok(output) => Ok(output),
            // Cancelled by SIGINT, and by nobody else besides.
            Err(RunUntilCompleteError::Cancelled(_)) if interrupted && main.uncancel() == 0 => {
                Err(RunnerError::Interrupted)
            }
            Err(RunUntilCompleteError::Cancelled(error)) => Err(RunnerError::Cancelled(error)),
            Err(RunUntilCompleteError::Run(RunError::Interrupted)) if interrupted => Err(RunnerError::Interrupted),
            Err(RunUntilCompleteError::Run(error)) => Err(RunnerError::Run(error)),
            Err(RunUntilCompleteError::Stopped) => Err(RunnerError::Stopped),
        }
    }

    /// The loop.
    ///
    /// # Errors
    ///
    /// [`RunnerError::Closed`].
    ///
    /// # asyncio
    ///
    /// [`Runner.get_loop`](https://docs.python.org/3/library/asyncio-runner.html#asyncio.Runner.get_loop). Same.
    pub fn get_loop(&self) -> Result<EventLoop, RunnerError> {
        if self.is_closed { Err(RunnerError::Closed) } else { Ok(self.event_loop.clone()) }
    }

    /// Cancels and awaits the tasks that are left, reports their errors, and closes the loop. Closing again does nothing.
    ///
    /// # asyncio
    ///
    /// [`Runner.close`](https://docs.python.org/3/library/asyncio-runner.html#asyncio.Runner.close). Same.
    pub fn close(&mut self) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        // A loop that cannot be run any more is closed all the same, which drops what is left.
        let _ = cancel_all_tasks(&self.event_loop);
        for hook in self.event_loop.take_shutdown_hooks() {
            let _ = self.event_loop.run_until_complete(hook());
        }
        let _ = self.event_loop.close();
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.close();
    }
}

/// Cancels the unfinished tasks at once, and runs the loop until they have ended.
fn cancel_all_tasks(event_loop: &EventLoop) -> Result<(), RunUntilCompleteError> {
    let tasks = event_loop.all_tasks();
    if tasks.is_empty() {
        return Ok(());
    }
    for task in &tasks {
        task.cancel();
    }
    let waited = tasks.clone();
    event_loop.run_until_complete(async move {
        crate::wait(waited).await;
    })?;
    for task in tasks {
        if let Some(panic) = task.take_unseen_panic() {
            let report = ExceptionContext::new("unhandled exception during asyncio.run() shutdown")
                .with("task", task.get_name())
                .with_location(task.location())
                .with_panic(panic);
            event_loop.call_exception_handler(report);
        }
    }
    Ok(())
}

/// So many `SIGINT` in a row to which the loop does not come end the process: a step hangs. CPython raises at the second; one more
/// here, since this end is without any clean-up, and supervisors send a second one beside that of the terminal.
const UNANSWERED_MAX: u32 = 3;

/// What happens at `SIGINT` while a runner runs: the first cancels the main task, the next one ends the loop.
struct Interrupts {
    event_loop: EventLoop,
    seen: Rc<Cell<bool>>,
    is_watching: bool,
}

impl Interrupts {
    /// Handles `SIGINT`, unless somebody else does: then it is theirs.
    fn watch(event_loop: &EventLoop, main: &AnyTask) -> Self {
        let seen = Rc::new(Cell::new(false));
        let is_watching = matches!(signal_action(Signal::INT), Ok(SignalAction::Default)) && {
            let (main, seen, event_loop_) = (main.clone(), seen.clone(), event_loop.clone());
            let handler = move || {
                if seen.replace(true) || !main.cancel() {
                    event_loop_.interrupt();
                }
            };
            event_loop.add_signal_handler(Signal::INT, handler).is_ok()
        };
        if is_watching {
            event_loop.set_unanswered_signals_max(Signal::INT, UNANSWERED_MAX);
        }
        Self { event_loop: event_loop.clone(), seen, is_watching }
    }

    /// Stops to handle `SIGINT`; says whether one came in.
    fn finish(self) -> bool {
        self.seen.get()
    }
}

impl Drop for Interrupts {
    /// Also when the main task has panicked.
    fn drop(&mut self) {
        if self.is_watching {
            self.event_loop.remove_signal_handler(Signal::INT);
        }
    }
}

/// What upper floors want to be done by a runner after the last task and before the loop is closed.
#[derive(Default)]
pub(crate) struct ShutdownHooks(RefCell<Vec<ShutdownHook>>);

type ShutdownHook = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>>>;

impl asyncio_loop::Extension for ShutdownHooks {}

/// For authors of upper floors: what a [`Runner`] does when it is closed.
pub trait LoopShutdown {
    /// Adds a coroutine that a runner runs after the last task, before the loop is closed.
    fn add_shutdown_hook<F: Future<Output = ()> + 'static>(&self, hook: impl FnOnce() -> F + 'static);

    #[doc(hidden)]
    fn take_shutdown_hooks(&self) -> Vec<ShutdownHook>;
}

impl LoopShutdown for EventLoop {
    fn add_shutdown_hook<F: Future<Output = ()> + 'static>(&self, hook: impl FnOnce() -> F + 'static) {
        let hooks = self.extension(|_| ShutdownHooks::default());
        hooks.0.borrow_mut().push(Box::new(move || Box::pin(hook())));
    }

    fn take_shutdown_hooks(&self) -> Vec<ShutdownHook> {
        self.find_extension::<ShutdownHooks>().map(|hooks| hooks.0.take()).unwrap_or_default()
    }
}
