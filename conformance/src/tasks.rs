//! Tasks: made, cancelled, looked at.

use crate::case::{Args, Body, Read, Ref};
use crate::control::Frame;
use crate::event;
use crate::fault::{Fault, Outcome};
use asyncio::create_task;
use serde_json::Value;
use std::future::Future;

/// Operations on tasks, and on futures as far as they are the same.
#[derive(Debug)]
pub(crate) enum TaskOp {
    Spawn { tid: String, coro: String },
    Cancel { tid: String, message: Option<String> },
    Uncancel(String),
    Cancelling(String),
    Done(Ref),
    Cancelled(Ref),
    Result(Ref),
    Exception(Ref),
    SetName { tid: String, name: String },
    GetName(String),
}

impl TaskOp {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        Ok(Some(match args.name {
            "spawn" => Self::Spawn { tid: args.text(0)?, coro: args.text(1)? },
            "cancel" => Self::Cancel { tid: args.task(0)?, message: args.optional_text(1)? },
            "uncancel" => Self::Uncancel(args.task(0)?),
            "cancelling" => Self::Cancelling(args.task(0)?),
            "done" => Self::Done(args.reference(0)?),
            "cancelled" => Self::Cancelled(args.reference(0)?),
            "result" => Self::Result(args.reference(0)?),
            "exception" => Self::Exception(args.reference(0)?),
            "set_name" => Self::SetName { tid: args.task(0)?, name: args.text(1)? },
            "get_name" => Self::GetName(args.task(0)?),
            _ => return Ok(None),
        }))
    }
}

impl Frame {
    /// The coroutine of a new actor.
    pub(crate) fn actor(&self, label: &str, coro: &str) -> impl Future<Output = Outcome> + 'static {
        let actor = self.state.trace.new_actor(label);
        let body: Body = self.state.coro(coro);
        Self::new(&self.state, &actor).act(body)
    }

    pub(crate) fn task_op(&self, op: &TaskOp) -> Result<(), Fault> {
        match op {
            TaskOp::Spawn { tid, coro } => {
                let task = create_task(self.actor(tid, coro)).name(tid).keep_errors();
                self.state.bind_task(tid, task);
                event!(self, "spawn", tid);
            }
            TaskOp::Cancel { tid, message } => {
                let task = self.task(tid).task;
                let accepted = message.as_ref().map_or_else(|| task.cancel(), |message| task.cancel_with(message));
                event!(self, "cancel", tid, accepted);
            }
            TaskOp::Uncancel(tid) => event!(self, "uncancel", tid, self.task(tid).task.uncancel()),
            TaskOp::Cancelling(tid) => event!(self, "cancelling", tid, self.task(tid).task.cancelling()),
            TaskOp::Done(reference) => event!(self, "done", reference.name(), self.reference(reference).done()),
            TaskOp::Cancelled(reference) => {
                event!(self, "cancelled", reference.name(), self.reference(reference).cancelled());
            }
            TaskOp::Result(reference) => {
                let value = self.reference(reference).result()??;
                event!(self, "result", reference.name(), value);
            }
            TaskOp::Exception(reference) => {
                let outcome = self.reference(reference).result()?;
                let error = outcome.err().map_or(Value::Null, |fault| fault.to_json());
                event!(self, "exception", reference.name(), error);
            }
            TaskOp::SetName { tid, name } => {
                self.task(tid).task.set_name(name);
                event!(self, "set_name", tid);
            }
            TaskOp::GetName(tid) => event!(self, "get_name", tid, self.task(tid).task.get_name()),
        }
        Ok(())
    }
}
