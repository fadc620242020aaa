//! Waiting for tasks and futures: `await`, `shield`, `gather`, `wait_for`, `wait`, `as_completed`.

use crate::case::{Args, Body, Read, Ref, Target, invalid};
use crate::control::{Flow, Frame, Step, raise};
use crate::event;
use crate::fault::{Fault, Outcome};
use crate::state::{NamedTask, seconds};
use asyncio::{AnyFuture, CancelledError, as_completed, create_task, current_task};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// Operations that wait for tasks and futures.
#[derive(Debug)]
pub(crate) enum WaitOp {
    Await(Target),
    WaitFor { target: Target, ticks: Option<i64> },
    Wait { items: Vec<Ref>, ticks: Option<i64>, when: When },
    AsCompleted { targets: Vec<Target>, ticks: Option<i64>, body: Body },
}

/// When `wait` has waited enough.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    AllCompleted,
    FirstCompleted,
    FirstException,
}

impl WaitOp {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        Ok(Some(match args.name {
            "await" => Self::Await(args.target(0)?),
            "wait_for" => Self::WaitFor { target: args.target(0)?, ticks: args.optional_number(1)? },
            "wait" => {
                let when = match args.text(2)?.as_str() {
                    "ALL_COMPLETED" => When::AllCompleted,
                    "FIRST_COMPLETED" => When::FirstCompleted,
                    "FIRST_EXCEPTION" => When::FirstException,
                    _ => return Err(invalid("when to return from a wait")),
                };
                Self::Wait { items: args.references(0)?, ticks: args.optional_number(1)?, when }
            }
            "as_completed" => {
                Self::AsCompleted { targets: args.targets(0)?, ticks: args.optional_number(1)?, body: args.body(2)? }
            }
            _ => return Ok(None),
        }))
    }
}

impl Frame {
    pub(crate) async fn wait_op(&self, op: &WaitOp) -> Step {
        match op {
            WaitOp::Await(target) => {
                let value = Box::pin(self.await_target(target)).await?;
                event!(self, "await", value);
            }
            WaitOp::WaitFor { target, ticks } => {
                let value = Box::pin(self.wait_for(target, ticks.map(seconds))).await?;
                event!(self, "wait_for", value);
            }
            WaitOp::Wait { items, ticks, when } => Box::pin(self.wait(items, ticks.map(seconds), *when)).await?,
            WaitOp::AsCompleted { targets, ticks, body } => {
                return Box::pin(self.as_completed(targets, ticks.map(seconds), body)).await;
            }
        }
        Ok(Flow::Next)
    }

    async fn await_target(&self, target: &Target) -> Result<Value, Fault> {
        match target {
            Target::Inline(coro) => self.body(&self.state.coro(coro)).await.map(Flow::into_value),
            Target::Actor { coro, label } => Ok(self.actor(label, coro).await?),
            Target::Ref(reference) => self.await_reference(reference).await,
            Target::Shield(inner) => flatten(asyncio::shield(self.ensure(inner)).await),
            Target::Gather { targets, return_exceptions } => {
                let items = self.ensure_all(targets);
                gather(items, *return_exceptions).await
            }
        }
    }

    async fn await_reference(&self, reference: &Ref) -> Result<Value, Fault> {
        self.check_not_self(reference).await?;
        flatten(self.reference(reference).await)
    }

    /// To await oneself is a panic in Rust. In the language it is an error that comes with the next step, as in asyncio.
    async fn check_not_self(&self, reference: &Ref) -> Result<(), Fault> {
        match reference {
            Ref::Task(tid) if current_task() == Some(self.task(tid).task.to_any()) => {
                asyncio::yield_now().await;
                Err(Fault::runtime_error())
            }
            _ => Ok(()),
        }
    }

    /// Builds a target: everything inside it is begun, but a coroutine is not.
    fn build(&self, target: &Target) -> Built {
        match target {
            Target::Inline(coro) => panic!("{coro} can only be awaited in place"),
            Target::Actor { coro, label } => Built::Coroutine(Box::pin(self.actor(label, coro)), label.clone()),
            Target::Ref(reference) => Built::Begun(self.reference(reference)),
            // What asyncio gives as a future is a coroutine here. It runs at once, so that it is linked to what it waits for.
            Target::Shield(inner) => {
                let inner = self.ensure(inner);
                // As in asyncio: there is nothing to shield.
                if inner.done() {
                    return Built::Begun(inner);
                }
                let shield = asyncio::shield(inner);
                self.wait_in_task(async { flatten(shield.await) })
            }
            Target::Gather { targets, return_exceptions } => {
                self.wait_in_task(gather(self.ensure_all(targets), *return_exceptions))
            }
        }
    }

    /// Makes a task of something that waits for others, up to where it waits. The program knows nothing of this task.
    fn wait_in_task(&self, waiting: impl Future<Output = Result<Value, Fault>> + 'static) -> Built {
        let task = create_task(async { raise(waiting).await.map_err(Arc::new) }).keep_errors().eager_start();
        self.state.hidden_tasks.borrow_mut().push(task.to_any());
        Built::Begun(task.into())
    }

    /// Builds a target, as a task or a future.
    fn ensure(&self, target: &Target) -> AnyFuture<Outcome> {
        self.begin(self.build(target))
    }

    /// Builds several targets, and then makes tasks of those that are coroutines.
    fn ensure_all(&self, targets: &[Target]) -> Vec<AnyFuture<Outcome>> {
        let built: Vec<_> = targets.iter().map(|target| self.build(target)).collect();
        built.into_iter().map(|built| self.begin(built)).collect()
    }

    fn begin(&self, built: Built) -> AnyFuture<Outcome> {
        match built {
            Built::Begun(begun) => begun,
            Built::Coroutine(coroutine, label) => {
                let task = create_task(coroutine).keep_errors();
                self.state.keep_task(NamedTask { tid: label, task: task.clone() });
                task.into()
            }
        }
    }

    async fn wait_for(&self, target: &Target, limit: Option<f64>) -> Result<Value, Fault> {
        match target {
            Target::Inline(coro) => panic!("{coro} can only be awaited in place"),
            Target::Actor { coro, label } => {
                let coroutine = self.actor(label, coro);
                Ok(asyncio::wait_for(coroutine, limit).await??)
            }
            Target::Shield(inner) if limit != Some(0.0) => {
                flatten(asyncio::wait_for(asyncio::shield(self.ensure(inner)), limit).await?)
            }
            Target::Gather { targets, return_exceptions } if limit != Some(0.0) => {
                let gather = gather(self.ensure_all(targets), *return_exceptions);
                asyncio::wait_for(raise(gather), limit).await?
            }
            target => {
                if let Target::Ref(reference) = target
                    && limit != Some(0.0)
                {
                    self.check_not_self(reference).await?;
                }
                flatten(asyncio::wait_for(self.ensure(target), limit).await?)
            }
        }
    }

    async fn wait(&self, references: &[Ref], limit: Option<f64>, when: When) -> Result<(), Fault> {
        if references.is_empty() {
            return Err(Fault::named("ValueError"));
        }
        let items: Vec<_> = references.iter().map(|reference| self.reference(reference)).collect();
        let wait = asyncio::wait(items.clone()).timeout(limit);
        let (done, _) = match when {
            When::AllCompleted => wait.await,
            When::FirstCompleted => wait.return_when(asyncio::FIRST_COMPLETED).await,
            When::FirstException => wait.return_when(asyncio::FIRST_EXCEPTION).await,
        };
        let is_done = |item: &AnyFuture<_>| done.iter().any(|other| other.is_same(item));
        let names = |wanted: bool| -> BTreeSet<&str> {
            let chosen = items.iter().zip(references).filter(|(item, _)| is_done(item) == wanted);
            chosen.map(|(_, reference)| reference.name()).collect()
        };
        event!(self, "wait", names(true), names(false));
        Ok(())
    }

    async fn as_completed(&self, targets: &[Target], limit: Option<f64>, body: &Body) -> Step {
        let mut completed = as_completed(self.ensure_all(targets)).timeout(limit);
        let mut items = 0;
        while let Some(next) = completed.next().await {
            let outcome = flatten(next?);
            event!(self, "item", outcome.unwrap_or_else(|fault| fault.to_value()));
            items += 1;
            if let Flow::Return(value) = self.body(body).await? {
                return Ok(Flow::Return(value));
            }
        }
        event!(self, "as_completed", items);
        Ok(Flow::Next)
    }
}

/// A target that was built.
enum Built {
    Coroutine(Pin<Box<dyn Future<Output = Outcome>>>, String),
    Begun(AnyFuture<Outcome>),
}

/// `gather` of what was built already: it is registered with its items when this returns.
fn gather(
    items: Vec<AnyFuture<Outcome>>,
    return_exceptions: bool,
) -> impl Future<Output = Result<Value, Fault>> + 'static {
    let all = if return_exceptions { Ok(asyncio::gather(items)) } else { Err(asyncio::try_gather(items)) };
    async {
        match all {
            Ok(all) => {
                let outcomes = all.await.into_iter().map(flatten);
                Ok(outcomes.map(|outcome| outcome.unwrap_or_else(|fault| fault.to_value())).collect())
            }
            Err(unless_one_fails) => Ok(json!(unless_one_fails.await?)),
        }
    }
}

/// The two ways in which a task fails, in one.
fn flatten(outcome: Result<Outcome, CancelledError>) -> Result<Value, Fault> {
    Ok(outcome??)
}
