//! `StreamReaderProtocol`: makes streams of whatever has a transport.
//!
//! Absent on purpose: everything that happens to the bytes. It only hands on.

use crate::connected::Connected;
use crate::handler::Accept;
use crate::reader::StreamReader;
use crate::writer::StreamWriter;
use asyncio_transports::{Protocol, Transport};
use std::fmt;
use std::io;
use std::rc::Rc;

/// The protocol behind a [`StreamReader`] and a [`StreamWriter`], for transports that [`open_connection`](crate::open_connection) and
/// [`start_server`](crate::start_server) do not make: pass it to any method of a loop that wants a protocol, and then call
/// [`streams`](Self::streams).
///
/// # asyncio
///
/// [`asyncio.StreamReaderProtocol`](https://github.com/python/cpython/blob/3.14/Lib/asyncio/streams.py). Differs: it makes its streams
/// itself.
pub struct StreamReaderProtocol {
    connected: Rc<Connected>,
    /// What to do with the streams of a server's connection.
    accept: Option<Rc<dyn Accept>>,
}

impl StreamReaderProtocol {
    /// A protocol whose reader has the given limit, in bytes; see [`StreamReader::new`].
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    #[must_use]
    #[track_caller]
    pub fn new(limit: usize) -> Self {
        check_limit(limit);
        Self { connected: Connected::new(limit), accept: None }
    }

    /// A protocol that hands its streams over as soon as there is a connection.
    pub(crate) fn accepting(limit: usize, accept: Rc<dyn Accept>) -> Self {
        Self { connected: Connected::new(limit), accept: Some(accept) }
    }

    /// A protocol of one end of a pipe, which is closed when its only half is dropped.
    pub(crate) fn one_way(limit: usize) -> Self {
        let this = Self::new(limit);
        this.connected.note_one_way();
        this
    }

    /// The only half of a pipe to read from.
    pub(crate) fn reader(&self) -> StreamReader {
        StreamReader::of(self.connected.clone())
    }

    /// The only half of a pipe to write to; `None` before `connection_made`.
    pub(crate) fn writer(&self) -> Option<StreamWriter> {
        let transport = self.connected.transport()?.clone();
        Some(StreamWriter::new(self.connected.clone(), transport))
    }

    /// The two halves of the stream. What has arrived before is there to be read.
    ///
    /// `None` before `connection_made`, and if they were taken already.
    pub fn streams(&self) -> Option<(StreamReader, StreamWriter)> {
        streams(&self.connected)
    }
}

/// Both halves of a connection. `None` if it has not been made, or they were handed out before.
pub(crate) fn streams(connected: &Rc<Connected>) -> Option<(StreamReader, StreamWriter)> {
    let transport = connected.transport()?.clone();
    connected
        .take_streams()
        .then(|| (StreamReader::of(connected.clone()), StreamWriter::new(connected.clone(), transport)))
}

/// # Panics
///
/// If `limit` is zero.
#[track_caller]
pub(crate) fn check_limit(limit: usize) {
    assert!(limit > 0, "the limit of a stream is zero bytes: nothing could be read");
}

/// asyncio's limit: 64 KiB.
pub(crate) const DEFAULT_LIMIT: usize = 64 * 1024;

impl Default for StreamReaderProtocol {
    /// With asyncio's limit: 64 KiB.
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}

impl Protocol for StreamReaderProtocol {
    fn connection_made(&mut self, transport: &Transport) {
        self.connected.set_transport(transport);
        if let Some(accept) = self.accept.take() {
            accept.accept(&self.connected, transport);
        }
    }

    fn data_received(&mut self, data: &[u8]) {
        self.connected.feed_data(data);
    }

    fn eof_received(&mut self) -> bool {
        self.connected.feed_eof();
        // Under TLS one direction cannot go on alone.
        self.connected.transport().is_none_or(Transport::can_write_eof)
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        self.connected.connection_lost(error);
    }

    fn pause_writing(&mut self) {
        self.connected.pause_writing();
    }

    fn resume_writing(&mut self) {
        self.connected.resume_writing();
    }
}

impl fmt::Debug for StreamReaderProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamReaderProtocol").field(&self.connected).finish()
    }
}
