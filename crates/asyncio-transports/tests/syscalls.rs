//! Which system calls a connection makes, counted by strace(1): on Linux, with the epoll driver.
//!
//! As the test of that name of `asyncio-loop`: the test starts itself once more under strace, and marks its phases by asking
//! for the metadata of files that do not exist. The clients are blocking sockets of the same thread, whose calls are counted
//! too: each request is one send and one receive of theirs.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a test that is skipped has to say so")]

use asyncio_driver::Address;
use asyncio_loop::EventLoop;
use asyncio_tasks::LoopTasksExt as _;
use asyncio_transports::{DatagramProtocol, DatagramTransport, LoopTransportsExt as _, Protocol, Transport};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::process::Command;

/// Set in the child.
const CHILD: &str = "ASYNCIO_SYSCALLS_CHILD";
const ROUNDS: usize = 100;
const CLIENTS: usize = 10;

/// How often each system call was made.
type Calls = BTreeMap<String, usize>;

#[test]
fn only_what_is_promised_reaches_the_kernel() {
    if std::env::var_os(CHILD).is_some() {
        return program();
    }
    let Some(trace) = trace() else { return };
    let phases = phases(&trace);
    let exactly = |expected: &[(&str, usize)]| -> Calls {
        expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    // 16 frames with a write each are one send.
    assert_eq!(phases["echo"], exactly(&[("wait", ROUNDS), ("recvfrom", 2 * ROUNDS), ("sendto", 2 * ROUNDS)]));
    // So are pieces from here and there, and two writes of a task's step.
    let gathered = exactly(&[("wait", ROUNDS), ("recvfrom", 2 * ROUNDS), ("sendmsg", ROUNDS), ("sendto", ROUNDS)]);
    assert_eq!(phases["gathered"], gathered);
    let all = CLIENTS * ROUNDS;
    assert_eq!(phases["batches"], exactly(&[("wait", ROUNDS), ("recvfrom", 2 * all), ("sendto", 2 * all)]));
    // From the connect to the first answer: one registration.
    assert_eq!((phases["accept"]["epoll_ctl"], phases["accept"].get("setsockopt")), (1, None));
    // 32 packets come with one system call, and their answers leave with one.
    let packets = exactly(&[
        ("wait", ROUNDS),
        ("recvmmsg", ROUNDS),
        ("sendmmsg", ROUNDS),
        ("sendto", 32 * ROUNDS),
        ("recvfrom", 32 * ROUNDS),
    ]);
    assert_eq!(phases["packets"], packets);
    // A write outside of the running loop leaves at once.
    assert_eq!(phases["outside"], exactly(&[("sendto", 1), ("recvfrom", 1)]));
}

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
        if data[0] == b'g' {
            transport.write(&[b'h'; 10]);
            transport.write_bytes(vec![b'i'; 10]);
        }
        data.chunks(64).for_each(|frame| transport.write(frame));
    }
}

/// Sends each packet back.
#[derive(Default)]
struct EchoPackets(Option<DatagramTransport>);

impl DatagramProtocol for EchoPackets {
    fn connection_made(&mut self, transport: &DatagramTransport) {
        self.0 = Some(transport.clone());
    }

    fn datagram_received(&mut self, data: &[u8], addr: &Address) {
        self.0.as_ref().unwrap().sendto(data, addr);
    }
}

/// What the child does.
fn program() {
    let event_loop = EventLoop::builder().build().unwrap();
    let inner = event_loop.clone();
    let serving = async move { inner.create_server(Echo::default, ("127.0.0.1", 0)).await.unwrap() };
    let server = event_loop.run_until_complete(serving).unwrap();
    let connect = || TcpStream::connect(server.local_addrs()[0]).unwrap();
    let phase = |name: &str, code: &mut dyn FnMut()| {
        mark(name);
        code();
        mark("none");
    };
    let ask = |client: &mut TcpStream, request: &[u8], answer: &mut [u8]| {
        client.write_all(request).unwrap();
        event_loop.run_once(None).unwrap();
        client.read_exact(answer).unwrap();
    };
    let mut client = connect();
    event_loop.run_until_blocked().unwrap();
    let mut second = connect();
    phase("accept", &mut || {
        second.write_all(b"hello").unwrap();
        event_loop.run_until_blocked().unwrap();
        second.read_exact(&mut [0; 5]).unwrap();
    });
    for round in ["warm-up ", ""] {
        phase(&format!("{round}echo"), &mut || {
            (0..ROUNDS).for_each(|_| ask(&mut client, &[b'e'; 1024], &mut [0; 1024]));
        });
        phase(&format!("{round}gathered"), &mut || {
            (0..ROUNDS).for_each(|_| ask(&mut client, &[b'g'; 1024], &mut [0; 1044]));
        });
    }
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| connect()).collect();
    event_loop.run_until_blocked().unwrap();
    phase("batches", &mut || {
        for _ in 0..ROUNDS {
            clients.iter_mut().for_each(|client| client.write_all(b"question").unwrap());
            event_loop.run_once(None).unwrap();
            clients.iter_mut().for_each(|client| client.read_exact(&mut [0; 8]).unwrap());
        }
    });
    let inner = event_loop.clone();
    let opening = async move {
        inner.create_datagram_endpoint(EchoPackets::default).local_addr(("127.0.0.1", 0)).await.unwrap().0
    };
    let packets = event_loop.run_until_complete(opening).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(packets.local_addr().unwrap()).unwrap();
    for name in ["warm-up packets", "packets"] {
        phase(name, &mut || {
            for _ in 0..ROUNDS {
                (0..32).for_each(|_| assert_eq!(socket.send(b"question").unwrap(), 8));
                event_loop.run_once(None).unwrap();
                (0..32).for_each(|_| assert_eq!(socket.recv(&mut [0; 8]).unwrap(), 8));
            }
        });
    }
    let all = server.clients();
    let theirs = all.iter().find(|it| it.peer_addr().unwrap() == client.local_addr().unwrap()).unwrap();
    phase("outside", &mut || {
        theirs.write(b"now");
        client.read_exact(&mut [0; 3]).unwrap();
    });
}

/// Says to strace(1) that a phase begins.
fn mark(phase: &str) {
    assert!(std::fs::metadata(format!("/nowhere/{phase}")).is_err());
}

/// Runs this program under strace(1), if that can be.
fn trace() -> Option<String> {
    let output = std::env::temp_dir().join(format!("asyncio-syscalls-{}", std::process::id()));
    let strace = Command::new("strace")
        .args(["-f", "-e", "trace=all", "-e", "signal=none", "-o"])
        .arg(&output)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "only_what_is_promised_reaches_the_kernel", "--test-threads=1"])
        .env(CHILD, "1")
        .output();
    let trace = std::fs::read_to_string(&output);
    let _ = std::fs::remove_file(&output);
    let problem = match (&strace, trace) {
        (Ok(strace), Ok(trace)) if strace.status.success() && trace.contains("/nowhere/") => return Some(trace),
        (Ok(strace), _) => {
            String::from_utf8_lossy(&strace.stdout).into_owned() + &String::from_utf8_lossy(&strace.stderr)
        }
        (Err(error), _) => error.to_string(),
    };
    assert!(std::env::var_os("CI").is_none(), "strace(1) has to work where CI runs: {problem}");
    eprintln!("SKIPPED: system calls are not counted, because strace(1) does not work here: {problem}");
    None
}

/// The calls of each phase, those of the warm-up apart.
fn phases(trace: &str) -> BTreeMap<String, Calls> {
    let mut phases = BTreeMap::<String, Calls>::new();
    let mut current = String::new();
    for line in trace.lines() {
        // `1234 read(3, …) = 1`; a call that another thread interrupts is resumed on a line that has no name first.
        let Some((_, call)) = line.split_once(' ') else { continue };
        if let Some((_, mark)) = call.split_once("/nowhere/") {
            current = mark.split('"').next().unwrap_or_default().to_owned();
            phases.entry(current.clone()).or_default();
            continue;
        }
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        // Which of the three it is depends on the kernel.
        let name = if ["epoll_pwait2", "epoll_pwait", "epoll_wait"].contains(&name) { "wait" } else { name };
        *phases.entry(current.clone()).or_default().entry(name.to_owned()).or_default() += 1;
    }
    phases
}
