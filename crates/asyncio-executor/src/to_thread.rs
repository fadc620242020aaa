//! `to_thread`: one blocking call, as if it were a coroutine.

use crate::job::JobHandle;
use crate::loop_executor::submit_default;
use asyncio_loop::ContextSnapshot;
use asyncio_tasks::Reraise;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Runs `work` on a thread of the default executor, in a copy of the current context, and gives its result.
///
/// It starts when it is awaited first. A panic of `work` goes on in whoever awaits.
///
/// ```
/// let answer = asyncio_tasks::run(async { asyncio_executor::to_thread(|| 6 * 7).await });
/// assert_eq!(answer, 42);
/// ```
///
/// # Cancel safety
///
/// Dropping it cancels the job: if it has not started, it never will. If it runs it runs on, told by
/// [`current_job`](crate::current_job), and its result is dropped.
///
/// # Panics
///
/// When polled: with the panic of `work`; if no loop is running in this thread; if the default executor was shut down
/// ([`run_in_executor`](crate::LoopExecutorExt::run_in_executor) gives that as an error).
///
/// # asyncio
///
/// [`asyncio.to_thread`](https://docs.python.org/3/library/asyncio-task.html#asyncio.to_thread). Same.
#[track_caller]
pub fn to_thread<F, T>(work: F) -> ToThread<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    to_thread_at(work, Location::caller())
}

/// As [`to_thread`], called at `location`.
pub(crate) const fn to_thread_at<F, T>(work: F, location: &'static Location<'static>) -> ToThread<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    ToThread { stage: Stage::Start(Some(work)), location }
}

/// A blocking call on another thread; what [`to_thread`] makes.
#[must_use = "futures do nothing unless they are awaited"]
pub struct ToThread<F, T> {
    stage: Stage<F, T>,
    location: &'static Location<'static>,
}

enum Stage<F, T> {
    Start(Option<F>),
    Wait(JobHandle<T>),
    /// The executor has dropped the job: as in asyncio, that cancels whoever waits.
    Cancelled(Reraise),
}

// Nothing in it is polled in place but what is `Unpin` itself.
impl<F, T> Unpin for ToThread<F, T> {}

impl<F, T> Future for ToThread<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        loop {
            match &mut this.stage {
                Stage::Start(work) => {
                    let work = work.take().expect("it is taken only when the stage is left");
                    let context = ContextSnapshot::current().to_send();
                    match submit_default(work, context, this.location) {
                        Ok(handle) => this.stage = Stage::Wait(handle),
                        Err(error) => panic!("asyncio::to_thread, called at {}: {error}", this.location),
                    }
                }
                Stage::Wait(handle) => match ready!(Pin::new(handle).poll(cx)) {
                    Ok(value) => return Poll::Ready(value),
                    Err(cancelled) => this.stage = Stage::Cancelled(cancelled.reraise()),
                },
                Stage::Cancelled(reraise) => match ready!(Pin::new(reraise).poll(cx)) {},
            }
        }
    }
}

impl<F, T> fmt::Debug for ToThread<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToThread").field("called_at", &self.location.to_string()).finish_non_exhaustive()
    }
}
