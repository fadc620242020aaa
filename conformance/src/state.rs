//! `State`: what the bodies of a run share: objects, and names that are bound as the run goes on.

use crate::case::{Args, Body, Case, Name, Predicate, Read, ReadError, Ref, invalid};
use crate::control::Frame;
use crate::event;
use crate::fault::{Fault, Outcome};
use crate::futures::{CallHandle, Registration};
use crate::trace::Trace;
use asyncio::prelude::*;
use asyncio::{EventLoop, Future, Task, TaskGroup, Timeout, current_task};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;

/// The state of a run.
pub(crate) struct State {
    pub(crate) event_loop: EventLoop,
    pub(crate) trace: Trace,
    coros: BTreeMap<String, Body>,
    callbacks: BTreeMap<String, Body>,
    counters: BTreeMap<String, Cell<i64>>,
    futures: BTreeMap<String, Future<Outcome>>,
    pub(crate) tasks: RefCell<BTreeMap<String, NamedTask>>,
    /// Every task that ever had a name: they are kept until the end.
    pub(crate) all_tasks: RefCell<Vec<NamedTask>>,
    pub(crate) handles: RefCell<BTreeMap<String, CallHandle>>,
    pub(crate) timeouts: RefCell<BTreeMap<String, Timeout>>,
    pub(crate) groups: RefCell<BTreeMap<String, TaskGroup<Fault>>>,
    pub(crate) registrations: RefCell<Vec<Registration>>,
}

/// A task that was bound to a name.
#[derive(Clone, Debug)]
pub(crate) struct NamedTask {
    pub(crate) tid: String,
    pub(crate) task: Task<Outcome>,
}

/// What an object of a case is.
#[derive(Debug)]
pub(crate) enum Object {
    Future,
    Counter(i64),
}

impl Object {
    pub(crate) fn read(object: &Value) -> Read<Self> {
        match object.get("type").and_then(Value::as_str) {
            Some("future") => Ok(Self::Future),
            Some("counter") => Ok(Self::Counter(object.get("value").and_then(Value::as_i64).unwrap_or(0))),
            Some(other) => Err(ReadError::Unsupported(other.to_owned())),
            None => Err(invalid("an object without a type")),
        }
    }
}

impl State {
    pub(crate) fn new(event_loop: &EventLoop, case: Case) -> Self {
        let mut counters = BTreeMap::new();
        let mut futures = BTreeMap::new();
        for (name, object) in case.objects {
            match object {
                Object::Counter(value) => drop(counters.insert(name, Cell::new(value))),
                Object::Future => drop(futures.insert(name, event_loop.create_future())),
            }
        }
        Self {
            event_loop: event_loop.clone(),
            trace: Trace::default(),
            coros: case.coros,
            callbacks: case.callbacks,
            counters,
            futures,
            tasks: RefCell::default(),
            all_tasks: RefCell::default(),
            handles: RefCell::default(),
            timeouts: RefCell::default(),
            groups: RefCell::default(),
            registrations: RefCell::default(),
        }
    }

    /// The time, in ticks.
    pub(crate) fn tick(&self) -> i64 {
        self.event_loop.nanos() / NANOS_OF_TICK
    }

    pub(crate) fn coro(&self, name: &str) -> Body {
        self.coros.get(name).cloned().unwrap_or_else(|| panic!("no coroutine {name}"))
    }

    /// The body of a callback; empty if none is given.
    pub(crate) fn callback(&self, label: &str) -> Body {
        self.callbacks.get(label).cloned().unwrap_or_else(|| [].into())
    }

    pub(crate) fn counter(&self, name: &str) -> &Cell<i64> {
        object(&self.counters, name)
    }

    pub(crate) fn future(&self, name: &str) -> Future<Outcome> {
        object(&self.futures, name).clone()
    }

    /// Binds a task to its name.
    pub(crate) fn bind_task(&self, tid: &str, task: Task<Outcome>) {
        let named = NamedTask { tid: tid.to_owned(), task };
        self.all_tasks.borrow_mut().push(named.clone());
        self.tasks.borrow_mut().insert(tid.to_owned(), named);
    }

    /// The task of that name; `self` is the one that runs.
    pub(crate) fn find_task(&self, tid: &str) -> Option<NamedTask> {
        if tid != "self" {
            return self.tasks.borrow().get(tid).cloned();
        }
        let current = current_task()?;
        self.all_tasks.borrow().iter().find(|named| named.task.to_any() == current).cloned()
    }

    pub(crate) fn holds(&self, predicate: &Predicate) -> bool {
        (predicate.holds)(self.counter(&predicate.counter).get(), predicate.value)
    }

    /// Drops what refers to coroutines, which refer to this.
    pub(crate) fn clear(&self) {
        self.tasks.take();
        self.all_tasks.take();
        self.handles.take();
        self.timeouts.take();
        self.groups.take();
        self.registrations.take();
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("trace", &self.trace).finish_non_exhaustive()
    }
}

/// An object by its name. Objects are always bound.
pub(crate) fn object<'a, T>(objects: &'a BTreeMap<String, T>, name: &str) -> &'a T {
    objects.get(name).unwrap_or_else(|| panic!("no such object: {name}"))
}

/// Ticks as seconds.
pub(crate) fn seconds(ticks: i64) -> f64 {
    ticks as f64 / TICKS_OF_SECOND
}

/// Seconds as ticks.
pub(crate) fn ticks(seconds: f64) -> i64 {
    (seconds * TICKS_OF_SECOND).round() as i64
}

const TICKS_OF_SECOND: f64 = 8.0;
const NANOS_OF_TICK: i64 = 1_000_000_000 / 8;

/// Operations on counters.
#[derive(Debug)]
pub(crate) enum CounterOp {
    Add(String, i64),
    Get(String),
}

impl CounterOp {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        Ok(Some(match args.name {
            "counter_add" => Self::Add(args.text(0)?, args.number(1)?),
            "counter_get" => Self::Get(args.text(0)?),
            _ => return Ok(None),
        }))
    }
}

impl Frame {
    pub(crate) fn counter_op(&self, op: &CounterOp) {
        match op {
            CounterOp::Add(name, amount) => {
                let counter = self.state.counter(name);
                counter.set(counter.get() + amount);
                event!(self, "counter_add", name, counter.get());
            }
            CounterOp::Get(name) => event!(self, "counter_get", name, self.state.counter(name).get()),
        }
    }

    /// The first name of those mentioned that is not bound.
    pub(crate) fn unbound<'a>(&self, mentions: &'a [Name]) -> Option<&'a str> {
        let state = &self.state;
        mentions.iter().find_map(|mention| {
            let (name, is_bound) = match mention {
                Name::Task(tid) => (tid, state.find_task(tid).is_some()),
                Name::Handle(name) => (name, state.handles.borrow().contains_key(name)),
                Name::Timeout(name) => (name, state.timeouts.borrow().contains_key(name)),
                Name::Group(name) => (name, state.groups.borrow().contains_key(name)),
            };
            (!is_bound).then_some(name.as_str())
        })
    }

    /// The task of a name that is bound.
    pub(crate) fn task(&self, tid: &str) -> NamedTask {
        self.state.find_task(tid).unwrap_or_else(|| panic!("no task {tid}"))
    }

    pub(crate) fn reference(&self, reference: &Ref) -> asyncio::AnyFuture<Outcome> {
        match reference {
            Ref::Task(tid) => self.task(tid).task.into(),
            Ref::Future(name) => self.state.future(name).into(),
        }
    }
}
