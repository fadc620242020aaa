//! Queues.

use crate::case::{Args, Read};
use crate::control::{Flow, Frame, Step};
use crate::event;
use crate::fault::Fault;
use crate::state::object;
use asyncio::{GetError, LifoQueue, PriorityQueue, PutError, Queue};
use serde_json::{Value, json};

/// A queue of one kind or another. Items of a priority queue are integers.
#[derive(Debug)]
pub(crate) enum AnyQueue {
    Fifo(Queue<Value>),
    Lifo(LifoQueue<Value>),
    Priority(PriorityQueue<i64>),
}

/// Operations that may wait.
#[derive(Debug)]
pub(crate) enum QueueWait {
    Put { name: String, item: Value },
    Get(String),
    Join(String),
}

/// Operations that never wait.
#[derive(Debug)]
pub(crate) enum QueueOp {
    PutNowait { name: String, item: Value },
    GetNowait(String),
    TaskDone(String),
    Size(String),
    Full(String),
    Empty(String),
    Shutdown { name: String, immediate: bool },
}

impl QueueWait {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        Ok(Some(match args.name {
            "put" => Self::Put { name: args.text(0)?, item: args.value(1).clone() },
            "get" => Self::Get(args.text(0)?),
            "join" => Self::Join(args.text(0)?),
            _ => return Ok(None),
        }))
    }
}

impl QueueOp {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        Ok(Some(match args.name {
            "put_nowait" => Self::PutNowait { name: args.text(0)?, item: args.value(1).clone() },
            "get_nowait" => Self::GetNowait(args.text(0)?),
            "task_done" => Self::TaskDone(args.text(0)?),
            "qsize" => Self::Size(args.text(0)?),
            "full" => Self::Full(args.text(0)?),
            "empty" => Self::Empty(args.text(0)?),
            "shutdown" => Self::Shutdown { name: args.text(0)?, immediate: args.value(1).as_bool().unwrap_or(false) },
            _ => return Ok(None),
        }))
    }
}

/// Calls a method that the kinds have in common.
macro_rules! each {
    ($queue:expr, $it:ident => $call:expr) => {
        match $queue {
            AnyQueue::Fifo($it) => $call,
            AnyQueue::Lifo($it) => $call,
            AnyQueue::Priority($it) => $call,
        }
    };
}

impl AnyQueue {
    async fn put(&self, item: &Value) -> Result<(), Fault> {
        let is_put = match self {
            Self::Fifo(queue) => queue.put(item.clone()).await.is_ok(),
            Self::Lifo(queue) => queue.put(item.clone()).await.is_ok(),
            Self::Priority(queue) => queue.put(priority(item)).await.is_ok(),
        };
        if is_put { Ok(()) } else { Err(Fault::named("QueueShutDown")) }
    }

    fn put_nowait(&self, item: &Value) -> Result<(), Fault> {
        match self {
            Self::Fifo(queue) => queue.put_nowait(item.clone()).map_err(put_fault),
            Self::Lifo(queue) => queue.put_nowait(item.clone()).map_err(put_fault),
            Self::Priority(queue) => queue.put_nowait(priority(item)).map_err(put_fault),
        }
    }

    async fn get(&self) -> Result<Value, Fault> {
        let item = each!(self, queue => queue.get().await.map(|item| json!(item)));
        item.map_err(|_| Fault::named("QueueShutDown"))
    }

    fn get_nowait(&self) -> Result<Value, Fault> {
        each!(self, queue => queue.get_nowait().map(|item| json!(item))).map_err(|error| match error {
            GetError::Empty(_) => Fault::named("QueueEmpty"),
            GetError::ShutDown(_) => Fault::named("QueueShutDown"),
            _ => panic!("{error}"),
        })
    }
}

fn priority(item: &Value) -> i64 {
    item.as_i64().unwrap_or_else(|| panic!("the item {item} has no priority"))
}

fn put_fault<T>(error: PutError<T>) -> Fault {
    match error {
        PutError::Full(_) => Fault::named("QueueFull"),
        PutError::ShutDown(_) => Fault::named("QueueShutDown"),
        _ => panic!("{error}"),
    }
}

impl Frame {
    pub(crate) async fn queue_wait(&self, op: &QueueWait) -> Step {
        match op {
            QueueWait::Put { name, item } => {
                self.queue(name).put(item).await?;
                event!(self, "put", name);
            }
            QueueWait::Get(name) => {
                let item = self.queue(name).get().await?;
                event!(self, "get", name, item);
            }
            QueueWait::Join(name) => {
                each!(self.queue(name), queue => queue.join().await);
                event!(self, "join", name);
            }
        }
        Ok(Flow::Next)
    }

    pub(crate) fn queue_op(&self, op: &QueueOp) -> Result<(), Fault> {
        match op {
            QueueOp::PutNowait { name, item } => {
                self.queue(name).put_nowait(item)?;
                event!(self, "put_nowait", name);
            }
            QueueOp::GetNowait(name) => {
                let item = self.queue(name).get_nowait()?;
                event!(self, "get_nowait", name, item);
            }
            QueueOp::TaskDone(name) => {
                let done = each!(self.queue(name), queue => queue.try_task_done());
                done.map_err(|_| Fault::named("ValueError"))?;
                event!(self, "task_done", name);
            }
            QueueOp::Size(name) => event!(self, "qsize", name, each!(self.queue(name), queue => queue.qsize())),
            QueueOp::Full(name) => event!(self, "full", name, each!(self.queue(name), queue => queue.full())),
            QueueOp::Empty(name) => event!(self, "empty", name, each!(self.queue(name), queue => queue.empty())),
            QueueOp::Shutdown { name, immediate } => {
                each!(self.queue(name), queue => queue.shutdown(*immediate));
                event!(self, "shutdown", name);
            }
        }
        Ok(())
    }

    fn queue(&self, name: &str) -> &AnyQueue {
        object(&self.state.queues, name)
    }
}
