//! `Connected`: what the two halves of a stream and its protocol share.
//!
//! Invariants:
//! 1. Nothing is borrowed while the transport is called or anybody is woken.
//! 2. Whoever waits for bytes is woken by bytes, by their end and by an error; whoever waits to write, by room and by the loss of
//!    the connection. Either may be woken by a time limit, and looks.
//!
//! Absent on purpose: how a read looks at the bytes. That is `read_buffer`'s.

use crate::error::LastingError;
use crate::read_buffer::ReadBuffer;
use asyncio_loop::{Delay, Runnable};
use asyncio_tasks::WaitQueue;
use asyncio_transports::Transport;
use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;

/// One connection, as its halves see it.
pub(crate) struct Connected {
    buffer: RefCell<ReadBuffer>,
    /// The one that waits for bytes.
    pub(crate) reader: WaitQueue,
    /// Those who wait for room, or for the end of the connection.
    pub(crate) writers: WaitQueue,
    /// Absent until `connection_made`, and for a reader that somebody feeds.
    transport: OnceCell<Transport>,
    /// How the connection was lost.
    lost: OnceCell<Option<LastingError>>,
    /// How often writing could go on after a pause.
    resumed: Cell<u32>,
    is_writing_paused: Cell<bool>,
    is_eof_written: Cell<bool>,
    /// Nobody reads any more: what arrives is dropped.
    is_abandoned: Cell<bool>,
    /// There is no other half.
    is_one_way: Cell<bool>,
    /// The halves were handed out.
    are_streams_taken: Cell<bool>,
    /// Few connections have any.
    timeouts: OnceCell<Box<Timeouts>>,
    /// How many wait for everything to be sent, and the marks to go back to.
    flushes: Cell<(u32, (usize, usize))>,
}

/// How long operations may wait.
#[derive(Debug, Default)]
pub(crate) struct Timeouts {
    /// Each read.
    pub(crate) read: Cell<Option<Delay>>,
    /// Each wait for room, or for the end.
    pub(crate) write: Cell<Option<Delay>>,
}

impl Connected {
    pub(crate) fn new(limit: usize) -> Rc<Self> {
        Rc::new(Self {
            buffer: RefCell::new(ReadBuffer::new(limit)),
            reader: WaitQueue::new(),
            writers: WaitQueue::new(),
            transport: OnceCell::new(),
            lost: OnceCell::new(),
            resumed: Cell::new(0),
            is_writing_paused: Cell::new(false),
            is_eof_written: Cell::new(false),
            is_abandoned: Cell::new(false),
            is_one_way: Cell::new(false),
            are_streams_taken: Cell::new(false),
            timeouts: OnceCell::new(),
            flushes: Cell::new((0, (0, 0))),
        })
    }

    pub(crate) fn transport(&self) -> Option<&Transport> {
        self.transport.get()
    }

    /// Says that the halves are handed out; whether they are for the first time.
    pub(crate) const fn take_streams(&self) -> bool {
        !self.are_streams_taken.replace(true)
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        self.timeouts.get_or_init(Box::default)
    }

    pub(crate) fn read_timeout(&self) -> Option<Delay> {
        self.timeouts.get()?.read.get()
    }

    pub(crate) fn write_timeout(&self) -> Option<Delay> {
        self.timeouts.get()?.write.get()
    }

    /// A connection is made once; a second one is not ours.
    pub(crate) fn set_transport(&self, transport: &Transport) {
        let _ = self.transport.set(transport.clone());
    }

    /// Looks at the buffer, without changing what is in it.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut ReadBuffer) -> R) -> R {
        look(&mut self.buffer.borrow_mut())
    }

    /// Attempts a read; `None` if it has to wait. Lets the transport go on if it may.
    pub(crate) fn attempt<T>(&self, attempt: impl FnOnce(&mut ReadBuffer) -> Option<T>) -> Option<T> {
        let (outcome, resumes) = {
            let mut buffer = self.buffer.borrow_mut();
            let outcome = attempt(&mut buffer);
            let resumes = buffer.resumes(outcome.is_none());
            (outcome, resumes)
        };
        if resumes && let Some(transport) = self.transport() {
            transport.resume_reading();
        }
        outcome
    }

    pub(crate) fn feed_data(&self, data: &[u8]) {
        if self.is_abandoned.get() {
            return;
        }
        let must_pause = self.buffer.borrow_mut().feed(data);
        self.reader.wake_next();
        if must_pause && let Some(transport) = self.transport() {
            transport.pause_reading();
        }
    }

    pub(crate) fn feed_eof(&self) {
        self.buffer.borrow_mut().feed_eof();
        self.reader.wake_next();
    }

    pub(crate) fn set_error(&self, error: LastingError) {
        self.buffer.borrow_mut().set_error(error);
        self.reader.wake_next();
    }

    /// The transport is one end of a pipe.
    pub(crate) fn note_one_way(&self) {
        self.is_one_way.set(true);
    }

    /// The reader is gone. What arrives is dropped, so that the connection still notices its end; a pipe is closed.
    pub(crate) fn abandon_reading(&self) {
        if self.is_one_way.get()
            && let Some(transport) = self.transport()
        {
            return transport.close();
        }
        self.is_abandoned.set(true);
        let resumes = self.look(|buffer| {
            buffer.clear();
            buffer.resumes(true)
        });
        if resumes && let Some(transport) = self.transport() {
            transport.resume_reading();
        }
    }

    pub(crate) fn pause_writing(&self) {
        self.is_writing_paused.set(true);
    }

    pub(crate) fn resume_writing(&self) {
        self.is_writing_paused.set(false);
        self.resumed.set(self.resumed.get().wrapping_add(1));
        self.writers.wake_all();
    }

    pub(crate) fn connection_lost(&self, error: Option<io::Error>) {
        let error = error.map(LastingError::new);
        match &error {
            Some(error) => self.set_error(error.clone()),
            None => self.feed_eof(),
        }
        let _first = self.lost.set(error);
        self.writers.wake_all();
    }

    /// Whether there is room to write, as far as the transport has said.
    pub(crate) const fn is_writing_paused(&self) -> bool {
        self.is_writing_paused.get()
    }

    /// A number that changes whenever writing may go on.
    pub(crate) const fn resumed(&self) -> u32 {
        self.resumed.get()
    }

    /// How the connection was lost, if it was.
    pub(crate) fn lost(&self) -> Option<&Option<LastingError>> {
        self.lost.get()
    }

    pub(crate) const fn is_eof_written(&self) -> bool {
        self.is_eof_written.get()
    }

    pub(crate) fn note_eof_written(&self) {
        self.is_eof_written.set(true);
    }

    /// Has everything sent that can be, and lets writing pause until all of it is.
    pub(crate) fn begin_flush(&self, transport: &Transport) {
        let (count, marks) = self.flushes.get();
        let marks = if count == 0 { transport.get_write_buffer_limits() } else { marks };
        self.flushes.set((count + 1, marks));
        // By marks of zero the transport sends at once what it has gathered, and tells when nothing waits any more.
        transport.set_write_buffer_limits(Some(0), Some(0));
    }

    /// The last one that leaves restores the marks, unless somebody else has set others.
    pub(crate) fn end_flush(&self, transport: &Transport) {
        let (count, (low, high)) = self.flushes.get();
        self.flushes.set((count - 1, (low, high)));
        if count == 1 && transport.get_write_buffer_limits() == (0, 0) {
            transport.set_write_buffer_limits(Some(high), Some(low));
        }
    }
}

/// A time limit has passed: whoever waits looks whether it was theirs.
impl Runnable for Connected {
    fn run(self: Rc<Self>) {
        self.reader.wake_next();
        self.writers.wake_all();
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let buffer = self.buffer.borrow();
        f.debug_struct("Stream")
            .field("unread_bytes", &buffer.len())
            .field("is_eof", &buffer.is_eof())
            .field("transport", &self.transport())
            .finish_non_exhaustive()
    }
}
