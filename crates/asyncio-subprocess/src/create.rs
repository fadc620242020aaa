//! `CreateSubprocess`: what a child is started with, as methods, whatever is made of it.
//!
//! Absent on purpose: what comes after the start. Each kind of child does that itself.

use crate::stdio::{INHERIT, PIPE, Stdio, Streams};
use asyncio_driver::{ChildSetup, OsPipe};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdout, Command};

/// A child that is to be started, with asyncio's keyword arguments as methods. Await it: `K` says what comes out.
///
/// The start blocks the loop until the child is another program, or has failed to become one: less than a millisecond
/// mostly. It takes longer for a large process if a session, a umask, a user, groups or descriptors to pass are asked for,
/// which only a fork can do.
///
/// # Cancel safety
///
/// Dropping it before it is done kills a child that was started already, and leaves no zombie.
#[must_use = "no child is started unless it is awaited"]
pub struct CreateSubprocess<K> {
    pub(crate) start: Start,
    pub(crate) kind: K,
}

/// What a child is started with.
pub(crate) struct Start {
    command: Command,
    setup: ChildSetup,
    streams: Streams,
    leads_group: bool,
}

/// A child that was just started, and our ends of its pipes.
pub(crate) struct Started {
    pub(crate) child: std::process::Child,
    pub(crate) stdin: Option<OsPipe>,
    pub(crate) stdout: Option<OsPipe>,
    pub(crate) stderr: Option<OsPipe>,
}

impl Start {
    pub(crate) fn exec<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(program);
        command.args(args);
        Self {
            command,
            setup: ChildSetup::default(),
            streams: Streams { stdin: INHERIT, stdout: INHERIT, stderr: INHERIT },
            leads_group: false,
        }
    }

    pub(crate) fn shell(command: impl AsRef<OsStr>) -> Self {
        Self::exec("/bin/sh", [OsStr::new("-c"), command.as_ref()])
    }

    /// With all streams piped, which is the default of the loop's methods.
    pub(crate) fn piped(mut self) -> Self {
        self.streams = Streams { stdin: PIPE, stdout: PIPE, stderr: PIPE };
        self
    }

    /// How messages name the program.
    pub(crate) fn program(&self) -> OsString {
        self.command.get_program().to_owned()
    }

    /// Whether the child leads a process group, which has its number then.
    pub(crate) const fn leads_group(&self) -> bool {
        self.leads_group || self.setup.new_session
    }

    /// Starts it.
    pub(crate) fn run(self) -> io::Result<Started> {
        let Self { mut command, setup, streams, .. } = self;
        if let Some(fd) = setup.pass_fds.iter().find(|fd| fd.as_raw_fd() <= 2) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("descriptor {} cannot be passed: it is a standard stream of the child", fd.as_raw_fd()),
            ));
        }
        let both = streams.apply(&mut command)?;
        setup.apply(&mut command);
        let mut child = command.spawn().map_err(|error| not_started(&command, &error))?;
        let stdout = both.map(ChildStdout::from).or_else(|| child.stdout.take());
        let (stdin, stderr) = (child.stdin.take().map(OsPipe::from), child.stderr.take().map(OsPipe::from));
        Ok(Started { child, stdin, stdout: stdout.map(OsPipe::from), stderr })
    }
}

/// The system does not say what was not found.
#[cold]
fn not_started(command: &Command, error: &io::Error) -> io::Error {
    let program = command.get_program().display();
    let message = match command.get_current_dir() {
        Some(dir) if !dir.is_dir() => {
            format!("cannot start {program}: its working directory is no directory: {}", dir.display())
        }
        _ => format!("cannot start {program}: {error}"),
    };
    io::Error::new(error.kind(), message)
}

impl<K> CreateSubprocess<K> {
    /// The child's standard input. Default: that of this process, and a pipe by the methods of a loop.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.start.streams.stdin = stdin.into();
        self
    }

    /// The child's standard output; default as [`stdin`](Self::stdin).
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.start.streams.stdout = stdout.into();
        self
    }

    /// The child's standard error; default as [`stdin`](Self::stdin).
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.start.streams.stderr = stderr.into();
        self
    }

    /// In which directory the child starts. Default: that of this process.
    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.start.command.current_dir(dir);
        self
    }

    /// Sets one variable of the child's environment, which else is that of this process.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.start.command.env(name, value);
        self
    }

    /// Sets several variables of the child's environment.
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        self.start.command.envs(variables);
        self
    }

    /// Removes one variable from the child's environment.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.start.command.env_remove(name);
        self
    }

    /// Begins with an empty environment: `env_clear().envs(…)` is asyncio's `env=…`.
    pub fn env_clear(mut self) -> Self {
        self.start.command.env_clear();
        self
    }

    /// The child's own name for itself, `argv[0]`. Default: the program.
    pub fn arg0(mut self, name: impl AsRef<OsStr>) -> Self {
        self.start.command.arg0(name);
        self
    }

    /// As which user the child runs, by number. If this process may do that, the child has none of its other groups, unless
    /// [`extra_groups`](Self::extra_groups) says so. Default: that of this process.
    pub const fn user(mut self, id: u32) -> Self {
        self.start.setup.user = Some(id);
        self
    }

    /// The child's main group, by number. Default: that of this process.
    pub const fn group(mut self, id: u32) -> Self {
        self.start.setup.group = Some(id);
        self
    }

    /// To which groups the child belongs beside the main one, by number. Needs privileges. Default: those of this process.
    pub fn extra_groups(mut self, ids: impl IntoIterator<Item = u32>) -> Self {
        self.start.setup.extra_groups = Some(ids.into_iter().collect());
        self
    }

    /// Puts the child into this process group; 0 makes it the leader of a new one, so that it and what it starts can be
    /// signalled together. Default: the group of this process.
    pub fn process_group(mut self, id: i32) -> Self {
        self.start.command.process_group(id);
        self.start.leads_group = id == 0;
        self
    }

    /// Makes the child the leader of a new session, and so of a new process group, without a terminal. Default: no.
    pub const fn start_new_session(mut self, is_new: bool) -> Self {
        self.start.setup.new_session = is_new;
        self
    }

    /// Which permissions files do not get that the child makes. Default: as this process.
    pub const fn umask(mut self, mask: u32) -> Self {
        self.start.setup.umask = Some(mask);
        self
    }

    /// Descriptors that stay open in the child, under the numbers that they have here. They are closed here once it has started.
    /// Default: none but the standard streams.
    ///
    /// # asyncio
    ///
    /// `pass_fds`. Differs: it takes them over; `try_clone` what is to be kept, and pass the number of the clone.
    pub fn pass_fds<F: Into<OwnedFd>>(mut self, fds: impl IntoIterator<Item = F>) -> Self {
        self.start.setup.pass_fds.extend(fds.into_iter().map(Into::into));
        self
    }
}

impl<K: fmt::Debug> fmt::Debug for CreateSubprocess<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateSubprocess")
            .field("command", &self.start.command)
            .field("setup", &self.start.setup)
            .field("streams", &self.start.streams)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
