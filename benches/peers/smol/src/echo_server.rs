//! `echo_server` on smol's `LocalExecutor` and async-io: one task for each connection.

use std::io;
use std::net::{TcpListener, TcpStream};

use async_executor::LocalExecutor;
use async_io::Async;
use futures_lite::io::{BufReader, BufWriter};
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use peers_common::echo::{Options, listen, say_ready};

fn main() -> io::Result<()> {
    let options = Options::from_env();
    let listener = listen(options.port)?;
    let executor = LocalExecutor::new();
    async_io::block_on(executor.run(serve(&executor, listener, options)))
}

async fn serve(executor: &LocalExecutor<'_>, listener: TcpListener, options: Options) -> io::Result<()> {
    let listener = Async::new_nonblocking(listener)?;
    say_ready()?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let task = executor.spawn(async move {
            // Clients vanish at any time: the connection ends, and that is all.
            let _ = connection(stream, options).await;
        });
        task.detach();
    }
}

async fn connection(stream: Async<TcpStream>, options: Options) -> io::Result<()> {
    stream.get_ref().set_nodelay(true)?;
    match options.frame_bytes {
        None => unframed(stream, options).await,
        Some(bytes) if options.is_buffered => buffered_frames(&stream, bytes, options.buffer_bytes).await,
        Some(bytes) => frames(&stream, bytes, options.buffer_bytes).await,
    }
}

async fn unframed(mut stream: Async<TcpStream>, options: Options) -> io::Result<()> {
    let mut buffer = vec![0; options.buffer_bytes];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if !options.is_sink {
            stream.write_all(&buffer[..read]).await?;
        }
    }
}

/// Each frame is a system call.
async fn frames(mut stream: &Async<TcpStream>, frame_bytes: usize, buffer_bytes: usize) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(buffer_bytes, stream);
    let mut frame = vec![0; frame_bytes];
    loop {
        reader.read_exact(&mut frame).await?;
        stream.write_all(&frame).await?;
    }
}

/// Frames gather in a buffer that is flushed before the next read can wait.
async fn buffered_frames(stream: &Async<TcpStream>, frame_bytes: usize, buffer_bytes: usize) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(buffer_bytes, stream);
    let mut writer = BufWriter::with_capacity(buffer_bytes, stream);
    let mut frame = vec![0; frame_bytes];
    loop {
        if reader.buffer().len() < frame_bytes {
            writer.flush().await?;
        }
        reader.read_exact(&mut frame).await?;
        writer.write_all(&frame).await?;
    }
}
