//! Spans of `tracing`: one for each task, from its creation to its end, entered whenever its code runs.
//!
//! Where nobody listens, a task gets no span. Without the feature `tracing`, `spans_off` stands here, and there is nothing at all.

use crate::raw::TaskRef;
use std::rc::Rc;
use tracing::{Span, field, trace_span};

/// The span of a task, if it has one. Counted, so that taking one more runs no code of a subscriber.
#[derive(Debug, Default)]
pub(crate) struct TaskSpan(Option<Rc<Span>>);

/// Begins the span of a new task.
pub(crate) fn begin(task: &TaskRef) {
    let state = &task.state;
    let span = trace_span!(
        target: "asyncio",
        "task",
        id = state.number,
        name = field::display(state.name()),
        coroutine = task.type_name(),
        location = field::display(state.location),
    );
    if !span.is_disabled() {
        state.with_extra(|extra| extra.span = TaskSpan(Some(Rc::new(span))));
    }
}

/// Runs code of the task's inside its span.
pub(crate) fn within<R>(task: &TaskRef, code: impl FnOnce() -> R) -> R {
    match of(task) {
        Some(span) => span.in_scope(code),
        None => code(),
    }
}

/// The task has a new name.
pub(crate) fn rename(task: &TaskRef, name: &str) {
    if let Some(span) = of(task) {
        span.record("name", field::display(name));
    }
}

/// The task is done.
pub(crate) fn end(task: &TaskRef) {
    let span = task.state.if_extra(|extra| extra.span.0.take());
    drop(span);
}

fn of(task: &TaskRef) -> Option<Rc<Span>> {
    task.state.if_extra(|extra| extra.span.0.clone()).flatten()
}
