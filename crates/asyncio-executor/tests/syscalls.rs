//! An address in digits needs no thread and opens no file: seen by strace(1), on Linux.
//!
//! The test starts itself once more under strace. That child marks the phases of its program by asking for the metadata of
//! files that do not exist; whatever the kernel saw between two marks, on any thread, is what the phase has cost.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a test that is skipped has to say so")]

use asyncio_executor::LoopExecutorExt as _;
use asyncio_loop::get_running_loop;
use asyncio_tasks::run;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;

/// Set in the child.
const CHILD: &str = "ASYNCIO_LITERALS_CHILD";
const ROUNDS: usize = 10;

// sem. 224
#[test]
fn of_a_literal_nothing_reaches_the_kernel() {
    if std::env::var_os(CHILD).is_some() {
        return program();
    }
    let Some(trace) = trace() else { return };
    let phases = phases(&trace);
    assert_eq!(phases["addresses"], BTreeSet::new(), "nothing at all reaches the kernel");
    // The system says which number an interface has; it asks a socket for it.
    let zones: Vec<_> = phases["zones"].iter().map(String::as_str).collect();
    assert!(zones.iter().all(|call| ["close", "ioctl", "socket"].contains(call)), "{zones:?}");
    // A name does what an address must not, so the test would see it.
    let name = &phases["a name"];
    assert!(name.iter().any(|call| call.starts_with("clone")) && name.contains("openat"), "{name:?}");
}

/// What the child does.
fn program() {
    run(async {
        let event_loop = get_running_loop();
        for round in ["warm-up ", ""] {
            mark(&format!("{round}addresses"));
            for _ in 0..ROUNDS {
                for host in ["127.0.0.1", "::1", "fe80::1%1"] {
                    assert!(!event_loop.getaddrinfo(host, 80).await.unwrap().is_empty());
                }
            }
            mark(&format!("{round}zones"));
            let found = event_loop.getaddrinfo("fe80::1%lo", 80).await.unwrap();
            mark("none");
            let SocketAddr::V6(address) = found[0].address else { panic!("{found:?}") };
            assert_eq!(address.scope_id(), 1, "the loopback interface is the first");
        }
        mark("a name");
        assert!(event_loop.getaddrinfo("localhost", 80).await.is_ok());
        mark("none");
    });
}

/// Says to strace(1) that a phase begins.
fn mark(phase: &str) {
    assert!(std::fs::metadata(format!("/nowhere/{phase}")).is_err());
}

/// Runs this program under strace(1), if that can be.
fn trace() -> Option<String> {
    let output = std::env::temp_dir().join(format!("asyncio-literals-{}", std::process::id()));
    let strace = Command::new("strace")
        .args(["-f", "-e", "trace=all", "-e", "signal=none", "-o"])
        .arg(&output)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "of_a_literal_nothing_reaches_the_kernel", "--test-threads=1"])
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
    eprintln!("SKIPPED: system calls are not looked at, because strace(1) does not work here: {problem}");
    None
}

/// The calls of each phase, on all threads.
fn phases(trace: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut phases = BTreeMap::<String, BTreeSet<String>>::new();
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
        if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            phases.entry(current.clone()).or_default().insert(name.to_owned());
        }
    }
    phases
}
