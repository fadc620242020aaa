//! `workers`: one loop for each thread, for those who outgrow one processor. It starts them, ends them, and hands work across.
//!
//! Invariants:
//! 1. No `main` begins before every worker has its loop, so each may hand work to all from its first step.
//! 2. Whatever ends one worker badly stops all; whoever waits is told when the last has ended, and not before.
//! 3. A worker is told to stop by cancelling its main task: nothing else of it is touched from outside.
//!
//! Absent on purpose: sockets. A port is shared by servers with `reuse_port`, one in each worker.

use crate::job::{Job, JobHandle};
use asyncio_loop::{ClosedError, EventLoop, LoopHandle, get_running_loop, new_event_loop};
use asyncio_tasks::{
    CancelHandle, LoopHandleExt as _, Runner, RunnerError, ThreadFuture, catch_cancelled, current_task,
};
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::thread;

/// Runs `main` on `n` threads at once, each in a loop of its own, until all have ended. Await it; or [`start`](StartWorkers::start) them
/// and keep what controls them.
///
/// `main` is an async closure or function that is called once for each worker, on the worker's thread: what it makes there need
/// not be `Send`. It ends by itself, or when the workers are stopped, which cancels it as Ctrl-C cancels the main task of
/// [`run`](asyncio_tasks::run): it may clean up. A server that is cancelled in `serve_forever` stops accepting and waits for its
/// connections, so a worker that serves ends gracefully. What a worker leaves behind is cancelled and awaited, and its loop closed.
///
/// An error or a panic of one worker stops all others. Workers stop each other, and the program's other tasks stop them,
/// by [`WorkersHandle::stop`]; Ctrl-C reaches the task that awaits them.
///
/// # Cancel safety
///
/// A cancellation stops the workers, waits until they have ended, and goes on. Dropping it (not by a cancellation) stops them
/// without waiting.
///
/// # Errors
///
/// [`WorkersError`], with what went wrong in each worker that did not end well.
///
/// # Panics
///
/// If `n` is zero. With the panic of a worker, the first one by number, when all have ended.
///
/// # Examples
///
/// ```
/// use asyncio_executor::{Worker, workers};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// let sum = Arc::new(AtomicUsize::new(0));
/// let sum_ = sum.clone();
/// asyncio_tasks::run(async {
///     let main = async move |worker: Worker| {
///         sum_.fetch_add(worker.index() + 1, Ordering::Relaxed);
///         Ok::<(), std::io::Error>(())
///     };
///     workers(4, main).await
/// })?;
/// assert_eq!(sum.load(Ordering::Relaxed), 1 + 2 + 3 + 4);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # asyncio
///
/// None: Python's servers start processes. The cleanest stop that they know, cancelling the main task, is the one here.
#[track_caller]
pub fn workers<F, E>(n: usize, main: F) -> StartWorkers<F>
where
    F: AsyncFn(Worker) -> Result<(), E> + Send + Sync + 'static,
    E: Send + 'static,
{
    assert!(n > 0, "`workers` needs at least one worker");
    StartWorkers { n, main, thread_name: String::from("worker"), factory: Arc::new(new_event_loop) }
}

/// Workers that are not started yet; see [`workers`]. Await it.
#[must_use = "nothing runs unless it is awaited, or started"]
pub struct StartWorkers<F> {
    n: usize,
    main: F,
    thread_name: String,
    factory: LoopFactory,
}

type LoopFactory = Arc<dyn Fn() -> io::Result<EventLoop> + Send + Sync>;

impl<F, E> StartWorkers<F>
where
    F: AsyncFn(Worker) -> Result<(), E> + Send + Sync + 'static,
    E: Send + 'static,
{
    /// What the threads are called; `_` and a number are added. Default: `worker`.
    ///
    /// # Panics
    ///
    /// If `prefix` contains a NUL, which the name of a thread cannot.
    #[track_caller]
    pub fn thread_name(self, prefix: impl Into<String>) -> Self {
        let prefix = prefix.into();
        assert!(!prefix.contains('\0'), "`prefix` contains a NUL, which the name of a thread cannot: {prefix:?}");
        Self { thread_name: prefix, ..self }
    }

    /// Makes each loop by `factory`, on the thread of its worker, instead of `new_event_loop`.
    pub fn loop_factory(self, factory: impl Fn() -> io::Result<EventLoop> + Send + Sync + 'static) -> Self {
        Self { factory: Arc::new(factory), ..self }
    }

    /// Starts the workers, and waits until each has its loop.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, no `main` is called, and the threads end.
    ///
    /// # Errors
    ///
    /// [`WorkersError`] if a thread or a loop could not be made. Then no `main` was called, and all threads have ended.
    pub async fn start(self) -> Result<Workers<E>, WorkersError<E>> {
        let main = Arc::new(self.main);
        let seats = (0..self.n).map(|_| OnceLock::new()).collect();
        let group = Group { seats, is_stopping: AtomicBool::new(false), next: AtomicUsize::new(0) };
        let handle = WorkersHandle(Arc::new(group));
        let (mut ends, mut begins, mut ready) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..self.n {
            let (begin, may_begin) = Job::new(|| ());
            let (tell_ready, is_ready) = Job::new(|| ());
            let worker = Worker { index, workers: handle.clone() };
            let (main, factory) = (main.clone(), self.factory.clone());
            let (job, end) = Job::new(move || live(worker, factory, tell_ready, may_begin, main));
            let thread = thread::Builder::new().name(format!("{}_{index}", self.thread_name));
            ends.push(match thread.spawn(move || job.run()) {
                Ok(_detached) => End::Awaited(end),
                Err(error) => End::Known(Err(WorkerError::Start(error))),
            });
            begins.push(begin);
            ready.push(is_ready);
        }
        let mut are_ready = true;
        for is_ready in ready {
            are_ready &= is_ready.await.is_ok();
        }
        let mut workers = Workers { handle, ends };
        if are_ready {
            begins.into_iter().for_each(Job::run);
        } else {
            drop(begins); // Which tells those that wait to begin.
            workers.wait().await?;
        }
        Ok(workers)
    }
}

impl<F, E> IntoFuture for StartWorkers<F>
where
    F: AsyncFn(Worker) -> Result<(), E> + Send + Sync + 'static,
    E: Send + 'static,
{
    type Output = Result<(), WorkersError<E>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut workers = self.start().await?;
            match catch_cancelled(workers.wait()).await {
                Ok(outcome) => outcome,
                Err(cancelled) => {
                    workers.stop();
                    // What they end with is of no interest any more; a panic is.
                    let _ = workers.wait().await;
                    match cancelled.reraise().await {}
                }
            }
        })
    }
}

impl<F> fmt::Debug for StartWorkers<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartWorkers")
            .field("n", &self.n)
            .field("thread_name", &self.thread_name)
            .finish_non_exhaustive()
    }
}

/// Workers that run. Dropping this stops them, without waiting until they have ended.
#[must_use = "dropping it stops the workers"]
pub struct Workers<E> {
    handle: WorkersHandle,
    ends: Vec<End<E>>,
}

/// What is known of the end of a worker.
enum End<E> {
    Awaited(JobHandle<Result<(), WorkerError<E>>>),
    Known(Result<(), WorkerError<E>>),
    Panicked(Box<dyn Any + Send>),
}

impl<E: 'static> Workers<E> {
    /// What stops the workers, and hands them work: from here, from each of them, and from any thread.
    #[must_use]
    pub fn handle(&self) -> WorkersHandle {
        self.handle.clone()
    }

    /// Stops the workers; see [`WorkersHandle::stop`].
    pub fn stop(&self) {
        self.handle.stop();
    }

    /// Waits until every worker has ended. What went wrong is told once: called again, it says `Ok`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the workers go on, and what was learnt is kept for the next call.
    ///
    /// # Errors
    ///
    /// [`WorkersError`], with what went wrong in each worker that did not end well.
    ///
    /// # Panics
    ///
    /// With the panic of a worker, the first one by number, when all have ended.
    pub async fn wait(&mut self) -> Result<(), WorkersError<E>> {
        for end in &mut self.ends {
            poll_fn(|cx| end.poll(cx)).await;
        }
        let (mut failures, mut first_panic) = (Vec::new(), None);
        for (worker, end) in self.ends.drain(..).enumerate() {
            match end {
                End::Known(Err(error)) => failures.push((worker, error)),
                End::Panicked(panic) => first_panic = first_panic.or(Some(panic)),
                End::Known(Ok(())) | End::Awaited(_) => {}
            }
        }
        if let Some(panic) = first_panic {
            resume_unwind(panic);
        }
        if failures.is_empty() { Ok(()) } else { Err(WorkersError { failures }) }
    }
}

impl<E: 'static> End<E> {
    /// Ready when the end is known.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Awaited(handle) = self {
            // The handle passes on the panic of its job, which others may have to be waited for in spite of.
            *self = match catch_unwind(AssertUnwindSafe(|| Pin::new(handle).poll(cx))) {
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(outcome)) => Self::Known(outcome.unwrap_or(Ok(()))),
                Err(panic) => Self::Panicked(panic),
            };
        }
        Poll::Ready(())
    }
}

impl<E> Drop for Workers<E> {
    fn drop(&mut self) {
        self.handle.stop();
    }
}

impl<E> fmt::Debug for Workers<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("handle", &self.handle).finish_non_exhaustive()
    }
}

/// One of the workers: what its `main` is given.
#[derive(Clone, Debug)]
pub struct Worker {
    index: usize,
    workers: WorkersHandle,
}

impl Worker {
    /// Its number, from 0.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// All workers, this one among them.
    #[must_use]
    pub const fn workers(&self) -> &WorkersHandle {
        &self.workers
    }
}

/// Stops workers, and hands them work, from any thread. Clones are for the same workers.
#[derive(Clone)]
pub struct WorkersHandle(Arc<Group>);

/// What the workers share.
struct Group {
    seats: Vec<OnceLock<Seat>>,
    is_stopping: AtomicBool,
    /// Whose turn it is to be given work.
    next: AtomicUsize,
}

/// A worker that has its loop.
struct Seat {
    event_loop: LoopHandle,
    main: CancelHandle,
}

impl WorkersHandle {
    /// How many workers were started.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.seats.len()
    }

    /// Runs the coroutine that `make` makes as a task of a worker's loop: of each in turn, except those that have ended.
    ///
    /// `make` travels to the worker and must be `Send`, as must the result. The coroutine is made there and need not be; a future that
    /// is `Send` travels by `move || future`. Await the result in a task of any loop. When the worker ends before, the task is
    /// cancelled, as all that it leaves behind, and so is the result.
    ///
    /// # Errors
    ///
    /// [`ClosedError`] if all workers have ended.
    ///
    /// # asyncio
    ///
    /// [`asyncio.run_coroutine_threadsafe`](https://docs.python.org/3/library/asyncio-task.html#asyncio.run_coroutine_threadsafe), with
    /// a loop out of several.
    #[track_caller]
    pub fn submit<M, F>(&self, make: M) -> Result<ThreadFuture<F::Output>, ClosedError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        // Relaxed: it is a turn, and nothing else depends on it.
        let first = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mut in_turn = (0..self.count()).map(|n| first.wrapping_add(n) % self.count());
        let open = in_turn.find(|index| !self.event_loop(*index).is_closed());
        self.submit_to(open.unwrap_or_default(), make)
    }

    /// As [`submit`](Self::submit), to the worker with the number `index`.
    ///
    /// # Errors
    ///
    /// [`ClosedError`] if that worker has ended.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    ///
    /// # asyncio
    ///
    /// As that of [`submit`](Self::submit).
    #[track_caller]
    pub fn submit_to<M, F>(&self, index: usize, make: M) -> Result<ThreadFuture<F::Output>, ClosedError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        assert!(index < self.count(), "there is no worker {index}: there are {}", self.count());
        self.event_loop(index).run_coroutine_threadsafe(make)
    }

    /// Stops the workers: the `main` of each is cancelled, once, and may clean up. One that has not begun yet never
    /// does. Does not wait; a second call does nothing.
    pub fn stop(&self) {
        // Relaxed: it only keeps the second call from doing what the first does.
        if !self.0.is_stopping.swap(true, Ordering::Relaxed) {
            self.0.seats.iter().filter_map(OnceLock::get).for_each(|seat| seat.main.cancel());
        }
    }

    /// Whether the workers were told to stop, by somebody or because one has failed.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        // Relaxed: what is told has its own way, by the loops.
        self.0.is_stopping.load(Ordering::Relaxed)
    }

    fn event_loop(&self, index: usize) -> &LoopHandle {
        &self.0.seats[index].get().expect("invariant 1: nobody can ask before every worker has its loop").event_loop
    }
}

impl fmt::Debug for WorkersHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkersHandle").field("count", &self.count()).field("is_stopping", &self.is_stopping()).finish()
    }
}

/// Why workers did not end well: what went wrong, by their numbers.
#[derive(Debug)]
pub struct WorkersError<E> {
    failures: Vec<(usize, WorkerError<E>)>,
}

/// Why one worker did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError<E> {
    /// Its thread or its loop could not be made. No `main` was called.
    #[error("its thread or loop could not be made")]
    Start(#[source] io::Error),
    /// What its `main` has returned.
    #[error("its main function failed")]
    Main(#[source] E),
    /// Its loop did not run to the end, or its `main` was cancelled by somebody else than those who stop the workers.
    #[error("its loop did not run to the end")]
    Run(#[source] RunnerError),
}

impl<E> WorkersError<E> {
    /// The numbers of the workers, in order, and what went wrong in each. Never empty.
    #[must_use]
    pub fn failures(&self) -> &[(usize, WorkerError<E>)] {
        &self.failures
    }

    /// As [`failures`](Self::failures), by value.
    #[must_use]
    pub fn into_failures(self) -> Vec<(usize, WorkerError<E>)> {
        self.failures
    }
}

impl<E> fmt::Display for WorkersError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not all workers ended well:")?;
        let mut numbers = self.failures.iter().map(|(worker, _)| worker);
        numbers.try_for_each(|worker| write!(f, " worker {worker}"))
    }
}

impl<E: Error + 'static> Error for WorkersError<E> {
    /// What went wrong in the first of them.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.failures.first().map(|(_, error)| error as _)
    }
}

impl From<WorkersError<Self>> for io::Error {
    /// With the kind of the first error.
    fn from(error: WorkersError<Self>) -> Self {
        let kind = match error.failures.first() {
            Some((_, WorkerError::Start(error) | WorkerError::Main(error))) => error.kind(),
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// The life of a worker, on its thread.
fn live<F, E>(
    worker: Worker,
    factory: LoopFactory,
    tell_ready: Job,
    may_begin: JobHandle<()>,
    main: Arc<F>,
) -> Result<(), WorkerError<E>>
where
    F: AsyncFn(Worker) -> Result<(), E> + Send + Sync + 'static,
    E: Send + 'static,
{
    let unless_well = StopAll(Some(worker.workers.clone()));
    let mut runner = Runner::builder().loop_factory(move || factory()).build().map_err(WorkerError::Start)?;
    let outcome = runner.run(async move {
        let main_task = current_task().expect("a runner runs tasks").cancel_handle();
        let seat = Seat { event_loop: get_running_loop().handle(), main: main_task };
        let _is_first = worker.workers.0.seats[worker.index].set(seat);
        tell_ready.run();
        // Otherwise some other worker could not be started.
        if may_begin.await.is_ok() { main(worker).await } else { Ok(()) }
    });
    runner.close();
    match outcome {
        Ok(returned) => returned.map_err(WorkerError::Main)?,
        Err(RunnerError::Cancelled(_)) if unless_well.is_stopping() => {}
        Err(error) => return Err(WorkerError::Run(error)),
    }
    unless_well.disarm();
    Ok(())
}

/// Stops all workers when one ends by an error or a panic.
struct StopAll(Option<WorkersHandle>);

impl StopAll {
    fn is_stopping(&self) -> bool {
        self.0.as_ref().is_some_and(WorkersHandle::is_stopping)
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for StopAll {
    fn drop(&mut self) {
        if let Some(workers) = &self.0 {
            workers.stop();
        }
    }
}
