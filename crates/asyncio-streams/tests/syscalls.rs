//! Which system calls streams make, counted by strace(1): on Linux, with the epoll driver.
//!
//! As the test of that name of `asyncio-transports`, with handlers in place of protocols: the test starts itself once more
//! under strace, and marks its phases by asking for the metadata of files that do not exist. The client is a blocking socket of
//! the same thread, whose calls are counted too: each request is one send and one receive of its own.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a test that is skipped has to say so")]

use asyncio_loop::EventLoop;
use asyncio_streams::{StreamReader, StreamWriter, start_server};
use asyncio_tasks::LoopTasksExt as _;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

/// Set in the child.
const CHILD: &str = "ASYNCIO_SYSCALLS_CHILD";
const ROUNDS: usize = 100;

/// How often each system call was made.
type Calls = BTreeMap<String, usize>;

#[test]
fn only_what_is_promised_reaches_the_kernel() {
    if std::env::var_os(CHILD).is_some() {
        return program();
    }
    let Some(trace) = trace() else { return };
    let phases = phases(&trace);
    let one_each: Calls =
        [("wait", ROUNDS), ("recvfrom", 2 * ROUNDS), ("sendto", 2 * ROUNDS)].map(|(name, n)| (name.into(), n)).into();
    assert_eq!(phases["echo"], one_each);
    // 16 frames with a write each are one send, and so are a header and a body.
    assert_eq!(phases["frames"], one_each);
    assert_eq!(phases["pieces"], one_each);
}

/// A frame comes back; a line is answered in three pieces.
async fn serve(mut reader: StreamReader, writer: StreamWriter) -> io::Result<()> {
    loop {
        let first = reader.readexactly(1).await?;
        match first[0] {
            b'e' => {
                writer.write_all(first).await?;
                writer.write_all(reader.read(65_536).await?).await?;
            }
            b'f' => {
                writer.write(first);
                writer.write(reader.readexactly(63).await?);
            }
            _ => {
                reader.readline().await?;
                writer.write("head, ");
                writer.writelines(["body", ", "]);
                writer.write_all("tail\n").await?;
            }
        }
    }
}

/// What the child does.
fn program() {
    let event_loop = EventLoop::builder().build().unwrap();
    let serving = async { start_server(serve, ("127.0.0.1", 0)).await.unwrap() };
    let server = event_loop.run_until_complete(serving).unwrap();
    let mut client = TcpStream::connect(server.local_addrs()[0]).unwrap();
    event_loop.run_until_blocked().unwrap();
    let mut phase = |name: &str, request: &[u8], answer: usize| {
        let mut answer = vec![0; answer];
        mark(name);
        for _ in 0..ROUNDS {
            client.write_all(request).unwrap();
            // The connection has received, then its task answers.
            event_loop.run_once(None).unwrap();
            event_loop.run_once(None).unwrap();
            client.read_exact(&mut answer).unwrap();
        }
        mark("none");
    };
    for round in ["warm-up ", ""] {
        phase(&format!("{round}echo"), &[b'e'; 1024], 1024);
        phase(&format!("{round}frames"), &[b'f'; 1024], 1024);
        phase(&format!("{round}pieces"), b"go on\n", 17);
    }
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
