//! `SubprocessProtocol`: what a program implements to be told of a child.

use crate::transport::SubprocessTransport;
use std::any::type_name;
use std::io;

/// What is told of a child process and of its pipes. Every method has a default that does nothing.
///
/// The methods are called by the loop, one at a time: `connection_made` first; then, as things happen, `pipe_data_received`,
/// `pipe_connection_lost` for each pipe and `process_exited`, in any order; `connection_lost` last, when the child has exited and all
/// pipes are lost. So a process that the child has left behind with its `stdout` delays `connection_lost`, not `process_exited`. Any
/// of them may call anything on the transport. A panic is reported to the loop's exception handler, and nothing more.
///
/// A pipe is named by its number in the child: 0, 1 or 2.
///
/// # asyncio
///
/// [`asyncio.SubprocessProtocol`](https://docs.python.org/3/library/asyncio-protocol.html#asyncio.SubprocessProtocol). Same; what is
/// called while another method of the same protocol runs waits until that is back.
pub trait SubprocessProtocol: 'static {
    /// The child runs, and its pipes are connected. The first call.
    fn connection_made(&mut self, transport: &SubprocessTransport) {
        let _ = transport;
    }

    /// The child has written these bytes, one at least and cut anywhere, to its descriptor `fd`: 1 or 2.
    fn pipe_data_received(&mut self, fd: i32, data: &[u8]) {
        let _ = (fd, data);
    }

    /// The pipe to or from the child's descriptor `fd` is closed: with `None` at its end or after `close`, otherwise with the
    /// reason.
    fn pipe_connection_lost(&mut self, fd: i32, error: Option<io::Error>) {
        let _ = (fd, error);
    }

    /// The child has exited, and [`SubprocessTransport::get_returncode`] knows how. Exactly once.
    fn process_exited(&mut self) {}

    /// The child has exited and all pipes are lost. The last call, exactly once, with `None`.
    fn connection_lost(&mut self, error: Option<io::Error>) {
        let _ = error;
    }

    /// More than the high-water mark waits to be read by the child from its standard input.
    fn pause_writing(&mut self) {}

    /// The low-water mark is reached. Comes only after `pause_writing`, once for each.
    fn resume_writing(&mut self) {}

    /// How reports name this protocol. Default: its type.
    #[doc(hidden)]
    fn protocol_name(&self) -> &'static str {
        type_name::<Self>()
    }
}
