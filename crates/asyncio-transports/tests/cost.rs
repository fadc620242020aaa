//! What connections cost, by counting: allocations and bytes. On the platform's driver.

#![expect(clippy::print_stdout, reason = "a child says what it has measured")]

use asyncio_loop::EventLoop;
use asyncio_tasks::LoopTasksExt as _;
use asyncio_testing::{CountingAllocator, count_allocations};
use asyncio_transports::{LoopSocketsExt as _, LoopTransportsExt as _, Protocol, Server, Socket, Transport};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const ROUNDS: usize = 1000;
#[cfg(unix)]
const IDLE: usize = 10_000;

/// Answers frame by frame.
#[derive(Default)]
struct Echo {
    transport: Option<Transport>,
}

impl Protocol for Echo {
    fn connection_made(&mut self, transport: &Transport) {
        self.transport = Some(transport.clone());
    }

    fn data_received(&mut self, data: &[u8]) {
        let transport = self.transport.as_ref().unwrap();
        data.chunks(64).for_each(|frame| transport.write(frame));
        if data.starts_with(b"from elsewhere") {
            transport.write(b"bytes that were not received");
            transport.write(data);
        }
    }
}

fn serve(event_loop: &EventLoop) -> Server {
    let inner = event_loop.clone();
    let serving = async move { inner.create_server(Echo::default, ("127.0.0.1", 0)).backlog(1000).await.unwrap() };
    event_loop.run_until_complete(serving).unwrap()
}

/// Runs the loop until `is_so`.
fn run_until(event_loop: &EventLoop, is_so: impl Fn() -> bool) {
    while !is_so() {
        event_loop.run_once(None).unwrap();
    }
}

#[test]
fn a_request_and_its_answer_allocate_nothing() {
    let event_loop = EventLoop::builder().build().unwrap();
    let server = serve(&event_loop);
    let mut client = TcpStream::connect(server.local_addrs()[0]).unwrap();
    run_until(&event_loop, || server.client_count() == 1);
    client.set_nonblocking(true).unwrap();
    for (request, answer_bytes) in [(vec![1; 1024], 1024), (b"from elsewhere".to_vec(), 14 + 28 + 14)] {
        let mut answer = vec![0; answer_bytes];
        let mut round = || {
            client.write_all(&request).unwrap();
            let mut received = 0;
            while received < answer.len() {
                match client.read(&mut answer[received..]) {
                    Ok(bytes) => received += bytes,
                    Err(_) => event_loop.run_once(None).unwrap(),
                }
            }
        };
        (0..ROUNDS).for_each(|_| round());
        let ((), counts) = count_allocations(|| (0..ROUNDS).for_each(|_| round()));
        assert_eq!(counts.allocations, 0, "{answer_bytes}");
    }
    server.close_clients();
    server.close();
    event_loop.run_until_blocked().unwrap();
}

#[test]
fn receiving_and_sending_by_a_socket_allocates_nothing() {
    let event_loop = EventLoop::builder().build().unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let sock = Socket::new(listener.accept().unwrap().0).unwrap();
    client.set_nonblocking(true).unwrap();
    let inner = event_loop.clone();
    let echo = event_loop.create_task(async move {
        let mut room = vec![0; 4096];
        loop {
            match inner.sock_recv_into(&sock, &mut room).await.unwrap() {
                0 => break,
                bytes => inner.sock_sendall(&sock, &room[..bytes]).await.unwrap(),
            }
        }
    });
    let mut answer = vec![0; 1024];
    let mut round = || {
        client.write_all(&[1; 1024]).unwrap();
        let mut received = 0;
        while received < answer.len() {
            match client.read(&mut answer[received..]) {
                Ok(bytes) => received += bytes,
                Err(_) => event_loop.run_once(None).unwrap(),
            }
        }
    };
    (0..ROUNDS).for_each(|_| round());
    let ((), counts) = count_allocations(|| (0..ROUNDS).for_each(|_| round()));
    assert_eq!(counts.allocations, 0);
    drop(client);
    event_loop.run_until_complete(async move { echo.await.unwrap() }).unwrap();
}

/// With the clients in a process of their own, and both with as many descriptors as they need.
#[cfg(unix)]
#[test]
fn an_idle_connection_costs_less_than_256_bytes() {
    const NAME: &str = "an_idle_connection_costs_less_than_256_bytes";
    match std::env::var(CHILD) {
        Err(_) => {
            let script = format!("ulimit -n {} && exec \"$0\" \"$@\"", IDLE + 200);
            let child = std::process::Command::new("sh")
                .args(["-c", &script])
                .arg(std::env::current_exe().unwrap())
                .args(["--exact", NAME, "--test-threads=1", "--nocapture"])
                .env(CHILD, "")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&child.stdout).into_owned() + &String::from_utf8_lossy(&child.stderr);
            assert!(child.status.success() && said.contains("bytes for an idle connection"), "{said}");
        }
        Ok(address) if address.is_empty() => idle(NAME),
        Ok(address) => be_clients(address.parse().unwrap()),
    }
}

#[cfg(unix)]
fn idle(name: &str) {
    let event_loop = EventLoop::builder().build().unwrap();
    let server = serve(&event_loop);
    let address = server.local_addrs()[0];
    // What the loop needs for itself is allocated with the first connections.
    let first: Vec<_> = (0..20).map(|_| TcpStream::connect(address).unwrap()).collect();
    run_until(&event_loop, || server.client_count() == first.len());
    drop(first);
    run_until(&event_loop, || server.client_count() == 0);

    let mut clients = std::process::Command::new(std::env::current_exe().unwrap());
    let clients = clients.args(["--exact", name, "--test-threads=1"]).env(CHILD, address.to_string());
    let clients = clients.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut clients = clients.spawn().unwrap();
    let ((), counts) = count_allocations(|| run_until(&event_loop, || server.client_count() == IDLE));
    let bytes = counts.growth_bytes() / IDLE as i64;
    println!("{bytes} bytes for an idle connection");
    assert!(bytes <= 256, "{bytes} bytes");
    drop(clients.stdin.take());
    run_until(&event_loop, || server.client_count() == 0);
    assert!(clients.wait().unwrap().success());
    server.close();
    event_loop.run_until_blocked().unwrap();
}

/// Connects, and holds the connections until its standard input ends.
#[cfg(unix)]
fn be_clients(address: std::net::SocketAddr) {
    let clients: Vec<_> = (0..IDLE).map(|_| TcpStream::connect(address).unwrap()).collect();
    let ended = std::io::stdin().read(&mut [0]).unwrap();
    assert_eq!((clients.len(), ended), (IDLE, 0));
}

/// Set in the children: empty, or where to connect.
#[cfg(unix)]
const CHILD: &str = "ASYNCIO_COST_CHILD";
