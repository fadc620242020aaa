//! `LoopExecutorExt`: the methods of a loop that have to do with other threads' work, and the loop's default executor.

use crate::addr_info::IntoPort;
use crate::executor::{Executor, ExecutorShutDown, UnfinishedJob};
use crate::job::{Job, JobHandle};
use crate::resolver::{GetAddrInfo, Lookup, Resolver, SystemResolver};
use crate::thread_pool::ThreadPoolExecutor;
use asyncio_loop::{Delay, EventLoop, ExceptionContext, Extension, IntoTimeout, SendContext, get_running_loop};
use asyncio_tasks::{LoopShutdown as _, timeout};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
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

    /// Looks up the addresses of `host` (a name or an address; `None` for this machine) and `port` (a number, the name of a
    /// service, or `None`). Await what comes back, or give it more parameters first.
    ///
    /// An address in digits is its own answer if the port is a number: nothing is looked up, and no thread is started. A
    /// zone (`fe80::1%lo`) becomes the scope of the address. In debug mode, a slow look-up is reported to the exception handler.
    ///
    /// ```
    /// use asyncio_executor::{LoopExecutorExt as _, SocketKind};
    ///
    /// asyncio_tasks::run(async {
    ///     let event_loop = asyncio_loop::get_running_loop();
    ///     let found = event_loop.getaddrinfo("127.0.0.1", 80).kind(SocketKind::Stream).await?;
    ///     assert_eq!(found[0].address, "127.0.0.1:80".parse().unwrap());
    ///     Ok::<_, asyncio_executor::ResolveError>(())
    /// })?;
    /// # Ok::<_, asyncio_executor::ResolveError>(())
    /// ```
    ///
    /// # asyncio
    ///
    /// [`loop.getaddrinfo`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.getaddrinfo). Differs: has
    /// threads of its own, and an address needs none.
    fn getaddrinfo<'a>(&self, host: impl Into<Option<&'a str>>, port: impl IntoPort) -> GetAddrInfo;

    /// Looks up the names of the host and the service of `address`; `flags` are the system's `NI_…`.
    ///
    /// # asyncio
    ///
    /// [`loop.getnameinfo`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.getnameinfo). Differs: has
    /// threads of its own.
    fn getnameinfo(&self, address: SocketAddr, flags: i32) -> Lookup<(String, String)>;

    /// Lets `resolver` look names up, instead of the system.
    fn set_resolver<R: Resolver + 'static>(&self, resolver: R);
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

    fn getaddrinfo<'a>(&self, host: impl Into<Option<&'a str>>, port: impl IntoPort) -> GetAddrInfo {
        GetAddrInfo::new(self, host.into(), port)
    }

    fn getnameinfo(&self, address: SocketAddr, flags: i32) -> Lookup<(String, String)> {
        match LoopExecutor::resolver_of(self) {
            Ok(resolver) => resolver.getnameinfo(address, flags),
            Err(error) => Box::pin(std::future::ready(Err(error.into()))),
        }
    }

    fn set_resolver<R: Resolver + 'static>(&self, resolver: R) {
        if !self.is_closed() {
            let old = LoopExecutor::of(self).resolver.replace(Some(Rc::new(resolver)));
            drop(old);
        }
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

/// Submits `work` on behalf of a loop.
pub(crate) fn submit<F, T>(
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
    let executors = LoopExecutor::of(&event_loop).end();
    // All of them are told to end before any is waited for.
    let ends: Vec<_> = executors.iter().map(|executor| executor.shutdown()).collect();
    let hold = if limit == Some(Delay::ZERO) { None } else { event_loop.hold_time() };
    let outcome = timeout(limit, async {
        for end in ends {
            end.await;
        }
    });
    let outcome = outcome.await;
    drop(hold);
    let jobs = || executors.iter().flat_map(|executor| executor.unfinished()).collect();
    outcome.map_err(|_| ShutdownTimeoutError { jobs: jobs() })
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
pub(crate) struct LoopExecutor {
    default: RefCell<Default>,
    /// The threads of the system's resolver, made at first use.
    resolver_pool: RefCell<Option<Rc<dyn Executor>>>,
    resolver: RefCell<Option<Rc<dyn Resolver>>>,
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
        for executor in self.end() {
            drop(executor.shutdown());
        }
    }
}

impl LoopExecutor {
    fn of(event_loop: &EventLoop) -> Rc<Self> {
        event_loop.extension(|_| Self {
            default: RefCell::new(Default::Unset),
            resolver_pool: RefCell::default(),
            resolver: RefCell::default(),
            is_hooked: Cell::new(false),
        })
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

    /// Who looks names up for a loop.
    pub(crate) fn resolver_of(event_loop: &EventLoop) -> Result<Rc<dyn Resolver>, ExecutorShutDown> {
        if event_loop.is_closed() {
            return Err(ExecutorShutDown);
        }
        let this = Self::of(event_loop);
        if let Some(resolver) = &*this.resolver.borrow() {
            return Ok(resolver.clone());
        }
        if matches!(*this.default.borrow(), Default::ShutDown) {
            return Err(ExecutorShutDown);
        }
        this.hook(event_loop);
        let pool: Rc<dyn Executor> = Rc::new(ThreadPoolExecutor::builder().thread_name_prefix("asyncio_dns").build());
        let resolver: Rc<dyn Resolver> = Rc::new(SystemResolver::on(pool.clone()));
        this.resolver_pool.replace(Some(pool));
        this.resolver.replace(Some(resolver.clone()));
        Ok(resolver)
    }

    /// Takes the loop's own executors away, for good: the default one, and that of the resolver.
    fn end(&self) -> Vec<Rc<dyn Executor>> {
        let default = match self.default.replace(Default::ShutDown) {
            Default::Set(executor) => Some(executor),
            Default::Unset | Default::ShutDown => None,
        };
        default.into_iter().chain(self.resolver_pool.take()).collect()
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
