//! `TaskGroup`: tasks that end together.
//!
//! The block ends when its body and all children have ended. The first failure cancels the others; all errors are kept.
//!
//! Invariants:
//! 1. When the block ends, on whatever way, no child is left.
//! 2. The group cancels its owner at most once, and takes that request back when the block ends.
//! 3. A cancellation of the owner from outside is never lost: it goes through, or is made pending if errors take precedence.

use crate::catch::{catch_cancelled, raise};
use crate::current::current;
use crate::error::CancelledError;
use crate::error_group::ErrorGroup;
use crate::group_shutdown::Shutdown;
use crate::levels::Hidden;
use crate::loop_tasks::LoopTasks;
use crate::raw::TaskRef;
use crate::scopes;
use crate::task::{AnyTask, Task, spawn_on};
use crate::wait_queue::WaitQueue;
use asyncio_driver::Token;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

/// A group of tasks that fail and end together. Clones are the same group.
///
/// ```
/// # use asyncio_tasks::{LoopTasksExt, TaskGroup, sleep};
/// # let event_loop = asyncio_loop::new_event_loop()?;
/// # event_loop.run_until_complete(async {
/// let outcome = TaskGroup::scope(async |group| {
///     group.create_task(async {
///         sleep(60).await; // cancelled by the failure below
///         Ok(())
///     });
///     group.create_task(async { Err::<(), _>("no luck") });
///     Ok("done")
/// })
/// .await;
/// assert_eq!(outcome.unwrap_err().into_errors(), ["no luck"]);
/// # })?;
/// # event_loop.close()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # asyncio
///
/// [`asyncio.TaskGroup`](https://docs.python.org/3/library/asyncio-task.html#asyncio.TaskGroup). Same; the block is a closure.
pub struct TaskGroup<E: 'static> {
    pub(crate) inner: Rc<Inner<E>>,
}

pub(crate) struct Inner<E> {
    owner: TaskRef,
    /// By number, in order of creation.
    children: RefCell<BTreeMap<u64, AnyTask>>,
    created: Cell<u64>,
    errors: RefCell<Vec<Arc<E>>>,
    /// The first panic of a child or of the body: resumed when all have ended.
    panic: RefCell<Option<Box<dyn Any + Send>>>,
    exiting: Cell<bool>,
    pub(crate) aborting: Cell<bool>,
    pub(crate) finished: Cell<bool>,
    /// `cancel` was called: the block ends without an error.
    cancelled: Cell<bool>,
    /// The scope in which the owner runs the body, or waits for the children.
    inside: Cell<Option<Token>>,
    /// The group has cancelled its owner.
    parent_cancel_requested: Cell<bool>,
    /// Whoever waits for the last child.
    waiters: WaitQueue,
    pub(crate) shutdown: Shutdown,
}

/// A task group does not take this child.
///
/// # asyncio
///
/// The `RuntimeError`s of `TaskGroup.create_task`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TaskGroupError {
    /// A child has failed, or the group was cancelled: its tasks are being ended.
    #[error("the task group is shutting down")]
    ShuttingDown,
    /// The block has ended.
    #[error("the task group is finished")]
    Finished,
}

impl<E: 'static> TaskGroup<E> {
    /// Runs `body` with a new group, then waits for all children, also for those that children create meanwhile.
    ///
    /// The first child that returns `Err` or panics, or a body that does, cancels all children and the body. When all have
    /// ended, their errors come back together; a panic is resumed. A child that ends cancelled is no failure.
    ///
    /// If the owner is cancelled from outside, the children are cancelled, too, and the cancellation goes on outwards once
    /// they have ended; if there are errors, those are returned, and the cancellation is delivered at the owner's next wait.
    ///
    /// # Errors
    ///
    /// The errors of the children and of the body. If [`cancel`](Self::cancel) has cut the body off, there is no value to give and no
    /// error to tell: the group is empty then ([`ErrorGroup::is_empty`]), and says so when it is shown. `?` passes it on like a failure; a
    /// block that is meant to be cancelled is better run by [`scope_until_cancelled`](Self::scope_until_cancelled).
    ///
    /// # Panics
    ///
    /// If not inside a task. With the panic of a child or of the body.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped (by `select!`), the children are cancelled, but not waited for.
    ///
    /// # asyncio
    ///
    /// `async with TaskGroup() as group`. Same.
    pub async fn scope<R, F>(body: F) -> Result<R, ErrorGroup<E>>
    where
        F: AsyncFnOnce(&Self) -> Result<R, E>,
    {
        let owner = current().expect("a task group must be used inside a task");
        let group = Self::new(owner);
        let _left_behind = CancelOnDrop(&group.inner);
        let mut cancelled = None;
        let value = match catch_cancelled(catch_panic(group.inner.inside(body(&group)))).await {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(Some(error)),
            Ok(Err(payload)) => {
                group.inner.panic.borrow_mut().get_or_insert(payload);
                Err(None)
            }
            Err(error) => {
                cancelled = Some(error);
                Err(None)
            }
        };
        group.inner.exiting.set(true);
        if value.is_err() && !group.inner.aborting.get() {
            group.inner.abort();
        }
        while !group.inner.children.borrow().is_empty() {
            // When the children are being ended, a cancel scope around has nothing to add by insisting.
            let _hidden = group.inner.aborting.get().then(Hidden::here);
            if let Err(error) = catch_cancelled(group.inner.inside(group.inner.waiters.wait())).await
                && !group.inner.aborting.get()
            {
                cancelled = Some(error);
                group.inner.abort();
            }
        }
        group.inner.finished.set(true);
        group.inner.shutdown.finish();
        group.leave(value, cancelled).await
    }

    /// As [`scope`](Self::scope), for a block that [`cancel`](Self::cancel) is expected to end: that is no error here, but `None`.
    ///
    /// ```
    /// # asyncio_tasks::run(async {
    /// use asyncio_tasks::{ErrorGroup, TaskGroup, sleep};
    ///
    /// async fn serve() -> Result<Option<u32>, ErrorGroup<String>> {
    ///     let value = TaskGroup::scope_until_cancelled(async |group| {
    ///         let enough = group.clone();
    ///         group.create_task(async move {
    ///             sleep(0.001).await;
    ///             enough.cancel();
    ///             Ok(())
    ///         });
    ///         sleep(60).await;
    ///         Ok(7)
    ///     })
    ///     .await?; // Errors, and nothing else, leave by this way.
    ///     Ok(value)
    /// }
    /// assert_eq!(serve().await.unwrap(), None);
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of the children and of the body, at least one.
    ///
    /// # Panics
    ///
    /// As [`scope`](Self::scope).
    ///
    /// # Cancel safety
    ///
    /// As [`scope`](Self::scope).
    ///
    /// # asyncio
    ///
    /// [`asyncio.TaskGroup`](https://docs.python.org/3/library/asyncio-task.html#asyncio.TaskGroup), left by `cancel`. Same; whether the
    /// body came to its end is told.
    pub async fn scope_until_cancelled<R, F>(body: F) -> Result<Option<R>, ErrorGroup<E>>
    where
        F: AsyncFnOnce(&Self) -> Result<R, E>,
    {
        match Self::scope(body).await {
            Ok(value) => Ok(Some(value)),
            Err(errors) if errors.is_empty() => Ok(None),
            Err(errors) => Err(errors),
        }
    }

    fn new(owner: TaskRef) -> Self {
        let inner = Inner {
            owner,
            children: RefCell::default(),
            created: Cell::new(0),
            errors: RefCell::default(),
            panic: RefCell::default(),
            exiting: Cell::new(false),
            aborting: Cell::new(false),
            finished: Cell::new(false),
            cancelled: Cell::new(false),
            inside: Cell::new(None),
            parent_cancel_requested: Cell::new(false),
            waiters: WaitQueue::new(),
            shutdown: Shutdown::default(),
        };
        Self { inner: Rc::new(inner) }
    }

    /// What the block comes to, when all have ended.
    async fn leave<R>(
        &self,
        value: Result<R, Option<E>>,
        cancelled: Option<CancelledError>,
    ) -> Result<R, ErrorGroup<E>> {
        let inner = &self.inner;
        if let Some(payload) = inner.panic.take() {
            if inner.parent_cancel_requested.get() {
                inner.owner.uncancel();
            }
            panic::resume_unwind(payload);
        }
        let mut cancelled = cancelled;
        if inner.parent_cancel_requested.get() && inner.owner.uncancel() == 0 {
            cancelled = None;
        }
        let mut errors = inner.errors.take();
        if let (Some(error), true) = (cancelled.take(), errors.is_empty()) {
            raise(Some(error));
            return std::future::pending().await;
        }
        let value = match value {
            Ok(value) => Some(value),
            Err(body) => {
                errors.extend(body.map(Arc::new));
                None
            }
        };
        if errors.is_empty() {
            return match value {
                Some(value) => Ok(value),
                // Only a group that was cancelled by `cancel` gets here: there is no value, and no error.
                None => Err(ErrorGroup::of(errors)),
            };
        }
        if inner.owner.state.requests() > 0 {
            // Made pending again, with the count as it was: delivered at the next wait.
            inner.owner.uncancel();
            inner.owner.cancel_after_errors();
        }
        Err(ErrorGroup::of(errors))
    }

    /// Runs `coroutine` as a child of the group.
    ///
    /// The handle gives its result, with the error shared with the group. On a group that is shutting down or finished, the
    /// coroutine is dropped and the handle is that of a cancelled task; [`try_create_task`](Self::try_create_task) tells.
    ///
    /// # asyncio
    ///
    /// [`TaskGroup.create_task`](https://docs.python.org/3/library/asyncio-task.html#asyncio.TaskGroup.create_task). Differs: a
    /// refusal is a cancelled task.
    #[track_caller]
    pub fn create_task<T, F>(&self, coroutine: F) -> Task<Result<T, Arc<E>>>
    where
        T: 'static,
        F: Future<Output = Result<T, E>> + 'static,
    {
        let location = Location::caller();
        match self.spawn(coroutine, location) {
            Ok(task) => task,
            Err(_) => {
                let task = spawn_on(&self.inner.owner.state.tasks, std::future::pending(), location);
                task.cancel();
                task
            }
        }
    }

    /// As [`create_task`](Self::create_task), but tells if the group takes no more children.
    ///
    /// # Errors
    ///
    /// If the group is shutting down or finished; the coroutine is dropped.
    #[track_caller]
    pub fn try_create_task<T, F>(&self, coroutine: F) -> Result<Task<Result<T, Arc<E>>>, TaskGroupError>
    where
        T: 'static,
        F: Future<Output = Result<T, E>> + 'static,
    {
        self.spawn(coroutine, Location::caller())
    }

    fn spawn<T, F>(
        &self,
        coroutine: F,
        location: &'static Location<'static>,
    ) -> Result<Task<Result<T, Arc<E>>>, TaskGroupError>
    where
        T: 'static,
        F: Future<Output = Result<T, E>> + 'static,
    {
        let inner = &self.inner;
        if inner.finished.get() || (inner.exiting.get() && inner.children.borrow().is_empty()) {
            return Err(TaskGroupError::Finished);
        }
        if inner.aborting.get() {
            return Err(TaskGroupError::ShuttingDown);
        }
        let failure = Rc::new(RefCell::new(None));
        let tell = failure.clone();
        let child = async move {
            coroutine.await.map_err(|error| {
                let error = Arc::new(error);
                *tell.borrow_mut() = Some(error.clone());
                error
            })
        };
        let tasks: &Rc<LoopTasks> = &inner.owner.state.tasks;
        let task = spawn_on(tasks, child, location).keep_errors();
        let number = inner.created.replace(inner.created.get() + 1);
        inner.children.borrow_mut().insert(number, task.to_any());
        task.to_any().task.state.with_extra(|extra| extra.group_owner = Some(inner.owner.clone()));
        let group = inner.clone();
        task.add_done_callback(move |task| group.child_done(number, task, failure.take()));
        Ok(task)
    }

    /// Ends the group quietly: cancels all children and the body. The block then ends without errors unless a child fails:
    /// with the value of the body if it has one all the same, otherwise with `None`
    /// ([`scope_until_cancelled`](Self::scope_until_cancelled)) or an [`ErrorGroup`] that is empty ([`scope`](Self::scope)). Does
    /// nothing if the block has ended.
    ///
    /// # asyncio
    ///
    /// [`TaskGroup.cancel`](https://docs.python.org/3.15/library/asyncio-task.html#asyncio.TaskGroup.cancel) of 3.15. Same.
    pub fn cancel(&self) {
        let inner = &self.inner;
        if inner.finished.get() || inner.cancelled.replace(true) {
            return;
        }
        inner.abort();
        inner.cancel_owner();
    }
}

impl<E> Inner<E> {
    /// Cancels all children.
    fn abort(&self) {
        self.aborting.set(true);
        let children: Vec<_> = self.children.borrow().values().cloned().collect();
        for child in children {
            child.cancel();
        }
    }

    /// Awaits `part` of the block, directly in a scope: the one that the group cancels.
    async fn inside<F: Future>(&self, part: F) -> F::Output {
        self.inside.set(scopes::current_id());
        part.await
    }

    fn cancel_owner(&self) {
        if !self.parent_cancel_requested.replace(true) {
            self.owner.cancel_within(self.inside.get(), CancelledError::default());
        }
    }

    fn child_done(&self, number: u64, child: &AnyTask, error: Option<Arc<E>>) {
        let removed = self.children.borrow_mut().remove(&number);
        drop(removed);
        if self.children.borrow().is_empty() {
            self.waiters.wake_all();
        }
        let panic = child.take_unseen_panic();
        if error.is_none() && panic.is_none() {
            return;
        }
        self.errors.borrow_mut().extend(error);
        if let Some(panic) = panic {
            self.panic.borrow_mut().get_or_insert(panic);
        }
        if !self.aborting.get() && !self.parent_cancel_requested.get() && !self.owner.state.is_done() {
            self.abort();
            self.cancel_owner();
        }
    }
}

/// Cancels the children if the block is dropped before its end.
struct CancelOnDrop<'a, E>(&'a Inner<E>);

impl<E> Drop for CancelOnDrop<'_, E> {
    fn drop(&mut self) {
        if !self.0.finished.get() {
            self.0.finished.set(true);
            self.0.shutdown.finish();
            self.0.abort();
        }
    }
}

/// Polls `inside`, and turns a panic into a value.
async fn catch_panic<F: Future>(inside: F) -> Result<F::Output, Box<dyn Any + Send>> {
    let mut inside = std::pin::pin!(inside);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| inside.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => std::task::Poll::Ready(Err(payload)),
    })
    .await
}

impl<E> Clone for TaskGroup<E> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("children", &self.inner.children.borrow().len())
            .field("errors", &self.inner.errors.borrow().len())
            .field("aborting", &self.inner.aborting.get())
            .finish_non_exhaustive()
    }
}
