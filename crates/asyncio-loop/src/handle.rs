//! `Handle` and `TimerHandle`: a scheduled callback that can be taken back.

use crate::calls::CallContext;
use crate::context::Context;
use crate::delay::secs_of_nanos;
use crate::event_loop::EventLoop;
use crate::timers::Nanos;
use asyncio_driver::Token;
use std::cell::Cell;
use std::fmt;

/// A callback that was scheduled by [`call_soon`](EventLoop::call_soon).
///
/// Dropping the handle does nothing: the callback runs all the same.
///
/// # asyncio
///
/// [`asyncio.Handle`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.Handle). Same; the `context=` argument
/// is the method [`context`](Handle::context).
pub struct Handle {
    event_loop: EventLoop,
    call: Token,
    cancelled: Cell<bool>,
}

impl Handle {
    pub(crate) const fn new(event_loop: EventLoop, call: Token, cancelled: bool) -> Self {
        Self { event_loop, call, cancelled: Cell::new(cancelled) }
    }

    /// Lets the callback run in `context`, where its changes stay, instead of in a copy of the current one. Without effect
    /// once it has run.
    #[must_use = "the callback is scheduled all the same; keep or drop the handle"]
    pub fn context(self, context: &Context) -> Self {
        let given = CallContext::Given(context.clone());
        let previous = self.event_loop.with_call(self.call, |call| std::mem::replace(&mut call.context, given));
        drop(previous); // With nothing borrowed: it may be the last that holds a value.
        self
    }

    /// Prevents the call, and drops the callback with all that it holds. Without effect if it has run or was cancelled.
    pub fn cancel(&self) {
        self.cancelled.set(true);
        self.event_loop.cancel_call(self.call);
    }

    /// Whether [`cancel`](Self::cancel) was called, be it too late.
    #[must_use]
    pub const fn cancelled(&self) -> bool {
        self.cancelled.get()
    }

    /// The context that the callback will run in; `None` once it has run or was cancelled.
    #[must_use]
    pub fn get_context(&self) -> Option<Context> {
        self.event_loop.with_call(self.call, |call| {
            let context = match &mut call.context {
                CallContext::Copied(values) => Context::from(std::mem::take(values)),
                CallContext::Given(context) => context.clone(),
            };
            call.context = CallContext::Given(context.clone());
            context
        })
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = self.event_loop.with_call(self.call, |call| call.location);
        f.debug_struct("Handle")
            .field("cancelled", &self.cancelled.get())
            .field("created_at", &location.map(ToString::to_string))
            .finish()
    }
}

/// A callback that was scheduled by [`call_later`](EventLoop::call_later) or [`call_at`](EventLoop::call_at).
///
/// Dropping the handle does nothing: the callback runs all the same.
///
/// # asyncio
///
/// [`asyncio.TimerHandle`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.TimerHandle). Differs: handles are
/// not compared with one another; compare what [`when`](TimerHandle::when) gives.
pub struct TimerHandle {
    handle: Handle,
    timer: Token,
    when: Nanos,
}

impl TimerHandle {
    pub(crate) const fn new(handle: Handle, timer: Token, when: Nanos) -> Self {
        Self { handle, timer, when }
    }

    /// When the callback is due, in seconds of [`EventLoop::time`].
    #[must_use]
    pub fn when(&self) -> f64 {
        secs_of_nanos(self.when)
    }

    /// Lets the callback run in `context`; see [`Handle::context`].
    #[must_use = "the callback is scheduled all the same; keep or drop the handle"]
    pub fn context(self, context: &Context) -> Self {
        Self { handle: self.handle.context(context), ..self }
    }

    /// Prevents the call, and drops the callback with all that it holds. The timer leaves no trace behind.
    pub fn cancel(&self) {
        self.handle.event_loop.cancel_timer(self.timer);
        self.handle.cancel();
    }

    /// Whether [`cancel`](Self::cancel) was called, be it too late.
    #[must_use]
    pub const fn cancelled(&self) -> bool {
        self.handle.cancelled()
    }

    /// The context that the callback will run in; `None` once it has run or was cancelled.
    #[must_use]
    pub fn get_context(&self) -> Option<Context> {
        self.handle.get_context()
    }
}

impl fmt::Debug for TimerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerHandle").field("when", &self.when()).field("handle", &self.handle).finish()
    }
}
