//! `Stdio`: what a child's standard stream is.

use std::fmt;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

/// What one of the three standard streams of a child is: [`PIPE`], [`DEVNULL`], [`INHERIT`], for `stderr` also [`STDOUT`], or an
/// open file, pipe or socket, which is the child's from then on.
pub struct Stdio(Kind);

enum Kind {
    Inherit,
    Pipe,
    DevNull,
    Stdout,
    Given(OwnedFd),
}

/// A new pipe, whose other end is ours.
///
/// # asyncio
///
/// [`asyncio.subprocess.PIPE`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.subprocess.PIPE). Same.
pub const PIPE: Stdio = Stdio(Kind::Pipe);

/// Nothing: `/dev/null`.
///
/// # asyncio
///
/// [`asyncio.subprocess.DEVNULL`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.subprocess.DEVNULL). Same.
pub const DEVNULL: Stdio = Stdio(Kind::DevNull);

/// For `stderr` only: what `stdout` is.
///
/// # asyncio
///
/// [`asyncio.subprocess.STDOUT`](https://docs.python.org/3/library/asyncio-subprocess.html#asyncio.subprocess.STDOUT). Same.
pub const STDOUT: Stdio = Stdio(Kind::Stdout);

/// What this process has.
///
/// # asyncio
///
/// `None`.
pub const INHERIT: Stdio = Stdio(Kind::Inherit);

impl<T: Into<OwnedFd>> From<T> for Stdio {
    fn from(file: T) -> Self {
        Self(Kind::Given(file.into()))
    }
}

impl Stdio {
    /// For the command.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for [`STDOUT`].
    fn into_std(self, name: &str) -> io::Result<std::process::Stdio> {
        Ok(match self.0 {
            Kind::Inherit => std::process::Stdio::inherit(),
            Kind::Pipe => std::process::Stdio::piped(),
            Kind::DevNull => std::process::Stdio::null(),
            Kind::Given(fd) => fd.into(),
            Kind::Stdout => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("{name} cannot be STDOUT: only stderr can follow stdout"),
                ));
            }
        })
    }
}

/// The three streams of a child.
#[derive(Debug)]
pub(crate) struct Streams {
    pub(crate) stdin: Stdio,
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
}

impl Streams {
    /// Sets the streams of `command`. Gives our end of the pipe that is `stdout` and `stderr` at once, if they are.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if one that cannot follow `stdout` is to; or no descriptor is left.
    pub(crate) fn apply(self, command: &mut std::process::Command) -> io::Result<Option<OwnedFd>> {
        let Self { stdin, stdout, stderr } = self;
        command.stdin(stdin.into_std("stdin")?);
        if !matches!(stderr.0, Kind::Stdout) {
            command.stdout(stdout.into_std("stdout")?).stderr(stderr.into_std("stderr")?);
            return Ok(None);
        }
        let (one, both, ours): (_, OwnedFd, _) = match stdout.0 {
            Kind::Pipe => {
                let (ours, both) = io::pipe()?;
                (both.try_clone()?.into(), both.into(), Some(ours.into()))
            }
            Kind::Given(both) => (both.try_clone()?, both, None),
            Kind::Inherit => {
                let both = io::stdout().as_fd().try_clone_to_owned()?;
                (both.try_clone()?, both, None)
            }
            Kind::DevNull => {
                command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
                return Ok(None);
            }
            Kind::Stdout => {
                stdout.into_std("stdout")?;
                return Ok(None);
            }
        };
        command.stdout(one).stderr(both);
        Ok(ours)
    }
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Inherit => f.write_str("INHERIT"),
            Kind::Pipe => f.write_str("PIPE"),
            Kind::DevNull => f.write_str("DEVNULL"),
            Kind::Stdout => f.write_str("STDOUT"),
            Kind::Given(fd) => fd.fmt(f),
        }
    }
}
