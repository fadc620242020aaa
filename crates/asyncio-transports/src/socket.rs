//! `Socket`: a socket that is used call by call, and what it leaves with the loop.
//!
//! asyncio's `sock_*` methods watch a descriptor for each wait, and forget it again: two system calls that tell the kernel
//! what it was told before. A `Socket` is registered when it has to wait for the first time, edge-triggered, and until it is
//! dropped; later waits cost nothing but the wait of the loop.
//!
//! Invariants:
//! 1. It is registered with one loop at most, which is the one that waited last, and not any more when it is closed.
//! 2. Between an attempt that would block and the wait nothing else runs, so that no report is missed.
//! 3. `is_empty` is true only if a stream has given less than there was room for, and nothing was reported since.
//!
//! Absent on purpose: buffers. What is received goes where the caller says, what is sent comes from there.

use asyncio_driver::{Address, Interest, Mode, OsSocket, RawSocket, Readiness, Source};
use asyncio_loop::{EventLoop, ReadySource, Runnable, SourceKey, Step};
use asyncio_tasks::WaitQueue;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;

/// A non-blocking socket of any kind, for the methods of [`LoopSocketsExt`](crate::LoopSocketsExt). Dropping it closes it.
///
/// Made of a socket of the standard library, or of any other that its holder gives away ([`new`](Self::new)), or new
/// ([`stream_for`](Self::stream_for), [`datagram_for`](Self::datagram_for)). Options are set by way of its descriptor
/// (`AsFd`, for instance with the `socket2` crate).
///
/// # asyncio
///
/// `socket.socket` after `setblocking(False)`. Differs: as long as it lives, a loop that has waited for it keeps it registered,
/// so that a wait costs no more than that.
pub struct Socket(Rc<State>);

/// A direction to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// What the loop knows of a socket.
struct State {
    raw: RawSocket,
    registration: RefCell<Option<Registration>>,
    readers: WaitQueue,
    writers: WaitQueue,
    /// What was reported and not handed on yet.
    reported: Cell<Readiness>,
    is_scheduled: Cell<bool>,
    /// There is nothing to receive.
    is_empty: Cell<bool>,
    /// The end of the input was reported: no edge tells of it any more.
    is_read_closed: Cell<bool>,
}

#[derive(Clone)]
struct Registration {
    event_loop: EventLoop,
    key: SourceKey,
    has_edges: bool,
    reports_read_closed: bool,
}

impl Socket {
    /// Takes a socket over that exists already, and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it is no socket.
    pub fn new(socket: impl Into<OsSocket>) -> io::Result<Self> {
        RawSocket::adopt(socket).map(Self::of_raw)
    }

    /// A new stream socket of the family of `address`, for [`sock_connect`](crate::LoopSocketsExt::sock_connect) or
    /// [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the address has no family; otherwise what the system reports.
    pub fn stream_for(address: impl Into<Address>) -> io::Result<Self> {
        RawSocket::stream_for(&address.into()).map(Self::of_raw)
    }

    /// A new datagram socket of the family of `address`.
    ///
    /// # Errors
    ///
    /// As [`stream_for`](Self::stream_for).
    pub fn datagram_for(address: impl Into<Address>) -> io::Result<Self> {
        RawSocket::datagram_for(&address.into()).map(Self::of_raw)
    }

    pub(crate) fn of_raw(raw: RawSocket) -> Self {
        Self(Rc::new(State {
            raw,
            registration: RefCell::new(None),
            readers: WaitQueue::new(),
            writers: WaitQueue::new(),
            reported: Cell::new(Readiness::NONE),
            is_scheduled: Cell::new(false),
            is_empty: Cell::new(false),
            is_read_closed: Cell::new(false),
        }))
    }

    /// Binds it.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub fn bind(&self, address: impl Into<Address>) -> io::Result<()> {
        self.raw().bind(&address.into())
    }

    /// Begins to listen, with room for `backlog` connections that wait to be accepted.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub fn listen(&self, backlog: u32) -> io::Result<()> {
        self.raw().listen(backlog)
    }

    /// Switches whether small writes leave at once (`TCP_NODELAY`), or may wait to be joined by others. Transports have it on; a
    /// socket of one's own is as the system makes it.
    ///
    /// # Errors
    ///
    /// What the system reports, mostly that it is not TCP.
    pub fn set_nodelay(&self, is_on: bool) -> io::Result<()> {
        self.raw().set_nodelay(is_on)
    }

    /// Finishes receiving, sending, or both.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the peer has gone already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.raw().shutdown(how)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// What the system reports.
    pub fn local_addr(&self) -> io::Result<Address> {
        self.raw().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// `NotConnected` if there is none.
    pub fn peer_addr(&self) -> io::Result<Address> {
        self.raw().peer_addr()
    }

    pub(crate) fn raw(&self) -> &RawSocket {
        &self.0.raw
    }

    /// Tries `attempt` each time the socket may be ready in this direction, until it does not answer `WouldBlock` any more.
    pub(crate) async fn when_ready<R>(
        &self,
        event_loop: &EventLoop,
        direction: Direction,
        mut attempt: impl FnMut(&RawSocket) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            match attempt(&self.0.raw) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            self.wait(event_loop, direction).await?;
        }
    }

    /// Receives into `room` once there is something.
    pub(crate) async fn receive(&self, event_loop: &EventLoop, room: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty.get() && self.0.is_registered_with(event_loop) && !room.is_empty() {
            self.wait(event_loop, Direction::Read).await?;
        }
        let count = self.when_ready(event_loop, Direction::Read, |raw| raw.recv(room)).await?;
        self.0.note_receipt(count < room.len());
        Ok(count)
    }

    /// Waits until the socket may be ready.
    pub(crate) async fn wait(&self, event_loop: &EventLoop, direction: Direction) -> io::Result<()> {
        self.0.prepare(event_loop, direction)?;
        match direction {
            Direction::Read => self.0.readers.wait().await,
            Direction::Write => self.0.writers.wait().await,
        }
        Ok(())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.unregister();
    }
}

impl State {
    fn is_registered_with(&self, event_loop: &EventLoop) -> bool {
        self.registration.borrow().as_ref().is_some_and(|it| it.event_loop.is_same(event_loop))
    }

    /// Sees to it that `event_loop` reports this socket in this direction.
    fn prepare(self: &Rc<Self>, event_loop: &EventLoop, direction: Direction) -> io::Result<()> {
        let known = self.registration.borrow().clone().filter(|known| known.event_loop.is_same(event_loop));
        let Some(known) = known else { return self.register(event_loop, direction) };
        if known.has_edges {
            return Ok(());
        }
        known.event_loop.modify_source(known.key, self.raw.source(), self.interest(Some(direction)), Mode::Level)
    }

    #[cold]
    fn register(self: &Rc<Self>, event_loop: &EventLoop, direction: Direction) -> io::Result<()> {
        self.unregister();
        let capabilities = event_loop.with_driver(|driver| driver.capabilities());
        let (interest, mode) = match capabilities.edge {
            true => (Interest::BOTH, Mode::Edge),
            false => (self.interest(Some(direction)), Mode::Level),
        };
        let key = event_loop.add_source(self.raw.source(), interest, mode, self.clone())?;
        self.registration.replace(Some(Registration {
            event_loop: event_loop.clone(),
            key,
            has_edges: capabilities.edge,
            reports_read_closed: capabilities.edge && capabilities.reports_read_closed,
        }));
        Ok(())
    }

    fn unregister(&self) {
        let known = self.registration.take();
        self.is_empty.set(false);
        if let Some(known) = known {
            known.event_loop.remove_source(known.key, self.raw.source());
        }
    }

    /// What is waited for, and what is about to be.
    fn interest(&self, direction: Option<Direction>) -> Interest {
        Interest::NONE
            .with_readable(self.readers.waiting() > 0 || direction == Some(Direction::Read))
            .with_writable(self.writers.waiting() > 0 || direction == Some(Direction::Write))
    }

    fn note_receipt(&self, is_short: bool) {
        let reports = self.registration.borrow().as_ref().is_some_and(|known| known.reports_read_closed);
        self.is_empty.set(is_short && reports && self.raw.is_stream() && !self.is_read_closed.get());
    }
}

impl ReadySource for State {
    fn ready(self: Rc<Self>, readiness: Readiness) -> Option<Step> {
        if readiness.is_readable() {
            self.is_empty.set(false);
        }
        if readiness.is_read_closed() {
            self.is_read_closed.set(true);
        }
        self.reported.set(self.reported.get() | readiness);
        (!self.is_scheduled.replace(true)).then(|| self.into())
    }

    fn is_source(&self, source: Source<'_>) -> bool {
        self.raw.source().is_same(source)
    }

    fn loop_closed(self: Rc<Self>) {
        drop(self.registration.take());
    }
}

impl Runnable for State {
    fn run(self: Rc<Self>) {
        self.is_scheduled.set(false);
        let readiness = self.reported.replace(Readiness::NONE);
        if readiness.is_readable() {
            self.readers.wake_all();
        }
        if readiness.is_writable() {
            self.writers.wake_all();
        }
        let known = self.registration.borrow().clone();
        if let Some(known) = known.filter(|known| !known.has_edges) {
            // Nobody waits any more who was told. A failure shows when the socket is used.
            let interest = self.interest(None);
            let _ = known.event_loop.modify_source(known.key, self.raw.source(), interest, Mode::Level);
        }
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.raw.as_fd()
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsSocket for Socket {
    fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
        self.0.raw.as_socket()
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket").field(&self.0.raw).finish()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("raw", &self.raw).finish_non_exhaustive()
    }
}
