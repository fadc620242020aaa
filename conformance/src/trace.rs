//! `Trace`: what the actors of a run have logged.

use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// The events of a run.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    actors: RefCell<BTreeMap<String, Vec<Value>>>,
    order: RefCell<Vec<String>>,
    /// How often each label was used.
    labels: RefCell<BTreeMap<String, usize>>,
    ended: Cell<bool>,
}

impl Trace {
    /// The actor of a coroutine that is made under `label`.
    pub(crate) fn new_actor(&self, label: &str) -> String {
        let mut labels = self.labels.borrow_mut();
        let uses = labels.entry(label.to_owned()).or_default();
        *uses += 1;
        if *uses == 1 { label.to_owned() } else { format!("{label}#{uses}") }
    }

    pub(crate) fn log(&self, actor: &str, event: Vec<Value>) {
        if !self.ended.get() {
            self.actors.borrow_mut().entry(actor.to_owned()).or_default().push(Value::Array(event));
            self.order.borrow_mut().push(actor.to_owned());
        }
    }

    /// Whatever is logged from now on is no part of the trace.
    pub(crate) fn end(&self) {
        self.ended.set(true);
    }

    pub(crate) fn actors(&self) -> BTreeMap<String, Vec<Value>> {
        self.actors.borrow().clone()
    }

    pub(crate) fn order(&self) -> Vec<String> {
        self.order.borrow().clone()
    }
}

/// Logs an event of a frame: the tick, then what is given.
#[macro_export]
macro_rules! event {
    ($frame:expr, $($part:expr),+ $(,)?) => {
        $frame.log(vec![$(serde_json::json!($part)),+])
    };
}
