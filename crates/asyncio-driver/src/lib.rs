#![doc = include_str!("../README.md")]

mod driver;
mod endpoint;
mod packets;
mod readiness;
mod signals;
mod sys;
mod time;
mod token;

pub use driver::{Capabilities, Deadline, Driver, Notify, Source, TimeHold};
pub use endpoint::{
    Address, ConnectOptions, DatagramEndpoint, DatagramOptions, ListenOptions, ListenerEndpoint, PeerCredentials,
    PipeEnd, StreamEndpoint,
};
pub use packets::{MulticastGroup, Packet, Packets};
pub use readiness::{Event, Interest, Mode, Readiness};
pub use signals::{Signal, SignalAction, SignalError, SignalWatch, raise_default, signal_action, watch_signal};
#[cfg(target_os = "linux")]
pub use sys::EpollDriver;
#[cfg(unix)]
pub use sys::{ChildSetup, child_watch, peer_credentials, send_signal, send_signal_to_group, wait_for_child_blocking};
pub use sys::{
    OsPipe, OsSocket, PollingDriver, RawSocket, fork_generation, interface_index, is_exhaustion, new_driver,
    take_inherited_sockets,
};
pub use time::LoopTime;
pub use token::{Slots, Token};
