//! Timeouts and task groups.

use crate::case::{Args, Body, Read};
use crate::control::{Frame, Step, raise};
use crate::event;
use crate::fault::Fault;
use crate::state::{seconds, ticks};
use asyncio::{TaskGroup, Timeout};

/// Blocks.
#[derive(Debug)]
pub(crate) enum Scope {
    Timeout { name: String, limit: Limit, body: Body },
    TaskGroup { name: String, body: Body },
}

/// In ticks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    After(Option<i64>),
    At(Option<i64>),
}

/// What any task or callback may do to a block.
#[derive(Debug)]
pub(crate) enum ScopeOp {
    Reschedule { name: String, tick: Option<i64> },
    RescheduleIn { name: String, ticks: i64 },
    Expired(String),
    When(String),
    Spawn { group: String, tid: String, coro: String },
}

impl Scope {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        Ok(Some(match args.name {
            "timeout" => Self::Timeout {
                name: args.text(0)?,
                limit: Limit::After(args.optional_number(1)?),
                body: args.body(2)?,
            },
            "timeout_at" => {
                Self::Timeout { name: args.text(0)?, limit: Limit::At(args.optional_number(1)?), body: args.body(2)? }
            }
            "task_group" => Self::TaskGroup { name: args.text(0)?, body: args.body(1)? },
            _ => return Ok(None),
        }))
    }
}

impl ScopeOp {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        Ok(Some(match args.name {
            "reschedule" => Self::Reschedule { name: args.timeout(0)?, tick: args.optional_number(1)? },
            "reschedule_in" => Self::RescheduleIn { name: args.timeout(0)?, ticks: args.number(1)? },
            "expired" => Self::Expired(args.timeout(0)?),
            "when" => Self::When(args.timeout(0)?),
            "tg_spawn" => Self::Spawn { group: args.group(0)?, tid: args.text(1)?, coro: args.text(2)? },
            _ => return Ok(None),
        }))
    }
}

impl Frame {
    pub(crate) async fn scope(&self, op: &Scope) -> Step {
        match op {
            Scope::Timeout { name, limit, body } => Box::pin(self.timeout(name, *limit, body)).await,
            Scope::TaskGroup { name, body } => Box::pin(self.task_group(name, body)).await,
        }
    }

    async fn timeout(&self, name: &str, limit: Limit, body: &Body) -> Step {
        let (op, timeout) = match limit {
            Limit::After(ticks) => ("timeout", Timeout::new(ticks.map(seconds))),
            Limit::At(tick) => ("timeout_at", Timeout::at(tick.map(seconds))),
        };
        self.state.timeouts.borrow_mut().insert(name.to_owned(), timeout.clone());
        let flow = timeout.run(raise(self.body(body))).await??;
        event!(self, op, name, timeout.expired());
        Ok(flow)
    }

    async fn task_group(&self, name: &str, body: &Body) -> Step {
        let block = TaskGroup::scope(async |group: &TaskGroup<Fault>| {
            self.state.groups.borrow_mut().insert(name.to_owned(), group.clone());
            raise(self.body(body)).await
        });
        let flow = block.await?;
        event!(self, "task_group", name);
        Ok(flow)
    }

    pub(crate) fn scope_op(&self, op: &ScopeOp) -> Result<(), Fault> {
        match op {
            ScopeOp::Reschedule { name, tick } => {
                self.reschedule(name, *tick)?;
                event!(self, "reschedule", name);
            }
            ScopeOp::RescheduleIn { name, ticks } => {
                self.reschedule(name, Some(self.state.tick() + ticks))?;
                event!(self, "reschedule_in", name);
            }
            ScopeOp::Expired(name) => event!(self, "expired", name, self.find_timeout(name).expired()),
            ScopeOp::When(name) => event!(self, "when", name, self.find_timeout(name).when().map(ticks)),
            ScopeOp::Spawn { group, tid, coro } => {
                let coroutine = self.actor(tid, coro);
                let found = self.state.groups.borrow()[group].clone();
                let child = async { coroutine.await.map_err(Fault::from) };
                let task = found.try_create_task(child).map_err(|_| Fault::runtime_error())?;
                self.state.bind_task(tid, task.name(tid));
                event!(self, "tg_spawn", group, tid);
            }
        }
        Ok(())
    }

    fn find_timeout(&self, name: &str) -> Timeout {
        self.state.timeouts.borrow()[name].clone()
    }

    fn reschedule(&self, name: &str, tick: Option<i64>) -> Result<(), Fault> {
        self.find_timeout(name).reschedule(tick.map(seconds)).map_err(|_| Fault::runtime_error())
    }
}
