//! Clients that nobody here wrote: curl(1), and Python's own asyncio. A program that is missing fails the test, and says what to
//! install.
#![cfg(unix)]

#[path = "../examples/http/protocol.rs"]
mod protocol;

use asyncio::prelude::*;
use asyncio::{Protocol, Transport};
use protocol::Http;
use std::net::SocketAddr;
use std::process::Command;

/// Runs a program while the loop serves; gives what it has printed.
async fn output_of(program: &'static str, package: &'static str, arguments: Vec<String>) -> Vec<u8> {
    let ran = asyncio::to_thread(move || Command::new(program).args(arguments).output()).await;
    let output =
        ran.unwrap_or_else(|error| panic!("{program} does not run ({error}): install it (apt-get install {package})"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {}: {errors}", output.status);
    output.stdout
}

/// Serves by `factory` while `with` runs, and then ends.
fn serving<P: Protocol>(factory: fn() -> P, with: impl AsyncFnOnce(SocketAddr) + 'static) {
    asyncio::run(async move {
        let server = asyncio::get_running_loop().create_server(factory, ("127.0.0.1", 0)).await.unwrap();
        with(server.local_addrs()[0]).await;
        assert_eq!(server.shutdown(10).await, 0, "every client is gone by itself");
    });
}

#[test]
fn curl_gets_heads_and_posts() {
    serving(Http::default, async |address| {
        let curl = |arguments: &[&str]| {
            let all = ["-sS", "--max-time", "50", "--http1.1"].iter().chain(arguments).map(ToString::to_string);
            output_of("curl", "curl", all.collect())
        };
        let url = format!("http://{address}/");
        assert_eq!(curl(&[&url]).await, b"Hello from a protocol.\n");
        // Two requests, one connection.
        let twice = curl(&[&url, &url, "-w", "%{http_code} %{num_connects}\n"]).await;
        let hello = "Hello from a protocol.\n";
        assert_eq!(String::from_utf8(twice).unwrap(), format!("{hello}200 1\n{hello}200 0\n"));
        assert!(curl(&["-I", &url]).await.starts_with(b"HTTP/1.1 200 OK\r\n"));
        assert_eq!(
            curl(&["--http1.0", "-o", "/dev/null", "-w", "%{http_code}", &format!("{url}nowhere")]).await,
            b"404"
        );
        let refused = curl(&["-H", "Transfer-Encoding: chunked", "-d", "x", "-w", "%{http_code}", &url]).await;
        assert_eq!(refused, b"400");

        let body: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let path = std::env::temp_dir().join(format!("asyncio-real-clients-{}", std::process::id()));
        std::fs::write(&path, &body).unwrap();
        let echoed = curl(&["--data-binary", &format!("@{}", path.display()), &url]).await;
        std::fs::remove_file(&path).unwrap();
        assert!(echoed == body, "{} bytes came back", echoed.len());
    });
}

/// Sends everything back, and the end, too.
#[derive(Default)]
struct Echo(Option<Transport>);

impl Protocol for Echo {
    fn connection_made(&mut self, transport: &Transport) {
        self.0 = Some(transport.clone());
    }

    fn data_received(&mut self, data: &[u8]) {
        self.0.iter().for_each(|transport| transport.write(data));
    }

    fn pause_writing(&mut self) {
        self.0.iter().for_each(Transport::pause_reading);
    }

    fn resume_writing(&mut self) {
        self.0.iter().for_each(Transport::resume_reading);
    }
}

/// Several clients at once: whole blocks, single bytes, a half-close, a reset, and one that reads late.
const PYTHON: &str = r#"
import asyncio, hashlib, os, socket, struct, sys
host, port = sys.argv[1], int(sys.argv[2])

async def echo(data, piece, late):
    reader, writer = await asyncio.open_connection(host, port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    async def send():
        for start in range(0, len(data), piece):
            writer.write(data[start:start + piece])
            await writer.drain()
        writer.write_eof()
    sending = asyncio.ensure_future(send())
    if late:
        await asyncio.sleep(0.2)
    received = await reader.read()
    await sending
    writer.close()
    assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest(), (len(received), len(data))

async def reset():
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"x" * 100000)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

async def main():
    await asyncio.gather(
        echo(os.urandom(3_000_000), 65536, False), echo(os.urandom(2000), 1, False),
        echo(os.urandom(10_000_000), 1 << 20, True), *[reset() for _ in range(20)])
    print("lossless")

asyncio.run(main())
"#;

#[test]
fn asyncio_of_python_gets_back_what_it_has_sent() {
    serving(Echo::default, async |address| {
        let arguments = ["-c", PYTHON, &address.ip().to_string(), &address.port().to_string()].map(ToOwned::to_owned);
        assert_eq!(output_of("python3", "python3", arguments.into()).await, b"lossless\n");
    });
}
