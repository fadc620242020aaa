//! The `Driver` trait: what an event loop asks of whatever it stands on.
//!
//! One trait for three families. A *readiness* driver (epoll, kqueue) reports when an operation will not block. A
//! *completion* driver (io_uring, IOCP) does the operation itself, keeps the bytes in buffers of its own and reports its
//! endpoints as ready once there is something to hand out. A driver *without a kernel* (virtual time, simulated sockets)
//! makes everything up. The loop cannot tell them apart: it registers a [`Source`] under a [`Token`], waits until a
//! [`Deadline`], and moves bytes through endpoints that the driver made.
//!
//! Invariants that every driver keeps:
//! 1. A token in an event was registered when the wait began and has not been removed since. (What callbacks remove
//!    *between* events of one batch is the loop's to drop; see [`Slots`](crate::Slots).)
//! 2. `now` never goes back, and no wait that ends by its deadline ends before it.
//! 3. A notification that is sent at any time after a wait has returned ends the next wait: none is lost.
//! 4. A wait interrupted by a signal is not an error: it goes on, or ends with no event.
//!
//! Absent on purpose: callbacks, queues and timers (floor 1), and anything that polls a future (floor 2).

use crate::{
    Address, ConnectOptions, DatagramEndpoint, DatagramOptions, Event, Interest, ListenOptions, ListenerEndpoint,
    LoopTime, Mode, OsPipe, OsSocket, PipeEnd, StreamEndpoint, Token,
};
use std::fmt;
use std::io;
use std::sync::Arc;

#[cfg(unix)]
use std::os::fd::{AsRawFd as _, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket as _, BorrowedSocket};

/// What a loop waits on: sources, other threads, and the clock.
///
/// One driver belongs to one loop and stays on its thread; only its [notifier](Driver::notifier) leaves it.
pub trait Driver: fmt::Debug {
    /// What time it is on this driver's clock.
    fn now(&self) -> LoopTime;

    /// Waits until a source is ready, the notifier is used, or the deadline has come, whichever is first; adds what is
    /// ready to `events`.
    ///
    /// May end early with no event at all: the caller looks at the clock and waits again.
    ///
    /// # Errors
    ///
    /// What the system reports; never `Interrupted`. A driver that knows that nothing can ever happen (virtual time, no
    /// deadline, nothing ready, no other thread) says so with [`io::ErrorKind::Deadlock`].
    fn wait(&mut self, deadline: Deadline, events: &mut Vec<Event>) -> io::Result<()>;

    /// Starts to report `source` under `token`.
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if the source is registered; `PermissionDenied` if it is of a kind that this driver cannot wait
    /// for (regular files); `Unsupported` if the driver has not this `mode` (see [`Driver::capabilities`]) or does not
    /// know this kind of source; otherwise what the system reports.
    fn register(&mut self, source: Source<'_>, token: Token, interest: Interest, mode: Mode) -> io::Result<()>;

    /// Changes the token, interest and mode of a registered source.
    ///
    /// A source that is ready by the new interest is reported by the next wait, also in [`Mode::Edge`].
    ///
    /// # Errors
    ///
    /// `NotFound` if the source is not registered (a descriptor that was closed is not); otherwise as
    /// [`register`](Driver::register).
    fn modify(&mut self, source: Source<'_>, token: Token, interest: Interest, mode: Mode) -> io::Result<()>;

    /// Stops to report `source`. Must come before its descriptor is closed.
    ///
    /// # Errors
    ///
    /// `NotFound` if the source is not registered; otherwise what the system reports.
    fn remove(&mut self, source: Source<'_>) -> io::Result<()>;

    /// What ends a [`wait`](Driver::wait) from another thread, or from a signal handler.
    fn notifier(&self) -> Arc<dyn Notify>;

    /// What this driver can do.
    fn capabilities(&self) -> Capabilities;

    /// Keeps time from jumping, for as long as what comes back lives, because somebody outside works for the loop and will
    /// notify it. `None`, the default, where time is real and passes anyway.
    fn hold_time(&self) -> Option<Box<dyn TimeHold>> {
        None
    }

    /// The descriptor that is readable when a wait would not block, for hosts with a loop of their own.
    #[cfg(unix)]
    fn poll_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Starts to connect a stream. It is connected, or has failed, once it is reported writable; then
    /// [`StreamEndpoint::finish_connect`] says which.
    ///
    /// # Errors
    ///
    /// What can be known at once: no descriptor left, an address that cannot be bound, a network that is unreachable.
    fn connect(&mut self, remote: &Address, options: &ConnectOptions) -> io::Result<Box<dyn StreamEndpoint>>;

    /// Binds and listens.
    ///
    /// # Errors
    ///
    /// What the system reports: an address in use or not of this machine, no descriptor left.
    fn listen(&mut self, local: &Address, options: &ListenOptions) -> io::Result<Box<dyn ListenerEndpoint>>;

    /// Opens a datagram endpoint, bound to `local` and connected to `remote` where they are given.
    ///
    /// # Errors
    ///
    /// As [`listen`](Driver::listen) and [`connect`](Driver::connect).
    fn datagram(
        &mut self,
        local: Option<&Address>,
        remote: Option<&Address>,
        options: &DatagramOptions,
    ) -> io::Result<Box<dyn DatagramEndpoint>>;

    /// Makes an endpoint of a connected stream socket that exists already. It becomes non-blocking, and is closed with the
    /// endpoint, or by this call if that fails.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is not a stream socket; `Unsupported`, the default, by a driver that has no sockets.
    fn adopt_stream(&mut self, socket: OsSocket) -> io::Result<Box<dyn StreamEndpoint>> {
        no_sockets(socket)
    }

    /// Makes an endpoint of a bound stream socket, which listens already or begins to by [`ListenerEndpoint::listen`];
    /// otherwise as [`adopt_stream`](Driver::adopt_stream).
    ///
    /// # Errors
    ///
    /// As [`adopt_stream`](Driver::adopt_stream).
    fn adopt_listener(&mut self, socket: OsSocket) -> io::Result<Box<dyn ListenerEndpoint>> {
        no_sockets(socket)
    }

    /// Makes an endpoint of a datagram socket that exists already; otherwise as [`adopt_stream`](Driver::adopt_stream).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is not a datagram socket; otherwise as [`adopt_stream`](Driver::adopt_stream).
    fn adopt_datagram(&mut self, socket: OsSocket) -> io::Result<Box<dyn DatagramEndpoint>> {
        no_sockets(socket)
    }

    /// Makes an endpoint of one end of a pipe, a FIFO, a terminal, another character device, or of a stream socket of which one
    /// direction is used. It is closed with the endpoint, or by this call if that fails.
    ///
    /// Nobody who shares the descriptor finds it non-blocking when the endpoint is gone, nor before that, if the system has any
    /// other way: on Linux it stays blocking for them, unless it is a FIFO with a name, or a device other than a terminal.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is something else (a regular file, a directory); `Unsupported`, the default, by a driver that has no
    /// pipes of the system.
    fn adopt_pipe(&mut self, pipe: OsPipe, end: PipeEnd) -> io::Result<Box<dyn StreamEndpoint>> {
        let _ = end;
        drop(pipe);
        Err(io::Error::new(io::ErrorKind::Unsupported, "this driver has no pipes of the system"))
    }
}

/// The answer of a driver without sockets; the socket is closed.
fn no_sockets<T>(socket: OsSocket) -> io::Result<T> {
    drop(socket);
    Err(io::Error::new(io::ErrorKind::Unsupported, "this driver has no sockets of the system"))
}

/// Until when to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Deadline {
    /// Do not wait: report what is ready now.
    Now,
    /// Until this time; a time that has passed is as good as [`Deadline::Now`].
    At(LoopTime),
    /// Until something happens.
    Never,
}

/// What is registered with a driver.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Source<'a> {
    /// A descriptor of the system.
    #[cfg(unix)]
    Os(BorrowedFd<'a>),
    /// A socket of the system.
    #[cfg(windows)]
    Os(BorrowedSocket<'a>),
    /// A thing that exists only inside the driver which gave out this number. The lifetime is that of the endpoint.
    Virtual(u64, std::marker::PhantomData<&'a ()>),
}

/// For `descriptor.as_fd().into()`.
#[cfg(unix)]
impl<'a> From<BorrowedFd<'a>> for Source<'a> {
    fn from(descriptor: BorrowedFd<'a>) -> Self {
        Self::Os(descriptor)
    }
}

#[cfg(windows)]
impl<'a> From<BorrowedSocket<'a>> for Source<'a> {
    fn from(socket: BorrowedSocket<'a>) -> Self {
        Self::Os(socket)
    }
}

impl Source<'_> {
    /// Whether both are the same thing of the system, by its number, or of the same driver.
    #[must_use]
    pub fn is_same(&self, other: Source<'_>) -> bool {
        match (self, other) {
            #[cfg(unix)]
            (Self::Os(one), Source::Os(other)) => one.as_raw_fd() == other.as_raw_fd(),
            #[cfg(windows)]
            (Self::Os(one), Source::Os(other)) => one.as_raw_socket() == other.as_raw_socket(),
            (Self::Virtual(one, _), Source::Virtual(other, _)) => *one == other,
            _ => false,
        }
    }
}

/// Ends a wait from elsewhere. Cheap, idempotent until the wait has ended, and without effect on a driver that is gone.
pub trait Notify: Send + Sync + fmt::Debug {
    /// Ends the wait that is under way, or else the next one.
    ///
    /// May be called from any thread. If [`Capabilities::notify_in_signal_handler`] is set, it may be called from a
    /// signal handler too: it allocates nothing, takes no lock and keeps `errno`.
    fn notify(&self);
}

/// Time stands still while this lives; see [`Driver::hold_time`]. It may be dropped on any thread.
pub trait TimeHold: Send + Sync + fmt::Debug {}

/// What a driver can do beyond the minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent capabilities, each with a name of its own")]
#[non_exhaustive]
pub struct Capabilities {
    /// [`Mode::Level`] is supported.
    pub level: bool,
    /// [`Mode::Edge`] is supported.
    pub edge: bool,
    /// Looking for events costs no system call, so that a loop may look as often as it likes.
    pub free_poll: bool,
    /// [`Notify::notify`] is async-signal-safe.
    pub notify_in_signal_handler: bool,
    /// Time is virtual: it stands still while anything runs and jumps when nothing does.
    pub virtual_time: bool,
    /// An edge that comes with the end of what the peer sends says so; see
    /// [`Readiness::is_read_closed`](crate::Readiness::is_read_closed).
    pub reports_read_closed: bool,
}

impl Capabilities {
    /// A driver with level-triggered reports and nothing else.
    #[must_use]
    pub const fn minimal() -> Self {
        Self {
            level: true,
            edge: false,
            free_poll: false,
            notify_in_signal_handler: false,
            virtual_time: false,
            reports_read_closed: false,
        }
    }
}
