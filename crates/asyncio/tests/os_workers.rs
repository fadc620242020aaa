//! Several loops on one port: the kernel spreads the connections, a stop lets each worker finish its own.
#![cfg(target_os = "linux")]

use asyncio::{StreamReader, StreamWriter, Worker};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// The number of the worker, and then whatever comes in until a line is `end`.
async fn converse(index: usize, mut reader: StreamReader, writer: StreamWriter) -> io::Result<()> {
    writer.write_all(format!("{index}\n")).await?;
    loop {
        let line = reader.readline().await?;
        writer.write_all(&line).await?;
        if line.is_empty() || line == "end\n" {
            return Ok(());
        }
    }
}

/// A port that nobody else has while what comes back lives: it is bound, and does not listen.
async fn reserve() -> io::Result<(asyncio::Server, SocketAddr)> {
    let nobody = async |_: StreamReader, _: StreamWriter| {};
    let server = asyncio::start_server(nobody, ("127.0.0.1", 0)).reuse_port(true).start_serving(false).await?;
    let address = server.local_addrs()[0];
    Ok((server, address))
}

async fn connect(address: SocketAddr) -> io::Result<(usize, StreamReader, StreamWriter)> {
    let (mut reader, writer) = asyncio::open_connection(address).await?;
    let line = reader.readline().await?;
    let index = std::str::from_utf8(&line).unwrap().trim().parse().unwrap();
    Ok((index, reader, writer))
}

#[asyncio::test]
async fn all_loops_serve_one_port_and_a_stop_waits_for_conversations() -> io::Result<()> {
    const WORKERS: usize = 4;
    let (reserved, address) = reserve().await?;
    let listening = Arc::new(asyncio::threadsafe::Semaphore::new(0));
    let listens = listening.clone();
    let main = async move |worker: Worker| {
        let index = worker.index();
        // Who leaves without a word is no fault.
        let handler = async move |reader, writer| drop(converse(index, reader, writer).await);
        let server = asyncio::start_server(handler, address).reuse_port(true).await?;
        listens.release();
        server.serve_forever().await?;
        io::Result::Ok(())
    };
    let mut workers = asyncio::workers(WORKERS, main).start().await?;
    for _ in 0..WORKERS {
        listening.acquire().await.forget();
    }
    reserved.close();

    // The kernel chooses by a hash of the ports: a thousand connections that all miss one of four is one chance in 10^124.
    let mut conversations: [Option<(StreamReader, StreamWriter)>; WORKERS] = Default::default();
    for _ in 0..1000 {
        let (index, reader, writer) = connect(address).await?;
        conversations[index].get_or_insert((reader, writer));
        if conversations.iter().all(Option::is_some) {
            break;
        }
    }
    assert!(conversations.iter().all(Option::is_some), "a worker was given no connection");

    // Stopped: nobody new comes in, and everybody who is here may finish.
    workers.stop();
    while asyncio::open_connection(address).await.is_ok() {}
    for (mut reader, writer) in conversations.into_iter().flatten() {
        writer.write_all("still here\n").await?;
        assert_eq!(reader.readline().await?, "still here\n");
        writer.write_all("end\n").await?;
        assert_eq!(reader.read(-1).await?, "end\n");
    }
    workers.wait().await?;
    Ok(())
}

#[asyncio::test]
async fn a_worker_that_cannot_listen_ends_all_of_them() {
    let (reserved, address) = reserve().await.unwrap();
    let main = async move |worker: Worker| {
        let handler = async move |_: StreamReader, _: StreamWriter| {};
        let shares = worker.index() != 1;
        // One of them shares neither the port nor an address that somebody has.
        let server = asyncio::start_server(handler, address).reuse_port(shares).reuse_address(shares).await?;
        server.serve_forever().await?;
        io::Result::Ok(())
    };
    let error = asyncio::workers(3, main).await.unwrap_err();
    assert_eq!(error.failures().len(), 1);
    assert_eq!(error.failures()[0].0, 1);
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::AddrInUse);
    reserved.close();
}
