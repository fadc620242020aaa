//! Which system calls a loop makes, counted by strace(1): on Linux, with the epoll driver.
//!
//! The test starts itself once more under strace. That child marks the phases of its program by asking for the metadata of
//! files that do not exist; whatever the kernel saw between two marks is what the phase has cost.
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a test that is skipped has to say so")]

use asyncio_loop::{EventLoop, get_running_loop};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

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
    let calls = |phase: &str| &phases[phase];
    let exactly = |expected: &[(&str, usize)]| -> Calls {
        expected.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    };
    assert_eq!(*calls("empty iterations"), exactly(&[("wait", ROUNDS)]));
    assert_eq!(*calls("timers"), exactly(&[("wait", ROUNDS)]), "one wait for each timer, and no timerfd");
    assert_eq!(*calls("timers set and cancelled"), exactly(&[]));
    assert_eq!(*calls("a batch of callbacks"), exactly(&[("wait", 1)]));
    assert_eq!(*calls("posts to a loop that is awake"), exactly(&[("wait", 1)]), "nothing is written");
    assert_eq!(*calls("triggers fired while awake"), exactly(&[("wait", 1)]), "nothing is written");
    assert_eq!(*calls("descriptors"), exactly(&[("wait", ROUNDS), ("recvfrom", ROUNDS), ("sendto", ROUNDS)]));
    assert_eq!(*calls("watching"), exactly(&[("epoll_ctl", 4)]), "add, modify, modify, remove");

    // A busy loop asks within its bounds, and does nothing else.
    let busy = calls("a chain of callbacks");
    assert_eq!(busy.keys().collect::<Vec<_>>(), ["wait"]);
    assert!((6400 / 64..6400).contains(&busy["wait"]), "{busy:?}");

    // Each wake-up is one write of the thread, or none if the loop was awake; and one wait of the loop, with no read.
    let mut woken = calls("posts to a loop that sleeps").clone();
    woken.remove("futex");
    woken.remove("sched_yield");
    let writes = woken.remove("write").unwrap_or(0);
    assert_eq!(woken.keys().collect::<Vec<_>>(), ["wait"], "{woken:?}");
    assert!(writes <= ROUNDS && woken["wait"] <= 2 * ROUNDS, "{writes} writes, {woken:?}");
}

/// What the child does.
fn program() {
    let event_loop = EventLoop::builder().build().unwrap();
    let (a, b) = UnixStream::pair().unwrap();
    for round in ["warm-up", ""] {
        let phase = |name: &str, code: &dyn Fn()| {
            mark(&format!("{round}{name}"));
            code();
            mark("none");
        };
        phase("empty iterations", &|| (0..ROUNDS).for_each(|_| iterate(&event_loop)));
        phase("timers", &|| timers(&event_loop));
        phase("timers set and cancelled", &|| (0..ROUNDS).for_each(|_| event_loop.call_later(1, || ()).cancel()));
        phase("a batch of callbacks", &|| {
            (0..1000).for_each(|_| drop(event_loop.call_soon(|| ())));
            stop_soon(&event_loop);
            event_loop.run_forever().unwrap();
        });
        phase("a chain of callbacks", &|| {
            chain(&event_loop, 6400);
            event_loop.run_forever().unwrap();
        });
        phase("posts to a loop that is awake", &|| posts_awake(&event_loop));
        triggers(&event_loop, &phase);
        descriptors(&event_loop, &a, &b, &phase);
        phase("watching", &|| {
            event_loop.add_reader(&a, || ()).unwrap();
            event_loop.add_writer(&a, || ()).unwrap();
            event_loop.remove_reader(&a);
            event_loop.remove_writer(&a);
        });
        sleeping(&event_loop, &phase);
    }
}

fn iterate(event_loop: &EventLoop) {
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
}

fn stop_soon(event_loop: &EventLoop) {
    let inner = event_loop.clone();
    event_loop.call_soon(move || inner.stop());
    // The budget of callbacks is used up by now, or not: ask the driver once in any case.
    event_loop.call_at(0.0, || ());
}

fn timers(event_loop: &EventLoop) {
    for _ in 0..ROUNDS {
        event_loop.call_later(Duration::from_micros(200), || ());
        event_loop.run_once(None).unwrap();
    }
}

fn chain(event_loop: &EventLoop, left: usize) {
    let inner = event_loop.clone();
    event_loop.call_soon(move || if left == 1 { inner.stop() } else { chain(&inner, left - 1) });
}

fn posts_awake(event_loop: &EventLoop) {
    let handle = event_loop.handle();
    event_loop.call_soon(move || (0..ROUNDS).for_each(|_| handle.post(|| ()).unwrap()));
    stop_soon(event_loop);
    event_loop.run_forever().unwrap();
}

type Phase<'a> = &'a dyn Fn(&str, &dyn Fn());

fn triggers(event_loop: &EventLoop, phase: Phase<'_>) {
    let trigger = event_loop.create_trigger(|| ());
    phase("triggers fired while awake", &|| {
        let trigger = trigger.clone();
        event_loop.call_soon(move || (0..ROUNDS).for_each(|_| trigger.fire()));
        stop_soon(event_loop);
        event_loop.run_forever().unwrap();
    });
}

/// Each request is one wait, one read and one write.
fn descriptors(event_loop: &EventLoop, a: &UnixStream, b: &UnixStream, phase: Phase<'_>) {
    let [mut reading, mut writing] = [a, b].map(|stream| stream.try_clone().unwrap());
    let (inner, mut left) = (event_loop.clone(), ROUNDS);
    event_loop
        .add_reader(a, move || {
            reading.read_exact(&mut [0]).unwrap();
            left -= 1;
            if left == 0 { inner.stop() } else { writing.write_all(b"x").unwrap() }
        })
        .unwrap();
    phase("descriptors", &|| {
        let mut first = b;
        first.write_all(b"x").unwrap();
        event_loop.run_forever().unwrap();
    });
    event_loop.remove_reader(a);
}

/// Another thread wakes the loop, again and again.
fn sleeping(event_loop: &EventLoop, phase: Phase<'_>) {
    let handle = event_loop.handle();
    let (ask, asked) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let thread =
            scope.spawn(move || asked.iter().for_each(|()| handle.post(|| get_running_loop().stop()).unwrap()));
        let ask = Rc::new(ask);
        let wake_ups = |count| {
            for _ in 0..count {
                let ask = ask.clone();
                event_loop.call_soon(move || ask.send(()).unwrap());
                event_loop.run_forever().unwrap();
            }
        };
        // After the first one, the thread has started up.
        wake_ups(1);
        phase("posts to a loop that sleeps", &|| wake_ups(ROUNDS));
        // Until it is really gone, and makes no system call any more.
        drop(ask);
        thread.join().unwrap();
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
