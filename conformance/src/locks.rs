//! Locks, conditions and semaphores, events.
//!
//! `with` holds what it has acquired by a guard, unless the case also releases it by hand: then it releases by hand, too, for
//! only so can it fail when it is left.

use crate::case::{Args, Body, Predicate, Read};
use crate::control::{Flow, Frame, Step, catch};
use crate::event;
use crate::fault::Fault;
use crate::state::object;
use asyncio::{BoundedSemaphore, Condition, ConditionGuard, Event, Lock, LockGuard, Semaphore};
use std::rc::Rc;

/// What can be acquired.
#[derive(Debug)]
pub(crate) enum Acquirable {
    Lock(Rc<Lock>),
    Condition(Condition),
    Semaphore(Semaphore),
    BoundedSemaphore(BoundedSemaphore),
}

/// Operations that may wait.
#[derive(Debug)]
pub(crate) enum LockWait {
    Acquire(String),
    With { name: String, body: Body },
    EventWait(String),
    ConditionWait(String),
    ConditionWaitFor { name: String, predicate: Predicate },
}

/// Operations that never wait.
#[derive(Debug)]
pub(crate) enum LockOp {
    Release(String),
    Locked(String),
    EventSet(String),
    EventClear(String),
    EventIsSet(String),
    Notify { name: String, tasks: usize },
    NotifyAll(String),
}

impl LockWait {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        Ok(Some(match args.name {
            "acquire" => Self::Acquire(args.text(0)?),
            "with" => Self::With { name: args.text(0)?, body: args.body(1)? },
            "event_wait" => Self::EventWait(args.text(0)?),
            "cond_wait" => Self::ConditionWait(args.text(0)?),
            "cond_wait_for" => Self::ConditionWaitFor { name: args.text(0)?, predicate: args.predicate(1)? },
            _ => return Ok(None),
        }))
    }
}

impl LockOp {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        Ok(Some(match args.name {
            "release" => Self::Release(args.text(0)?),
            "locked" => Self::Locked(args.text(0)?),
            "event_set" => Self::EventSet(args.text(0)?),
            "event_clear" => Self::EventClear(args.text(0)?),
            "event_is_set" => Self::EventIsSet(args.text(0)?),
            "notify" => Self::Notify { name: args.text(0)?, tasks: args.number(1)?.try_into().unwrap_or(0) },
            "notify_all" => Self::NotifyAll(args.text(0)?),
            _ => return Ok(None),
        }))
    }
}

impl Acquirable {
    /// Acquires, without a guard.
    async fn acquire(&self) {
        match self {
            Self::Lock(lock) => LockGuard::forget(lock.acquire().await),
            Self::Condition(condition) => ConditionGuard::forget(condition.acquire().await),
            Self::Semaphore(semaphore) => semaphore.acquire().await.forget(),
            Self::BoundedSemaphore(semaphore) => semaphore.acquire().await.forget(),
        }
    }

    fn release(&self) -> Result<(), Fault> {
        match self {
            Self::Lock(lock) => lock.release().map_err(|_| Fault::runtime_error()),
            Self::Condition(condition) => condition.release().map_err(|_| Fault::runtime_error()),
            Self::Semaphore(semaphore) => {
                semaphore.release();
                Ok(())
            }
            Self::BoundedSemaphore(semaphore) => semaphore.release().map_err(|_| Fault::named("ValueError")),
        }
    }

    fn locked(&self) -> bool {
        match self {
            Self::Lock(lock) => lock.locked(),
            Self::Condition(condition) => condition.locked(),
            Self::Semaphore(semaphore) => semaphore.locked(),
            Self::BoundedSemaphore(semaphore) => semaphore.locked(),
        }
    }
}

impl Frame {
    pub(crate) async fn lock_wait(&self, op: &LockWait) -> Step {
        match op {
            LockWait::Acquire(name) => {
                self.acquirable(name).acquire().await;
                event!(self, "acquire", name);
            }
            LockWait::With { name, body } => return Box::pin(self.with(name, body)).await,
            LockWait::EventWait(name) => {
                self.event(name).wait().await;
                event!(self, "event_wait", name);
            }
            LockWait::ConditionWait(name) => {
                self.condition_wait(name).await?;
                event!(self, "cond_wait", name);
            }
            LockWait::ConditionWaitFor { name, predicate } => {
                while !self.state.holds(predicate) {
                    self.condition_wait(name).await?;
                }
                event!(self, "cond_wait_for", name);
            }
        }
        Ok(Flow::Next)
    }

    async fn condition_wait(&self, name: &str) -> Result<(), Fault> {
        self.condition(name).wait().await.map_err(|_| Fault::runtime_error())
    }

    async fn with(&self, name: &str, body: &Body) -> Step {
        if self.state.is_barrier(name) {
            let index = self.barrier_wait(name).await?;
            event!(self, "with", name, index);
            return self.body(body).await;
        }
        let acquirable = self.acquirable(name);
        match acquirable {
            Acquirable::Lock(lock) if !self.state.is_released_by_hand(name) => {
                let _guard = lock.acquire().await;
                event!(self, "with", name);
                self.body(body).await
            }
            Acquirable::Semaphore(semaphore) if !self.state.is_released_by_hand(name) => {
                let _permit = semaphore.acquire().await;
                event!(self, "with", name);
                self.body(body).await
            }
            Acquirable::BoundedSemaphore(semaphore) if !self.state.is_released_by_hand(name) => {
                let _permit = semaphore.acquire().await;
                event!(self, "with", name);
                self.body(body).await
            }
            acquirable => {
                acquirable.acquire().await;
                event!(self, "with", name);
                let outcome = catch(self.body(body)).await;
                acquirable.release()?;
                outcome
            }
        }
    }

    pub(crate) fn lock_op(&self, op: &LockOp) -> Result<(), Fault> {
        match op {
            LockOp::Release(name) => {
                self.acquirable(name).release()?;
                event!(self, "release", name);
            }
            LockOp::Locked(name) => event!(self, "locked", name, self.acquirable(name).locked()),
            LockOp::EventSet(name) => {
                self.event(name).set();
                event!(self, "event_set", name);
            }
            LockOp::EventClear(name) => {
                self.event(name).clear();
                event!(self, "event_clear", name);
            }
            LockOp::EventIsSet(name) => event!(self, "event_is_set", name, self.event(name).is_set()),
            LockOp::Notify { name, tasks } => {
                self.condition(name).notify(*tasks).map_err(|_| Fault::runtime_error())?;
                event!(self, "notify", name);
            }
            LockOp::NotifyAll(name) => {
                self.condition(name).notify_all().map_err(|_| Fault::runtime_error())?;
                event!(self, "notify_all", name);
            }
        }
        Ok(())
    }

    fn acquirable(&self, name: &str) -> &Acquirable {
        object(&self.state.acquirables, name)
    }

    fn condition(&self, name: &str) -> &Condition {
        match self.acquirable(name) {
            Acquirable::Condition(condition) => condition,
            _ => panic!("{name} is no condition"),
        }
    }

    fn event(&self, name: &str) -> &Event {
        object(&self.state.events, name)
    }
}
