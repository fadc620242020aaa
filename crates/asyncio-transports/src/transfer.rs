//! `Transfer`: a file on its way out of a transport, as a piece of its `Output`; or a mark in it, which is a file without
//! bytes: it says when everything before it has left.
//!
//! Invariants:
//! 1. A transfer ends once: when its bytes are sent, when it is given up, or when the output that it is in is dropped.
//! 2. Whoever waits for the end is woken by a step of the loop, for outputs are dropped with much borrowed.
//!
//! Absent on purpose: reading files. Where the kernel does not send them, `sendfile` reads.

use asyncio_driver::StreamEndpoint;
use asyncio_loop::{EventLoop, Runnable};
use asyncio_tasks::WaitQueue;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs::File;
use std::io;
use std::rc::Rc;

/// Bytes of a file that are being sent, as whoever waits for them sees it.
pub(crate) struct Transfer {
    event_loop: EventLoop,
    file: Option<File>,
    offset: Cell<u64>,
    /// How many bytes are to be sent still; more than the file has means to its end.
    left: Cell<u64>,
    sent: Cell<u64>,
    end: RefCell<Option<io::Result<()>>>,
    waiters: WaitQueue,
}

/// A transfer as a piece of an output: it ends with this at the latest.
#[derive(Debug)]
pub(crate) struct Placed(Rc<Transfer>);

/// What one turn of a transfer has come to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It has ended.
    Ended,
    /// The endpoint has no room.
    Blocked,
    /// There is more to send, but others want to run, too.
    Over,
}

impl Transfer {
    /// Bytes of `file` from `offset` on, at most `count`.
    pub(crate) fn new(event_loop: &EventLoop, file: File, offset: u64, count: u64) -> Rc<Self> {
        Self::of(event_loop, Some(file), offset, count)
    }

    /// A mark.
    pub(crate) fn mark(event_loop: &EventLoop) -> Rc<Self> {
        Self::of(event_loop, None, 0, 0)
    }

    fn of(event_loop: &EventLoop, file: Option<File>, offset: u64, count: u64) -> Rc<Self> {
        Rc::new(Self {
            event_loop: event_loop.clone(),
            file,
            offset: Cell::new(offset),
            left: Cell::new(count),
            sent: Cell::new(0),
            end: RefCell::new(None),
            waiters: WaitQueue::new(),
        })
    }

    /// How many bytes have been sent.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Sends nothing more.
    pub(crate) fn give_up(&self) {
        self.left.set(0);
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> io::Result<()> {
        loop {
            let end = self.end.borrow_mut().take();
            match end {
                Some(outcome) => return outcome,
                None => self.waiters.wait().await,
            }
        }
    }

    fn end(self: &Rc<Self>, outcome: io::Result<()>) {
        self.left.set(0);
        let mut end = self.end.borrow_mut();
        if end.is_none() {
            *end = Some(outcome);
            self.event_loop.schedule(self.clone());
        }
    }
}

impl Placed {
    pub(crate) const fn new(transfer: Rc<Transfer>) -> Self {
        Self(transfer)
    }

    /// Sends until the endpoint has no room, or for one turn.
    ///
    /// # Errors
    ///
    /// The connection is lost. Whatever else goes wrong is the transfer's alone.
    pub(crate) fn send(&self, endpoint: &mut dyn StreamEndpoint) -> io::Result<Turn> {
        let transfer = &self.0;
        let Some(file) = &transfer.file else {
            transfer.end(Ok(()));
            return Ok(Turn::Ended);
        };
        let mut rest = TURN_BYTES;
        while transfer.left.get() > 0 {
            if rest == 0 {
                return Ok(Turn::Over);
            }
            let count = usize::try_from(transfer.left.get()).unwrap_or(usize::MAX).min(rest);
            match endpoint.send_file(file, transfer.offset.get(), count) {
                Ok(0) => break,
                Ok(sent) => {
                    rest -= sent.min(rest);
                    transfer.offset.set(transfer.offset.get() + sent as u64);
                    transfer.sent.set(transfer.sent.get() + sent as u64);
                    transfer.left.set(transfer.left.get() - sent as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Turn::Blocked),
                Err(error) if is_about_the_peer(&error) => {
                    transfer.end(Err(error.kind().into()));
                    return Err(error);
                }
                Err(error) => {
                    transfer.end(Err(error));
                    return Ok(Turn::Ended);
                }
            }
        }
        transfer.end(Ok(()));
        Ok(Turn::Ended)
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.0.end(Err(io::Error::new(io::ErrorKind::NotConnected, "the connection was lost before all was sent")));
    }
}

fn is_about_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::BrokenPipe | Kind::ConnectionReset | Kind::ConnectionAborted | Kind::NotConnected | Kind::TimedOut
    )
}

impl Runnable for Transfer {
    fn run(self: Rc<Self>) {
        self.waiters.wake_all();
    }
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer").field("sent", &self.sent).field("left", &self.left).finish_non_exhaustive()
    }
}

/// So much is sent in one turn at most, however fast the peer reads.
const TURN_BYTES: usize = 4 * 1024 * 1024;
