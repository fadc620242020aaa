//! Streams over pipes: one direction each.
//!
//! Absent on purpose: what can be waited for, and what becomes of a descriptor that others share. That is the transports' affair.

use crate::protocol::{DEFAULT_LIMIT, StreamReaderProtocol, check_limit};
use crate::reader::StreamReader;
use crate::writer::StreamWriter;
use asyncio_driver::OsPipe;
use asyncio_loop::get_running_loop;
use asyncio_transports::LoopTransportsExt as _;
use std::future::IntoFuture;
use std::io;
use std::pin::Pin;

/// Reads from a pipe, a FIFO, a terminal, another character device or a socket, as a stream. Await it.
///
/// The stream owns `pipe`, and closes it when it is dropped. How a descriptor is treated that others share, and what is refused, see
/// [`connect_read_pipe`](asyncio_transports::LoopTransportsExt::connect_read_pipe).
///
/// # Errors
///
/// `InvalidInput` for a regular file or a directory.
///
/// # Panics
///
/// If awaited without a running loop.
///
/// # asyncio
///
/// None: `loop.connect_read_pipe` with a `StreamReaderProtocol`.
pub fn open_read_pipe(pipe: impl Into<OsPipe>) -> OpenReadPipe {
    OpenReadPipe { pipe: pipe.into(), limit: DEFAULT_LIMIT }
}

/// Writes into a pipe, a FIFO, a terminal, another character device or a socket, as a stream; otherwise as [`open_read_pipe`].
///
/// # Cancel safety
///
/// Dropping it closes the pipe.
///
/// # Errors
///
/// `InvalidInput` for a regular file or a directory.
///
/// # Panics
///
/// If awaited without a running loop.
///
/// # asyncio
///
/// None: `loop.connect_write_pipe` with a protocol of one's own.
pub async fn open_write_pipe(pipe: impl Into<OsPipe>) -> io::Result<StreamWriter> {
    let event_loop = get_running_loop();
    let (_, protocol) = event_loop.connect_write_pipe(|| StreamReaderProtocol::one_way(DEFAULT_LIMIT), pipe).await?;
    let writer = protocol.borrow().writer();
    writer.ok_or_else(|| io::ErrorKind::NotConnected.into())
}

/// A pipe that is about to be read from; see [`open_read_pipe`]. Await it.
///
/// # Cancel safety
///
/// Dropping it closes the pipe.
#[derive(Debug)]
#[must_use = "nothing is opened unless it is awaited"]
pub struct OpenReadPipe {
    pipe: OsPipe,
    limit: usize,
}

impl OpenReadPipe {
    /// The limit of the reader, in bytes; see [`StreamReader::new`]. Default: 64 KiB.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn limit(self, bytes: usize) -> Self {
        check_limit(bytes);
        Self { limit: bytes, ..self }
    }
}

impl IntoFuture for OpenReadPipe {
    type Output = io::Result<StreamReader>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { pipe, limit } = self;
            let event_loop = get_running_loop();
            let (_, protocol) = event_loop.connect_read_pipe(|| StreamReaderProtocol::one_way(limit), pipe).await?;
            let reader = protocol.borrow().reader();
            Ok(reader)
        })
    }
}
