//! An HTTP/1.1 server made of a protocol. With a port as its argument it serves until it is interrupted
//! (`cargo run --example http 8080`, then `curl http://127.0.0.1:8080/`); without one it asks itself once.

#![expect(clippy::print_stdout, reason = "an example says what it does")]

mod protocol;

use asyncio::prelude::*;
use protocol::Http;

fn main() -> std::io::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok());
    asyncio::run(async move {
        let event_loop = asyncio::get_running_loop();
        let server = event_loop.create_server(Http::default, ("127.0.0.1", port.unwrap_or(0))).await?;
        let address = server.local_addrs()[0];
        if port.is_some() {
            println!("serving on http://{address}/");
            return match server.serve_forever().await {
                Ok(never) => match never {},
                Err(error) => Err(error.into()),
            };
        }
        let sock = asyncio::Socket::stream_for(address)?;
        event_loop.sock_connect(&sock, address).await?;
        event_loop.sock_sendall(&sock, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").await?;
        loop {
            let received = event_loop.sock_recv(&sock, 4096).await?;
            if received.is_empty() {
                break;
            }
            print!("{}", String::from_utf8_lossy(&received));
        }
        server.close();
        server.wait_closed().await
    })
}
