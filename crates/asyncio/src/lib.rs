#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use asyncio_driver::{Signal, SignalError};
pub use asyncio_loop::{
    ClosedError, Context, ContextToken, ContextVar, DefaultEventLoopPolicy, Delay, EventLoop, EventLoopPolicy,
    ExceptionContext, Handle, IntoDelay, LoopBuilder, LoopHandle, LoopStatistics, NoLoopError, RemoteCallHandle, RunError,
    TimerHandle, Trigger, copy_context, get_event_loop, get_event_loop_policy, get_running_loop, new_event_loop,
    set_event_loop, set_event_loop_policy, try_get_running_loop,
};

/// What a loop stands on: for those who choose a driver, or write one.
pub mod driver {
    #[cfg(target_os = "linux")]
    pub use asyncio_driver::EpollDriver;
    pub use asyncio_driver::{
        Address, Capabilities, ConnectOptions, DatagramEndpoint, DatagramOptions, Deadline, Driver, Event, Interest,
        ListenOptions, ListenerEndpoint, LoopTime, Mode, Notify, PollingDriver, Readiness, Source, StreamEndpoint, Token,
        new_driver,
    };
}
