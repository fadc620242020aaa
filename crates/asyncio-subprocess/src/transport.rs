//! `SubprocessTransport`: the handle of a child and its pipes, with asyncio's methods.
//!
//! Absent on purpose: behaviour. It is in `conversation`.

use crate::conversation::Conversation;
use crate::protocol::SubprocessProtocol;
use asyncio_driver::Signal;
use asyncio_loop::EventLoop;
use asyncio_transports::Transport;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::rc::Rc;

/// A child process and its pipes. Cheap to clone; all clones are the same.
///
/// Dropping all handles changes nothing: the loop owns the child until it has exited, or the loop is closed; then the child runs on.
///
/// # asyncio
///
/// [`asyncio.SubprocessTransport`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.SubprocessTransport). Differs: one that
/// is forgotten does not kill its child; [`close`](Self::close) does.
#[derive(Clone)]
pub struct SubprocessTransport(Rc<Conversation>);

impl SubprocessTransport {
    pub(crate) const fn new(conversation: Rc<Conversation>) -> Self {
        Self(conversation)
    }

    /// The number of the process.
    ///
    /// # asyncio
    ///
    /// [`transport.get_pid`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.SubprocessTransport.get_pid). Same.
    #[must_use]
    pub fn get_pid(&self) -> u32 {
        self.0.child().pid()
    }

    /// How the child has exited; `None` while it runs.
    ///
    /// # asyncio
    ///
    /// [`transport.get_returncode`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.SubprocessTransport.get_returncode).
    /// Differs: a status, of which [`signal`](std::os::unix::process::ExitStatusExt::signal) is asyncio's negative number.
    #[must_use]
    pub fn get_returncode(&self) -> Option<ExitStatus> {
        self.0.child().returncode()
    }

    /// The transport of the pipe to or from the child's descriptor `fd` (0, 1 or 2); `None` if it was not piped.
    ///
    /// # asyncio
    ///
    /// [`transport.get_pipe_transport`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.SubprocessTransport.get_pipe_transport).
    /// Same.
    #[must_use]
    pub fn get_pipe_transport(&self, fd: i32) -> Option<Transport> {
        self.0.pipe(fd)
    }

    /// Sends `signal` to the child.
    ///
    /// # Errors
    ///
    /// `NotFound` once it has exited; `PermissionDenied` if it runs as somebody else.
    ///
    /// # asyncio
    ///
    /// [`transport.send_signal`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.SubprocessTransport.send_signal). Same.
    pub fn send_signal(&self, signal: Signal) -> io::Result<()> {
        self.0.child().signal(signal, false)
    }

    /// Asks the child to end: `SIGTERM`.
    ///
    /// # Errors
    ///
    /// As [`send_signal`](Self::send_signal).
    pub fn terminate(&self) -> io::Result<()> {
        self.send_signal(Signal::TERM)
    }

    /// Ends the child: `SIGKILL`.
    ///
    /// # Errors
    ///
    /// As [`send_signal`](Self::send_signal).
    pub fn kill(&self) -> io::Result<()> {
        self.send_signal(Signal::KILL)
    }

    /// Closes all pipes, and kills the child if it runs. The protocol is told of it as always. A second call does nothing.
    ///
    /// # asyncio
    ///
    /// [`transport.close`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.SubprocessTransport.close). Same.
    pub fn close(&self) {
        self.0.close();
    }

    /// Whether `close` was called, or all is over.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.0.is_closing()
    }

    /// Lets another protocol have what comes from now on. Neither of the two is told.
    pub fn set_protocol<P: SubprocessProtocol>(&self, protocol: &Rc<RefCell<P>>) {
        self.0.set_protocol(protocol.clone());
    }

    /// The loop of this transport.
    #[must_use]
    pub fn get_loop(&self) -> EventLoop {
        self.0.child().event_loop().clone()
    }
}

impl fmt::Debug for SubprocessTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
