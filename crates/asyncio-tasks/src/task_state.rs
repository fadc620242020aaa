//! What a task knows of itself, besides its coroutine.
//!
//! The state of the many is kept in bits and small numbers in the cell. What few tasks have (a name, callbacks, a context
//! of its own, scopes, a message) is in `Extra`, allocated when first used.

use crate::error::CancelledError;
use crate::loop_tasks::LoopTasks;
use crate::raw::{Header, TaskRef};
use crate::waits::{NO_SLOT, WaitId};
use crate::waker::RemoteWaker;
use asyncio_driver::Token;
use asyncio_loop::ContextSnapshot;
use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;
use std::rc::Rc;

/// How a coroutine has ended. The payload of a panic and the message of a cancellation are in [`Extra`].
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    Returned(T),
    Panicked,
    Cancelled,
}

impl<T> Outcome<T> {
    pub(crate) fn clone_with(&self, clone: fn(&T) -> T) -> Self {
        match self {
            Self::Returned(value) => Self::Returned(clone(value)),
            Self::Panicked => Self::Panicked,
            Self::Cancelled => Self::Cancelled,
        }
    }
}

/// Bits of [`TaskState`], always accessed as a whole: they are tested right after they were set.
///
/// `POLLING`: the coroutine is being polled. `SCHEDULED`: a step is in the ready queue. `STALE_STEP`: that step was
/// overtaken by an eager start and does nothing. `STARTED`: polled at least once. `DONE`: the outcome is there, or was
/// taken. `MUST_CANCEL`: a request is to be delivered at the next step. `IN_FLIGHT`: what the task waits for has accepted a
/// request and will resume it. `RAISED`: a `CancelledError` is on its way outwards, in this very step. `HAS_EXTRA`: there is
/// an [`Extra`]. `CANCELLED`: done, by cancellation.
/// `PASSING_ON`: a request is being passed on to what the task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(u16);

impl Flags {
    pub(crate) const POLLING: Self = Self(1);
    pub(crate) const SCHEDULED: Self = Self(1 << 1);
    pub(crate) const STALE_STEP: Self = Self(1 << 2);
    pub(crate) const STARTED: Self = Self(1 << 3);
    pub(crate) const DONE: Self = Self(1 << 4);
    pub(crate) const MUST_CANCEL: Self = Self(1 << 5);
    pub(crate) const IN_FLIGHT: Self = Self(1 << 6);
    pub(crate) const RAISED: Self = Self(1 << 7);
    const HAS_EXTRA: Self = Self(1 << 8);
    pub(crate) const CANCELLED: Self = Self(1 << 9);
    pub(crate) const PASSING_ON: Self = Self(1 << 10);
    /// Whatever keeps a cancellation that is passed on from this task.
    pub(crate) const NOT_TOLD: Self = Self(Self::DONE.0 | Self::PASSING_ON.0);
    /// Whatever makes a step more than a poll.
    pub(crate) const UNUSUAL: Self = Self(Self::STALE_STEP.0 | Self::DONE.0 | Self::MUST_CANCEL.0 | Self::IN_FLIGHT.0);
    /// Whatever makes a step more than a poll with nothing to prepare.
    pub(crate) const NOT_PLAIN: Self = Self(Self::UNUSUAL.0 | Self::POLLING.0 | Self::HAS_EXTRA.0);
    /// What a coroutine that waits has left to be done.
    pub(crate) const TO_DELIVER: Self = Self(Self::RAISED.0 | Self::MUST_CANCEL.0);
    /// Whatever keeps a task from being put into the ready queue.
    pub(crate) const NOT_NEEDED: Self = Self(Self::SCHEDULED.0 | Self::DONE.0);
}

/// So many requests to cancel are counted in the cell.
const FEW_REQUESTS: u8 = u8::MAX;

/// What a task cell holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Future,
    Outcome,
    Empty,
}

/// The state of a task, in an order that makes a cell 80 bytes and what it holds.
#[repr(C)]
pub(crate) struct TaskState {
    pub(crate) location: &'static Location<'static>,
    pub(crate) tasks: Rc<LoopTasks>,
    extra: Cell<Option<Box<Extra>>>,
    /// The number in the default name.
    pub(crate) number: u32,
    /// The wait of whoever awaits this task, if that was the first to be told of its end.
    pub(crate) joiner: Cell<u32>,
    /// The first of the waits that this task is suspended in.
    pub(crate) first_wait: Cell<u32>,
    /// The first of the outermost catch scopes that are entered.
    pub(crate) first_scope: Cell<u32>,
    /// See `raw`, whose affair this is.
    pub(crate) refs: Cell<u32>,
    flags: Cell<Flags>,
    /// See `raw`, whose affair this is.
    pub(crate) stage: Cell<Stage>,
    /// `cancelling()`, up to `FEW_REQUESTS`.
    requests: Cell<u8>,
}

/// The state of few tasks.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) name: Option<Rc<str>>,
    /// What the task's steps run in; here while none does.
    pub(crate) context: ContextSnapshot,
    pub(crate) callbacks: Vec<DoneCallback>,
    /// Of the request that something has accepted, and then of the end as cancelled.
    pub(crate) accepted: Option<CancelledError>,
    /// Of the request that is to be delivered at the next step.
    pub(crate) pending: Option<CancelledError>,
    /// The scope that the request is about which is pending or in flight, if it is not about the whole task.
    pub(crate) within: Option<Token>,
    /// Raised by the task itself, in no scope.
    pub(crate) raised: Option<CancelledError>,
    /// What `cancelling()` is above `FEW_REQUESTS`.
    more_requests: u32,
    /// What the coroutine has panicked with, until somebody is told.
    pub(crate) panic: Option<Box<dyn Any + Send>>,
    /// Under which number other threads may cancel it.
    pub(crate) cancel_target: Option<u64>,
    /// A `fn(&T) -> T`, once there is more than one handle that may take the outcome.
    pub(crate) cloner: Option<Box<dyn Any>>,
    /// The owner of the task group that this task is in, until it is done.
    pub(crate) group_owner: Option<TaskRef>,
    #[cfg(feature = "tracing")]
    pub(crate) span: crate::spans::TaskSpan,
    /// The request that is pending was made by a group with errors, which the value of this step may be.
    pub(crate) keeps_value: bool,
    /// Whether the value that was returned is an error which outranks a cancellation.
    pub(crate) has_failed: Option<fn(&TaskRef) -> bool>,
}

/// What is told when a task or future is done, in order of registration.
pub(crate) enum DoneCallback {
    /// Somebody waits.
    Wait(WaitId),
    /// A closure, with the key by which it can be removed and the context it runs in.
    Call { key: u64, context: ContextSnapshot, call: Box<dyn FnOnce()> },
}

impl fmt::Debug for DoneCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(wait) => f.debug_tuple("Wait").field(wait).finish(),
            Self::Call { key, .. } => f.debug_struct("Call").field("key", key).finish_non_exhaustive(),
        }
    }
}

impl TaskState {
    pub(crate) fn new(tasks: Rc<LoopTasks>, location: &'static Location<'static>) -> Self {
        Self {
            location,
            number: LoopTasks::next_number(),
            tasks,
            extra: Cell::new(None),
            joiner: Cell::new(NO_SLOT),
            first_wait: Cell::new(NO_SLOT),
            first_scope: Cell::new(NO_SLOT),
            refs: Cell::new(1),
            flags: Cell::new(Flags(0)),
            stage: Cell::new(Stage::Future),
            requests: Cell::new(0),
        }
    }

    /// Whether any of these bits is set.
    pub(crate) fn has(&self, flags: Flags) -> bool {
        self.flags.get().0 & flags.0 != 0
    }

    pub(crate) fn set(&self, flags: Flags) {
        self.flags.set(Flags(self.flags.get().0 | flags.0));
    }

    pub(crate) fn clear(&self, flags: Flags) {
        self.flags.set(Flags(self.flags.get().0 & !flags.0));
    }

    /// A step begins: what was scheduled is under way.
    #[inline]
    pub(crate) fn begin_step(&self) {
        self.flags.set(Flags(self.flags.get().0 & !Flags::SCHEDULED.0 | Flags::STARTED.0));
    }

    pub(crate) fn is_polling(&self) -> bool {
        self.has(Flags::POLLING)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.has(Flags::DONE)
    }

    /// `cancelling()`.
    pub(crate) fn requests(&self) -> u32 {
        match self.requests.get() {
            FEW_REQUESTS => u32::from(FEW_REQUESTS) + self.if_extra(|extra| extra.more_requests).unwrap_or(0),
            few => u32::from(few),
        }
    }

    /// Counts one more request.
    pub(crate) fn add_request(&self) {
        match self.requests.get() {
            FEW_REQUESTS => self.with_extra(|extra| extra.more_requests = extra.more_requests.saturating_add(1)),
            few => self.requests.set(few + 1),
        }
    }

    /// Takes one request back, if there is any; gives what is left.
    pub(crate) fn take_request(&self) -> u32 {
        let is_above = self.requests.get() == FEW_REQUESTS && {
            let more = self.if_extra(|extra| {
                let more = extra.more_requests;
                extra.more_requests = more.saturating_sub(1);
                more
            });
            more.is_some_and(|more| more > 0)
        };
        if !is_above {
            self.requests.set(self.requests.get().saturating_sub(1));
        }
        self.requests()
    }

    /// Whether the task has any of the state of few.
    pub(crate) fn has_extra(&self) -> bool {
        self.has(Flags::HAS_EXTRA)
    }

    /// Works on the extra state, making it if need be. `work` runs no user code.
    pub(crate) fn with_extra<R>(&self, work: impl FnOnce(&mut Extra) -> R) -> R {
        let mut extra = self.extra.take().unwrap_or_default();
        let result = work(&mut extra);
        self.extra.set(Some(extra));
        self.set(Flags::HAS_EXTRA);
        result
    }

    /// Works on the extra state, if there is any. `work` runs no user code.
    pub(crate) fn if_extra<R>(&self, work: impl FnOnce(&mut Extra) -> R) -> Option<R> {
        if !self.has_extra() {
            return None;
        }
        let mut extra = self.extra.take()?;
        let result = work(&mut extra);
        self.extra.set(Some(extra));
        Some(result)
    }

    /// Whether the coroutine has panicked and nobody has been told yet.
    pub(crate) fn has_unseen_panic(&self) -> bool {
        self.if_extra(|extra| extra.panic.is_some()).unwrap_or(false)
    }

    /// Takes the panic, to tell somebody.
    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.if_extra(|extra| extra.panic.take()).flatten()
    }

    /// Callable from any thread.
    pub(crate) fn is_own_thread(&self) -> bool {
        self.tasks.is_own_thread()
    }

    /// Callable from any thread.
    pub(crate) fn remote_waker(&self, header: NonNull<Header>) -> RemoteWaker {
        self.tasks.remote_waker(header)
    }

    pub(crate) fn name(&self) -> Rc<str> {
        self.if_extra(|extra| extra.name.clone()).flatten().unwrap_or_else(|| format!("Task-{}", self.number).into())
    }
}

impl fmt::Debug for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match () {
            () if self.has(Flags::CANCELLED) => "cancelled",
            () if self.is_done() => "finished",
            () if self.requests() > 0 => "cancelling",
            () => "pending",
        };
        f.debug_struct("Task")
            .field("name", &self.name())
            .field("state", &state)
            .field("created_at", &self.location.to_string())
            .finish()
    }
}
