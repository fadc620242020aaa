//! The task factory of a loop: whether new tasks start eagerly.

use crate::loop_tasks::LoopTasks;
use std::cell::Cell;

/// How [`create_task`](crate::create_task) makes tasks.
///
/// # asyncio
///
/// [`loop.set_task_factory`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.set_task_factory). Differs: a
/// task is always a [`Task`](crate::Task), so all that is left to choose is how it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskFactory {
    /// The first step comes after all that is ready: asyncio's default.
    #[default]
    Queued,
    /// The first step runs inside `create_task`: `asyncio.eager_task_factory`.
    Eager,
}

#[derive(Debug, Default)]
pub(crate) struct FactorySlot(Cell<TaskFactory>);

impl LoopTasks {
    pub(crate) fn is_eager(&self) -> bool {
        self.factory.0.get() == TaskFactory::Eager && self.event_loop().is_running()
    }

    pub(crate) fn set_factory(&self, factory: TaskFactory) {
        self.factory.0.set(factory);
    }

    pub(crate) fn get_factory(&self) -> TaskFactory {
        self.factory.0.get()
    }
}
