//! `echo_server` on glommio: one task for each connection.

use std::io;
use std::os::fd::{FromRawFd as _, IntoRawFd as _};

use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _};
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutorBuilder, Placement};
use peers_common::echo::{Options, listen, say_ready};

fn main() -> io::Result<()> {
    let options = Options::from_env();
    let listener = listen(options.port)?;
    let executor = LocalExecutorBuilder::new(Placement::Unbound).ring_depth(4096).make()?;
    executor.run(async move {
        // SAFETY: the descriptor was given up by its owner just now, and is a listening socket.
        let listener = unsafe { TcpListener::from_raw_fd(listener.into_raw_fd()) };
        say_ready()?;
        loop {
            let Ok(stream) = listener.accept().await else { continue };
            let task = glommio::spawn_local(async move {
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
    let mut buffer = vec![0; buffer_bytes.max(frame_bytes)];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Ok(());
        }
        filled += read;
        let whole = filled / frame_bytes * frame_bytes;
        for frame in buffer[..whole].chunks_exact(frame_bytes) {
            stream.write_all(frame).await?;
        }
        buffer.copy_within(whole..filled, 0);
        filled -= whole;
    }
}
