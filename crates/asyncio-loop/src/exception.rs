//! `ExceptionContext`: what the loop's exception handler is told when nobody else can be.
//!
//! A panic of a callback has no caller to go to, a slow callback is nobody's error. Both end here, once, with the place in
//! the program that they come from.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io::Write as _;
use std::panic::Location;

/// One report to the exception handler of a loop.
///
/// # asyncio
///
/// The `context` dictionary of
/// [`loop.call_exception_handler`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.call_exception_handler).
/// Differs: an exception is a panic or an `Err`, and where asyncio gives objects (`handle`, `task`, `transport`) this gives
/// their description under the same key.
#[derive(Debug)]
pub struct ExceptionContext {
    message: String,
    cause: Option<Cause>,
    location: Option<&'static Location<'static>>,
    details: Vec<(&'static str, String)>,
}

#[derive(Debug)]
enum Cause {
    Panic(Box<dyn Any + Send>),
    Error(Box<dyn Error>),
}

impl ExceptionContext {
    /// A report that says `message`.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), cause: None, location: None, details: Vec::new() }
    }

    /// Adds the payload of the panic that is reported.
    #[must_use]
    pub fn with_panic(mut self, payload: Box<dyn Any + Send>) -> Self {
        self.cause = Some(Cause::Panic(payload));
        self
    }

    /// Adds the error that is reported.
    #[must_use]
    pub fn with_error(mut self, error: impl Into<Box<dyn Error>>) -> Self {
        self.cause = Some(Cause::Error(error.into()));
        self
    }

    /// Adds where in the program the callback, task or other thing was created.
    #[must_use]
    pub fn with_location(mut self, location: &'static Location<'static>) -> Self {
        self.location = Some(location);
        self
    }

    /// Adds a description of something that took part, under asyncio's key for it (`"task"`, `"transport"`, …).
    #[must_use]
    pub fn with(mut self, key: &'static str, description: impl Into<String>) -> Self {
        self.details.push((key, description.into()));
        self
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The message of the panic that is reported, if it is one and has one.
    #[must_use]
    pub fn panic_message(&self) -> Option<&str> {
        match &self.cause {
            Some(Cause::Panic(payload)) => panic_message(payload.as_ref()),
            _ => None,
        }
    }

    /// Whether a panic is reported.
    #[must_use]
    pub const fn is_panic(&self) -> bool {
        matches!(self.cause, Some(Cause::Panic(_)))
    }

    /// The error that is reported, if it is one.
    #[must_use]
    pub fn error(&self) -> Option<&(dyn Error + 'static)> {
        match &self.cause {
            Some(Cause::Error(error)) => Some(error.as_ref()),
            _ => None,
        }
    }

    /// Where in the program the callback, task or other thing was created.
    #[must_use]
    pub const fn location(&self) -> Option<&'static Location<'static>> {
        self.location
    }

    /// The description under a key, if there is one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.details.iter().find(|(name, _)| *name == key).map(|(_, text)| text.as_str())
    }

    /// Writes the report to stderr: what the loop does with it if no handler is set.
    pub(crate) fn write_to_stderr(&self) {
        // Nobody is left to tell if stderr is closed.
        let _ = writeln!(std::io::stderr().lock(), "{self}");
    }
}

impl fmt::Display for ExceptionContext {
    /// The message, then a line for each other key, sorted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut lines: Vec<(&str, String)> = self.details.iter().map(|(key, text)| (*key, text.clone())).collect();
        match &self.cause {
            Some(Cause::Panic(payload)) => {
                lines.push((
                    "exception",
                    format!("panic: {}", panic_message(payload.as_ref()).unwrap_or("(no message)")),
                ));
            }
            Some(Cause::Error(error)) => lines.push(("exception", chain(error.as_ref()))),
            None => {}
        }
        lines.extend(self.location.map(|location| ("created at", location.to_string())));
        lines.sort_unstable();
        lines.iter().try_for_each(|(key, text)| write!(f, "\n  {key}: {text}"))
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// The text that `panic!` was called with.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> Option<&str> {
    payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_its_message_and_its_sorted_keys() {
        let report = ExceptionContext::new("it broke")
            .with("transport", "tcp")
            .with_error(std::io::Error::other("cable cut"))
            .with("handle", "the handle");
        assert_eq!(report.to_string(), "it broke\n  exception: cable cut\n  handle: the handle\n  transport: tcp");
        assert_eq!((report.get("handle"), report.get("nobody")), (Some("the handle"), None));
    }

    #[test]
    fn panic_messages_of_both_kinds_are_found() {
        for payload in [Box::new("text") as Box<dyn Any + Send>, Box::new(String::from("text"))] {
            assert_eq!(ExceptionContext::new("x").with_panic(payload).panic_message(), Some("text"));
        }
        let odd = ExceptionContext::new("x").with_panic(Box::new(7));
        assert_eq!((odd.panic_message(), odd.is_panic()), (None, true));
        assert_eq!(odd.to_string(), "x\n  exception: panic: (no message)");
    }
}
