//! No zombies, whatever becomes of handles and loops; and nobody else's children.

#![cfg(target_os = "linux")]

#[path = "support/children.rs"]
mod children;
#[path = "support/kernel.rs"]
mod kernel;

use asyncio_driver::{Signal, child_watch, send_signal};
use asyncio_loop::EventLoop;
use asyncio_subprocess::{
    LoopSubprocessExt as _, PIPE, SubprocessProtocol, create_subprocess_exec, create_subprocess_shell, run_process,
};
use asyncio_tasks::{LoopTasksExt as _, create_task, gather, timeout, yield_now};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use children::run;
use kernel::{state, until_gone};
use std::cell::RefCell;
use std::io::{self, BufReader, Read as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::rc::Rc;

const NONE: [&str; 0] = [];

#[test]
fn dropped_handles_leave_no_zombie_under_a_loop_that_does_not_run() {
    let event_loop = EventLoop::builder().build().unwrap();
    let pids = event_loop
        .run_until_complete(async {
            let running = create_subprocess_exec("cat", NONE).stdin(PIPE).await.unwrap();
            let killed = create_subprocess_exec("sleep", ["1000"]).kill_on_drop(true).await.unwrap();
            let pids = [running.pid(), killed.pid()];
            drop((running, killed)); // The first one's input ends with it.
            pids
        })
        .unwrap();
    // The loop is there, and does nothing.
    pids.into_iter().for_each(until_gone);
    event_loop.close().unwrap();
}

#[test]
fn a_child_that_has_ended_before_its_handle_is_dropped_is_collected_at_once() {
    let event_loop = EventLoop::builder().build().unwrap();
    let (pid, child) = event_loop
        .run_until_complete(async {
            let child = create_subprocess_exec("true", NONE).await.unwrap();
            (child.pid(), child)
        })
        .unwrap();
    let watched = child_watch(pid).unwrap();
    let mut driver = asyncio_driver::new_driver().unwrap();
    let (token, readable) = (asyncio_driver::Token::new(0, 0), asyncio_driver::Interest::READABLE);
    let source = asyncio_driver::Source::Os(std::os::fd::AsFd::as_fd(&watched));
    driver.register(source, token, readable, asyncio_driver::Mode::Level).unwrap();
    driver.wait(asyncio_driver::Deadline::Never, &mut Vec::new()).unwrap();
    assert_eq!(state(pid), Some('Z'), "nobody has collected it yet");
    drop(child);
    assert_eq!(state(pid), None);
    event_loop.close().unwrap();
}

#[test]
fn children_of_a_loop_that_is_closed_are_collected() {
    let event_loop = EventLoop::builder().build().unwrap();
    let child =
        event_loop.run_until_complete(async { create_subprocess_exec("sleep", ["1000"]).await.unwrap() }).unwrap();
    event_loop.close().unwrap();
    assert_eq!(child.returncode(), None);
    assert!(child.kill().is_err(), "its number may be another's any time now");
    send_signal(child.pid(), Signal::KILL).unwrap();
    until_gone(child.pid());
}

#[test]
fn a_creation_that_is_cancelled_leaves_no_child() {
    // sem. 266
    struct Nobody;
    impl SubprocessProtocol for Nobody {}
    run(async {
        for has_protocol in [false, true] {
            // The child says its number, and the pipe tells of its end.
            let (out, into) = io::pipe().unwrap();
            let task = create_task(async move {
                let script = "echo $$; exec sleep 1000";
                if has_protocol {
                    let event_loop = asyncio_loop::get_running_loop();
                    drop(event_loop.subprocess_shell(|| Nobody, script).stdout(into).await.unwrap());
                } else {
                    drop(create_subprocess_shell(script).stdin(PIPE).stdout(into).await.unwrap());
                }
            });
            yield_now().await;
            assert!(task.cancel() && task.await.is_err(), "its pipes were not connected yet");
            let mut said = String::new();
            BufReader::new(out).read_to_string(&mut said).unwrap();
            // It may have been killed before it could say anything.
            said.trim().parse().into_iter().for_each(until_gone);
        }
    });
}

#[test]
fn children_of_others_are_left_alone() {
    // sem. 267
    run(async {
        let mut foreign = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        for _ in 0..3 {
            assert!(create_subprocess_exec("true", NONE).await.unwrap().wait().await.unwrap().success());
        }
        assert_eq!(foreign.wait().unwrap().code(), Some(7), "its status was there");
    });
}

#[test]
fn a_status_that_was_stolen_counts_as_255_and_is_told() {
    // sem. 267
    let event_loop = EventLoop::builder().build().unwrap();
    let reports = Rc::new(RefCell::new(Vec::new()));
    let heard = reports.clone();
    event_loop.set_exception_handler(move |_, context| heard.borrow_mut().push(context.message().to_owned()));
    let status = event_loop
        .run_until_complete(async {
            let child = create_subprocess_exec("true", NONE).await.unwrap();
            let pid = rustix::process::Pid::from_raw(child.pid().try_into().unwrap());
            rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).unwrap();
            child.wait().await.unwrap()
        })
        .unwrap();
    assert_eq!(status.code(), Some(255));
    assert!(matches!(&reports.borrow()[..], [one] if one.contains("collected by somebody else")), "{reports:?}");
    event_loop.close().unwrap();
}

#[test]
fn a_thread_waits_where_the_driver_takes_no_descriptor() {
    // sem. 267. Virtual time stands still while a child runs: the hour is not over before it is.
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let event_loop = EventLoop::builder().driver(Box::new(driver)).build().unwrap();
    event_loop
        .run_until_complete(async {
            let child = create_subprocess_shell("exit 5").await.unwrap();
            assert_eq!(timeout(3600, child.wait()).await.unwrap().unwrap().code(), Some(5));
            assert_eq!(asyncio_loop::get_running_loop().time(), 0.0);
            let child = create_subprocess_exec("sleep", ["1000"]).await.unwrap();
            child.kill().unwrap();
            assert_eq!(child.wait().await.unwrap().signal(), Some(9));
            let dropped = create_subprocess_exec("sleep", ["1000"]).kill_on_drop(true).await.unwrap();
            let pid = dropped.pid();
            drop(dropped);
            until_gone(pid);
        })
        .unwrap();
    event_loop.close().unwrap();
}

#[test]
fn a_loop_that_is_closed_gives_the_children_of_its_threads_away() {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let event_loop = EventLoop::builder().driver(Box::new(driver)).build().unwrap();
    let child =
        event_loop.run_until_complete(async { create_subprocess_exec("sleep", ["1000"]).await.unwrap() }).unwrap();
    event_loop.close().unwrap();
    send_signal(child.pid(), Signal::KILL).unwrap();
    until_gone(child.pid());
}

#[test]
fn loops_in_any_thread_at_once() {
    // sem. 268. `ASYNCIO_DEEP_CHILDREN` says how many there are in all: 5,000 in a deep run.
    let wanted = std::env::var("ASYNCIO_DEEP_CHILDREN").ok().and_then(|text| text.parse().ok()).unwrap_or(400);
    let mut foreign: Vec<_> =
        (0..8).map(|code| (code, Command::new("sh").args(["-c", &format!("exit {code}")]).spawn().unwrap())).collect();
    let threads: Vec<_> = (0..LOOPS)
        .map(|_| {
            let body = move || {
                run(async move {
                    for round in 0..wanted / LOOPS / AT_ONCE {
                        let children = (0..AT_ONCE).map(|number| async move {
                            let code = (round + number) % 200;
                            let output = run_process("sh", ["-c", &format!("exit {code}")]).check(false).await.unwrap();
                            assert_eq!(output.status.code(), i32::try_from(code).ok());
                        });
                        gather(children.collect::<Vec<_>>()).await;
                    }
                })
            };
            std::thread::Builder::new().spawn(body).unwrap()
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    for (code, child) in &mut foreign {
        assert_eq!(child.wait().unwrap().code(), Some(*code));
    }
}

const LOOPS: u32 = 4;
const AT_ONCE: u32 = 25;
