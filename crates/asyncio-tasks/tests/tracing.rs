//! The feature `tracing`: a span for each task.

#![cfg(feature = "tracing")]

use asyncio_loop::new_event_loop;
use asyncio_tasks::{LoopTasksExt as _, create_task, sleep};
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down what it is told.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<String>>>);

#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "name" || field.name() == "location" {
            let _ = write!(self.0, " {}={value:?}", field.name());
        }
    }
}

impl Listener {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "asyncio"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let number = 1 + self.0.lock().unwrap().iter().filter(|line| line.starts_with("new")).count() as u64;
        self.note(format!("new {number} {}{}", span.metadata().name(), fields.0));
        Id::from_u64(number)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        self.note(format!("record {}{}", span.into_u64(), fields.0));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, span: &Id) {
        self.note(format!("enter {}", span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        self.note(format!("exit {}", span.into_u64()));
    }

    fn try_close(&self, span: Id) -> bool {
        self.note(format!("close {}", span.into_u64()));
        true
    }
}

#[test]
fn a_task_has_a_span_from_its_creation_to_its_end() {
    let listener = Listener::default();
    tracing::subscriber::with_default(listener.clone(), || {
        let event_loop = new_event_loop().unwrap();
        event_loop
            .run_until_complete(async {
                let task = create_task(sleep(0)).name("child");
                let _ = task.await;
            })
            .unwrap();
        event_loop.close().unwrap();
    });
    let lines = listener.0.lock().unwrap().clone();
    assert!(lines[0].starts_with("new 1 task name=Task-") && lines[0].contains("tests/tracing.rs:"), "{lines:?}");
    assert!(lines[2].starts_with("new 2 task name=Task-"), "{lines:?}");
    let rest: Vec<_> = lines.iter().filter(|line| !line.starts_with("new")).map(String::as_str).collect();
    let expected = [
        "enter 1",
        "record 2 name=child",
        "exit 1",
        "enter 2",
        "exit 2",
        "enter 2",
        "exit 2",
        "close 2",
        "enter 1",
        "exit 1",
        "close 1",
    ];
    assert_eq!(rest, expected);
}

#[test]
fn where_nobody_listens_nothing_happens() {
    let event_loop = new_event_loop().unwrap();
    assert_eq!(event_loop.run_until_complete(async { create_task(async { 7 }).name("named").await }).unwrap(), Ok(7));
    event_loop.close().unwrap();
}
