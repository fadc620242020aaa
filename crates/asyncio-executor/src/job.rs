//! `Job` and `JobHandle`: the two ends of one piece of blocking work.
//!
//! The job goes to an executor, the handle stays with whoever waits. Between them is one allocation that holds the closure
//! first and the result later. The handle wakes its task by the task's waker, so it works under any executor of futures, and
//! many results that arrive together wake the loop once.
//!
//! Invariants:
//! 1. The closure is run at most once; never after a cancellation that came before its start.
//! 2. Whoever waits is always told: of the result, of the panic, or that the job was cancelled or dropped.
//! 3. Nothing is locked while a waker is called, cloned or dropped, or a closure, result or panic is run or dropped.
//!
//! Checked by loom models beside this file. Absent on purpose: threads.

#[cfg(all(test, asyncio_loom))]
mod loom_tests;

use asyncio_driver::TimeHold;
use asyncio_loop::{ContextSnapshot, SendContext};
use asyncio_tasks::CancelledError;
use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

#[cfg(all(test, asyncio_loom))]
use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};
#[cfg(not(all(test, asyncio_loom)))]
use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering},
};

/// Blocking work on its way to a thread. Run it, once, or drop it: then whoever waits is told that it was cancelled.
///
/// # asyncio
///
/// `concurrent.futures.thread._WorkItem`, which every pool of Python has for itself.
pub struct Job {
    run: Option<Arc<dyn Run>>,
}

impl Job {
    /// Makes a job of a closure, and what its result is awaited by.
    ///
    /// For use without a loop; [`run_in_executor`](crate::LoopExecutorExt::run_in_executor) does this and submits it.
    #[track_caller]
    pub fn new<F, T>(work: F) -> (Self, JobHandle<T>)
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Self::with(work, None, None, Location::caller())
    }

    pub(crate) fn with<F, T>(
        work: F,
        context: Option<SendContext>,
        hold: Option<Box<dyn TimeHold>>,
        location: &'static Location<'static>,
    ) -> (Self, JobHandle<T>)
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let inner = Inner { stage: Stage::Queued(work, context), waker: None, hold };
        let core = Arc::new(Core { inner: Mutex::new(inner), is_cancelled: AtomicBool::new(false), location });
        (Self { run: Some(core.clone()) }, JobHandle { core, end: End::Cancel })
    }

    /// Runs the closure on this thread, unless the job was cancelled. Its panic goes to whoever waits.
    pub fn run(mut self) {
        if let Some(run) = self.run.take() {
            run.run();
        }
    }

    /// Whether nobody wants the result any more: running it would do nothing.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.is_cancelled())
    }

    /// Where in the program the job was submitted.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.run.as_ref().map_or_else(|| Location::caller(), |run| run.location())
    }

    /// What a pool remembers of a job that it runs.
    pub(crate) fn token(&self) -> Option<CancelToken> {
        self.run.clone().map(|job| CancelToken { job })
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            run.cancel("the executor has dropped the job");
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = self.location().to_string();
        f.debug_struct("Job").field("submitted_at", &location).field("cancelled", &self.is_cancelled()).finish()
    }
}

/// The result of blocking work on another thread: await it. Dropping it cancels the job, [`detach`](Self::detach) does not.
///
/// A job that is cancelled before its start never runs. One that runs cannot be stopped: it is told by its
/// [`CancelToken`], and what it gives is dropped.
///
/// The panic of the job goes on in whoever awaits. `Err(CancelledError)` means that somebody has called
/// [`cancel`](Self::cancel), or that the executor has dropped the job.
///
/// # Cancel safety
///
/// Awaited by value, it is dropped with the await, which cancels the job. Awaited by `&mut`, nothing is lost.
///
/// # asyncio
///
/// The future of
/// [`loop.run_in_executor`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.run_in_executor). Differs: it
/// cancels when dropped, as nobody else can have it.
#[must_use = "dropping it cancels the job; `detach` lets it run"]
pub struct JobHandle<T> {
    core: Arc<dyn Outcome<T>>,
    end: End,
}

/// What is to be done when a handle is dropped.
#[derive(Clone, Copy)]
enum End {
    Cancel,
    Detach,
    /// Nothing: the outcome is taken.
    Nothing,
}

impl<T> JobHandle<T> {
    /// Cancels the job: it will not start, or its result will be dropped. `false` if it is done already.
    #[expect(clippy::must_use_candidate, reason = "a request that comes too late is seldom of interest")]
    pub fn cancel(&self) -> bool {
        self.core.cancel("cancelled")
    }

    /// Whether it was cancelled.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.core.is_cancelled()
    }

    /// Whether there is a result, or it was cancelled.
    #[must_use]
    pub fn done(&self) -> bool {
        matches!(self.core.status(), Status::Done)
    }

    /// Whether it is running.
    #[must_use]
    pub fn running(&self) -> bool {
        matches!(self.core.status(), Status::Running)
    }

    /// Lets the job run, though nobody waits for it.
    pub fn detach(mut self) {
        self.end = End::Detach;
    }
}

impl<T> Future for JobHandle<T> {
    type Output = Result<T, CancelledError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = self.core.poll(cx);
        if outcome.is_ready() {
            self.end = End::Nothing;
        }
        outcome
    }
}

impl<T> Drop for JobHandle<T> {
    fn drop(&mut self) {
        match self.end {
            End::Cancel => {
                self.core.cancel("nobody waits for the job");
                self.core.discard();
            }
            End::Detach => self.core.forget_waker(),
            End::Nothing => {}
        }
    }
}

impl<T> fmt::Debug for JobHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = self.core.location().to_string();
        f.debug_struct("JobHandle").field("status", &self.core.status()).field("submitted_at", &location).finish()
    }
}

/// Tells a job that runs whether anybody still wants its result. Clones are for the same job.
///
/// # asyncio
///
/// None: a thread of asyncio's never learns that it was cancelled.
#[derive(Clone)]
pub struct CancelToken {
    job: Arc<dyn Run>,
}

impl CancelToken {
    /// Whether the job was cancelled: it should end soon.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.job.is_cancelled()
    }

    /// Where in the program the job was submitted.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.job.location()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

/// The token of the job that is running on this thread, if it is one.
///
/// ```
/// # asyncio_tasks::run(async {
/// let token = asyncio_executor::to_thread(|| asyncio_executor::current_job().unwrap()).await;
/// assert!(!token.is_cancelled());
/// # });
/// ```
#[must_use]
pub fn current_job() -> Option<CancelToken> {
    CURRENT.with_borrow(Clone::clone)
}

thread_local! {
    static CURRENT: RefCell<Option<CancelToken>> = const { RefCell::new(None) };
}

/// What both ends share.
struct Core<F, T> {
    inner: Mutex<Inner<F, T>>,
    /// Beside the lock, for a job that asks often.
    is_cancelled: AtomicBool,
    location: &'static Location<'static>,
}

struct Inner<F, T> {
    stage: Stage<F, T>,
    waker: Option<Waker>,
    /// Virtual time does not jump while somebody waits for the job.
    hold: Option<Box<dyn TimeHold>>,
}

enum Stage<F, T> {
    Queued(F, Option<SendContext>),
    Running,
    Done(std::thread::Result<T>),
    /// Whether or not it still runs.
    Cancelled(&'static str),
    Taken,
}

#[derive(Debug)]
enum Status {
    Queued,
    Running,
    Done,
}

/// The end of a job that executors see.
trait Run: Send + Sync {
    fn run(self: Arc<Self>);
    fn cancel(&self, why: &'static str) -> bool;
    fn is_cancelled(&self) -> bool;
    fn location(&self) -> &'static Location<'static>;
}

/// The end of a job that its handle sees.
trait Outcome<T>: Run {
    fn poll(&self, cx: &Context<'_>) -> Poll<Result<T, CancelledError>>;
    fn status(&self) -> Status;
    fn discard(&self);
    fn forget_waker(&self);
}

impl<F, T> Core<F, T> {
    fn lock(&self) -> MutexGuard<'_, Inner<F, T>> {
        // Nothing of the user's runs under the lock, so no panic can leave it half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the closure out, unless it was cancelled.
    fn start(&self) -> Option<(F, Option<SendContext>)> {
        let mut inner = self.lock();
        match mem::replace(&mut inner.stage, Stage::Running) {
            Stage::Queued(work, context) => Some((work, context)),
            other => {
                inner.stage = other;
                None
            }
        }
    }

    /// Puts the result in, and wakes whoever waits.
    fn finish(&self, outcome: std::thread::Result<T>) {
        let mut inner = self.lock();
        if !matches!(inner.stage, Stage::Running) {
            drop(inner);
            // Nobody wants it; and its destructor is the user's.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(outcome)));
            return;
        }
        inner.stage = Stage::Done(outcome);
        let (waker, hold) = (inner.waker.take(), inner.hold.take());
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        // After the notification, so that time cannot jump in between.
        drop(hold);
    }
}

impl<F, T> Run for Core<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn run(self: Arc<Self>) {
        let Some((work, context)) = self.start() else { return };
        let outcome = {
            let _current = CurrentJob::enter(CancelToken { job: self.clone() }, context);
            catch_unwind(AssertUnwindSafe(work))
        };
        self.finish(outcome);
    }

    fn cancel(&self, why: &'static str) -> bool {
        let mut inner = self.lock();
        if !matches!(inner.stage, Stage::Queued(..) | Stage::Running) {
            return false;
        }
        // Release: pairs with `is_cancelled`, so that the job sees what its canceller did before.
        self.is_cancelled.store(true, Ordering::Release);
        let stage = mem::replace(&mut inner.stage, Stage::Cancelled(why));
        let (waker, hold) = (inner.waker.take(), inner.hold.take());
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        drop((stage, hold));
        true
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    fn location(&self) -> &'static Location<'static> {
        self.location
    }
}

impl<F, T> Outcome<T> for Core<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn poll(&self, cx: &Context<'_>) -> Poll<Result<T, CancelledError>> {
        let waker = cx.waker().clone(); // With nothing locked: what is cloned is not ours.
        let mut inner = self.lock();
        match &inner.stage {
            Stage::Queued(..) | Stage::Running => {
                let old = inner.waker.replace(waker);
                drop(inner);
                drop(old);
                Poll::Pending
            }
            Stage::Cancelled(why) => Poll::Ready(Err(CancelledError::new(Some(why)))),
            Stage::Done(_) | Stage::Taken => {
                let stage = mem::replace(&mut inner.stage, Stage::Taken);
                drop(inner);
                match stage {
                    Stage::Done(Ok(value)) => Poll::Ready(Ok(value)),
                    Stage::Done(Err(panic)) => resume_unwind(panic),
                    _ => panic!("a job was awaited again after it had given its result"),
                }
            }
        }
    }

    fn status(&self) -> Status {
        match self.lock().stage {
            Stage::Queued(..) => Status::Queued,
            Stage::Running => Status::Running,
            Stage::Done(_) | Stage::Cancelled(_) | Stage::Taken => Status::Done,
        }
    }

    fn discard(&self) {
        let mut inner = self.lock();
        let stage = matches!(inner.stage, Stage::Done(_)).then(|| mem::replace(&mut inner.stage, Stage::Taken));
        drop(inner);
        drop(stage);
    }

    fn forget_waker(&self) {
        let mut inner = self.lock();
        let (waker, hold) = (inner.waker.take(), inner.hold.take());
        drop(inner);
        drop((waker, hold));
    }
}

/// This thread runs a job, in a context of its own, until this is dropped.
struct CurrentJob {
    previous: Option<CancelToken>,
    context: ContextSnapshot,
}

impl CurrentJob {
    fn enter(token: CancelToken, context: Option<SendContext>) -> Self {
        let mut context = context.map(ContextSnapshot::from).unwrap_or_default();
        context.exchange();
        Self { previous: CURRENT.replace(Some(token)), context }
    }
}

impl Drop for CurrentJob {
    fn drop(&mut self) {
        self.context.exchange();
        let token = CURRENT.replace(self.previous.take());
        drop(token);
    }
}
