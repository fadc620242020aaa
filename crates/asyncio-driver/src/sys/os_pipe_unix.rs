//! Pipes that exist already, on Unix: descriptors.

use std::fs::File;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{ChildStderr, ChildStdin, ChildStdout};

/// One end of a pipe, a FIFO, a terminal, a character device or a stream socket, for a driver to take over; see
/// [`Driver::adopt_pipe`](crate::Driver::adopt_pipe).
#[derive(Debug)]
pub struct OsPipe {
    fd: OwnedFd,
    /// Nobody else has this open file description: it may be made non-blocking without a thought.
    is_exclusive: bool,
}

impl OsPipe {
    pub(super) fn into_parts(self) -> (OwnedFd, bool) {
        (self.fd, self.is_exclusive)
    }

    const fn exclusive(fd: OwnedFd) -> Self {
        Self { fd, is_exclusive: true }
    }
}

impl From<OwnedFd> for OsPipe {
    fn from(fd: OwnedFd) -> Self {
        Self { fd, is_exclusive: false }
    }
}

impl From<File> for OsPipe {
    fn from(file: File) -> Self {
        OwnedFd::from(file).into()
    }
}

impl From<PipeReader> for OsPipe {
    fn from(pipe: PipeReader) -> Self {
        OwnedFd::from(pipe).into()
    }
}

impl From<PipeWriter> for OsPipe {
    fn from(pipe: PipeWriter) -> Self {
        OwnedFd::from(pipe).into()
    }
}

impl From<UnixStream> for OsPipe {
    fn from(socket: UnixStream) -> Self {
        OwnedFd::from(socket).into()
    }
}

impl From<ChildStdin> for OsPipe {
    fn from(pipe: ChildStdin) -> Self {
        Self::exclusive(pipe.into())
    }
}

impl From<ChildStdout> for OsPipe {
    fn from(pipe: ChildStdout) -> Self {
        Self::exclusive(pipe.into())
    }
}

impl From<ChildStderr> for OsPipe {
    fn from(pipe: ChildStderr) -> Self {
        Self::exclusive(pipe.into())
    }
}
