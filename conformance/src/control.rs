//! Frames, and control flow: how a body is run.
//!
//! A cancellation that hits a body is delivered by dropping it, up to the innermost catch scope: a `try`, a coroutine with an
//! actor, a timeout or a group. There it becomes a [`Fault::Cancelled`], and so does the cancellation of something that is
//! awaited. Before it leaves for a scope of the library it is raised again, so that the library sees it.

use crate::case::{Args, Body, Kind, Now, Op, Predicate, Read, invalid, optional_body};
use crate::event;
use crate::fault::{Fault, Outcome};
use crate::state::{State, seconds};
use asyncio::catch_cancelled;
use serde_json::{Value, json};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

/// Where a body runs.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) state: Rc<State>,
    pub(crate) actor: Rc<str>,
    /// What the innermost handler around this handles.
    handled: Option<Fault>,
}

/// How a body goes on after an operation.
#[derive(Debug)]
pub(crate) enum Flow {
    Next,
    Return(Value),
}

pub(crate) type Step = Result<Flow, Fault>;

/// Operations that direct others.
#[derive(Debug)]
pub(crate) enum Control {
    Log(Value),
    Sleep(i64),
    Return(Value),
    Raise(String),
    Reraise,
    Repeat(i64, Body),
    If { predicate: Predicate, then: Body, otherwise: Option<Body> },
    Try(Box<Try>),
}

#[derive(Debug)]
pub(crate) struct Try {
    body: Body,
    on_cancel: Option<Body>,
    on_error: Option<OnError>,
    finally: Option<Body>,
    log_message: bool,
}

#[derive(Debug)]
struct OnError {
    /// `None`: whatever it is.
    names: Option<Vec<String>>,
    body: Body,
}

impl Control {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        Ok(Some(match args.name {
            "log" => Self::Log(args.value(0).clone()),
            "sleep" => Self::Sleep(args.number(0)?),
            "return" => Self::Return(args.value(0).clone()),
            "raise" => Self::Raise(args.text(0)?),
            "reraise" => Self::Reraise,
            "repeat" => Self::Repeat(args.number(0)?, args.body(1)?),
            "if" => Self::If { predicate: args.predicate(0)?, then: args.body(1)?, otherwise: args.optional_body(2)? },
            "try" => Self::Try(Box::new(Try::read(args.value(0))?)),
            _ => return Ok(None),
        }))
    }
}

impl Try {
    fn read(parts: &Value) -> Read<Self> {
        let on_error = parts.get("on_error").filter(|on_error| !on_error.is_null());
        Ok(Self {
            body: optional_body(parts.get("body"))?.ok_or_else(|| invalid("a try without a body"))?,
            on_cancel: optional_body(parts.get("on_cancel"))?,
            on_error: on_error.map(OnError::read).transpose()?,
            finally: optional_body(parts.get("finally"))?,
            log_message: parts.get("log_msg").and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

impl OnError {
    fn read(parts: &Value) -> Read<Self> {
        let name = |name: &Value| name.as_str().map(str::to_owned).ok_or_else(|| invalid("the name of an error"));
        let names = match parts.get("names").and_then(Value::as_array) {
            Some(names) => Some(names.iter().map(name).collect::<Read<_>>()?),
            None => None,
        };
        let body = optional_body(parts.get("body"))?.ok_or_else(|| invalid("on_error without a body"))?;
        Ok(Self { names, body })
    }

    fn wants(&self, fault: &Fault) -> bool {
        self.names.as_ref().is_none_or(|names| names.iter().any(|name| name == fault.class()))
    }
}

impl Frame {
    pub(crate) fn new(state: &Rc<State>, actor: &str) -> Self {
        Self { state: state.clone(), actor: actor.into(), handled: None }
    }

    pub(crate) fn log(&self, mut event: Vec<Value>) {
        event.insert(0, json!(self.state.tick()));
        self.state.trace.log(&self.actor, event);
    }

    /// The coroutine of an actor: logs its start and its end. A cancellation goes on outwards.
    pub(crate) async fn act(self, body: Body) -> Outcome {
        event!(self, "start");
        match catch(self.body(&body)).await {
            Ok(flow) => {
                let value = flow.into_value();
                event!(self, "end", "return", value);
                Ok(value)
            }
            Err(Fault::Cancelled(error)) => {
                event!(self, "end", "cancelled");
                match error.reraise().await {}
            }
            Err(fault) => {
                event!(self, "end", "raise", fault.to_json());
                Err(Arc::new(fault))
            }
        }
    }

    /// Runs a body.
    pub(crate) fn body<'a>(&'a self, body: &'a [Op]) -> Pin<Box<dyn Future<Output = Step> + 'a>> {
        Box::pin(async move {
            for op in body {
                if let Flow::Return(value) = self.op(op).await? {
                    return Ok(Flow::Return(value));
                }
            }
            Ok(Flow::Next)
        })
    }

    async fn op(&self, op: &Op) -> Step {
        if let Some(name) = self.unbound(&op.mentions) {
            event!(self, "unbound", op.name, name);
            return Ok(Flow::Next);
        }
        match &op.kind {
            Kind::Control(op) => self.control(op).await,
            Kind::Wait(op) => self.wait_op(op).await,
            Kind::Scope(op) => self.scope(op).await,
            Kind::Lock(op) => self.lock_wait(op).await,
            Kind::Barrier(op) => self.barrier_op_wait(op).await,
            Kind::Queue(op) => self.queue_wait(op).await,
            Kind::Now(op) => self.now(op).map(|()| Flow::Next),
        }
    }

    /// Runs the body of a callback, which never waits.
    pub(crate) fn call(&self, body: &[Op]) -> Result<(), Fault> {
        for op in body {
            if let Some(name) = self.unbound(&op.mentions) {
                event!(self, "unbound", op.name, name);
                continue;
            }
            match &op.kind {
                Kind::Control(Control::Log(value)) => event!(self, "log", value),
                Kind::Control(Control::Return(_)) => return Ok(()),
                Kind::Control(Control::Raise(name)) => return Err(Fault::named(name)),
                Kind::Now(op) => self.now(op)?,
                _ => panic!("a callback cannot {}", op.name),
            }
        }
        Ok(())
    }

    fn now(&self, op: &Now) -> Result<(), Fault> {
        match op {
            Now::Task(op) => self.task_op(op),
            Now::Scope(op) => self.scope_op(op),
            Now::Future(op) => self.future_op(op),
            Now::Lock(op) => self.lock_op(op),
            Now::Queue(op) => self.queue_op(op),
            Now::Counter(op) => {
                self.counter_op(op);
                Ok(())
            }
            Now::Barrier(op) => {
                self.barrier_op(op);
                Ok(())
            }
        }
    }

    async fn control(&self, op: &Control) -> Step {
        match op {
            Control::Log(value) => event!(self, "log", value),
            Control::Sleep(ticks) => {
                asyncio::sleep(seconds(*ticks)).await;
                event!(self, "sleep");
            }
            Control::Return(value) => return Ok(Flow::Return(value.clone())),
            Control::Raise(name) => return Err(Fault::named(name)),
            Control::Reraise => {
                return Err(self.handled.clone().unwrap_or_else(|| panic!("`reraise` outside of a handler")));
            }
            Control::Repeat(times, body) => {
                for _ in 0..*times {
                    if let Flow::Return(value) = self.body(body).await? {
                        return Ok(Flow::Return(value));
                    }
                }
            }
            Control::If { predicate, then, otherwise } => {
                if self.state.holds(predicate) {
                    return self.body(then).await;
                } else if let Some(otherwise) = otherwise {
                    return self.body(otherwise).await;
                }
            }
            Control::Try(parts) => return Box::pin(self.try_op(parts)).await,
        }
        Ok(Flow::Next)
    }

    async fn try_op(&self, parts: &Try) -> Step {
        let Some(finally) = &parts.finally else { return self.try_handlers(parts).await };
        let outcome = catch(self.try_handlers(parts)).await;
        self.body(finally).await?;
        outcome
    }

    async fn try_handlers(&self, parts: &Try) -> Step {
        if parts.on_cancel.is_none() && parts.on_error.is_none() {
            return self.body(&parts.body).await;
        }
        let fault = match catch(self.body(&parts.body)).await {
            Ok(flow) => return Ok(flow),
            Err(fault) => fault,
        };
        let handler = match (&fault, &parts.on_cancel, &parts.on_error) {
            (Fault::Cancelled(error), Some(handler), _) => {
                if parts.log_message {
                    event!(self, "caught", "Cancelled", error.message());
                } else {
                    event!(self, "caught", "Cancelled");
                }
                handler
            }
            (Fault::Cancelled(_), None, _) => return Err(fault),
            (_, _, Some(on_error)) if on_error.wants(&fault) => {
                event!(self, "caught", fault.to_json());
                &on_error.body
            }
            _ => return Err(fault),
        };
        Self { handled: Some(fault), ..self.clone() }.body(handler).await
    }
}

impl Flow {
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Next => Value::Null,
            Self::Return(value) => value,
        }
    }
}

/// Runs `inside`; a cancellation that is delivered here becomes a fault.
pub(crate) async fn catch(inside: impl Future<Output = Step>) -> Step {
    catch_cancelled(inside).await.unwrap_or_else(|error| Err(Fault::Cancelled(error)))
}

/// Raises a cancellation that is a value, for a scope of the library around this.
pub(crate) async fn raise<T>(inside: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match inside.await {
        Err(Fault::Cancelled(error)) => match error.reraise().await {},
        outcome => outcome,
    }
}
