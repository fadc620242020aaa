//! `echo_server` on tokio's current-thread runtime: one task for each connection.

use std::io;
use std::net::TcpListener as StdListener;

use peers_common::echo::{Options, listen, say_ready};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task;

fn main() -> io::Result<()> {
    let options = Options::from_env();
    let listener = listen(options.port)?;
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(serve(listener, options))
}

async fn serve(listener: StdListener, options: Options) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    say_ready()?;
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        task::spawn_local(async move {
            // Clients vanish at any time: the connection ends, and that is all.
            let _ = connection(stream, options).await;
        });
    }
}

async fn connection(stream: TcpStream, options: Options) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match options.frame_bytes {
        None => unframed(stream, options).await,
        Some(bytes) if options.is_buffered => buffered_frames(stream, bytes, options.buffer_bytes).await,
        Some(bytes) => frames(stream, bytes, options.buffer_bytes).await,
    }
}

async fn unframed(mut stream: TcpStream, options: Options) -> io::Result<()> {
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
async fn frames(mut stream: TcpStream, frame_bytes: usize, buffer_bytes: usize) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut reader = BufReader::with_capacity(buffer_bytes, reader);
    let mut frame = vec![0; frame_bytes];
    loop {
        reader.read_exact(&mut frame).await?;
        writer.write_all(&frame).await?;
    }
}

/// Frames gather in a buffer that is flushed before the next read can wait.
async fn buffered_frames(mut stream: TcpStream, frame_bytes: usize, buffer_bytes: usize) -> io::Result<()> {
    let (reader, writer) = stream.split();
    let mut reader = BufReader::with_capacity(buffer_bytes, reader);
    let mut writer = BufWriter::with_capacity(buffer_bytes, writer);
    let mut frame = vec![0; frame_bytes];
    loop {
        if reader.buffer().len() < frame_bytes {
            writer.flush().await?;
        }
        reader.read_exact(&mut frame).await?;
        writer.write_all(&frame).await?;
    }
}
