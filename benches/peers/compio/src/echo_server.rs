//! `echo_server` on compio with io_uring: one task for each connection, buffers lent to the kernel.

use std::io;

use compio::BufResult;
use compio::driver::ProactorBuilder;
use compio::io::{AsyncRead as _, AsyncWriteExt as _};
use compio::net::{TcpListener, TcpStream};
use compio::runtime::RuntimeBuilder;
use peers_common::echo::{Options, listen, say_ready};

fn main() -> io::Result<()> {
    let options = Options::from_env();
    let listener = listen(options.port)?;
    let mut proactor = ProactorBuilder::new();
    // Completions are worked on when the loop asks for them, not by interrupting it.
    proactor.capacity(4096).single_issuer(true).defer_taskrun(true);
    let runtime = RuntimeBuilder::new().with_proactor(proactor).build()?;
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener)?;
        say_ready()?;
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let task = compio::runtime::spawn(async move {
                // Clients vanish at any time: the connection ends, and that is all.
                let _ = connection(stream, options).await;
            });
            task.detach();
        }
    })
}

async fn connection(stream: TcpStream, options: Options) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match options.frame_bytes {
        None => unframed(stream, options).await,
        Some(bytes) => frames(stream, bytes, options.buffer_bytes).await,
    }
}

async fn unframed(mut stream: TcpStream, options: Options) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(options.buffer_bytes);
    loop {
        let BufResult(read, filled) = stream.read(buffer).await;
        buffer = filled;
        if read? == 0 {
            return Ok(());
        }
        if !options.is_sink {
            let BufResult(written, lent) = stream.write_all(buffer).await;
            written?;
            buffer = lent;
        }
        buffer.clear();
    }
}

/// Each frame is a write of its own.
async fn frames(mut stream: TcpStream, frame_bytes: usize, buffer_bytes: usize) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(buffer_bytes);
    let mut pending: Vec<u8> = Vec::with_capacity(buffer_bytes);
    let mut frame = Vec::with_capacity(frame_bytes);
    loop {
        let BufResult(read, filled) = stream.read(buffer).await;
        buffer = filled;
        if read? == 0 {
            return Ok(());
        }
        pending.append(&mut buffer);
        let whole = pending.len() / frame_bytes * frame_bytes;
        for bytes in pending[..whole].chunks_exact(frame_bytes) {
            frame.clear();
            frame.extend_from_slice(bytes);
            let BufResult(written, lent) = stream.write_all(frame).await;
            written?;
            frame = lent;
        }
        pending.drain(..whole);
    }
}
