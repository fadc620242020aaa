//! Streams: many conversations at once, a slow reader, and a handler that panics.

use crate::{Done, say};
use asyncio::{StreamReader, StreamWriter, create_task, gather};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

const CLIENTS: usize = 100;
const LINES: usize = 50;
const BULK: usize = 64 << 20;

pub(crate) fn tour() -> io::Result<Done> {
    asyncio::run(async {
        conversations().await?;
        slow_reader().await?;
        panicking_handler().await?;
        Ok(Done::new(CLIENTS * LINES, "lines there and back over TCP, and 64 MiB to a slow reader"))
    })
}

async fn echo(mut reader: StreamReader, writer: StreamWriter) -> io::Result<()> {
    let mut lines = reader.lines();
    while let Some(line) = lines.next().await {
        writer.write_all(line?).await?;
    }
    Ok(())
}

/// A server, and clients that talk to it at the same time.
async fn conversations() -> io::Result<()> {
    let server = asyncio::start_server(echo, ("127.0.0.1", 0)).backlog(128).await?;
    let address = server.local_addrs()[0];
    let client = async move |n: usize| -> io::Result<usize> {
        let (mut reader, writer) = asyncio::open_connection(address).await?;
        for line in 0..LINES {
            let question = format!("line {line} of client {n}\n");
            writer.write_all(&question).await?;
            assert_eq!(reader.readline().await?, question);
        }
        Ok(LINES)
    };
    let client = Rc::new(client);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| {
            let client = client.clone();
            create_task(async move { client(n).await })
        })
        .collect();
    let begin = asyncio::get_running_loop().time();
    let mut lines = 0;
    for outcome in gather(clients).await {
        lines += outcome.expect("nobody cancels a client")?;
    }
    let micros = (asyncio::get_running_loop().time() - begin) * 1e6 / lines as f64;
    assert_eq!(lines, CLIENTS * LINES, "a line was lost");
    server.close();
    server.wait_closed().await?;
    say(format_args!("{CLIENTS} clients, {lines} lines there and back: {micros:.1} us each, both ends"));
    Ok(())
}

/// A reader that takes its time holds the writer back: memory stays small.
async fn slow_reader() -> io::Result<()> {
    let most = Rc::new(Cell::new(0));
    let seen = most.clone();
    let send = async move |_reader: StreamReader, writer: StreamWriter| {
        let block = [7; 32 << 10];
        for _ in 0..BULK / block.len() {
            writer.write_all(block).await?;
            seen.set(seen.get().max(writer.transport().get_write_buffer_size()));
        }
        io::Result::Ok(())
    };
    let server = asyncio::start_server(send, ("127.0.0.1", 0)).await?;
    let (mut reader, _writer) = asyncio::open_connection(server.local_addrs()[0]).limit(16 << 10).await?;
    let mut received = 0;
    loop {
        let bytes = reader.read(10_000).await?;
        if bytes.is_empty() {
            break;
        }
        received += bytes.len();
        asyncio::yield_now().await;
    }
    assert_eq!(received, BULK, "bytes were lost");
    assert!(most.get() <= (64 << 10) + (32 << 10), "more than the high-water mark and one write waits");
    server.close();
    say(format_args!("64 MiB to a slow reader: {} KiB at most waited in the sender", most.get() >> 10));
    Ok(())
}

/// A panic is reported with the peer, and ends its own connection.
async fn panicking_handler() -> io::Result<()> {
    let reports = Rc::new(RefCell::new(Vec::new()));
    let event_loop = asyncio::get_running_loop();
    let kept = reports.clone();
    event_loop.set_exception_handler(move |_, report| {
        kept.borrow_mut().push(report.get("peername").unwrap_or("nobody").to_owned());
    });
    std::panic::set_hook(Box::new(|_| {}));
    let fragile = async |mut reader: StreamReader, _writer: StreamWriter| {
        let line = reader.readline().await?;
        assert!(line != "break\n", "as the client wished");
        io::Result::Ok(())
    };
    let server = asyncio::start_server(fragile, ("127.0.0.1", 0)).await?;
    let (mut reader, writer) = asyncio::open_connection(server.local_addrs()[0]).await?;
    writer.write_all("break\n").await?;
    assert_eq!(reader.read(-1).await?, "", "the connection is closed");
    drop(std::panic::take_hook());
    event_loop.reset_exception_handler();
    assert_eq!(*reports.borrow(), [writer.local_addr()?.to_string()]);
    server.close();
    say(format_args!("a handler that panicked was reported with its peer, {}", reports.borrow()[0]));
    Ok(())
}
