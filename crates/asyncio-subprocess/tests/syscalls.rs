//! Which system calls a child without pipes costs, counted by strace(1): on Linux, with the epoll driver.
//!
//! As the test of that name of `asyncio-transports`: the test starts itself once more under strace, and marks its phases by asking
//! for the metadata of files that do not exist. What the children do themselves is not traced. Memory and signal masks are
//! `posix_spawn`'s and the allocator's affair, and not counted; nor is `fcntl`, by which std's debug builds look at a descriptor before they
//! close it.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a test that is skipped has to say so")]

use asyncio_loop::EventLoop;
use asyncio_subprocess::create_subprocess_exec;
use asyncio_tasks::LoopTasksExt as _;
use std::collections::BTreeMap;
use std::process::Command;

/// Set in the child.
const CHILD: &str = "ASYNCIO_SYSCALLS_CHILD";
const ROUNDS: usize = 20;

/// How often each system call was made.
type Calls = BTreeMap<String, usize>;

#[test]
fn only_what_is_promised_reaches_the_kernel() {
    if std::env::var_os(CHILD).is_some() {
        return program();
    }
    let Some(trace) = trace() else { return };
    let mut calls = phases(&trace).remove("children").expect("the phase was marked");
    calls.retain(|name, _| {
        !["mmap", "munmap", "rt_sigprocmask", "brk", "madvise", "mprotect", "fcntl"].contains(&&**name)
    });
    // One for each; and after some dozens of callbacks, or when one has taken long, the loop asks the driver once more without waiting.
    let waits = calls.remove("wait").unwrap_or(0);
    assert!((ROUNDS..=2 * ROUNDS).contains(&waits), "{waits} waits");
    // Made, watched, collected, and its descriptor closed.
    let expected = [("clone", 1), ("pidfd_open", 1), ("epoll_ctl", 2), ("wait4", 1), ("close", 1)];
    let expected: Calls = expected.map(|(name, count)| (name.into(), count * ROUNDS)).into();
    assert_eq!(calls, expected);
}

/// What the child does.
fn program() {
    let event_loop = EventLoop::builder().build().unwrap();
    let children = |count: usize| {
        event_loop
            .run_until_complete(async move {
                for _ in 0..count {
                    let child = create_subprocess_exec("/bin/true", [] as [&str; 0]).await.unwrap();
                    assert!(child.wait().await.unwrap().success());
                }
            })
            .unwrap();
    };
    children(2);
    mark("children");
    children(ROUNDS);
    mark("none");
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

/// The calls of the thread that marks the phases, in each phase: the children are traced, too.
fn phases(trace: &str) -> BTreeMap<String, Calls> {
    let mut phases = BTreeMap::<String, Calls>::new();
    let (mut current, mut marking) = (String::new(), "");
    for line in trace.lines() {
        // `1234 read(3, …) = 1`; a call that another thread interrupts is resumed on a line that has no name first.
        let Some((thread, call)) = line.split_once(' ') else { continue };
        if let Some((_, mark)) = call.split_once("/nowhere/") {
            marking = thread;
            current = mark.split('"').next().unwrap_or_default().to_owned();
            phases.entry(current.clone()).or_default();
            continue;
        }
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        if thread != marking || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        // Which of them it is depends on the kernel and the C library.
        let name = match name {
            "epoll_pwait2" | "epoll_pwait" | "epoll_wait" => "wait",
            "clone3" | "vfork" => "clone",
            name => name,
        };
        *phases.entry(current.clone()).or_default().entry(name.to_owned()).or_default() += 1;
    }
    phases
}
