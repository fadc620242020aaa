//! What streams cost, by counting: allocations and bytes. On the platform's driver.

use asyncio_loop::EventLoop;
use asyncio_streams::{StreamReader, StreamWriter, start_server};
use asyncio_tasks::LoopTasksExt as _;
use asyncio_testing::{CountingAllocator, count_allocations};
use asyncio_transports::Server;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const ROUNDS: usize = 1000;
const IDLE: usize = 200;

/// What a handler does with each request.
#[derive(Clone, Copy, Debug)]
enum Mode {
    Read,
    Owned,
    Frames,
    Lines,
    WithLimits,
}

async fn answer(mode: Mode, reader: &mut StreamReader, writer: &StreamWriter) -> io::Result<bool> {
    match mode {
        Mode::Read => {
            let data = reader.read(65_536).await?;
            writer.write(&data);
            writer.drain().await?;
            return Ok(!data.is_empty());
        }
        Mode::Owned => {
            let data = reader.read(65_536).await?;
            let goes_on = !data.is_empty();
            writer.write_bytes(data);
            writer.drain().await?;
            return Ok(goes_on);
        }
        Mode::Frames => writer.write(reader.readexactly(64).await?),
        Mode::Lines => writer.write_all(reader.readline().await?).await?,
        Mode::WithLimits => {
            reader.set_timeout(60);
            writer.set_timeout(60);
            writer.write_all(reader.readuntil(["\n", "\r\n"]).await?).await?;
            writer.flush().await?;
        }
    }
    Ok(true)
}

fn serve(event_loop: &EventLoop, mode: Mode) -> Server {
    let handler = async move |mut reader: StreamReader, writer: StreamWriter| {
        while let Ok(true) = answer(mode, &mut reader, &writer).await {
            if reader.at_eof() {
                break;
            }
        }
    };
    let serving = async move { start_server(handler, ("127.0.0.1", 0)).backlog(1000).await.unwrap() };
    event_loop.run_until_complete(serving).unwrap()
}

/// Runs the loop until `is_so`.
fn run_until(event_loop: &EventLoop, is_so: impl Fn() -> bool) {
    while !is_so() {
        event_loop.run_once(None).unwrap();
    }
}

/// One request of each client, and all of its answer.
fn ask(event_loop: &EventLoop, clients: &mut [TcpStream], request: &[u8], room: &mut [u8]) {
    for client in &mut *clients {
        client.write_all(request).unwrap();
    }
    for client in clients {
        let mut received = 0;
        while received < request.len() {
            match client.read(&mut room[received..]) {
                Ok(bytes) => received += bytes,
                Err(_) => event_loop.run_once(None).unwrap(),
            }
        }
        assert_eq!(&room[..received], request);
    }
}

#[test]
fn a_request_and_its_answer_allocate_nothing() {
    // 16 lines of 64 bytes each.
    let lines: Vec<u8> = (0..1024).map(|n| if n % 64 == 63 { b'\n' } else { b'x' }).collect();
    let large = vec![7; 32 * 1024];
    for mode in [Mode::Read, Mode::Owned, Mode::Frames, Mode::Lines, Mode::WithLimits] {
        for (request, clients) in [(&lines, 1), (&lines, 50), (&large, 1), (&large, 5)] {
            if matches!(mode, Mode::Lines | Mode::WithLimits) && request.len() > 1024 {
                continue;
            }
            let event_loop = EventLoop::builder().build().unwrap();
            let server = serve(&event_loop, mode);
            let mut clients: Vec<_> =
                (0..clients).map(|_| TcpStream::connect(server.local_addrs()[0]).unwrap()).collect();
            run_until(&event_loop, || server.client_count() == clients.len());
            clients.iter().for_each(|client| client.set_nonblocking(true).unwrap());
            let mut room = vec![0; request.len()];
            (0..100).for_each(|_| ask(&event_loop, &mut clients, request, &mut room));
            let rounds = ROUNDS / clients.len();
            let ((), counts) = count_allocations(|| {
                (0..rounds).for_each(|_| ask(&event_loop, &mut clients, request, &mut room));
            });
            let what = format!("{mode:?}, {} clients, {} bytes", clients.len(), request.len());
            assert_eq!((counts.allocations, counts.deallocations), (0, 0), "{what}");
            server.close_clients();
            server.close();
            event_loop.run_until_blocked().unwrap();
            event_loop.close().unwrap();
        }
    }
}

/// What a task with a small coroutine is.
const TASK_BYTES: i64 = 128;

#[test]
fn an_idle_connection_costs_no_more_than_a_kibibyte_and_its_task() {
    let event_loop = EventLoop::builder().build().unwrap();
    let handler = async |mut reader: StreamReader, writer: StreamWriter| {
        while let Ok(data) = reader.read(65_536).await
            && !data.is_empty()
        {
            writer.write(&data);
            writer.drain().await?;
        }
        io::Result::Ok(())
    };
    let serving = async move { start_server(handler, ("127.0.0.1", 0)).backlog(1000).await.unwrap() };
    let server = event_loop.run_until_complete(serving).unwrap();
    let address = server.local_addrs()[0];
    let mut clients = Vec::with_capacity(2 * IDLE);
    let mut room = vec![0; 64];
    let mut connect = |clients: &mut Vec<TcpStream>, count: usize| {
        for _ in 0..count {
            clients.push(TcpStream::connect(address).unwrap());
            clients.last().unwrap().set_nonblocking(true).unwrap();
        }
        run_until(&event_loop, || server.client_count() == clients.len());
        // Each has been used, and has nothing to do any more.
        ask(&event_loop, clients, b"hello", &mut room);
        event_loop.run_until_blocked().unwrap();
    };
    // The tables of the loop have grown, and have been used; so have the spare buffers.
    connect(&mut clients, IDLE);
    clients.clear();
    run_until(&event_loop, || server.client_count() == 0);
    event_loop.run_until_blocked().unwrap();

    let ((), counts) = count_allocations(|| connect(&mut clients, IDLE));
    // The slot of the registration lies in a table that is never more than half empty.
    let bytes = counts.growth_bytes() / IDLE as i64 + SLOT_BYTES_MAX;
    assert!(bytes <= 1024 + TASK_BYTES, "{bytes} bytes");
    drop(clients);
    run_until(&event_loop, || server.client_count() == 0);
    server.close();
    event_loop.run_until_blocked().unwrap();
}

/// Two words and a generation, in a table that grows by doubling.
const SLOT_BYTES_MAX: i64 = 2 * 24;
