//! `EpollDriver`: Linux's epoll with nothing in between.
//!
//! Invariants:
//! 1. A wait that no notification ends is exactly one system call; a notification adds none on this side.
//! 2. The kernel keeps what is registered and hands back the token as it is: this driver has no table, so that an event
//!    costs no look-up. Therefore it cannot mask what it reports: an error or a hang-up is ready in both directions,
//!    whatever the interest was. (CPython's selectors report the same bits and mask them.)
//! 3. A full buffer loses nothing: the kernel keeps the rest queued, in order, and the next buffer is larger.
//!
//! Absent on purpose: a timerfd (the wait itself has nanoseconds), and `EPOLLRDHUP` of level-triggered sources (half-close
//! is end of file, which reading finds).

use super::epoll_millis::MillisBuffer;
use super::eventfd::EventFd;
use super::{clock, os_source, pipe, socket};
use crate::{
    Address, Capabilities, ConnectOptions, DatagramEndpoint, DatagramOptions, Deadline, Driver, Event, Interest,
    ListenOptions, ListenerEndpoint, LoopTime, Mode, Notify, OsPipe, OsSocket, PipeEnd, Readiness, Source,
    StreamEndpoint, Token,
};
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// The driver on Linux's epoll: one system call for each wait, nanosecond deadlines.
///
/// Reports errors and hang-ups as readiness in both directions, also in one that is not of interest. A source that is
/// registered for [`Interest::NONE`] reports a hang-up once at most, in either mode.
///
/// On kernels before 5.11, and where a sandbox forbids `epoll_pwait2`, deadlines are rounded up to milliseconds.
pub struct EpollDriver {
    epoll: OwnedFd,
    notifier: Arc<EventFd>,
    buffer: Vec<epoll::Event>,
    /// `Some` once the kernel has refused the call with nanoseconds.
    millis: Option<MillisBuffer>,
}

impl EpollDriver {
    /// Makes a driver with nothing registered.
    ///
    /// # Errors
    ///
    /// What the system reports; mostly that no descriptor is left. It needs two.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let notifier = Arc::new(EventFd::new()?);
        epoll::add(&epoll, &*notifier, EventData::new_u64(NOTIFIER), EventFlags::IN | EventFlags::ET)?;
        Ok(Self { epoll, notifier, buffer: Vec::with_capacity(EVENTS_MIN), millis: None })
    }

    /// One system call. Gives how many events came, the notifier's included.
    fn wait_once(&mut self, timeout: Option<Duration>, events: &mut Vec<Event>) -> io::Result<usize> {
        if let Some(millis) = &mut self.millis {
            let mut count = 0;
            for (bits, word) in millis.wait(self.epoll.as_fd(), self.buffer.capacity(), timeout)? {
                count += 1;
                push(events, EventFlags::from_bits_retain(bits), word);
            }
            return Ok(count);
        }
        self.buffer.clear();
        let timeout = timeout.map(timespec);
        match epoll::wait(&self.epoll, spare_capacity(&mut self.buffer), timeout.as_ref()) {
            Ok(count) => {
                self.buffer.iter().for_each(|event| push(events, event.flags, event.data.u64()));
                Ok(count)
            }
            Err(Errno::NOSYS | Errno::PERM) => {
                self.millis = Some(MillisBuffer::new());
                // Nothing was waited for: to the caller, this looks like an interruption.
                Err(io::ErrorKind::Interrupted.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Driver for EpollDriver {
    fn now(&self) -> LoopTime {
        clock::now()
    }

    fn wait(&mut self, deadline: Deadline, events: &mut Vec<Event>) -> io::Result<()> {
        let count = loop {
            let timeout = match deadline {
                Deadline::Now => Some(Duration::ZERO),
                Deadline::At(time) => Some(time.saturating_since(clock::now())),
                Deadline::Never => None,
            };
            match self.wait_once(timeout, events) {
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let capacity = self.buffer.capacity();
        if count == capacity && capacity < EVENTS_MAX {
            self.buffer.clear();
            self.buffer.reserve_exact(2 * capacity);
        }
        Ok(())
    }

    fn register(&mut self, source: Source<'_>, token: Token, interest: Interest, mode: Mode) -> io::Result<()> {
        let (fd, data, flags) = registration(source, token, interest, mode)?;
        epoll::add(&self.epoll, fd, data, flags).map_err(|error| match error {
            Errno::PERM => io::Error::new(
                io::ErrorKind::PermissionDenied,
                "epoll cannot wait for this kind of file (regular files and directories are always ready)",
            ),
            error => error.into(),
        })
    }

    fn modify(&mut self, source: Source<'_>, token: Token, interest: Interest, mode: Mode) -> io::Result<()> {
        let (fd, data, flags) = registration(source, token, interest, mode)?;
        epoll::modify(&self.epoll, fd, data, flags).map_err(absent)
    }

    fn remove(&mut self, source: Source<'_>) -> io::Result<()> {
        epoll::delete(&self.epoll, os_source::borrowed(source)?).map_err(absent)
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        self.notifier.clone()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            edge: true,
            notify_in_signal_handler: true,
            reports_read_closed: true,
            ..Capabilities::minimal()
        }
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.epoll.as_fd())
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

impl fmt::Debug for EpollDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EpollDriver")
            .field("epoll", &self.epoll)
            .field("notifier", &self.notifier)
            .field("buffer_events", &self.buffer.capacity())
            .field("in_millis", &self.millis.is_some())
            .finish()
    }
}

fn push(events: &mut Vec<Event>, flags: EventFlags, word: u64) {
    if word != NOTIFIER {
        events.push(Event::new(Token::from_word(word), readiness(flags)));
    }
}

/// As CPython's `EpollSelector.select`: whatever is not plainly one direction is both.
fn readiness(flags: EventFlags) -> Readiness {
    let closed = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
    let flags = flags & !EventFlags::RDHUP;
    Readiness::new(flags.intersects(!EventFlags::OUT), flags.intersects(!EventFlags::IN)).with_read_closed(closed)
}

fn registration(
    source: Source<'_>,
    token: Token,
    interest: Interest,
    mode: Mode,
) -> io::Result<(BorrowedFd<'_>, EventData, EventFlags)> {
    if token.to_word() == NOTIFIER {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "this token is reserved for the driver's notifier"));
    }
    let mut flags = EventFlags::empty();
    flags.set(EventFlags::IN, interest.is_readable());
    flags.set(EventFlags::OUT, interest.is_writable());
    // The kernel always reports hang-ups; level-triggered and without interest, every wait would end at once.
    flags.set(EventFlags::ET, mode == Mode::Edge || interest == Interest::NONE);
    // The end of the input comes with `IN`. That it does is worth knowing where the next edge would never come.
    flags.set(EventFlags::RDHUP, mode == Mode::Edge && interest.is_readable());
    Ok((os_source::borrowed(source)?, EventData::new_u64(token.to_word()), flags))
}

/// `EBADF` means closed, and what is closed is not registered; nor is what epoll refuses with `EPERM`.
fn absent(error: Errno) -> io::Error {
    match error {
        Errno::NOENT | Errno::BADF | Errno::PERM => {
            io::Error::new(io::ErrorKind::NotFound, "the source is not registered")
        }
        error => error.into(),
    }
}

fn timespec(timeout: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    }
}

/// The word of the notifier; [`Token::to_word`] of no token that `Slots` gives out.
const NOTIFIER: u64 = u64::MAX;
const EVENTS_MIN: usize = 256;
const EVENTS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    #[test]
    fn bits_mean_what_they_mean_to_cpython() {
        let cases = [
            (EventFlags::IN, Readiness::READABLE),
            (EventFlags::OUT, Readiness::WRITABLE),
            (EventFlags::IN | EventFlags::OUT, Readiness::BOTH),
            (EventFlags::HUP, Readiness::BOTH.with_read_closed(true)),
            (EventFlags::ERR, Readiness::BOTH.with_read_closed(true)),
            (EventFlags::IN | EventFlags::HUP, Readiness::BOTH.with_read_closed(true)),
            (EventFlags::OUT | EventFlags::ERR, Readiness::BOTH.with_read_closed(true)),
            (EventFlags::IN | EventFlags::RDHUP, Readiness::READABLE.with_read_closed(true)),
        ];
        for (flags, expected) in cases {
            assert_eq!(readiness(flags), expected, "{flags:?}");
        }
    }

    #[test]
    fn an_old_kernel_gets_milliseconds() {
        let mut driver = EpollDriver::new().unwrap();
        driver.millis = Some(MillisBuffer::new());
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let token = Token::new(3, 1);
        driver.register(Source::Os(theirs.as_fd()), token, Interest::READABLE, Mode::Level).unwrap();

        let mut events = Vec::new();
        let deadline = driver.now() + Duration::from_micros(300);
        driver.wait(Deadline::At(deadline), &mut events).unwrap();
        assert!(driver.now() >= deadline && events.is_empty());

        ours.write_all(b"x").unwrap();
        driver.notifier().notify();
        driver.wait(Deadline::Never, &mut events).unwrap();
        assert_eq!(events, [Event::new(token, Readiness::READABLE)]);
    }

    #[test]
    fn a_full_buffer_grows() {
        let mut driver = EpollDriver::new().unwrap();
        let pairs: Vec<_> = (0..EVENTS_MIN).map(|_| UnixStream::pair().unwrap()).collect();
        for (slot, (ours, _)) in (0..).zip(&pairs) {
            driver.register(Source::Os(ours.as_fd()), Token::new(slot, 0), Interest::WRITABLE, Mode::Level).unwrap();
        }
        let mut events = Vec::new();
        driver.wait(Deadline::Now, &mut events).unwrap();
        assert_eq!((events.len(), driver.buffer.capacity()), (EVENTS_MIN, 2 * EVENTS_MIN));
    }
}
