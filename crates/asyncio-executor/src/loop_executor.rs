//! `LoopExecutorExt`: the methods of a loop that have to do with other threads' work, and the loop's default executor.

use crate::executor::{Executor, ExecutorShutDown, UnfinishedJob};
use crate::job::{Job, JobHandle};
use crate::thread_pool::ThreadPoolExecutor;
use asyncio_loop::{Delay, EventLoop, ExceptionContext, Extension, IntoTimeout, SendContext, get_running_loop};
use asyncio_tasks::{LoopShutdown as _, timeout};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the trait")]
    pub trait Sealed {}
    impl Sealed for asyncio_loop::EventLoop {}
}

/// What the executor bridge adds to [`EventLoop`]. Sealed: only `EventLoop` has it.
pub trait LoopExecutorExt: sealed::Sealed {
    /// Runs `work` on a thread of `executor`, or of the default executor if that is `None`. It is submitted at once, whether
    /// or not anybody awaits the handle yet.
    ///
    /// `work` sees no context variables; [`to_thread`](crate::to_thread) copies them.
    ///
    /// ```
    /// use asyncio_executor::LoopExecutorExt as _;
    ///
    /// asyncio_tasks::run(async {
    ///     let event_loop = asyncio_loop::get_running_loop();
    ///     let first = event_loop.run_in_executor(None, || 1)?;
    ///     let second = event_loop.run_in_executor(None, || 2)?; // Both are under way now.
    ///     assert_eq!((first.await, second.await), (Ok(1), Ok(2)));
    ///     Ok::<_, asyncio_executor::ExecutorShutDown>(())
    /// })?;
    /// # Ok::<_, asyncio_executor::ExecutorShutDown>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the executor was shut down. The default executor is when the loop is closed.
    ///
    /// # asyncio
    ///
    /// [`loop.run_in_executor`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.run_in_executor). Same;
    /// the handle cancels the job when it is dropped.
    #[track_caller]
    fn run_in_executor<F, T>(&self, executor: Option<&dyn Executor>, work: F) -> Result<JobHandle<T>, ExecutorShutDown>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static;

    /// Makes `executor` the default one. The one before is kept alive by its jobs only. Has no effect after
    /// [`shutdown_default_executor`](Self::shutdown_default_executor).
    ///
    /// # asyncio
    ///
    /// [`loop.set_default_executor`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.set_default_executor).
    /// Differs: any executor will do.
    fn set_default_executor<E: Executor + 'static>(&self, executor: E);

    /// Lets the default executor take no more jobs, and waits until those it has are done and its threads are gone, for at
    /// most `timeout`: seconds, a `Duration`, or `None`.
    ///
    /// Explicit executors go on. Virtual time stands still meanwhile, unless the timeout is zero.
    ///
    /// # Cancel safety
    ///
    /// Dropped after its first poll, it has shut the executor down, and nobody waits for the threads.
    ///
    /// # Errors
    ///
    /// If the time is over: what is not finished. Its threads are left to themselves.
    ///
    /// # asyncio
    ///
    /// [`loop.shutdown_default_executor`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.shutdown_default_executor).
    /// Differs: the warning is an error that says what is not finished, and no thread is needed to wait.
    #[track_caller]
    fn shutdown_default_executor(&self, timeout: impl IntoTimeout) -> ShutdownDefaultExecutor;
}

impl LoopExecutorExt for EventLoop {
    #[track_caller]
    fn run_in_executor<F, T>(&self, executor: Option<&dyn Executor>, work: F) -> Result<JobHandle<T>, ExecutorShutDown>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let location = Location::caller();
        match executor {
            Some(executor) => submit(self, executor, work, None, location),
            None => submit(self, &*LoopExecutor::default_of(self)?, work, None, location),
        }
    }

    fn set_default_executor<E: Executor + 'static>(&self, executor: E) {
        if !self.is_closed() {
            let this = LoopExecutor::of(self);
            this.set(Rc::new(executor));
            this.hook(self);
        }
    }

    #[track_caller]
    fn shutdown_default_executor(&self, timeout: impl IntoTimeout) -> ShutdownDefaultExecutor {
        let (event_loop, timeout) = (self.clone(), timeout.into_timeout());
        ShutdownDefaultExecutor { inner: Box::pin(shut_down(event_loop, timeout)) }
    }
}

/// As `run_in_executor(None, ..)` of the running loop, in a context.
pub(crate) fn submit_default<F, T>(
    work: F,
    context: Option<SendContext>,
    location: &'static Location<'static>,
) -> Result<JobHandle<T>, ExecutorShutDown>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let event_loop = get_running_loop();
    submit(&event_loop, &*LoopExecutor::default_of(&event_loop)?, work, context, location)
}

fn submit<F, T>(
    event_loop: &EventLoop,
    executor: &dyn Executor,
    work: F,
    context: Option<SendContext>,
    location: &'static Location<'static>,
) -> Result<JobHandle<T>, ExecutorShutDown>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (job, handle) = Job::with(work, context, event_loop.hold_time(), location);
    executor.submit(job).map_err(|_| ExecutorShutDown)?;
    Ok(handle)
}

async fn shut_down(event_loop: EventLoop, limit: Option<Delay>) -> Result<(), ShutdownTimeoutError> {
    if event_loop.is_closed() {
        return Ok(());
    }
    let Some(executor) = LoopExecutor::of(&event_loop).end() else { return Ok(()) };
    let over = executor.shutdown();
    let hold = if limit == Some(Delay::ZERO) { None } else { event_loop.hold_time() };
    let outcome = timeout(limit, over).await;
    drop(hold);
    outcome.map_err(|_| ShutdownTimeoutError { jobs: executor.unfinished() })
}

/// Waits for the end of the default executor; see [`LoopExecutorExt::shutdown_default_executor`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct ShutdownDefaultExecutor {
    inner: Pin<Box<dyn Future<Output = Result<(), ShutdownTimeoutError>>>>,
}

impl Future for ShutdownDefaultExecutor {
    type Output = Result<(), ShutdownTimeoutError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx)
    }
}

impl fmt::Debug for ShutdownDefaultExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShutdownDefaultExecutor").finish_non_exhaustive()
    }
}

/// The default executor did not finish in time. Its threads were left to themselves.
#[derive(Clone, Debug)]
pub struct ShutdownTimeoutError {
    jobs: Vec<UnfinishedJob>,
}

impl ShutdownTimeoutError {
    /// The jobs that were not finished when the time was over, the running ones first.
    #[must_use]
    pub fn jobs(&self) -> &[UnfinishedJob] {
        &self.jobs
    }
}

impl fmt::Display for ShutdownTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the executor did not finish in time")?;
        for (index, job) in self.jobs.iter().enumerate() {
            write!(f, "{} {job}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for ShutdownTimeoutError {}

/// What a loop knows of executors.
struct LoopExecutor {
    default: RefCell<Default>,
    is_hooked: Cell<bool>,
}

enum Default {
    /// Made at first use.
    Unset,
    Set(Rc<dyn Executor>),
    ShutDown,
}

impl Extension for LoopExecutor {
    /// As asyncio's `close`: the default executor takes no more jobs, and nobody waits for it.
    fn loop_closed(&self) {
        if let Some(executor) = self.end() {
            drop(executor.shutdown());
        }
    }
}

impl LoopExecutor {
    fn of(event_loop: &EventLoop) -> Rc<Self> {
        event_loop.extension(|_| Self { default: RefCell::new(Default::Unset), is_hooked: Cell::new(false) })
    }

    /// The default executor of a loop.
    fn default_of(event_loop: &EventLoop) -> Result<Rc<dyn Executor>, ExecutorShutDown> {
        if event_loop.is_closed() {
            return Err(ExecutorShutDown);
        }
        let this = Self::of(event_loop);
        match &*this.default.borrow() {
            Default::Unset => {}
            Default::Set(executor) => return Ok(executor.clone()),
            Default::ShutDown => return Err(ExecutorShutDown),
        }
        let executor: Rc<dyn Executor> = Rc::new(ThreadPoolExecutor::builder().thread_name_prefix("asyncio").build());
        this.set(executor.clone());
        this.hook(event_loop);
        Ok(executor)
    }

    fn set(&self, executor: Rc<dyn Executor>) {
        let old = match &mut *self.default.borrow_mut() {
            Default::ShutDown => return,
            default => std::mem::replace(default, Default::Set(executor)),
        };
        drop(old);
    }

    /// Takes the default executor away, for good.
    fn end(&self) -> Option<Rc<dyn Executor>> {
        match self.default.replace(Default::ShutDown) {
            Default::Set(executor) => Some(executor),
            Default::Unset | Default::ShutDown => None,
        }
    }

    /// Lets a runner join the executor, once.
    fn hook(&self, event_loop: &EventLoop) {
        if !self.is_hooked.replace(true) {
            event_loop.add_shutdown_hook(|| async {
                let event_loop = get_running_loop();
                if let Err(error) = event_loop.shutdown_default_executor(JOIN_TIMEOUT_SECS).await {
                    let report = ExceptionContext::new("the default executor was abandoned").with_error(error);
                    event_loop.call_exception_handler(report);
                }
            });
        }
    }
}

/// How long a runner waits for the default executor.
const JOIN_TIMEOUT_SECS: u32 = 300;
