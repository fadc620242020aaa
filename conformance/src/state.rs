//! `State`: what the bodies of a run share: objects, and names that are bound as the run goes on.

use crate::case::{Args, Body, Case, Name, Predicate, Read, ReadError, Ref, invalid};
use crate::control::Frame;
use crate::event;
use crate::fault::{Fault, Outcome};
use crate::futures::{CallHandle, Registration};
use crate::locks::Acquirable;
use crate::queues::AnyQueue;
use crate::trace::Trace;
use asyncio::prelude::*;
use asyncio::{
    AnyTask, Barrier, BoundedSemaphore, Condition, Event, EventLoop, Future, LifoQueue, Lock, PriorityQueue, Queue,
    Semaphore, Task, TaskGroup, Timeout, current_task,
};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

/// The state of a run.
pub(crate) struct State {
    pub(crate) event_loop: EventLoop,
    pub(crate) trace: Trace,
    coros: BTreeMap<String, Body>,
    callbacks: BTreeMap<String, Body>,
    released: BTreeSet<String>,
    counters: BTreeMap<String, Cell<i64>>,
    futures: BTreeMap<String, Future<Outcome>>,
    pub(crate) acquirables: BTreeMap<String, Acquirable>,
    pub(crate) events: BTreeMap<String, Event>,
    pub(crate) barriers: BTreeMap<String, Barrier>,
    pub(crate) queues: BTreeMap<String, AnyQueue>,
    pub(crate) tasks: RefCell<BTreeMap<String, NamedTask>>,
    /// Every task that runs a body: they are kept until the end.
    pub(crate) all_tasks: RefCell<Vec<NamedTask>>,
    /// Tasks that stand for a future of asyncio's: at the end of the run they are not cancelled.
    pub(crate) hidden_tasks: RefCell<Vec<AnyTask>>,
    pub(crate) handles: RefCell<BTreeMap<String, CallHandle>>,
    pub(crate) timeouts: RefCell<BTreeMap<String, Timeout>>,
    pub(crate) groups: RefCell<BTreeMap<String, TaskGroup<Fault>>>,
    pub(crate) registrations: RefCell<Vec<Registration>>,
}

/// A task, with the name that it was bound to, or else its label.
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
    Lock,
    Event,
    /// With the lock, if it is not one of its own.
    Condition(Option<String>),
    Semaphore(usize),
    BoundedSemaphore(usize),
    Barrier(usize),
    Queue(usize),
    LifoQueue(usize),
    PriorityQueue(usize),
}

impl Object {
    pub(crate) fn read(object: &Value) -> Read<Self> {
        let number = |key: &str| {
            let number = object.get(key).and_then(Value::as_u64).unwrap_or(0);
            usize::try_from(number).map_err(|_| invalid(key))
        };
        Ok(match object.get("type").and_then(Value::as_str) {
            Some("future") => Self::Future,
            Some("counter") => Self::Counter(object.get("value").and_then(Value::as_i64).unwrap_or(0)),
            Some("lock") => Self::Lock,
            Some("event") => Self::Event,
            Some("condition") => Self::Condition(object.get("lock").and_then(Value::as_str).map(str::to_owned)),
            Some("semaphore") => Self::Semaphore(number("value")?),
            Some("bounded_semaphore") => Self::BoundedSemaphore(number("value")?),
            Some("barrier") => Self::Barrier(number("parties")?),
            Some("queue") => Self::Queue(number("maxsize")?),
            Some("lifo_queue") => Self::LifoQueue(number("maxsize")?),
            Some("priority_queue") => Self::PriorityQueue(number("maxsize")?),
            Some(other) => return Err(ReadError::Unsupported(other.to_owned())),
            None => return Err(invalid("an object without a type")),
        })
    }
}

impl State {
    pub(crate) fn new(event_loop: &EventLoop, case: Case) -> Self {
        let mut state = Self {
            event_loop: event_loop.clone(),
            trace: Trace::default(),
            coros: case.coros,
            callbacks: case.callbacks,
            released: case.released,
            counters: BTreeMap::new(),
            futures: BTreeMap::new(),
            acquirables: BTreeMap::new(),
            events: BTreeMap::new(),
            barriers: BTreeMap::new(),
            queues: BTreeMap::new(),
            tasks: RefCell::default(),
            all_tasks: RefCell::default(),
            hidden_tasks: RefCell::default(),
            handles: RefCell::default(),
            timeouts: RefCell::default(),
            groups: RefCell::default(),
            registrations: RefCell::default(),
        };
        // Locks come first: a condition may share one.
        let (locks, others): (Vec<_>, Vec<_>) =
            case.objects.into_iter().partition(|(_, object)| matches!(object, Object::Lock));
        for (name, object) in locks.into_iter().chain(others) {
            state.add(name, object);
        }
        state
    }

    fn add(&mut self, name: String, object: Object) {
        let acquirable = match object {
            Object::Lock => Acquirable::Lock(Rc::default()),
            Object::Semaphore(value) => Acquirable::Semaphore(Semaphore::new(value)),
            Object::BoundedSemaphore(value) => Acquirable::BoundedSemaphore(BoundedSemaphore::new(value)),
            Object::Condition(lock) => Acquirable::Condition(Condition::with_lock(self.lock_of_condition(lock))),
            Object::Queue(max) => return self.add_queue(name, AnyQueue::Fifo(Queue::new(max))),
            Object::LifoQueue(max) => return self.add_queue(name, AnyQueue::Lifo(LifoQueue::new(max))),
            Object::PriorityQueue(max) => return self.add_queue(name, AnyQueue::Priority(PriorityQueue::new(max))),
            Object::Counter(value) => {
                self.counters.insert(name, Cell::new(value));
                return;
            }
            Object::Future => {
                self.futures.insert(name, self.event_loop.create_future());
                return;
            }
            Object::Event => {
                self.events.insert(name, Event::new());
                return;
            }
            Object::Barrier(parties) => {
                self.barriers.insert(name, Barrier::new(parties));
                return;
            }
        };
        self.acquirables.insert(name, acquirable);
    }

    fn add_queue(&mut self, name: String, queue: AnyQueue) {
        self.queues.insert(name, queue);
    }

    fn lock_of_condition(&mut self, lock: Option<String>) -> Rc<Lock> {
        let Some(name) = lock else { return Rc::default() };
        let Some(Acquirable::Lock(lock)) = self.acquirables.get(&name) else { panic!("{name} is no lock") };
        // Waiting for the condition releases it.
        self.released.insert(name);
        lock.clone()
    }

    pub(crate) fn is_barrier(&self, name: &str) -> bool {
        self.barriers.contains_key(name)
    }

    /// Whether something releases it that has not acquired it by a `with`.
    pub(crate) fn is_released_by_hand(&self, name: &str) -> bool {
        self.released.contains(name)
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
        self.keep_task(named.clone());
        self.tasks.borrow_mut().insert(tid.to_owned(), named);
    }

    /// Keeps a task, so that it can be `self`.
    pub(crate) fn keep_task(&self, named: NamedTask) {
        self.all_tasks.borrow_mut().push(named);
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
        self.hidden_tasks.take();
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
