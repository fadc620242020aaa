//! Endpoints on one end of a pipe, a FIFO, a terminal, a character device or a stream socket.
//!
//! Bytes move one way, so an endpoint is a reader or a writer. A writer that is asked to receive says whether its readers
//! are gone: that is how a transport learns of it without writing.
//!
//! `O_NONBLOCK` belongs to the open file description, which others may share: a shell and its terminal, for instance. So it is set
//! only where that disturbs nobody, or where nothing else is left:
//! - The pipes of a child belong to us alone: it is set.
//! - A socket needs no flag: each call asks not to wait (`MSG_DONTWAIT`).
//! - An unnamed pipe or a terminal is opened a second time by way of `/proc` where there is one, which gives a description of our own.
//! - Of anything else (a FIFO with a name, a device, or if that opening is refused) the flag is set, and taken back in the end.
//!
//! Invariants:
//! 1. What was blocking when it came is blocking for its other holders when the endpoint is gone.
//! 2. An error path closes the descriptor; no operation answers `Interrupted`.
//!
//! A FIFO with a name is not opened a second time: whoever opens one after its writers have left is never told that they have
//! (`f_version` in the kernel's `fs/pipe.c`). Nor is a device, for opening one may mean something: `/dev/ptmx` makes a new terminal.

#![expect(unsafe_code, reason = "poll(2) of one descriptor, and `socket2` receives into uninitialised memory only")]

use super::socket::{uninitialised, uninterrupted};
use super::socket_os;
use crate::{Address, OsPipe, PipeEnd, Source, StreamEndpoint};
use socket2::SockRef;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IsTerminal as _, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

/// A stream of bytes in one direction.
#[derive(Debug)]
struct KernelPipe {
    file: File,
    end: PipeEnd,
    is_socket: bool,
    /// Others have the description, too, and expect it to block.
    must_restore: bool,
}

pub(super) fn adopt(pipe: OsPipe, end: PipeEnd) -> io::Result<Box<dyn StreamEndpoint>> {
    let (fd, is_exclusive) = pipe.into_parts();
    let file = File::from(fd);
    let mut pipe = KernelPipe { file, end, is_socket: false, must_restore: false };
    if !is_exclusive {
        let kind = pipe.file.metadata()?.file_type();
        if !(kind.is_fifo() || kind.is_socket() || kind.is_char_device()) {
            let found = if kind.is_file() { "a regular file" } else { "something else" };
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("only a pipe, a socket or a character device can be waited for, and this is {found}"),
            ));
        }
        pipe.is_socket = kind.is_socket();
    }
    pipe.stop_blocking(is_exclusive)?;
    Ok(Box::new(pipe))
}

impl KernelPipe {
    fn stop_blocking(&mut self, is_exclusive: bool) -> io::Result<()> {
        if self.is_socket || (!is_exclusive && SockRef::from(&self.file).nonblocking()?) {
            return Ok(());
        }
        if !is_exclusive && let Some(own) = opened_again(&self.file, self.end) {
            self.file = own;
            return Ok(());
        }
        SockRef::from(&self.file).set_nonblocking(true)?;
        self.must_restore = !is_exclusive;
        Ok(())
    }

    /// Whether what was written will never be read.
    fn is_reader_gone(&self) -> io::Result<bool> {
        let mut asked = libc::pollfd { fd: self.file.as_raw_fd(), events: socket_os::POLL_HALF_CLOSED, revents: 0 };
        uninterrupted(|| {
            // SAFETY: one entry, which lives until the call is back; the descriptor is open, for `file` owns it.
            let count = unsafe { libc::poll(&raw mut asked, 1, 0) };
            if count < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
        })?;
        Ok(asked.revents & (libc::POLLERR | libc::POLLHUP | socket_os::POLL_HALF_CLOSED) != 0)
    }
}

impl StreamEndpoint for KernelPipe {
    fn source(&self) -> Source<'_> {
        Source::Os(self.file.as_fd())
    }

    fn pipe_end(&self) -> Option<PipeEnd> {
        Some(self.end)
    }

    fn recv<'a>(&'a mut self, scratch: &'a mut [u8]) -> io::Result<&'a [u8]> {
        if self.end == PipeEnd::Write {
            return if self.is_reader_gone()? { Ok(&[]) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let count = uninterrupted(|| {
            if self.is_socket {
                SockRef::from(&self.file).recv_with_flags(uninitialised(scratch), libc::MSG_DONTWAIT)
            } else {
                (&self.file).read(scratch)
            }
        })?;
        Ok(&scratch[..count])
    }

    fn send(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.end == PipeEnd::Read {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "this is the end of a pipe to read from"));
        }
        uninterrupted(|| match bufs {
            _ if self.is_socket => SockRef::from(&self.file).send_vectored_with_flags(
                &bufs[..bufs.len().min(BUFS_MAX)],
                socket_os::SEND_FLAGS | libc::MSG_DONTWAIT,
            ),
            [one] => (&self.file).write(one),
            many => (&self.file).write_vectored(many),
        })
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        if self.is_socket {
            return SockRef::from(&self.file).shutdown(how);
        }
        Err(io::Error::new(io::ErrorKind::Unsupported, "a pipe has one direction: close it"))
    }

    fn finish_connect(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn local_addr(&self) -> io::Result<Address> {
        Ok(Address::Unnamed)
    }

    fn peer_addr(&self) -> io::Result<Address> {
        Err(io::ErrorKind::NotConnected.into())
    }
}

impl Drop for KernelPipe {
    fn drop(&mut self) {
        if self.must_restore {
            // Nobody could be told of a failure; and there is none, on a descriptor that is open.
            let _ = SockRef::from(&self.file).set_nonblocking(false);
        }
    }
}

/// The same pipe or terminal under a description of our own, which does not block. `None` if that is not to be had.
fn opened_again(file: &File, end: PipeEnd) -> Option<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let name = std::fs::read_link(&path).ok()?;
    let name = name.as_os_str().as_encoded_bytes();
    let is_terminal = file.is_terminal() && name.starts_with(b"/dev/") && !name.ends_with(b"ptmx");
    if !name.starts_with(b"pipe:[") && !is_terminal {
        return None;
    }
    let mut options = OpenOptions::new();
    options.read(end == PipeEnd::Read).write(end == PipeEnd::Write);
    options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).ok()
}

/// `IOV_MAX` of Linux, macOS and the BSDs.
const BUFS_MAX: usize = 1024;
