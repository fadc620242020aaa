//! `--mode streams` of `echo_server`: a coroutine for each connection.

use asyncio::{StreamReader, StreamWriter};
use peers_common::echo::{Options, listen, say_ready};
use std::future::pending;
use std::io;

/// Accepts until it is killed.
pub(crate) fn serve(options: Options) -> io::Result<()> {
    asyncio::run(async move {
        let listener = listen(options.port)?;
        let _server = match (options.is_sink, options.frame_bytes) {
            (true, _) => asyncio::start_server_on(async move |reader, _writer| sink(options, reader).await, listener),
            (false, None) => {
                asyncio::start_server_on(async move |reader, writer| echo(options, reader, writer).await, listener)
            }
            (false, Some(bytes)) => {
                asyncio::start_server_on(async move |reader, writer| frames(bytes, reader, writer).await, listener)
            }
        }
        .backlog(4096)
        .await?;
        say_ready()?;
        pending().await
    })
}

/// Every byte goes back. A client that vanishes is nothing to report.
async fn echo(options: Options, mut reader: StreamReader, writer: StreamWriter) {
    while let Ok(data) = reader.read(options.buffer_bytes).await
        && !data.is_empty()
    {
        writer.write_bytes(data);
        if writer.drain().await.is_err() {
            break;
        }
    }
}

/// Every byte is dropped.
async fn sink(options: Options, mut reader: StreamReader) {
    while let Ok(data) = reader.read(options.buffer_bytes).await
        && !data.is_empty()
    {}
}

/// Frame by frame, each by a write of its own.
async fn frames(bytes: usize, mut reader: StreamReader, writer: StreamWriter) {
    while let Ok(frame) = reader.readexactly(bytes).await {
        writer.write(frame);
    }
}
