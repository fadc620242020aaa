//! The systems: everything that only one of them has, and every `unsafe` block of this crate.
//!
//! Modules of one name for several systems have one file each and the same items in it; the choice is made here, on the
//! `mod` line, and nowhere else.
//!
//! Absent on purpose: policy. What a signal or a ready socket means is decided upstairs.

#[cfg_attr(unix, path = "sys/activation_unix.rs")]
#[cfg_attr(not(unix), path = "sys/activation_none.rs")]
mod activation;
#[cfg(unix)]
#[path = "sys/child_unix.rs"]
mod child;
#[cfg(unix)]
#[cfg_attr(target_os = "linux", path = "sys/child_watch_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "sys/child_watch_unix.rs")]
mod child_watch;
#[cfg_attr(target_os = "linux", path = "sys/clock_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "sys/clock_std.rs")]
pub(crate) mod clock;
#[cfg(target_os = "linux")]
mod epoll;
#[cfg(target_os = "linux")]
mod epoll_millis;
#[cfg(unix)]
mod errno;
#[cfg(target_os = "linux")]
mod eventfd;
#[cfg_attr(unix, path = "sys/fork_unix.rs")]
#[cfg_attr(not(unix), path = "sys/fork_none.rs")]
mod fork;
#[cfg_attr(unix, path = "sys/interface_unix.rs")]
#[cfg_attr(not(unix), path = "sys/interface_none.rs")]
mod interface;
#[cfg_attr(unix, path = "sys/os_pipe_unix.rs")]
#[cfg_attr(windows, path = "sys/os_pipe_windows.rs")]
mod os_pipe;
#[cfg_attr(unix, path = "sys/os_socket_unix.rs")]
#[cfg_attr(windows, path = "sys/os_socket_windows.rs")]
mod os_socket;
#[cfg_attr(unix, path = "sys/os_source_unix.rs")]
#[cfg_attr(windows, path = "sys/os_source_windows.rs")]
mod os_source;
#[cfg_attr(target_os = "linux", path = "sys/packets_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "sys/packets_one.rs")]
mod packets;
#[cfg_attr(unix, path = "sys/pipe_unix.rs")]
#[cfg_attr(windows, path = "sys/pipe_windows.rs")]
mod pipe;
mod poller;
#[cfg_attr(unix, path = "sys/poller_waker_unix.rs")]
#[cfg_attr(windows, path = "sys/poller_waker_windows.rs")]
mod poller_waker;
mod raw_socket;
#[cfg_attr(unix, path = "sys/signal_unix.rs")]
#[cfg_attr(not(unix), path = "sys/signal_none.rs")]
pub(crate) mod signal;
#[cfg(unix)]
mod signal_watchers;
mod socket;
mod socket_address;
#[cfg_attr(target_os = "linux", path = "sys/socket_linux.rs")]
#[cfg_attr(all(unix, not(target_os = "linux")), path = "sys/socket_unix.rs")]
#[cfg_attr(windows, path = "sys/socket_windows.rs")]
mod socket_os;
#[cfg_attr(target_os = "linux", path = "sys/unix_socket_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "sys/unix_socket_unix.rs")]
#[cfg(unix)]
mod unix_socket;

#[cfg_attr(target_os = "linux", path = "sys/default_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "sys/default_polling.rs")]
mod default;

pub use activation::take_inherited_sockets;
#[cfg(unix)]
pub use child::{ChildSetup, send_signal, send_signal_to_group, wait_for_child_blocking};
#[cfg(unix)]
pub use child_watch::child_watch;
pub use default::new_driver;
#[cfg(target_os = "linux")]
pub use epoll::EpollDriver;
pub use fork::fork_generation;
pub use interface::interface_index;
pub use os_pipe::OsPipe;
pub use os_socket::{OsSocket, is_exhaustion};
pub use poller::PollingDriver;
pub use raw_socket::RawSocket;
#[cfg(unix)]
pub use unix_socket::peer_credentials;
