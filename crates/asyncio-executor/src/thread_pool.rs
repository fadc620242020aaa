//! `ThreadPoolExecutor`: threads that are started when there is work, and end when there has been none for a while.
//!
//! Invariants:
//! 1. No thread before the first job; never more jobs at a time than `max_workers`.
//! 2. Jobs start in the order in which they were submitted.
//! 3. A job that was accepted runs, also after `shutdown`, unless it is cancelled first. If it cannot (no thread could be
//!    started, the initializer panicked) it is dropped, and whoever waits is told.
//! 4. When `shutdown`'s future is done, the threads are gone from the system.
//! 5. What is the user's (a job, a destructor, a waker) runs with nothing locked, and its panic ends no worker: see `contain`.

use crate::executor::{Executor, ExecutorShutDown, RejectedJob, UnfinishedJob};
use crate::hand_off::{Asking, HandOff, Next, Pushed};
use crate::job::{CancelToken, Job, JobHandle};
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A pool of threads for blocking work. Clones are the same pool.
///
/// When the last clone is dropped, the pool is shut down, and nobody waits for it.
///
/// ```
/// use asyncio_executor::{LoopExecutorExt as _, ThreadPoolExecutor};
///
/// let pool = ThreadPoolExecutor::builder().max_workers(2).thread_name_prefix("disk").build();
/// let name = asyncio_tasks::run(async move {
///     let event_loop = asyncio_loop::get_running_loop();
///     event_loop.run_in_executor(Some(&pool), || std::thread::current().name().map(String::from)).unwrap().await
/// });
/// assert_eq!(name.unwrap().unwrap(), "disk_0");
/// ```
///
/// # asyncio
///
/// [`concurrent.futures.ThreadPoolExecutor`](https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.ThreadPoolExecutor).
/// Differs: threads that have nothing to do end.
#[derive(Clone)]
pub struct ThreadPoolExecutor {
    owner: Arc<Owner>,
}

/// Makes a [`ThreadPoolExecutor`].
#[must_use = "`build` makes the pool"]
pub struct ThreadPoolBuilder {
    workers_max: usize,
    settings: Settings,
}

/// How many threads and jobs a pool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadPoolStatistics {
    /// How many threads there may be.
    pub max_workers: usize,
    /// How many threads there are.
    pub threads: usize,
    /// How many of them wait for a job.
    pub idle: usize,
    /// How many jobs wait for a thread.
    pub queued: usize,
}

impl ThreadPoolBuilder {
    /// How many threads there may be; at least one. Default: the number of processors plus four, at most 32.
    pub fn max_workers(self, max_workers: usize) -> Self {
        Self { workers_max: max_workers.max(1), ..self }
    }

    /// Threads are named `<prefix>_<number>`, by the lowest number that is free. Default: `ThreadPoolExecutor`.
    ///
    /// # Panics
    ///
    /// If `prefix` contains a NUL, which the name of a thread cannot.
    #[track_caller]
    pub fn thread_name_prefix(mut self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        assert!(!prefix.contains('\0'), "`prefix` contains a NUL, which the name of a thread cannot: {prefix:?}");
        self.settings.name_prefix = prefix;
        self
    }

    /// Is run by each thread before its first job. If it panics, the pool is shut down and its queued jobs are dropped.
    pub fn initializer(mut self, initializer: impl Fn() + Send + Sync + 'static) -> Self {
        self.settings.initializer = Some(Box::new(initializer));
        self
    }

    /// After what time without work a thread ends. Default: 10 seconds. This is real time, also under a virtual clock.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout;
        self
    }

    /// The size of the stack of each thread, in bytes. Default: as std has it.
    pub fn stack_bytes(mut self, stack_bytes: usize) -> Self {
        self.settings.stack_bytes = Some(stack_bytes);
        self
    }

    /// Makes the pool. Starts no thread yet.
    #[must_use]
    pub fn build(self) -> ThreadPoolExecutor {
        let pool = Pool {
            hand_off: HandOff::new(self.workers_max),
            workers_max: self.workers_max,
            settings: self.settings,
            roster: Mutex::default(),
        };
        ThreadPoolExecutor { owner: Arc::new(Owner(Arc::new(pool))) }
    }
}

impl fmt::Debug for ThreadPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolBuilder").field("max_workers", &self.workers_max).finish_non_exhaustive()
    }
}

impl ThreadPoolExecutor {
    /// A pool of at most `max_workers` threads.
    #[must_use]
    pub fn new(max_workers: usize) -> Self {
        Self::builder().max_workers(max_workers).build()
    }

    /// Starts to make a pool.
    pub fn builder() -> ThreadPoolBuilder {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let settings = Settings {
            name_prefix: String::from("ThreadPoolExecutor"),
            initializer: None,
            idle_timeout: IDLE_TIMEOUT,
            stack_bytes: None,
        };
        ThreadPoolBuilder { workers_max: (processors + 4).min(32), settings }
    }

    /// Runs `work` on a thread of the pool. Needs no loop: the handle can be awaited anywhere.
    ///
    /// # Errors
    ///
    /// If the pool was shut down.
    ///
    /// # asyncio
    ///
    /// `Executor.submit`. Same; the handle cancels when it is dropped.
    #[track_caller]
    pub fn submit<F, T>(&self, work: F) -> Result<JobHandle<T>, ExecutorShutDown>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (job, handle) = Job::with(work, None, None, Location::caller());
        Executor::submit(self, job).map_err(|_| ExecutorShutDown)?;
        Ok(handle)
    }

    /// Drops the jobs that have not started; says how many. Whoever waits for them is told that they were cancelled.
    ///
    /// # asyncio
    ///
    /// `cancel_futures=True` of `Executor.shutdown`.
    #[expect(clippy::must_use_candidate, reason = "how many there were is seldom of interest")]
    pub fn cancel_queued(&self) -> usize {
        let queued = self.pool().hand_off.take_queued();
        queued.len()
    }

    /// How many threads and jobs there are.
    #[must_use]
    pub fn statistics(&self) -> ThreadPoolStatistics {
        let counts = self.pool().hand_off.counts();
        ThreadPoolStatistics {
            max_workers: self.pool().workers_max,
            threads: counts.workers,
            idle: counts.idle,
            queued: counts.queued,
        }
    }

    fn pool(&self) -> &Arc<Pool> {
        &self.owner.0
    }
}

impl Executor for ThreadPoolExecutor {
    fn submit(&self, job: Job) -> Result<(), RejectedJob> {
        match self.pool().hand_off.push(job) {
            Pushed::Accepted => {}
            Pushed::StartWorker => Pool::start_worker(self.pool()),
            Pushed::Rejected(job) => return Err(RejectedJob::new(job)),
        }
        Ok(())
    }

    fn shutdown(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.pool().hand_off.close();
        Box::pin(Over(self.pool().clone()))
    }

    fn unfinished(&self) -> Vec<UnfinishedJob> {
        self.pool().unfinished()
    }
}

impl fmt::Debug for ThreadPoolExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadPoolExecutor")
            .field("prefix", &self.pool().settings.name_prefix)
            .field("statistics", &self.statistics())
            .finish()
    }
}

/// Shuts the pool down when the last handle is dropped.
struct Owner(Arc<Pool>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.hand_off.close();
    }
}

struct Pool {
    hand_off: HandOff<Job>,
    workers_max: usize,
    settings: Settings,
    roster: Mutex<Roster>,
}

struct Settings {
    name_prefix: String,
    initializer: Option<Box<dyn Fn() + Send + Sync>>,
    idle_timeout: Duration,
    stack_bytes: Option<usize>,
}

/// Who works.
#[derive(Default)]
struct Roster {
    /// By number; a number that is free is `None`.
    workers: Vec<Option<Worker>>,
    /// The last one that has ended, which has seen the end of the one before.
    ended: Option<JoinHandle<()>>,
    waiting: Vec<Waker>,
}

struct Worker {
    /// There as soon as the thread has been started.
    thread: Option<JoinHandle<()>>,
    desk: Arc<Desk>,
}

/// What a worker works on.
#[derive(Default)]
struct Desk(Mutex<Option<CancelToken>>);

impl Desk {
    fn put(&self, job: Option<CancelToken>) {
        let old = mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), job);
        drop(old);
    }

    fn location(&self) -> Option<&'static Location<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(CancelToken::location)
    }
}

impl Pool {
    fn roster(&self) -> MutexGuard<'_, Roster> {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the worker that `hand_off` has asked for.
    fn start_worker(self: &Arc<Self>) {
        let mut roster = self.roster();
        let number = roster.workers.iter().position(Option::is_none).unwrap_or(roster.workers.len());
        let desk = Arc::new(Desk::default());
        let mut builder = thread::Builder::new().name(self.thread_name(number));
        if let Some(stack_bytes) = self.settings.stack_bytes {
            builder = builder.stack_size(stack_bytes);
        }
        let (pool, desk_) = (self.clone(), desk.clone());
        // Under the lock, which a worker that ends needs: so it finds itself on the roster. For settings that the system does
        // not like, std has a panic beside the error: neither leaves a worker that is counted and does not exist.
        let thread = catch_unwind(AssertUnwindSafe(|| builder.spawn(move || pool.work(number, &desk_))));
        let Ok(Ok(thread)) = thread else {
            drop(roster);
            drop_each(self.hand_off.worker_failed());
            if self.hand_off.is_over() {
                self.tell_that_it_is_over();
            }
            return;
        };
        let worker = Worker { thread: Some(thread), desk };
        match roster.workers.get_mut(number) {
            Some(place) => *place = Some(worker),
            None => roster.workers.push(Some(worker)),
        }
    }

    /// The life of a worker.
    fn work(self: Arc<Self>, number: usize, desk: &Desk) {
        if let Some(initializer) = &self.settings.initializer
            && contain(initializer).is_err()
        {
            self.hand_off.close();
            drop_each(self.hand_off.take_queued());
        }
        let mut asking = Asking::First;
        loop {
            let job = match self.hand_off.next(asking, self.settings.idle_timeout) {
                Next::Work(job) => job,
                Next::StartWorkerAndWork(job) => {
                    Self::start_worker(&self);
                    job
                }
                Next::End => break,
            };
            asking = Asking::Again;
            desk.put(job.token());
            // A panic of the job itself goes to whoever waits; what is contained here comes from a foreign waker, or from a
            // destructor: of a job that nobody waits for, the desk may be the last that has the result.
            let _ = contain(|| job.run());
            let _ = contain(|| desk.put(None));
        }
        self.end(number);
    }

    /// A worker ends: sees the end of the one before, and leaves its own to the next.
    fn end(&self, number: usize) {
        let previous = {
            let mut roster = self.roster();
            let own = roster.workers.get_mut(number).and_then(Option::take).and_then(|worker| worker.thread);
            mem::replace(&mut roster.ended, own)
        };
        join(previous);
        if self.hand_off.worker_gone() {
            self.tell_that_it_is_over();
        }
    }

    /// Wakes those who wait for the end of the last thread.
    fn tell_that_it_is_over(&self) {
        let waiting = mem::take(&mut self.roster().waiting);
        for waker in waiting {
            let _ = contain(|| waker.wake());
        }
    }

    fn unfinished(&self) -> Vec<UnfinishedJob> {
        let mut jobs: Vec<_> = {
            let roster = self.roster();
            let busy = roster.workers.iter().enumerate().filter_map(|(number, worker)| {
                let location = worker.as_ref()?.desk.location()?;
                Some(UnfinishedJob::new(location, Some(self.thread_name(number))))
            });
            busy.collect()
        };
        let queued = self.hand_off.map_queued(|job| (!job.is_cancelled()).then(|| job.location()));
        jobs.extend(queued.into_iter().flatten().map(|location| UnfinishedJob::new(location, None)));
        jobs
    }

    fn thread_name(&self, number: usize) -> String {
        format!("{}_{number}", self.settings.name_prefix)
    }
}

/// Runs what is the user's. Its panic is nobody's, and ends no worker.
fn contain(code: impl FnOnce()) -> Result<(), Panicked> {
    let Err(payload) = catch_unwind(AssertUnwindSafe(code)) else { return Ok(()) };
    if let Err(another) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // The destructor of a payload has panicked. It might go on like this for ever.
        mem::forget(another);
    }
    Err(Panicked)
}

/// The user's code has panicked.
struct Panicked;

/// Drops jobs that nobody will run: whoever waits for one is told, whatever becomes of the others.
fn drop_each(orphans: impl IntoIterator<Item = Job>) {
    for job in orphans {
        let _ = contain(|| drop(job));
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // Its panics were caught. It is at its very end, so this takes no time to speak of.
        let _ = thread.join();
    }
}

/// Done when the pool's threads are gone.
struct Over(Arc<Pool>);

impl Future for Over {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let pool = &self.0;
        let waker = cx.waker().clone(); // With nothing locked: what is cloned is not ours.
        {
            // Before the look, so that the last worker finds it.
            let mut roster = pool.roster();
            if !roster.waiting.iter().any(|known| known.will_wake(&waker)) {
                roster.waiting.push(waker);
            }
        }
        if !pool.hand_off.is_over() {
            return Poll::Pending;
        }
        let last = pool.roster().ended.take();
        join(last);
        Poll::Ready(())
    }
}

/// The default of [`ThreadPoolBuilder::idle_timeout`].
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
