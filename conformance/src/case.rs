//! A case, read from JSON: names are resolved, bodies are lists of typed operations, and what nobody knows is found before
//! the case runs.
//!
//! Each area of the language reads its own operations (`Control::read`, `TaskOp::read`, …) through [`Args`], which also notes
//! the names that an operation mentions.
//!
//! Invariant: whatever could be wrong with the text of a case is an error here, not later.

use crate::barriers::{BarrierOp, BarrierWait};
use crate::control::Control;
use crate::futures::FutureOp;
use crate::locks::{LockOp, LockWait};
use crate::queues::{QueueOp, QueueWait};
use crate::scopes::{Scope, ScopeOp};
use crate::state::{CounterOp, Object};
use crate::tasks::TaskOp;
use crate::waits::WaitOp;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A list of operations.
pub(crate) type Body = Rc<[Op]>;

/// A concurrent program.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) objects: BTreeMap<String, Object>,
    pub(crate) coros: BTreeMap<String, Body>,
    pub(crate) callbacks: BTreeMap<String, Body>,
    pub(crate) main: String,
    /// What some `release` mentions.
    pub(crate) released: BTreeSet<String>,
}

/// One operation.
#[derive(Debug)]
pub(crate) struct Op {
    pub(crate) name: String,
    /// The names that must be bound, in reading order.
    pub(crate) mentions: Vec<Name>,
    pub(crate) kind: Kind,
}

/// What an operation is.
#[derive(Debug)]
pub(crate) enum Kind {
    Control(Control),
    Wait(WaitOp),
    Scope(Scope),
    Lock(LockWait),
    Barrier(BarrierWait),
    Queue(QueueWait),
    /// Those that never wait.
    Now(Now),
}

/// An operation that never waits, and so may stand in a callback.
#[derive(Debug)]
pub(crate) enum Now {
    Task(TaskOp),
    Scope(ScopeOp),
    Future(FutureOp),
    Counter(CounterOp),
    Lock(LockOp),
    Barrier(BarrierOp),
    Queue(QueueOp),
}

/// A name that is bound by an operation.
#[derive(Debug)]
pub(crate) enum Name {
    Task(String),
    Handle(String),
    Timeout(String),
    Group(String),
}

/// Something to await.
#[derive(Debug)]
pub(crate) enum Target {
    /// In place, logging as the caller.
    Inline(String),
    /// A coroutine with an actor of its own.
    Actor {
        coro: String,
        label: String,
    },
    Ref(Ref),
    Shield(Box<Target>),
    Gather {
        targets: Vec<Target>,
        return_exceptions: bool,
    },
}

/// A task or a future.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ref {
    Task(String),
    Future(String),
}

/// A comparison of a counter with a number.
#[derive(Debug)]
pub(crate) struct Predicate {
    pub(crate) counter: String,
    pub(crate) holds: fn(i64, i64) -> bool,
    pub(crate) value: i64,
}

/// Why a case cannot be run.
#[derive(Debug)]
pub(crate) enum ReadError {
    /// It uses something that the runner does not know.
    Unsupported(String),
    /// It is not a case.
    Invalid(String),
}

pub(crate) type Read<T> = Result<T, ReadError>;

impl Case {
    pub(crate) fn read(case: &Value) -> Read<Self> {
        let empty = Map::new();
        let part = |key: &str| case.get(key).and_then(Value::as_object).unwrap_or(&empty);
        let objects = part("objects").iter().map(|(name, object)| Ok((name.clone(), Object::read(object)?)));
        let bodies = |key: &str| -> Read<BTreeMap<_, _>> {
            part(key).iter().map(|(name, body)| Ok((name.clone(), read_body(body)?))).collect()
        };
        let mut released = BTreeSet::new();
        find_released(case, &mut released);
        let case = Self {
            objects: objects.collect::<Read<_>>()?,
            coros: bodies("coros")?,
            callbacks: bodies("callbacks")?,
            main: text(case.get("main"), "main")?,
            released,
        };
        if case.coros.contains_key(&case.main) { Ok(case) } else { Err(invalid("no body for main")) }
    }
}

fn read_body(body: &Value) -> Read<Body> {
    let ops = body.as_array().ok_or_else(|| invalid("a body that is no list"))?;
    ops.iter().map(Op::read).collect()
}

impl Op {
    fn read(op: &Value) -> Read<Self> {
        let parts = op.as_array().ok_or_else(|| invalid("an operation that is no list"))?;
        let name = text(parts.first(), "the name of an operation")?;
        let args = Args { name: &name, args: &parts[1..], mentions: RefCell::default() };
        let kind = Kind::read(&args)?.ok_or_else(|| ReadError::Unsupported(name.clone()))?;
        let mentions = args.mentions.take();
        Ok(Self { name, mentions, kind })
    }
}

impl Kind {
    fn read(args: &Args<'_>) -> Read<Option<Self>> {
        // Whoever knows the operation reads it.
        let readers: [Reader<Self>; 7] = [
            |args| Ok(Control::read(args)?.map(Self::Control)),
            |args| Ok(WaitOp::read(args)?.map(Self::Wait)),
            |args| Ok(Scope::read(args)?.map(Self::Scope)),
            |args| Ok(LockWait::read(args)?.map(Self::Lock)),
            |args| Ok(BarrierWait::read(args)?.map(Self::Barrier)),
            |args| Ok(QueueWait::read(args)?.map(Self::Queue)),
            |args| Ok(Now::read(args)?.map(Self::Now)),
        ];
        first_known(args, &readers)
    }
}

impl Now {
    fn read(args: &Args<'_>) -> Read<Option<Self>> {
        let readers: [Reader<Self>; 7] = [
            |args| Ok(TaskOp::read(args)?.map(Self::Task)),
            |args| Ok(ScopeOp::read(args)?.map(Self::Scope)),
            |args| Ok(FutureOp::read(args)?.map(Self::Future)),
            |args| Ok(CounterOp::read(args)?.map(Self::Counter)),
            |args| Ok(LockOp::read(args)?.map(Self::Lock)),
            |args| Ok(BarrierOp::read(args)?.map(Self::Barrier)),
            |args| Ok(QueueOp::read(args)?.map(Self::Queue)),
        ];
        first_known(args, &readers)
    }
}

/// Reads an operation, if it is one of its own.
type Reader<T> = fn(&Args<'_>) -> Read<Option<T>>;

fn first_known<T>(args: &Args<'_>, readers: &[Reader<T>]) -> Read<Option<T>> {
    for reader in readers {
        if let Some(op) = reader(args)? {
            return Ok(Some(op));
        }
    }
    Ok(None)
}

/// Collects what is mentioned by `release`, anywhere in a case.
fn find_released(part: &Value, released: &mut BTreeSet<String>) {
    match part {
        Value::Array(items) => {
            if let [Value::String(op), Value::String(name)] = &items[..]
                && op == "release"
            {
                released.insert(name.clone());
            }
            items.iter().for_each(|item| find_released(item, released));
        }
        Value::Object(entries) => entries.values().for_each(|entry| find_released(entry, released)),
        _ => {}
    }
}

/// The arguments of an operation.
#[derive(Debug)]
pub(crate) struct Args<'a> {
    pub(crate) name: &'a str,
    args: &'a [Value],
    mentions: RefCell<Vec<Name>>,
}

impl Args<'_> {
    /// The argument; `null` if it is absent.
    pub(crate) fn value(&self, at: usize) -> &Value {
        self.args.get(at).unwrap_or(&Value::Null)
    }

    pub(crate) fn text(&self, at: usize) -> Read<String> {
        text(self.args.get(at), self.name)
    }

    pub(crate) fn optional_text(&self, at: usize) -> Read<Option<String>> {
        if self.value(at).is_null() { Ok(None) } else { self.text(at).map(Some) }
    }

    pub(crate) fn number(&self, at: usize) -> Read<i64> {
        self.value(at).as_i64().ok_or_else(|| invalid(self.name))
    }

    pub(crate) fn optional_number(&self, at: usize) -> Read<Option<i64>> {
        if self.value(at).is_null() { Ok(None) } else { self.number(at).map(Some) }
    }

    pub(crate) fn body(&self, at: usize) -> Read<Body> {
        read_body(self.value(at))
    }

    pub(crate) fn optional_body(&self, at: usize) -> Read<Option<Body>> {
        optional_body(self.args.get(at))
    }

    /// The name of a task, which must be bound.
    pub(crate) fn task(&self, at: usize) -> Read<String> {
        self.mention(at, Name::Task)
    }

    pub(crate) fn handle(&self, at: usize) -> Read<String> {
        self.mention(at, Name::Handle)
    }

    pub(crate) fn timeout(&self, at: usize) -> Read<String> {
        self.mention(at, Name::Timeout)
    }

    pub(crate) fn group(&self, at: usize) -> Read<String> {
        self.mention(at, Name::Group)
    }

    fn mention(&self, at: usize, of: fn(String) -> Name) -> Read<String> {
        let name = self.text(at)?;
        self.mentions.borrow_mut().push(of(name.clone()));
        Ok(name)
    }

    pub(crate) fn reference(&self, at: usize) -> Read<Ref> {
        self.reference_of(self.value(at))
    }

    pub(crate) fn references(&self, at: usize) -> Read<Vec<Ref>> {
        self.list(at)?.iter().map(|reference| self.reference_of(reference)).collect()
    }

    pub(crate) fn target(&self, at: usize) -> Read<Target> {
        self.target_of(self.value(at))
    }

    pub(crate) fn targets(&self, at: usize) -> Read<Vec<Target>> {
        self.list(at)?.iter().map(|target| self.target_of(target)).collect()
    }

    pub(crate) fn predicate(&self, at: usize) -> Read<Predicate> {
        let predicate = self.value(at);
        let holds: fn(i64, i64) -> bool = match predicate.get("op").and_then(Value::as_str) {
            Some("==") => |left, right| left == right,
            Some("!=") => |left, right| left != right,
            Some("<") => |left, right| left < right,
            Some("<=") => |left, right| left <= right,
            Some(">") => |left, right| left > right,
            Some(">=") => |left, right| left >= right,
            _ => return Err(invalid("the operator of a predicate")),
        };
        let value = predicate.get("value").and_then(Value::as_i64).ok_or_else(|| invalid("a predicate"))?;
        Ok(Predicate { counter: text(predicate.get("counter"), "a counter")?, holds, value })
    }

    fn list(&self, at: usize) -> Read<&[Value]> {
        self.value(at).as_array().map(Vec::as_slice).ok_or_else(|| invalid(self.name))
    }

    fn reference_of(&self, reference: &Value) -> Read<Ref> {
        if let Some(task) = reference.get("task") {
            let task = text(Some(task), "a task")?;
            self.mentions.borrow_mut().push(Name::Task(task.clone()));
            return Ok(Ref::Task(task));
        }
        text(reference.get("future"), "a task or future").map(Ref::Future)
    }

    fn target_of(&self, target: &Value) -> Read<Target> {
        if let Some(coro) = target.get("coro") {
            let coro = text(Some(coro), "a coroutine")?;
            let label = target.get("as").map(|label| text(Some(label), "a label")).transpose()?;
            return Ok(match label {
                Some(label) => Target::Actor { coro, label },
                None => Target::Inline(coro),
            });
        }
        if let Some(inner) = target.get("shield") {
            return Ok(Target::Shield(Box::new(self.target_of(inner)?)));
        }
        if let Some(targets) = target.get("gather") {
            let targets = targets.as_array().ok_or_else(|| invalid("gather"))?;
            let targets = targets.iter().map(|target| self.target_of(target)).collect::<Read<_>>()?;
            let return_exceptions = target.get("return_exceptions").and_then(Value::as_bool).unwrap_or(false);
            return Ok(Target::Gather { targets, return_exceptions });
        }
        self.reference_of(target).map(Target::Ref)
    }
}

impl Ref {
    /// The name, as written.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Task(name) | Self::Future(name) => name,
        }
    }
}

pub(crate) fn optional_body(body: Option<&Value>) -> Read<Option<Body>> {
    body.filter(|body| !body.is_null()).map(read_body).transpose()
}

pub(crate) fn invalid(what: &str) -> ReadError {
    ReadError::Invalid(format!("cannot be read: {what}"))
}

fn text(value: Option<&Value>, what: &str) -> Read<String> {
    value.and_then(Value::as_str).map(str::to_owned).ok_or_else(|| invalid(what))
}
