//! `StreamPair`: both halves of a stream in one value.

use crate::reader::StreamReader;
use crate::writer::StreamWriter;

/// A [`StreamReader`] and a [`StreamWriter`] in one value, for libraries that want to read and write by one: it has the traits
/// of `futures_io`, and behind features those of `tokio::io` and `hyper::rt`.
///
/// The two need not be of one connection: the output of one process and the input of another make a pair.
///
/// # asyncio
///
/// None.
#[derive(Debug)]
pub struct StreamPair {
    pub(crate) reader: StreamReader,
    pub(crate) writer: StreamWriter,
}

impl StreamPair {
    pub(crate) const fn new(reader: StreamReader, writer: StreamWriter) -> Self {
        Self { reader, writer }
    }

    /// The two halves; [`StreamReader::reunite`] is the way back.
    #[must_use]
    pub fn into_split(self) -> (StreamReader, StreamWriter) {
        (self.reader, self.writer)
    }

    /// The two halves, borrowed.
    pub const fn split(&mut self) -> (&mut StreamReader, &StreamWriter) {
        (&mut self.reader, &self.writer)
    }
}

impl From<(StreamReader, StreamWriter)> for StreamPair {
    fn from((reader, writer): (StreamReader, StreamWriter)) -> Self {
        Self::new(reader, writer)
    }
}
