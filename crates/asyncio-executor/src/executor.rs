//! `Executor`: whatever runs jobs on other threads. Any pool can be plugged in.
//!
//! Absent on purpose: a pool. [`ThreadPoolExecutor`](crate::ThreadPoolExecutor) is one, and is no more than the trait asks.

use crate::job::Job;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;

/// Runs [`Job`]s on threads of its own.
///
/// An adapter for a pool that takes closures is a few lines; for one of rayon it says `self.0.spawn(|| job.run())`:
///
/// ```
/// use asyncio_executor::{Executor, Job, RejectedJob};
/// use std::sync::mpsc;
///
/// /// A pool of somebody else's, which takes closures.
/// struct ForeignPool(mpsc::Sender<Box<dyn FnOnce() + Send>>);
///
/// impl Executor for ForeignPool {
///     fn submit(&self, job: Job) -> Result<(), RejectedJob> {
///         // A closure that is dropped drops its job, and whoever waits for that is told.
///         self.0.send(Box::new(|| job.run())).map_err(|_| RejectedJob::dropped())
///     }
/// }
///
/// let (sender, closures) = mpsc::channel::<Box<dyn FnOnce() + Send>>();
/// let thread = std::thread::Builder::new().spawn(move || closures.iter().for_each(|run| run()))?;
/// let pool = ForeignPool(sender);
/// let sum = asyncio_tasks::run(async move {
///     use asyncio_executor::LoopExecutorExt as _;
///     let event_loop = asyncio_loop::get_running_loop();
///     event_loop.run_in_executor(Some(&pool), || 1 + 1).unwrap().await
/// });
/// assert_eq!(sum, Ok(2));
/// # thread.join().unwrap();
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # asyncio
///
/// [`concurrent.futures.Executor`](https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.Executor).
/// Differs: a job brings its own future, so a pool only runs it.
pub trait Executor: Send + Sync {
    /// Takes a job, to [run](Job::run) it on another thread, as soon as there is one. Must not block.
    ///
    /// # Errors
    ///
    /// If this executor takes no more jobs. An error made by [`RejectedJob::new`] gives the job back.
    fn submit(&self, job: Job) -> Result<(), RejectedJob>;

    /// Takes no more jobs, at once. The future is done when those that were taken are done, and the threads gone; an
    /// executor that others use as well has nothing to wait for, which is the default.
    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }

    /// The jobs that are running or queued, for the report of a shutdown that took too long. Default: nothing is known.
    fn unfinished(&self) -> Vec<UnfinishedJob> {
        Vec::new()
    }
}

impl<E: Executor + ?Sized> Executor for std::sync::Arc<E> {
    fn submit(&self, job: Job) -> Result<(), RejectedJob> {
        (**self).submit(job)
    }

    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        (**self).shutdown()
    }

    fn unfinished(&self) -> Vec<UnfinishedJob> {
        (**self).unfinished()
    }
}

/// An executor has not taken a job.
#[derive(Debug, thiserror::Error)]
#[error("the executor has not taken the job")]
pub struct RejectedJob {
    job: Option<Job>,
}

impl RejectedJob {
    /// With the job, so that somebody else can take it.
    #[must_use]
    pub const fn new(job: Job) -> Self {
        Self { job: Some(job) }
    }

    /// Without the job: it was dropped.
    #[must_use]
    pub const fn dropped() -> Self {
        Self { job: None }
    }

    /// The job, if it came back.
    #[must_use]
    pub fn into_job(self) -> Option<Job> {
        self.job
    }
}

/// The executor was shut down: it takes no more jobs. This one was dropped.
///
/// # asyncio
///
/// `RuntimeError('Executor shutdown has been called')`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the executor was shut down")]
#[non_exhaustive]
pub struct ExecutorShutDown;

impl From<ExecutorShutDown> for std::io::Error {
    fn from(error: ExecutorShutDown) -> Self {
        Self::other(error)
    }
}

/// A job that an executor has taken and not finished.
#[derive(Clone, Debug)]
pub struct UnfinishedJob {
    location: &'static Location<'static>,
    thread: Option<String>,
}

impl UnfinishedJob {
    /// A job that was submitted at `location` and is running on `thread`, or on none yet.
    #[must_use]
    pub const fn new(location: &'static Location<'static>, thread: Option<String>) -> Self {
        Self { location, thread }
    }

    /// Where in the program the job was submitted.
    #[must_use]
    pub const fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// The name of the thread that runs it; `None` if it is queued.
    #[must_use]
    pub fn thread(&self) -> Option<&str> {
        self.thread.as_deref()
    }
}

impl fmt::Display for UnfinishedJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.thread {
            Some(thread) => write!(f, "the job of {} on thread {thread}", self.location),
            None => write!(f, "the job of {}, still queued", self.location),
        }
    }
}
