//! `echo_server` on monoio with io_uring: one task for each connection, buffers lent to the kernel.

use std::io;

use io_uring::IoUring;
use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, RuntimeBuilder};
use peers_common::echo::{Options, listen, say_ready};

fn main() -> io::Result<()> {
    let options = Options::from_env();
    let listener = listen(options.port)?;
    // Completions are worked on when the loop asks for them, not by interrupting it.
    let mut ring = IoUring::builder();
    ring.setup_single_issuer().setup_defer_taskrun();
    let mut runtime = RuntimeBuilder::<IoUringDriver>::new().with_entries(4096).uring_builder(ring).build()?;
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener)?;
        say_ready()?;
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            monoio::spawn(async move {
                // Clients vanish at any time: the connection ends, and that is all.
                let _ = connection(stream, options).await;
            });
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
        let (read, filled) = stream.read(buffer).await;
        buffer = filled;
        if read? == 0 {
            return Ok(());
        }
        if !options.is_sink {
            let (written, lent) = stream.write_all(buffer).await;
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
        let (read, filled) = stream.read(buffer).await;
        buffer = filled;
        if read? == 0 {
            return Ok(());
        }
        pending.append(&mut buffer);
        let whole = pending.len() / frame_bytes * frame_bytes;
        for bytes in pending[..whole].chunks_exact(frame_bytes) {
            frame.clear();
            frame.extend_from_slice(bytes);
            let (written, lent) = stream.write_all(frame).await;
            written?;
            frame = lent;
        }
        pending.drain(..whole);
    }
}
