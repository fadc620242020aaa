//! `Fault`: the errors of the language.

use asyncio::{CancelledError, ErrorGroup, ResultError, TimeoutError};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a body can be left with, besides a value.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// A user's error, or one of the library's: they differ by name only.
    Named(Arc<str>),
    /// As a value: what was awaited had been cancelled by somebody else, or a handler passes a cancellation on.
    Cancelled(CancelledError),
    Group(Vec<Arc<Fault>>),
}

/// How a task or future ends. The error is shared because a task group keeps it, too.
pub(crate) type Outcome = Result<Value, Arc<Fault>>;

impl Fault {
    pub(crate) fn named(name: &str) -> Self {
        if name == "Cancelled" { Self::Cancelled(CancelledError::default()) } else { Self::Named(name.into()) }
    }

    pub(crate) fn runtime_error() -> Self {
        Self::named("RuntimeError")
    }

    /// The name of the class.
    pub(crate) fn class(&self) -> &str {
        match self {
            Self::Named(name) => name,
            Self::Cancelled(_) => "Cancelled",
            Self::Group(_) => "ErrorGroup",
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Named(_) | Self::Cancelled(_) => json!(self.class()),
            Self::Group(members) => {
                let mut members: Vec<_> = members.iter().map(|member| member.to_json()).collect();
                members.sort_by_cached_key(oracle_text);
                json!({ "group": members })
            }
        }
    }

    /// The error as a value of the language.
    pub(crate) fn to_value(&self) -> Value {
        json!({ "error": self.to_json() })
    }
}

/// The text by which members of a group are sorted: as `json.dumps` writes it, with a space after colons and commas.
fn oracle_text(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(oracle_text).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{}: {}", json!(key), oracle_text(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

impl From<CancelledError> for Fault {
    fn from(error: CancelledError) -> Self {
        Self::Cancelled(error)
    }
}

impl From<TimeoutError> for Fault {
    fn from(_: TimeoutError) -> Self {
        Self::named("Timeout")
    }
}

impl From<ResultError> for Fault {
    fn from(error: ResultError) -> Self {
        match error {
            ResultError::Cancelled(error) => Self::Cancelled(error),
            _ => Self::named("InvalidState"),
        }
    }
}

impl From<ErrorGroup<Fault>> for Fault {
    fn from(group: ErrorGroup<Fault>) -> Self {
        Self::Group(group.into_shared())
    }
}

impl From<Arc<Fault>> for Fault {
    fn from(shared: Arc<Fault>) -> Self {
        Arc::unwrap_or_clone(shared)
    }
}
