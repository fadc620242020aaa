//! `copy`: from a reader to a writer.

use crate::reader::StreamReader;
use crate::writer::StreamWriter;
use std::io;

/// Moves bytes from `reader` to `writer` until the stream ends, as fast as the slower of the two; gives how many. The writer stays
/// open.
///
/// Bytes are handed on as they came, without a copy.
///
/// # Cancel safety
///
/// Cancel safe: whatever has left the reader was written.
///
/// # Errors
///
/// What reading fails with, or [`drain`](StreamWriter::drain); the rest is unread.
///
/// # Panics
///
/// If [`write_eof`](StreamWriter::write_eof) was called on the writer.
///
/// # asyncio
///
/// None.
pub async fn copy(reader: &mut StreamReader, writer: &StreamWriter) -> io::Result<u64> {
    let mut copied = 0;
    loop {
        let bytes = reader.read(usize::MAX).await?;
        if bytes.is_empty() {
            return Ok(copied);
        }
        copied += bytes.len() as u64;
        writer.write_bytes(bytes);
        writer.drain().await?;
    }
}
