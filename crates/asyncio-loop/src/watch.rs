//! Watching descriptors: `add_reader`, `add_writer`, and what they leave with the driver.
//!
//! Level-triggered, as asyncio has it: as long as a descriptor stays ready, its callback is called once in each iteration
//! in which the driver is asked.
//!
//! Invariants:
//! 1. A descriptor is registered with the driver exactly while it has a reader or a writer.
//! 2. An event finds its callbacks by token: one that was removed, or whose number was given to another file since, is
//!    not called for an event from before.
//! 3. A callback that was removed is not called again, even if it was in the ready queue already.
//!
//! Absent on purpose: reading and writing. Transports (floor 4) bring their own.

use crate::context::{Context, copy_context};
use crate::error::ClosedError;
use crate::event_loop::EventLoop;
use crate::pending::{PendingItem, PendingKind};
use crate::step::Runnable;
use asyncio_driver::{Event, Interest, Mode, Slots, Source, Token};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::Location;
use std::rc::Rc;

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, RawFd as RawSource};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket as AsRawFd, AsSocket as AsFd, RawSocket as RawSource};

/// The watched descriptors of a loop.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    watched: Slots<Watched>,
    by_descriptor: BTreeMap<RawSource, Token>,
}

#[derive(Debug, Default)]
struct Watched {
    reader: Option<Rc<Watcher>>,
    writer: Option<Rc<Watcher>>,
}

#[derive(Clone, Copy)]
enum Direction {
    Read,
    Write,
}

impl Watched {
    fn new(direction: Direction, watcher: Rc<Watcher>) -> Self {
        let mut watched = Self::default();
        *watched.of(direction) = Some(watcher);
        watched
    }

    fn of(&mut self, direction: Direction) -> &mut Option<Rc<Watcher>> {
        match direction {
            Direction::Read => &mut self.reader,
            Direction::Write => &mut self.writer,
        }
    }

    fn interest(&self) -> Interest {
        Interest::NONE.with_readable(self.reader.is_some()).with_writable(self.writer.is_some())
    }

    /// The interest once there is a callback in this direction, too.
    fn interest_with(&self, direction: Direction) -> Interest {
        match direction {
            Direction::Read => self.interest().with_readable(true),
            Direction::Write => self.interest().with_writable(true),
        }
    }

    fn cancel(&self) {
        self.reader.iter().chain(&self.writer).for_each(|watcher| watcher.cancel());
    }
}

impl Watches {
    /// Gives the callbacks that an event is for; the reader first.
    pub(crate) fn for_each_ready(&self, event: Event, mut ready: impl FnMut(Rc<Watcher>)) {
        let Some(watched) = self.watched.get(event.token) else { return };
        if let (true, Some(reader)) = (event.readiness.is_readable(), &watched.reader) {
            ready(reader.clone());
        }
        if let (true, Some(writer)) = (event.readiness.is_writable(), &watched.writer) {
            ready(writer.clone());
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.watched.len()
    }

    /// What is watched, and where the callbacks were added.
    pub(crate) fn pending(&self) -> impl Iterator<Item = PendingItem> {
        self.by_descriptor.iter().filter_map(|(fd, token)| Some((*fd, self.watched.get(*token)?))).flat_map(
            |(fd, watched)| {
                let fd = u64::try_from(fd).unwrap_or(u64::MAX);
                let reader =
                    watched.reader.iter().map(move |it| PendingItem::new(PendingKind::Reader(fd), it.location()));
                let writer =
                    watched.writer.iter().map(move |it| PendingItem::new(PendingKind::Writer(fd), it.location()));
                reader.chain(writer)
            },
        )
    }
}

impl EventLoop {
    /// Calls `callback` whenever `fd` is readable: has data, a connection to accept, end of file or an error.
    ///
    /// Level-triggered: as long as it stays readable, once in each iteration in which the driver is asked. A reader that
    /// `fd` had before is replaced; a writer stays. The descriptor must stay open until
    /// [`remove_reader`](Self::remove_reader), which goes by its number: a duplicate (`try_clone`) is another descriptor.
    ///
    /// # Errors
    ///
    /// `PermissionDenied` for a file that cannot be waited for (a regular file); `ResourceBusy` for the descriptor of a
    /// transport; [`ClosedError`] as `io::Error` if the loop was closed; otherwise what the system reports. The previous reader is then still there, unless its descriptor was
    /// closed and `fd` is another file that was given its number: then reader and writer of that are forgotten.
    ///
    /// # asyncio
    ///
    /// [`loop.add_reader`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.add_reader). Same.
    #[track_caller]
    pub fn add_reader(&self, fd: &impl AsFd, callback: impl FnMut() + 'static) -> io::Result<()> {
        self.add_watch(fd, Direction::Read, Watcher::new(callback, Location::caller()))
    }

    /// Calls `callback` whenever `fd` is writable: has room, has finished to connect, or has an error. Otherwise as
    /// [`add_reader`](Self::add_reader).
    ///
    /// # Errors
    ///
    /// As [`add_reader`](Self::add_reader).
    ///
    /// # asyncio
    ///
    /// [`loop.add_writer`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.add_writer). Same.
    #[track_caller]
    pub fn add_writer(&self, fd: &impl AsFd, callback: impl FnMut() + 'static) -> io::Result<()> {
        self.add_watch(fd, Direction::Write, Watcher::new(callback, Location::caller()))
    }

    /// Stops to call the reader of `fd`, also if it is in the ready queue. Says whether there was one; on a closed loop there
    /// is none.
    ///
    /// # asyncio
    ///
    /// [`loop.remove_reader`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.remove_reader). Same.
    pub fn remove_reader(&self, fd: &impl AsFd) -> bool {
        self.remove_watch(fd, Direction::Read)
    }

    /// Stops to call the writer of `fd`, also if it is in the ready queue. Says whether there was one; on a closed loop there
    /// is none.
    ///
    /// # asyncio
    ///
    /// [`loop.remove_writer`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.remove_writer). Same.
    pub fn remove_writer(&self, fd: &impl AsFd) -> bool {
        self.remove_watch(fd, Direction::Write)
    }

    fn add_watch(&self, fd: &impl AsFd, direction: Direction, watcher: Rc<Watcher>) -> io::Result<()> {
        if self.is_closed() {
            return Err(ClosedError.into());
        }
        let (source, key) = source_of(fd);
        let mut watches = self.core.watches.borrow_mut();
        let known = watches.by_descriptor.get(&key).copied();
        if let Some(token) = known
            && let Some(watched) = watches.watched.get_mut(token)
        {
            let interest = watched.interest_with(direction);
            let outcome = self.core.driver.borrow_mut().modify(source, token, interest, Mode::Level);
            match outcome {
                // The descriptor was closed, and its number is another file's by now.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    let replaced = watched.of(direction).replace(watcher);
                    drop(watches);
                    replaced.iter().for_each(|watcher| watcher.cancel());
                    return Ok(());
                }
            }
        }
        let gone = known.and_then(|token| watches.watched.remove(token));
        watches.by_descriptor.remove(&key);
        let token = watches.watched.insert(Watched::new(direction, watcher));
        let outcome = self.register(source, token, Watched::default().interest_with(direction));
        let refused = match outcome {
            Ok(()) => {
                watches.by_descriptor.insert(key, token);
                None
            }
            Err(_) => watches.watched.remove(token),
        };
        drop(watches);
        // With nothing borrowed: what the callbacks held may call back.
        drop(refused);
        gone.iter().for_each(Watched::cancel);
        outcome
    }

    fn remove_watch(&self, fd: &impl AsFd, direction: Direction) -> bool {
        let (source, key) = source_of(fd);
        let mut watches = self.core.watches.borrow_mut();
        let Some(token) = watches.by_descriptor.get(&key).copied() else { return false };
        let Some(watched) = watches.watched.get_mut(token) else { return false };
        let Some(removed) = watched.of(direction).take() else { return false };
        let interest = watched.interest();
        // The descriptor may have been closed, or its number be another file's by now: then there is nothing to tell.
        if interest == Interest::NONE {
            let _ = self.core.driver.borrow_mut().remove(source);
            watches.watched.remove(token);
            watches.by_descriptor.remove(&key);
        } else {
            let _ = self.core.driver.borrow_mut().modify(source, token, interest, Mode::Level);
        }
        drop(watches);
        removed.cancel();
        true
    }

    /// Registers a descriptor that we do not know. Its previous owner may have left it registered; then it is ours now.
    fn register(&self, source: Source<'_>, token: Token, interest: Interest) -> io::Result<()> {
        let mut driver = self.core.driver.borrow_mut();
        match driver.register(source, token, interest, Mode::Level) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if self.core.sources.borrow().owns(source) {
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, "the descriptor is used by a transport"));
                }
                driver.modify(source, token, interest, Mode::Level)
            }
            outcome => outcome,
        }
    }
}

#[cfg(unix)]
fn source_of(fd: &impl AsFd) -> (Source<'_>, RawSource) {
    let fd = fd.as_fd();
    (Source::Os(fd), fd.as_raw_fd())
}

#[cfg(windows)]
fn source_of(socket: &impl AsFd) -> (Source<'_>, RawSource) {
    let socket = socket.as_socket();
    (Source::Os(socket), socket.as_raw_socket())
}

/// A callback that is called again and again: for a descriptor, a signal, a trigger.
pub(crate) struct Watcher {
    /// Taken out while it runs.
    callback: Cell<Option<Box<dyn FnMut()>>>,
    cancelled: Cell<bool>,
    /// One for all calls, as a handle of asyncio's has one.
    context: Context,
    location: &'static Location<'static>,
}

impl Watcher {
    pub(crate) fn new(callback: impl FnMut() + 'static, location: &'static Location<'static>) -> Rc<Self> {
        Rc::new(Self {
            callback: Cell::new(Some(Box::new(callback))),
            cancelled: Cell::new(false),
            context: copy_context(),
            location,
        })
    }

    /// Prevents further calls and drops the callback, at the end of its call if it is being called.
    pub(crate) fn cancel(&self) {
        self.cancelled.set(true);
        let callback = self.callback.take();
        drop(callback);
    }
}

impl Runnable for Watcher {
    fn run(self: Rc<Self>) {
        /// Puts the callback back, also after a panic, unless it was cancelled meanwhile.
        struct Taken<'a>(&'a Watcher, Option<Box<dyn FnMut()>>);
        impl Drop for Taken<'_> {
            fn drop(&mut self) {
                if !self.0.cancelled.get() {
                    self.0.callback.set(self.1.take());
                }
            }
        }
        // Nothing is there if it was cancelled, or if a callback that is under way has run the loop.
        let Some(callback) = self.callback.take() else { return };
        crate::running::note_location(self.location);
        let mut taken = Taken(&self, Some(callback));
        self.context.run(|| {
            if let Some(callback) = &mut taken.1 {
                callback();
            }
        });
        crate::running::forget_location();
    }

    fn location(&self) -> Option<&'static Location<'static>> {
        Some(self.location)
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("cancelled", &self.cancelled.get())
            .field("created_at", &self.location.to_string())
            .finish_non_exhaustive()
    }
}
