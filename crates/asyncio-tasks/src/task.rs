//! `Task`: a coroutine that the loop runs, and the handle to it.

use crate::current::current;
use crate::error::CancelledError;
use crate::loop_tasks::LoopTasks;
use crate::raw::TaskRef;
use crate::task_state::Flags;
use crate::task_state::{DoneCallback, Outcome};
use crate::waits::{self, Link, Look, WaitId};
use asyncio_loop::{Context as TaskContext, ContextSnapshot, EventLoop, ExceptionContext};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::mem;
use std::ops::Deref;
use std::panic::{self, Location};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A coroutine that runs on its own, and the handle to it.
///
/// The loop owns it: dropping the handle detaches, and the task runs on. [`abort_on_drop`](Task::abort_on_drop) gives a
/// handle that cancels instead.
///
/// `task.await` waits for the end and gives `Result<T, CancelledError>`; the error means that the task was cancelled by
/// somebody else. It *links*: if the waiting task is cancelled, the request goes to this task first, and the waiting one
/// is unwound when this one has ended (if it swallows the request, the waiting one just gets its value). `(&mut
/// task).await` only observes. A panic of the task is resumed in whoever awaits it.
///
/// Methods that need no `T` are those of [`AnyTask`].
///
/// # Cancel safety
///
/// Dropping the future that awaits a task detaches; nothing is lost but the handle.
///
/// # asyncio
///
/// [`asyncio.Task`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task). Differs: the loop owns its tasks; a
/// cancelled task is a value to whoever awaits it.
pub struct Task<T> {
    task: AnyTask,
    output: PhantomData<fn() -> T>,
}

/// A task, whatever it returns. Clones are the same task.
///
/// # asyncio
///
/// What `asyncio.current_task` and `asyncio.all_tasks` give.
#[derive(Clone, PartialEq)]
pub struct AnyTask {
    pub(crate) task: TaskRef,
}

/// Names a callback that was added by `add_done_callback`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallbackKey(pub(crate) u64);

/// Runs `coroutine` as a task of the running loop. Its first step comes after all that is ready now.
///
/// # Panics
///
/// If no loop is running in this thread.
///
/// # asyncio
///
/// [`asyncio.create_task`](https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task). Same; `name=` is the
/// method [`name`](Task::name), `context=` is [`context`](Task::context), `eager_start=` is
/// [`eager_start`](Task::eager_start).
#[track_caller]
pub fn create_task<F>(coroutine: F) -> Task<F::Output>
where
    F: Future + 'static,
{
    spawn_on(&LoopTasks::running(), coroutine, Location::caller())
}

/// The task whose step is running; `None` in a plain callback, or outside of a loop.
///
/// # asyncio
///
/// [`asyncio.current_task`](https://docs.python.org/3/library/asyncio-task.html#asyncio.current_task). Same, without an error
/// where no loop is running.
#[must_use]
pub fn current_task() -> Option<AnyTask> {
    current().map(|task| AnyTask { task })
}

/// The unfinished tasks of the running loop, oldest first.
///
/// # Panics
///
/// If no loop is running in this thread.
///
/// # asyncio
///
/// [`asyncio.all_tasks`](https://docs.python.org/3/library/asyncio-task.html#asyncio.all_tasks). Same, in order of creation.
#[must_use]
#[track_caller]
pub fn all_tasks() -> Vec<AnyTask> {
    all_tasks_of(&LoopTasks::running())
}

pub(crate) fn all_tasks_of(tasks: &LoopTasks) -> Vec<AnyTask> {
    tasks.unfinished().into_iter().map(|task| AnyTask { task }).collect()
}

/// Makes a task and schedules its first step, or runs it.
pub(crate) fn spawn_on<F>(
    tasks: &std::rc::Rc<LoopTasks>,
    coroutine: F,
    location: &'static Location<'static>,
) -> Task<F::Output>
where
    F: Future + 'static,
{
    let task = TaskRef::new(coroutine, tasks.clone(), location);
    let context = ContextSnapshot::current();
    if !context.is_empty() {
        task.state.with_extra(|extra| extra.context = context);
    }
    tasks.adopt(&task);
    crate::spans::begin(&task);
    if tasks.is_eager() {
        task.start_eagerly();
    } else {
        task.schedule();
    }
    if tasks.event_loop().is_closed() {
        tasks.refuse(&task);
    }
    Task { task: AnyTask { task }, output: PhantomData }
}

impl AnyTask {
    /// Asks the task to end by cancellation; `false` if it is done.
    ///
    /// It does not end here: at its next step the cancellation is delivered to its innermost catch scope, which may clean
    /// up, and may even swallow it. What the task waits for is given up at once, or gets the request first if it is a task or
    /// a future.
    ///
    /// # asyncio
    ///
    /// [`Task.cancel`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.cancel). Same; the message is
    /// [`cancel_with`](Self::cancel_with).
    #[expect(clippy::must_use_candidate, reason = "a request that comes too late is seldom of interest")]
    pub fn cancel(&self) -> bool {
        self.task.cancel(CancelledError::default())
    }

    /// As [`cancel`](Self::cancel), with a message for whoever catches it.
    #[expect(clippy::must_use_candidate, reason = "a request that comes too late is seldom of interest")]
    pub fn cancel_with(&self, message: &str) -> bool {
        self.task.cancel(CancelledError::new(Some(message)))
    }

    /// Whether the task has returned, panicked, or ended cancelled.
    ///
    /// # asyncio
    ///
    /// [`Task.done`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.done). Same.
    #[must_use]
    pub fn done(&self) -> bool {
        self.task.state.is_done()
    }

    /// Whether the task has ended cancelled.
    ///
    /// # asyncio
    ///
    /// [`Task.cancelled`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.cancelled). Same.
    #[must_use]
    pub fn cancelled(&self) -> bool {
        self.task.state.has(Flags::CANCELLED)
    }

    /// How the task was cancelled, if it has ended so.
    #[must_use]
    pub fn cancelled_error(&self) -> Option<CancelledError> {
        self.task.cancelled_error()
    }

    /// How many requests to cancel there were, less those taken back by [`uncancel`](Self::uncancel).
    ///
    /// # asyncio
    ///
    /// [`Task.cancelling`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.cancelling). Same.
    #[must_use]
    pub fn cancelling(&self) -> u32 {
        self.task.state.requests()
    }

    /// Takes back one request and returns how many are left. If none is left, a cancellation that was not delivered yet is
    /// withdrawn.
    ///
    /// # asyncio
    ///
    /// [`Task.uncancel`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.uncancel) as of 3.13. Same.
    #[expect(clippy::must_use_candidate, reason = "the count is seldom of interest")]
    pub fn uncancel(&self) -> u32 {
        self.task.uncancel()
    }

    /// The name; `Task-<n>` unless one was set.
    ///
    /// # asyncio
    ///
    /// [`Task.get_name`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.get_name). Same; threads take the
    /// numbers in blocks.
    #[must_use]
    pub fn get_name(&self) -> String {
        self.task.state.name().to_string()
    }

    /// Sets the name.
    ///
    /// # asyncio
    ///
    /// [`Task.set_name`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.set_name). Same.
    pub fn set_name(&self, name: impl fmt::Display) {
        let name: std::rc::Rc<str> = name.to_string().into();
        crate::spans::rename(&self.task, &name);
        self.task.state.with_extra(|extra| extra.name = Some(name));
    }

    /// Where in the program the task was created.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.task.state.location
    }

    /// The type of the coroutine, by name.
    ///
    /// # asyncio
    ///
    /// The nearest there is to [`Task.get_coro`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.get_coro).
    #[must_use]
    pub fn coroutine_name(&self) -> &'static str {
        self.task.type_name()
    }

    /// The loop that runs the task.
    #[must_use]
    pub fn get_loop(&self) -> EventLoop {
        self.task.state.tasks.event_loop().clone()
    }

    /// A copy of the context in which the steps of the task run.
    ///
    /// # asyncio
    ///
    /// [`Task.get_context`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.get_context). Differs: a copy.
    #[must_use]
    pub fn get_context(&self) -> TaskContext {
        if crate::current::is_current(&self.task) {
            return asyncio_loop::copy_context();
        }
        TaskContext::from(self.task.state.if_extra(|extra| extra.context.clone()).unwrap_or_default())
    }

    /// Calls `callback` once the task is done, by an entry of the ready queue, in a copy of the context of now. Callbacks
    /// run in the order in which they were added; if the task is done already, `callback` is scheduled right away.
    ///
    /// # asyncio
    ///
    /// [`Task.add_done_callback`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.add_done_callback). Same.
    #[track_caller]
    pub fn add_done_callback(&self, callback: impl FnOnce(&Self) + 'static) -> CallbackKey {
        let key = next_key();
        let task = self.clone();
        if self.done() {
            self.get_loop().call_soon(move || callback(&task));
        } else {
            let call = Box::new(move || callback(&task));
            let context = ContextSnapshot::current();
            self.task.state.with_extra(|extra| extra.callbacks.push(DoneCallback::Call { key, context, call }));
        }
        CallbackKey(key)
    }

    /// Makes what the task has set in its context current here.
    pub(crate) fn export_context(&self) {
        let mut values = self.task.state.if_extra(|extra| extra.context.clone()).unwrap_or_default();
        values.exchange();
    }

    /// Takes the panic of the task, to resume it elsewhere.
    pub(crate) fn take_unseen_panic(&self) -> Option<Box<dyn std::any::Any + Send>> {
        self.task.state.take_panic()
    }

    pub(crate) fn has_unseen_panic(&self) -> bool {
        self.task.state.has_unseen_panic()
    }

    /// Takes a callback back that has not been scheduled yet; gives how many there were: one or none.
    ///
    /// # asyncio
    ///
    /// [`Task.remove_done_callback`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.remove_done_callback).
    /// Differs: by key, since closures cannot be compared.
    #[expect(clippy::must_use_candidate, reason = "most callers know")]
    pub fn remove_done_callback(&self, key: CallbackKey) -> usize {
        let removed = self.task.state.if_extra(|extra| remove_callback(&mut extra.callbacks, key));
        usize::from(removed.flatten().is_some())
    }
}

/// Takes a callback out; the caller drops it with nothing borrowed.
pub(crate) fn remove_callback(callbacks: &mut Vec<DoneCallback>, key: CallbackKey) -> Option<DoneCallback> {
    let at =
        callbacks.iter().position(|entry| matches!(entry, DoneCallback::Call { key: other, .. } if *other == key.0))?;
    Some(callbacks.remove(at))
}

/// A key that no other callback of this thread has.
pub(crate) fn next_key() -> u64 {
    thread_local! {
        static NEXT: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
    }
    NEXT.replace(NEXT.get() + 1)
}

impl fmt::Debug for AnyTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task.fmt(f)
    }
}

impl<T: 'static> Task<T> {
    /// Sets the name; to be called on the result of [`create_task`].
    #[must_use = "dropping the handle detaches the task; use `set_name` if that is meant"]
    pub fn name(self, name: impl fmt::Display) -> Self {
        self.set_name(name);
        self
    }

    /// Lets the steps run in a copy of `context`; to be called on the result of [`create_task`], before the first step.
    #[must_use = "dropping the handle detaches the task"]
    pub fn context(self, context: &TaskContext) -> Self {
        let values = context.snapshot();
        let previous = self.task.task.state.with_extra(|extra| mem::replace(&mut extra.context, values));
        drop(previous);
        self
    }

    /// Runs the first step right now, inside this call, if it has not run yet. A task that does not wait is then done.
    ///
    /// # asyncio
    ///
    /// `create_task(.., eager_start=True)`. Same.
    #[must_use = "dropping the handle detaches the task"]
    pub fn eager_start(self) -> Self {
        self.task.task.start_eagerly();
        self
    }

    /// A handle without the type of the output.
    #[must_use]
    pub fn to_any(&self) -> AnyTask {
        self.task.clone()
    }

    /// The result of a task that is done.
    ///
    /// # Errors
    ///
    /// [`ResultError::NotDone`] and [`ResultError::Cancelled`].
    ///
    /// # Panics
    ///
    /// With the panic of the task.
    ///
    /// # asyncio
    ///
    /// [`Task.result`](https://docs.python.org/3/library/asyncio-task.html#asyncio.Task.result). Same.
    pub fn result(&self) -> Result<T, ResultError>
    where
        T: Clone,
    {
        if !self.done() {
            return Err(ResultError::NotDone);
        }
        unwrap_outcome(&self.task.task, self.cloned_outcome()).map_err(ResultError::Cancelled)
    }

    #[expect(unsafe_code, reason = "the handle knows the type of the output")]
    fn cloned_outcome(&self) -> Option<Outcome<T>>
    where
        T: Clone,
    {
        // SAFETY: a `Task<T>` is made of a future with the output `T` only.
        unsafe { self.task.task.clone_outcome(T::clone) }
    }

    /// Takes the outcome, or copies it if other handles may want it, too.
    #[expect(unsafe_code, reason = "the handle knows the type of the output")]
    fn take_outcome(&self) -> Option<Outcome<T>> {
        let task = &self.task.task;
        let cloner = task.state.if_extra(|extra| extra.cloner.as_ref()?.downcast_ref::<fn(&T) -> T>().copied());
        match cloner.flatten() {
            // SAFETY: a `Task<T>` is made of a future with the output `T` only.
            Some(clone) => unsafe { task.clone_outcome(clone) },
            // SAFETY: as above.
            None => unsafe { task.take_outcome() },
        }
    }

    /// A handle that cancels the task when it is dropped.
    #[must_use = "dropping it cancels the task"]
    pub fn abort_on_drop(self) -> AbortOnDrop<T> {
        AbortOnDrop(Some(self))
    }

    pub(crate) fn take_result(&self) -> Result<T, CancelledError> {
        unwrap_outcome(&self.task.task, self.take_outcome())
    }
}

impl<T: 'static, E: 'static> Task<Result<T, E>> {
    /// Lets an `Err` outrank a cancellation, as an exception does; to be called on the result of [`create_task`].
    ///
    /// A task that returns in the very step in which it was cancelled, without having waited since, ends cancelled, and what
    /// it returns is dropped. Not so an `Err`, after this. Tasks of a [`TaskGroup`](crate::TaskGroup) are made so.
    #[must_use = "dropping the handle detaches the task"]
    #[expect(unsafe_code, reason = "the handle knows the type of the output")]
    pub fn keep_errors(self) -> Self {
        let has_failed = |task: &TaskRef| {
            // SAFETY: a `Task<Result<T, E>>` is made of a future with that output only, and `is_err` is no user code.
            unsafe { task.outcome_is(Result::<T, E>::is_err) }
        };
        self.task.task.state.with_extra(|extra| extra.has_failed = Some(has_failed));
        self
    }
}

/// Turns an outcome into what an awaiter gets; resumes a panic.
fn unwrap_outcome<T>(task: &TaskRef, outcome: Option<Outcome<T>>) -> Result<T, CancelledError> {
    match outcome {
        Some(Outcome::Returned(value)) => Ok(value),
        Some(Outcome::Cancelled) => Err(task.cancelled_error().unwrap_or_default()),
        Some(Outcome::Panicked) => match task.state.take_panic() {
            Some(payload) => panic::resume_unwind(payload),
            None => panic!("the task {} has panicked, and its panic was resumed elsewhere", task.state.name()),
        },
        None => panic!("the result of the task {} was taken already: clone the handle to share it", task.state.name()),
    }
}

impl TaskRef {
    /// Reports a panic that nobody was told of, when nobody is left who could ask.
    pub(crate) fn report_unseen_panic(&self) {
        if let Some(payload) = self.state.take_panic() {
            let report = ExceptionContext::new("a task panicked, and its panic was never retrieved")
                .with("task", self.state.name().to_string())
                .with_location(self.state.location);
            self.state.tasks.event_loop().call_exception_handler(report.with_panic(payload));
        }
    }
}

impl<T> Deref for Task<T> {
    type Target = AnyTask;

    fn deref(&self) -> &AnyTask {
        &self.task
    }
}

impl<T: Clone + 'static> Clone for Task<T> {
    /// One more handle; each of them gives the result.
    fn clone(&self) -> Self {
        self.task.task.state.with_extra(|extra| {
            extra.cloner.get_or_insert_with(|| Box::new(T::clone as fn(&T) -> T));
        });
        Self { task: self.task.clone(), output: PhantomData }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.task.fmt(f)
    }
}

/// Why [`Task::result`] or [`Future::result`](crate::Future::result) has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResultError {
    /// It is not done yet: `InvalidStateError` in asyncio.
    #[error("the result is not ready")]
    NotDone,
    /// It was cancelled.
    #[error(transparent)]
    Cancelled(#[from] CancelledError),
}

/// A handle that cancels its task when it is dropped; see [`Task::abort_on_drop`]. Await it for the result.
#[derive(Debug)]
#[must_use = "dropping it cancels the task"]
pub struct AbortOnDrop<T: 'static>(Option<Task<T>>);

impl<T> AbortOnDrop<T> {
    /// Goes back to a handle that detaches.
    #[expect(clippy::missing_panics_doc, reason = "the handle is there until it is dropped")]
    pub fn detach(mut self) -> Task<T> {
        self.0.take().expect("the handle is there until it is dropped")
    }
}

impl<T> Deref for AbortOnDrop<T> {
    type Target = AnyTask;

    fn deref(&self) -> &AnyTask {
        &self.0.as_ref().expect("the handle is there until it is dropped").task
    }
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.cancel();
        }
    }
}

impl<T: 'static> IntoFuture for AbortOnDrop<T> {
    type Output = Result<T, CancelledError>;
    type IntoFuture = Join<T>;

    fn into_future(self) -> Join<T> {
        let mut join = self.detach().into_future();
        join.abort_on_drop = true;
        join
    }
}

/// Waits for a task and gives its result; what `task.await` makes.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Join<T: 'static> {
    task: Task<T>,
    wait: TaskWait,
    abort_on_drop: bool,
}

impl<T: 'static> IntoFuture for Task<T> {
    type Output = Result<T, CancelledError>;
    type IntoFuture = Join<T>;

    fn into_future(self) -> Join<T> {
        Join { task: self, wait: TaskWait::new(true), abort_on_drop: false }
    }
}

impl<T: 'static> Future for Join<T> {
    type Output = Result<T, CancelledError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        std::task::ready!(this.wait.poll(&this.task.task.task, cx));
        Poll::Ready(this.task.take_result())
    }
}

impl<T> Drop for Join<T> {
    fn drop(&mut self) {
        self.wait.end(&self.task.task.task);
        if self.abort_on_drop && !self.task.done() {
            self.task.cancel();
        }
    }
}

impl<T> fmt::Debug for Join<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Join").field("task", &self.task).finish_non_exhaustive()
    }
}

/// Waits for a task without linking to it; what `(&mut task).await` makes.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Observe<'a, T: 'static> {
    task: &'a mut Task<T>,
    wait: TaskWait,
}

impl<'a, T: 'static> IntoFuture for &'a mut Task<T> {
    type Output = Result<T, CancelledError>;
    type IntoFuture = Observe<'a, T>;

    fn into_future(self) -> Observe<'a, T> {
        Observe { task: self, wait: TaskWait::new(false) }
    }
}

impl<T: 'static> Future for Observe<'_, T> {
    type Output = Result<T, CancelledError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        std::task::ready!(this.wait.poll(&this.task.task.task, cx));
        Poll::Ready(this.task.take_result())
    }
}

impl<T> Drop for Observe<'_, T> {
    fn drop(&mut self) {
        self.wait.end(&self.task.task.task);
    }
}

impl<T> fmt::Debug for Observe<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observe").field("task", &self.task).finish_non_exhaustive()
    }
}

/// A wait for the end of a task.
#[derive(Debug)]
struct TaskWait {
    wait: Option<WaitId>,
    linked: bool,
}

impl TaskWait {
    const fn new(linked: bool) -> Self {
        Self { wait: None, linked }
    }

    fn poll(&mut self, task: &TaskRef, cx: &Context<'_>) -> Poll<()> {
        if let Some(wait) = self.wait {
            match waits::look(wait, cx) {
                Look::Decided => {
                    self.wait = None;
                    return Poll::Ready(());
                }
                Look::Waiting => return Poll::Pending,
                Look::GivenUp => self.end(task),
            }
        }
        if task.state.is_done() {
            return Poll::Ready(());
        }
        assert!(!crate::current::is_current(task), "a task cannot await itself");
        let link = if self.linked { Link::Task(task.clone()) } else { Link::None };
        let wait = waits::begin(cx, link);
        task.add_waiter(wait);
        self.wait = Some(wait);
        Poll::Pending
    }

    fn end(&mut self, task: &TaskRef) {
        if let Some(wait) = self.wait.take() {
            task.remove_waiter(wait);
            waits::end(wait);
        }
    }
}
