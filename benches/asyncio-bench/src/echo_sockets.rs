//! `echo_server --mode sockets`: `recv` and `send_all` on sockets, in a task for each connection.

use asyncio::Socket;
use asyncio::prelude::*;
use peers_common::echo::{Options, listen, say_ready};
use std::io;

/// Accepts until it is killed.
pub(crate) fn serve(options: Options) -> io::Result<()> {
    asyncio::run(async move {
        let event_loop = asyncio::get_running_loop();
        let listener = Socket::new(listen(options.port)?)?;
        say_ready()?;
        loop {
            let (sock, _) = event_loop.sock_accept(&listener).await?;
            sock.set_nodelay(true)?;
            asyncio::create_task(async move {
                // A client that vanishes ends its task, and nothing else.
                let _ = serve_one(&sock, options).await;
            });
        }
    })
}

async fn serve_one(sock: &Socket, options: Options) -> io::Result<()> {
    let event_loop = asyncio::get_running_loop();
    let mut room = vec![0; options.buffer_bytes];
    let mut kept = 0;
    loop {
        let count = event_loop.sock_recv_into(sock, &mut room[kept..]).await?;
        if count == 0 {
            return Ok(());
        }
        kept += count;
        let whole = match options.frame_bytes {
            _ if options.is_sink => kept,
            None => {
                event_loop.sock_sendall(sock, &room[..kept]).await?;
                kept
            }
            Some(frame_bytes) => {
                let frames = room[..kept].chunks_exact(frame_bytes);
                let partial = frames.remainder().len();
                for frame in frames {
                    event_loop.sock_sendall(sock, frame).await?;
                }
                kept - partial
            }
        };
        room.copy_within(whole..kept, 0);
        kept -= whole;
    }
}
