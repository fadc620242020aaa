#![doc = include_str!("../README.md")]

mod attention;
mod builder;
mod callback;
mod calls;
mod closed_driver;
mod context;
mod delay;
mod error;
mod event_loop;
mod exception;
mod handle;
mod handler;
mod pending;
mod policy;
mod poll_budget;
mod progress;
mod ready_queue;
mod remote;
mod running;
mod signals;
mod source;
mod statistics;
mod step;
mod timers;
mod wake_state;
mod watch;

pub use builder::LoopBuilder;
pub use context::{Context, ContextSnapshot, ContextToken, ContextVar, SendContext, copy_context};
pub use delay::{Delay, IntoDeadline, IntoDelay, IntoTimeout};
pub use error::{ClosedError, NoLoopError, RunError};
pub use event_loop::{EventLoop, Extension, TimerKey};
pub use exception::ExceptionContext;
pub use handle::{Handle, TimerHandle};
pub use pending::{PendingItem, PendingKind};
pub use policy::{
    DefaultEventLoopPolicy, EventLoopPolicy, get_event_loop, get_event_loop_policy, get_running_loop, new_event_loop,
    set_event_loop, set_event_loop_policy, try_get_running_loop,
};
pub use progress::{LoopProgress, StepUnderWay};
pub use remote::{LoopHandle, RemoteCallHandle, Trigger};
pub use source::{ReadySource, SourceKey};
pub use statistics::LoopStatistics;
pub use step::{Runnable, Step, StepData, StepVTable, TokenStep};
