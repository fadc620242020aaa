//! The exception handler of a loop: the last resort for what has no caller.

use crate::event_loop::{EventLoop, ExceptionHandler};
use crate::exception::ExceptionContext;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

impl EventLoop {
    /// Sets what is called with reports instead of writing them to stderr. It runs on the loop's thread, with nothing
    /// borrowed; if it panics, the report and the panic go to stderr.
    ///
    /// # asyncio
    ///
    /// [`loop.set_exception_handler`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.set_exception_handler).
    /// Same; `None` is [`reset_exception_handler`](Self::reset_exception_handler).
    pub fn set_exception_handler(&self, handler: impl Fn(&Self, &ExceptionContext) + 'static) {
        let previous = self.core.exception_handler.replace(Some(Rc::new(handler)));
        drop(previous);
    }

    /// Goes back to writing reports to stderr.
    pub fn reset_exception_handler(&self) {
        let previous = self.core.exception_handler.take();
        drop(previous);
    }

    /// The handler that was set, if one was.
    ///
    /// # asyncio
    ///
    /// [`loop.get_exception_handler`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.get_exception_handler).
    /// Same.
    #[must_use]
    pub fn get_exception_handler(&self) -> Option<ExceptionHandler> {
        self.core.exception_handler.borrow().clone()
    }

    /// Reports something to the exception handler.
    ///
    /// # asyncio
    ///
    /// [`loop.call_exception_handler`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.call_exception_handler).
    /// Same.
    pub fn call_exception_handler(&self, context: ExceptionContext) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| match self.get_exception_handler() {
            Some(handler) => handler(self, &context),
            None => self.default_exception_handler(&context),
        })) {
            // What has panicked may be the text of a foreign error; then there is only this left to say.
            let panicked = ExceptionContext::new("the exception handler panicked").with_panic(payload);
            let _ = catch_unwind(AssertUnwindSafe(|| self.default_exception_handler(&context)));
            self.default_exception_handler(&panicked);
            drop_quietly(panicked);
        }
        drop_quietly(context);
    }

    /// Writes a report to stderr: its message, and a line for each key.
    ///
    /// # asyncio
    ///
    /// [`loop.default_exception_handler`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.default_exception_handler),
    /// which logs. Same.
    pub fn default_exception_handler(&self, context: &ExceptionContext) {
        context.write_to_stderr();
    }
}

/// Drops a report, and with it the payload of a panic, whose destructor is foreign code, too: if it panics in turn, the new
/// payload is leaked, for dropping it might go on like this for ever.
fn drop_quietly(report: ExceptionContext) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(report))) {
        std::mem::forget(payload);
    }
}
