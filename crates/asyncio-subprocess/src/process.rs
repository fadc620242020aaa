//! `Process`: a child as a value, with its standard streams.

use crate::child::Child;
use crate::completed::CompletedProcess;
use crate::create::{CreateSubprocess, Start, Started};
use asyncio_driver::Signal;
use asyncio_loop::get_running_loop;
use asyncio_streams::{StreamReader, StreamWriter, open_read_pipe, open_write_pipe};
use bytes::Bytes;
use std::ffi::OsStr;
use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::rc::Rc;
use std::task::Poll;

/// Starts `program` with `args`. Await it: when it is back, the child runs.
///
/// The standard streams are those of this process, unless [`CreateSubprocess`] is told otherwise.
///
/// # Errors
///
/// What the system says to the start: `NotFound`, `PermissionDenied`; the message names the program.
///
/// # Panics
///
/// If awaited without a running loop.
///
/// # asyncio
///
/// [`asyncio.create_subprocess_exec`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.create_subprocess_exec).
/// Same; keyword arguments are methods, and those that make Python's `Popen` decode text do not exist.
pub fn create_subprocess_exec<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = A>,
) -> CreateSubprocess<WithStreams> {
    CreateSubprocess { start: Start::exec(program, args), kind: WithStreams::default() }
}

/// Runs `command` by the shell (`/bin/sh -c`); otherwise as [`create_subprocess_exec`].
///
/// Quoting is for the caller: whatever comes from outside belongs into an argument of `create_subprocess_exec`, or into a variable of the
/// environment.
///
/// # Errors
///
/// As [`create_subprocess_exec`], of the shell; a command that the shell does not find is exit status 127.
///
/// # Panics
///
/// If awaited without a running loop.
///
/// # asyncio
///
/// [`asyncio.create_subprocess_shell`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.create_subprocess_shell). Same.
pub fn create_subprocess_shell(command: impl AsRef<OsStr>) -> CreateSubprocess<WithStreams> {
    CreateSubprocess { start: Start::shell(command), kind: WithStreams::default() }
}

/// Makes a [`Process`] of a child; see [`CreateSubprocess`].
#[derive(Debug, Default)]
pub struct WithStreams {
    limit: Option<usize>,
    kills_on_drop: bool,
}

impl CreateSubprocess<WithStreams> {
    /// The limit of `stdout` and `stderr` as streams, in bytes; see [`StreamReader::new`]. Default: 64 KiB.
    pub const fn limit(mut self, bytes: usize) -> Self {
        self.kind.limit = Some(bytes);
        self
    }

    /// Whether the child is killed when its [`Process`] is dropped. Default: no, it runs on.
    ///
    /// # asyncio
    ///
    /// What happens when a `Process` is collected as garbage, with a `ResourceWarning`.
    pub const fn kill_on_drop(mut self, is_killed: bool) -> Self {
        self.kind.kills_on_drop = is_killed;
        self
    }
}

impl IntoFuture for CreateSubprocess<WithStreams> {
    type Output = io::Result<Process>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(Process::start(self.start, self.kind))
    }
}

/// A child process.
///
/// Dropping it closes the pipes that were not taken out of it. The child runs on, unless
/// [`kill_on_drop`](CreateSubprocess::kill_on_drop) was asked for; it becomes no zombie in either case, also if no loop runs any more.
///
/// # asyncio
///
/// [`asyncio.subprocess.Process`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.subprocess.Process). Differs:
/// `wait` does not wait for pipes, `communicate` can be repeated, and one that is dropped does not kill its child.
#[non_exhaustive]
pub struct Process {
    /// The child's standard input, if it is piped. Dropping it ends the input.
    pub stdin: Option<StreamWriter>,
    /// The child's standard output, if it is piped.
    pub stdout: Option<StreamReader>,
    /// The child's standard error, if it is piped.
    pub stderr: Option<StreamReader>,
    child: Rc<Child>,
    kills_on_drop: bool,
    /// What `communicate` has read, from its first call on.
    communication: Option<Communication>,
}

/// Outputs that have ended.
#[derive(Default)]
struct Communication {
    stdout: Option<Bytes>,
    stderr: Option<Bytes>,
}

impl Process {
    async fn start(start: Start, kind: WithStreams) -> io::Result<Self> {
        let event_loop = get_running_loop();
        let Started { child, stdin, stdout, stderr } = start.run()?;
        let child = Child::watch(&event_loop, child, None)?;
        // Until all is there, whoever drops this wants no child.
        let mut process =
            Self { stdin: None, stdout: None, stderr: None, child, kills_on_drop: true, communication: None };
        if let Some(pipe) = stdin {
            process.stdin = Some(open_write_pipe(pipe).await?);
        }
        for (pipe, stream) in [(stdout, &mut process.stdout), (stderr, &mut process.stderr)] {
            if let Some(pipe) = pipe {
                let open = open_read_pipe(pipe);
                *stream = Some(if let Some(bytes) = kind.limit { open.limit(bytes) } else { open }.await?);
            }
        }
        process.kills_on_drop = kind.kills_on_drop;
        Ok(process)
    }

    /// The number of the process; of the shell, for [`create_subprocess_shell`].
    ///
    /// # asyncio
    ///
    /// [`Process.pid`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.subprocess.Process.pid). Same.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// How the child has exited. `None` while it runs, and until the loop has noticed.
    ///
    /// # asyncio
    ///
    /// [`Process.returncode`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.subprocess.Process.returncode).
    /// Differs: a status, of which [`signal`](std::os::unix::process::ExitStatusExt::signal) is asyncio's negative number.
    #[must_use]
    pub fn returncode(&self) -> Option<ExitStatus> {
        self.child.returncode()
    }

    /// Waits until the child has exited, whoever holds its pipes then. May be called again, and by several tasks.
    ///
    /// A child that writes into a pipe which nobody reads does not exit: [`communicate`](Self::communicate) reads.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing changes by dropping it.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the loop of the child was closed before.
    ///
    /// # asyncio
    ///
    /// [`Process.wait`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.subprocess.Process.wait). Same as from 3.15 on;
    /// before, it waited for the pipes, too.
    pub async fn wait(&self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Sends `input` to the child's standard input, closes that, reads `stdout` and `stderr` to their ends, all at once, and waits
    /// for the exit. An output that is not piped is empty.
    ///
    /// What the child does not want to read is no error. Both outputs are kept in memory.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was read is kept, and what was not sent yet goes on to be sent. Call it again, without input, after a
    /// timeout, for instance after [`terminate`](Self::terminate); it then gives all that was written from the beginning.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is input and standard input is not piped, or was taken, or this is not the first call; otherwise what
    /// the system says to reading.
    ///
    /// # asyncio
    ///
    /// [`Process.communicate`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.subprocess.Process.communicate). Same as from
    /// 3.15 on; before, one that was cancelled lost what it had read.
    pub async fn communicate(&mut self, input: Option<&[u8]>) -> io::Result<CompletedProcess> {
        let input = input.map(Bytes::copy_from_slice);
        self.communicate_bytes(input).await
    }

    pub(crate) async fn communicate_bytes(&mut self, input: Option<Bytes>) -> io::Result<CompletedProcess> {
        self.send_input(input)?;
        let read = self.communication.get_or_insert_default();
        let out = read_to_end(self.stdout.as_mut(), &mut read.stdout);
        let err = read_to_end(self.stderr.as_mut(), &mut read.stderr);
        both(out, err).await?;
        let status = self.child.wait().await?;
        let read = self.communication.get_or_insert_default();
        let [stdout, stderr] = [&read.stdout, &read.stderr].map(|bytes| bytes.clone().unwrap_or_default());
        Ok(CompletedProcess { status, stdout, stderr })
    }

    /// Gives all of the input to the transport, which closes the pipe once it is sent, whatever becomes of us.
    fn send_input(&mut self, input: Option<Bytes>) -> io::Result<()> {
        let stdin = self.stdin.take();
        let Some(input) = input else { return Ok(()) };
        let refused = if self.communication.is_some() {
            "input can be given to the first `communicate` only"
        } else if let Some(stdin) = stdin {
            stdin.write_bytes(input);
            return Ok(());
        } else {
            "there is input for the child, but its stdin is not a pipe of ours"
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, refused))
    }

    /// Sends `signal` to the child.
    ///
    /// # Errors
    ///
    /// `NotFound` once it has exited; `PermissionDenied` if it runs as somebody else.
    ///
    /// # asyncio
    ///
    /// [`Process.send_signal`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.subprocess.Process.send_signal). Same.
    pub fn send_signal(&self, signal: Signal) -> io::Result<()> {
        self.child.signal(signal, false)
    }

    /// Sends `signal` to the child and to all that it has started, if it leads a group of its own: after
    /// [`process_group(0)`](CreateSubprocess::process_group) or [`start_new_session`](CreateSubprocess::start_new_session).
    ///
    /// # Errors
    ///
    /// `NotFound` once the child has exited, or if it leads no group; `PermissionDenied` if none of them may be signalled.
    ///
    /// # asyncio
    ///
    /// None: `os.killpg`.
    pub fn send_signal_to_group(&self, signal: Signal) -> io::Result<()> {
        self.child.signal(signal, true)
    }

    /// Asks the child to end: `SIGTERM`.
    ///
    /// # Errors
    ///
    /// As [`send_signal`](Self::send_signal).
    ///
    /// # asyncio
    ///
    /// [`Process.terminate`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.subprocess.Process.terminate). Same.
    pub fn terminate(&self) -> io::Result<()> {
        self.send_signal(Signal::TERM)
    }

    /// Ends the child: `SIGKILL`.
    ///
    /// # Errors
    ///
    /// As [`send_signal`](Self::send_signal).
    ///
    /// # asyncio
    ///
    /// [`Process.kill`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.subprocess.Process.kill). Same.
    pub fn kill(&self) -> io::Result<()> {
        self.send_signal(Signal::KILL)
    }

    /// Ends the child and all that it has started; see [`send_signal_to_group`](Self::send_signal_to_group).
    ///
    /// # Errors
    ///
    /// As [`send_signal_to_group`](Self::send_signal_to_group).
    ///
    /// # asyncio
    ///
    /// None: `os.killpg`.
    pub fn kill_group(&self) -> io::Result<()> {
        self.send_signal_to_group(Signal::KILL)
    }
}

/// Reads until the end, unless that was reached before.
async fn read_to_end(reader: Option<&mut StreamReader>, read: &mut Option<Bytes>) -> io::Result<()> {
    if let (Some(reader), None) = (reader, &read) {
        *read = Some(reader.read(-1).await?);
    }
    Ok(())
}

/// Runs both at once; the first error ends both.
async fn both(
    one: impl Future<Output = io::Result<()>>,
    other: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let mut is_done = [false; 2];
    poll_fn(|cx| {
        if !is_done[0]
            && let Poll::Ready(outcome) = one.as_mut().poll(cx)
        {
            outcome?;
            is_done[0] = true;
        }
        if !is_done[1]
            && let Poll::Ready(outcome) = other.as_mut().poll(cx)
        {
            outcome?;
            is_done[1] = true;
        }
        if is_done == [true; 2] { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.kills_on_drop {
            self.child.kill_and_abandon();
        } else {
            self.child.abandon();
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("pid", &self.pid())
            .field("returncode", &self.returncode())
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .finish_non_exhaustive()
    }
}
