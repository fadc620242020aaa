//! `PollingDriver`: the `polling` crate as a driver, for every system that it runs on.
//!
//! Invariants:
//! 1. The system decides what is registered; `sources` only translates the key of an event (the number of the descriptor)
//!    into the token, and masks what is not of interest. An entry that the system does not know is dropped as soon as
//!    that shows.
//! 2. Events that are ready together but more than the buffer holds stay with the system until the next wait.
//!
//! Absent on purpose: one-shot registrations, which is all that event ports (Solaris) have; there, `capabilities` names
//! neither mode. And speed: `polling` makes up to five system calls for each wait on Linux, see `EpollDriver`.

#![expect(unsafe_code, reason = "`polling` asks its caller to remove a source before closing it")]

use super::poller_waker::Waker;
use super::{clock, os_source, pipe, socket};
use crate::{
    Address, Capabilities, ConnectOptions, DatagramEndpoint, DatagramOptions, Deadline, Driver, Event, Interest,
    ListenOptions, ListenerEndpoint, LoopTime, Mode, Notify, OsPipe, OsSocket, PipeEnd, Readiness, Source,
    StreamEndpoint, Token,
};
use polling::{Events, PollMode, Poller};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};

/// The driver on the `polling` crate: kqueue on macOS and the BSDs, IOCP on Windows, epoll on Linux.
///
/// Reports errors and hang-ups as readiness in both directions of the interest.
pub struct PollingDriver {
    // Dropped before the waker, whose descriptor is registered with it.
    poller: Arc<Poller>,
    waker: Waker,
    events: Events,
    sources: BTreeMap<usize, Registration>,
}

struct Registration {
    token: Token,
    interest: Interest,
}

impl PollingDriver {
    /// Makes a driver with nothing registered.
    ///
    /// # Errors
    ///
    /// What the system reports; mostly that no descriptor is left.
    pub fn new() -> io::Result<Self> {
        let poller = Arc::new(Poller::new()?);
        let waker = Waker::new(&poller)?;
        Ok(Self { poller, waker, events: Events::with_capacity(EVENTS_MIN), sources: BTreeMap::new() })
    }

    /// Checks `mode` and translates it for `polling`.
    fn poll_mode(&self, interest: Interest, mode: Mode) -> io::Result<PollMode> {
        let (name, supported) = match mode {
            Mode::Level => ("level", self.poller.supports_level()),
            Mode::Edge => ("edge", self.poller.supports_edge()),
        };
        match mode {
            _ if !supported => {
                Err(io::Error::new(io::ErrorKind::Unsupported, format!("no {name}-triggered reports on this system")))
            }
            // A hang-up that nobody is interested in may be reported, but not for ever.
            _ if interest == Interest::NONE => Ok(PollMode::Oneshot),
            Mode::Level => Ok(PollMode::Level),
            Mode::Edge => Ok(PollMode::Edge),
        }
    }

    /// Moves what `polling` has found to `events`, and says whether it found anything.
    fn collect(&mut self, events: &mut Vec<Event>) -> bool {
        let mut notified = false;
        let mut count = 0_usize;
        for event in self.events.iter() {
            count += 1;
            if event.key == Waker::KEY {
                notified = true;
            } else if let Some(registration) = self.sources.get(&event.key) {
                let failed = event.is_interrupt() || event.is_err() == Some(true);
                let readiness = Readiness::new(
                    (event.readable || failed) && registration.interest.is_readable(),
                    (event.writable || failed) && registration.interest.is_writable(),
                );
                if !readiness.is_none() {
                    events.push(Event::new(registration.token, readiness));
                }
            }
        }
        if notified {
            self.waker.drain();
        }
        let capacity = self.events.capacity();
        // `polling` keeps up to two places of its buffer for itself.
        if count + 2 >= capacity.get() && capacity < EVENTS_MAX {
            self.events = Events::with_capacity(capacity.saturating_mul(TWO));
        }
        count > 0
    }
}

impl Driver for PollingDriver {
    fn now(&self) -> LoopTime {
        clock::now()
    }

    fn wait(&mut self, deadline: Deadline, events: &mut Vec<Event>) -> io::Result<()> {
        loop {
            let timeout = match deadline {
                Deadline::Now => Some(Duration::ZERO),
                Deadline::At(time) => Some(time.saturating_since(clock::now())),
                Deadline::Never => None,
            };
            self.events.clear();
            self.poller.wait(&mut self.events, timeout)?;
            let early = match deadline {
                Deadline::At(time) => clock::now() < time,
                Deadline::Now | Deadline::Never => false,
            };
            // Some backends round timeouts to milliseconds, and not all of them up.
            if self.collect(events) || !early {
                return Ok(());
            }
        }
    }

    fn register(&mut self, source: Source<'_>, token: Token, interest: Interest, mode: Mode) -> io::Result<()> {
        let mode = self.poll_mode(interest, mode)?;
        let (number, raw) = os_source::number(os_source::borrowed(source)?);
        // SAFETY: `Driver::register` asks its caller to remove the source before closing it, which is `polling`'s
        // condition. Nothing in memory depends on it: the backends keep the number of the descriptor and nothing else.
        unsafe { self.poller.add_with_mode(raw, interest_event(number, interest), mode) }.map_err(refused)?;
        self.sources.insert(number, Registration { token, interest });
        Ok(())
    }

    fn modify(&mut self, source: Source<'_>, token: Token, interest: Interest, mode: Mode) -> io::Result<()> {
        let mode = self.poll_mode(interest, mode)?;
        let source = os_source::borrowed(source)?;
        let (number, _) = os_source::number(source);
        let Some(registration) = self.sources.get_mut(&number) else { return Err(absent()) };
        match self.poller.modify_with_mode(source, interest_event(number, interest), mode) {
            Ok(()) => {
                *registration = Registration { token, interest };
                Ok(())
            }
            Err(error) if is_absent(&error) => {
                self.sources.remove(&number);
                Err(absent())
            }
            Err(error) => Err(error),
        }
    }

    fn remove(&mut self, source: Source<'_>) -> io::Result<()> {
        let source = os_source::borrowed(source)?;
        let (number, _) = os_source::number(source);
        if self.sources.remove(&number).is_none() {
            return Err(absent());
        }
        self.poller.delete(source).map_err(|error| if is_absent(&error) { absent() } else { error })
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.waker.notifier()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            level: self.poller.supports_level(),
            edge: self.poller.supports_edge(),
            notify_in_signal_handler: Waker::SIGNAL_SAFE,
            ..Capabilities::minimal()
        }
    }

    #[cfg(unix)]
    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.poller.as_fd())
    }

    fn connect(&mut self, remote: &Address, options: &ConnectOptions) -> io::Result<Box<dyn StreamEndpoint>> {
        Ok(Box::new(socket::KernelStream::connect(remote, options)?))
    }

    fn listen(&mut self, local: &Address, options: &ListenOptions) -> io::Result<Box<dyn ListenerEndpoint>> {
        Ok(Box::new(socket::KernelListener::listen(local, options)?))
    }

    fn datagram(
        &mut self,
        local: Option<&Address>,
        remote: Option<&Address>,
        options: &DatagramOptions,
    ) -> io::Result<Box<dyn DatagramEndpoint>> {
        Ok(Box::new(socket::KernelDatagram::open(local, remote, options)?))
    }

    fn adopt_stream(&mut self, socket: OsSocket) -> io::Result<Box<dyn StreamEndpoint>> {
        Ok(Box::new(socket::KernelStream::adopt(socket)?))
    }

    fn adopt_listener(&mut self, socket: OsSocket) -> io::Result<Box<dyn ListenerEndpoint>> {
        Ok(Box::new(socket::KernelListener::adopt(socket)?))
    }

    fn adopt_datagram(&mut self, socket: OsSocket) -> io::Result<Box<dyn DatagramEndpoint>> {
        Ok(Box::new(socket::KernelDatagram::adopt(socket)?))
    }

    fn adopt_pipe(&mut self, pipe: OsPipe, end: PipeEnd) -> io::Result<Box<dyn StreamEndpoint>> {
        pipe::adopt(pipe, end)
    }
}

impl fmt::Debug for PollingDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollingDriver").field("poller", &self.poller).field("sources", &self.sources.len()).finish()
    }
}

fn interest_event(key: usize, interest: Interest) -> polling::Event {
    polling::Event::new(key, interest.is_readable(), interest.is_writable())
}

fn refused(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the system cannot wait for this kind of file (regular files and directories are always ready)",
        );
    }
    error
}

/// `EBADF` means closed, and what is closed is not registered.
fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || os_source::is_closed(error)
}

fn absent() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the source is not registered")
}

const TWO: NonZeroUsize = NonZeroUsize::new(2).expect("2 is not 0");
const EVENTS_MIN: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not 0");
const EVENTS_MAX: NonZeroUsize = NonZeroUsize::new(4096).expect("4096 is not 0");
