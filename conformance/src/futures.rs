//! Futures, callbacks and handles.

use crate::case::{Args, Read, Ref};
use crate::control::Frame;
use crate::event;
use crate::fault::{Fault, Outcome};
use crate::state::{seconds, ticks};
use asyncio::{AnyFuture, CallbackKey, Handle, TimerHandle};
use serde_json::Value;
use std::sync::Arc;

/// Operations on futures, callbacks and handles.
#[derive(Debug)]
pub(crate) enum FutureOp {
    SetResult { future: String, value: Value },
    SetException { future: String, error: String },
    CancelFuture { future: String, message: Option<String> },
    AddDoneCallback { on: Ref, label: String },
    RemoveDoneCallback { on: Ref, label: String },
    Call { handle: String, when: CallWhen, label: String },
    HandleCancel(String),
    HandleCancelled(String),
    HandleWhen(String),
}

/// In ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CallWhen {
    Soon,
    Later(i64),
    At(i64),
}

/// A callback that was scheduled.
#[derive(Debug)]
pub(crate) enum CallHandle {
    Soon(Handle),
    Timer(TimerHandle),
}

/// A done callback that was added.
#[derive(Debug)]
pub(crate) struct Registration {
    on: AnyFuture<Outcome>,
    label: String,
    key: CallbackKey,
}

impl FutureOp {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        let call = |when, label| Ok(Some(Self::Call { handle: args.text(0)?, when, label }));
        Ok(Some(match args.name {
            "set_result" => Self::SetResult { future: args.text(0)?, value: args.value(1).clone() },
            "set_exception" => Self::SetException { future: args.text(0)?, error: args.text(1)? },
            "cancel_future" => Self::CancelFuture { future: args.text(0)?, message: args.optional_text(1)? },
            "add_done_callback" => Self::AddDoneCallback { on: args.reference(0)?, label: args.text(1)? },
            "remove_done_callback" => Self::RemoveDoneCallback { on: args.reference(0)?, label: args.text(1)? },
            "call_soon" => return call(CallWhen::Soon, args.text(1)?),
            "call_later" => return call(CallWhen::Later(args.number(1)?), args.text(2)?),
            "call_at" => return call(CallWhen::At(args.number(1)?), args.text(2)?),
            "handle_cancel" => Self::HandleCancel(args.handle(0)?),
            "handle_cancelled" => Self::HandleCancelled(args.handle(0)?),
            "handle_when" => Self::HandleWhen(args.handle(0)?),
            _ => return Ok(None),
        }))
    }
}

impl CallHandle {
    fn cancel(&self) {
        match self {
            Self::Soon(handle) => handle.cancel(),
            Self::Timer(handle) => handle.cancel(),
        }
    }

    fn cancelled(&self) -> bool {
        match self {
            Self::Soon(handle) => handle.cancelled(),
            Self::Timer(handle) => handle.cancelled(),
        }
    }

    fn when(&self) -> Option<i64> {
        match self {
            Self::Soon(_) => None,
            Self::Timer(handle) => Some(ticks(handle.when())),
        }
    }
}

impl Frame {
    pub(crate) fn future_op(&self, op: &FutureOp) -> Result<(), Fault> {
        match op {
            FutureOp::SetResult { future, value } => {
                self.settle(future, Ok(value.clone()))?;
                event!(self, "set_result", future);
            }
            FutureOp::SetException { future, error } => {
                self.settle(future, Err(Arc::new(Fault::named(error))))?;
                event!(self, "set_exception", future);
            }
            FutureOp::CancelFuture { future, message } => {
                let found = self.state.future(future);
                let accepted = message.as_ref().map_or_else(|| found.cancel(), |message| found.cancel_with(message));
                event!(self, "cancel_future", future, accepted);
            }
            FutureOp::AddDoneCallback { on, label } => {
                self.add_done_callback(on, label);
                event!(self, "add_done_callback", on.name(), label);
            }
            FutureOp::RemoveDoneCallback { on, label } => {
                let removed = self.remove_done_callbacks(on, label);
                event!(self, "remove_done_callback", on.name(), label, removed);
            }
            FutureOp::Call { handle, when, label } => {
                let op = self.schedule(handle, *when, label);
                event!(self, op, handle);
            }
            FutureOp::HandleCancel(name) => {
                self.state.handles.borrow()[name].cancel();
                event!(self, "handle_cancel", name);
            }
            FutureOp::HandleCancelled(name) => {
                event!(self, "handle_cancelled", name, self.state.handles.borrow()[name].cancelled());
            }
            FutureOp::HandleWhen(name) => {
                event!(self, "handle_when", name, self.state.handles.borrow()[name].when());
            }
        }
        Ok(())
    }

    fn settle(&self, future: &str, outcome: Outcome) -> Result<(), Fault> {
        self.state.future(future).set_result(outcome).map_err(|_| Fault::named("InvalidState"))
    }

    fn add_done_callback(&self, on: &Ref, label: &str) {
        let name = match on {
            Ref::Task(tid) => self.task(tid).tid,
            Ref::Future(name) => name.clone(),
        };
        let item = self.reference(on);
        let (done, callback, label_) = (item.clone(), self.callback_frame(label), label.to_owned());
        let key = item.add_done_callback(move || {
            let state = if done.cancelled() { "cancelled" } else { "finished" };
            event!(callback, "called", name, state);
            callback.run_callback(&label_);
        });
        self.state.registrations.borrow_mut().push(Registration { on: item, label: label.to_owned(), key });
    }

    fn remove_done_callbacks(&self, on: &Ref, label: &str) -> usize {
        let item = self.reference(on);
        let is_meant = |entry: &mut Registration| entry.label == label && entry.on.is_same(&item);
        let meant: Vec<_> = self.state.registrations.borrow_mut().extract_if(.., is_meant).collect();
        meant.iter().map(|entry| item.remove_done_callback(entry.key)).sum()
    }

    /// Schedules a callback; gives the name of the operation.
    fn schedule(&self, name: &str, when: CallWhen, label: &str) -> &'static str {
        let (frame, label) = (self.callback_frame(label), label.to_owned());
        let call = move || {
            event!(frame, "called");
            frame.run_callback(&label);
        };
        let event_loop = &self.state.event_loop;
        let (op, handle) = match when {
            CallWhen::Soon => ("call_soon", CallHandle::Soon(event_loop.call_soon(call))),
            CallWhen::Later(delay) => ("call_later", CallHandle::Timer(event_loop.call_later(seconds(delay), call))),
            CallWhen::At(tick) => ("call_at", CallHandle::Timer(event_loop.call_at(seconds(tick), call))),
        };
        self.state.handles.borrow_mut().insert(name.to_owned(), handle);
        op
    }

    fn callback_frame(&self, label: &str) -> Self {
        Self::new(&self.state, &format!("cb:{label}"))
    }

    /// Runs the body of a callback. An error ends it; the language has no one to tell.
    fn run_callback(&self, label: &str) {
        let _ = self.call(&self.state.callback(label));
    }
}
