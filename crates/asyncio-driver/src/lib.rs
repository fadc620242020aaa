#![doc = include_str!("../README.md")]

mod driver;
mod endpoint;
mod readiness;
mod signals;
mod sys;
mod time;
mod token;

pub use driver::{Capabilities, Deadline, Driver, Notify, Source, TimeHold};
pub use endpoint::{
    Address, ConnectOptions, DatagramEndpoint, DatagramOptions, ListenOptions, ListenerEndpoint, StreamEndpoint,
};
pub use readiness::{Event, Interest, Mode, Readiness};
pub use signals::{Signal, SignalAction, SignalError, SignalWatch, raise_default, signal_action, watch_signal};
#[cfg(target_os = "linux")]
pub use sys::EpollDriver;
pub use sys::{OsSocket, PollingDriver, fork_generation, interface_index, is_exhaustion, new_driver};
pub use time::LoopTime;
pub use token::{Slots, Token};
