//! A dump of the tasks on a signal, also of a loop that hangs. The loops that hang are children of this process.

#![cfg(unix)]

use asyncio_driver::{Signal, SignalAction, signal_action};
use asyncio_loop::get_running_loop;
use asyncio_tasks::{LoopTasksExt as _, create_task, current_task, run, sleep};
use rustix::process::{Pid, kill_process};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc;

/// Says which of the cases below this process is to be.
const CASE: &str = "ASYNCIO_TEST_LOOKOUT";

/// A case in a process of its own, which has just said that it is ready.
struct Case {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// The test harness of the child must not find it closed.
    _stdout: BufReader<ChildStdout>,
}

impl Case {
    fn start(case: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", "the_case_of_the_child", "--nocapture", "--test-threads=1"];
        let mut command = Command::new(program);
        command.args(arguments).env(CASE, case).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let is_ready = stdout.by_ref().lines().any(|line| line.unwrap().ends_with("ready"));
        assert!(is_ready, "the child has died");
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, _stdout: stdout }
    }

    fn signal(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, rustix::process::Signal::USR1).unwrap();
    }

    /// What it writes until a line begins with `end`, this line included.
    fn lines_until(&mut self, end: &str) -> String {
        let mut text = String::new();
        loop {
            let before = text.len();
            assert_ne!(self.stderr.read_line(&mut text).unwrap(), 0, "no {end:?} in {text}");
            if text[before..].starts_with(end) {
                return text;
            }
        }
    }

    /// Lets the child go on.
    fn release(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// The rest of what it writes, after it was told to go on.
    fn end(mut self) -> String {
        let mut text = String::new();
        self.stderr.read_to_string(&mut text).unwrap();
        assert!(self.child.wait().unwrap().success(), "{text}");
        text
    }
}

/// Told by the parent that it may go on.
fn released() -> mpsc::Receiver<()> {
    let (tell, told) = mpsc::channel();
    std::thread::Builder::new()
        .spawn(move || {
            for byte in std::io::stdin().lock().bytes() {
                byte.unwrap();
                if tell.send(()).is_err() {
                    return;
                }
            }
        })
        .unwrap();
    told
}

/// To the parent, around the capture of the test harness, which other threads do not have.
fn ready() {
    std::io::stdout().lock().write_all(b"ready\n").unwrap();
}

#[test]
fn the_case_of_the_child() {
    match std::env::var(CASE).as_deref() {
        Ok("hangs") => run(async {
            get_running_loop().dump_tasks_on(Signal::USR1).unwrap();
            let released = released();
            create_task(sleep(60)).set_name("sleeper");
            let guilty = create_task(async move {
                ready();
                released.recv().unwrap();
                sleep(0).await;
                // The second time, so that the dump has been written.
                released.recv().unwrap();
            });
            guilty.set_name("guilty");
            guilty.await.unwrap();
        }),
        Ok("hangs in the first step") => run(async {
            get_running_loop().dump_tasks_on(Signal::USR1).unwrap();
            let released = released();
            ready();
            released.recv().unwrap();
        }),
        Ok("answers") => run(async {
            current_task().unwrap().set_name("main");
            let event_loop = get_running_loop();
            event_loop.dump_tasks_on(Signal::USR1).unwrap();
            let released = released();
            let done = asyncio_tasks::Future::<()>::new();
            let opener = done.clone();
            let trigger = event_loop.create_trigger(move || opener.set_result(()).unwrap());
            std::thread::Builder::new()
                .spawn(move || {
                    released.recv().unwrap();
                    trigger.fire();
                })
                .unwrap();
            ready();
            done.await.unwrap();
        }),
        Ok("does not run") => {
            let event_loop = asyncio_loop::new_event_loop().unwrap();
            event_loop.dump_tasks_on(Signal::USR1).unwrap();
            ready();
            released().recv().unwrap();
            event_loop.close().unwrap();
        }
        _ => {}
    }
}

const FIRST: &str = "the event loop has not answered SIGUSR1 for 200 ms";
const LAST: &str = "    its tasks follow when it goes on";

#[test]
fn a_loop_that_hangs_in_a_task_is_reported_while_it_hangs_and_dumped_when_it_goes_on() {
    let mut case = Case::start("hangs");
    for _ in 0..2 {
        case.signal();
        let report = case.lines_until(LAST);
        let lines: Vec<_> = report.lines().collect();
        assert_eq!(lines[0], FIRST, "{report}");
        let (millis, place) =
            lines[1].strip_prefix("    in one step for ").and_then(|rest| rest.split_once(" ms, of ")).expect(&report);
        assert!(millis.parse::<u32>().unwrap() >= 200, "{report}");
        assert!(place.starts_with("what was created at ") && place.contains("tests/lookout.rs:"), "{report}");
        assert!(lines[2].starts_with("    thread the_case_of_the_child"), "{report}");
        if cfg!(target_os = "linux") {
            assert!(lines[2].contains(", sleeping"), "{report}");
        }
    }
    case.release();
    let dump = case.lines_until("guilty: ");
    assert!(dump.starts_with("3 unfinished tasks\n") && dump.contains("\nsleeper: waiting"), "{dump}");
    case.release();
    let rest = case.end();
    assert!(!dump.contains(FIRST) && !rest.contains(FIRST), "{dump}{rest}");
}

#[test]
fn what_hangs_in_the_step_that_asked_for_dumps_has_no_place_yet() {
    let mut case = Case::start("hangs in the first step");
    case.signal();
    let report = case.lines_until(LAST);
    assert!(report.starts_with(&format!("{FIRST}\n    in one iteration for ")), "{report}");
    case.release();
    // A dump follows if the loop turns once more before it ends, or none.
    assert!(!case.end().contains(FIRST));
}

#[test]
fn a_loop_that_answers_is_dumped_each_time() {
    let mut case = Case::start("answers");
    for _ in 0..20 {
        case.signal();
        let dump = case.lines_until("    waits for a future");
        assert!(dump.contains("1 unfinished task\nmain: waiting"), "{dump}");
    }
    case.release();
    case.end();
}

#[test]
fn of_a_loop_that_does_not_run_it_says_so() {
    let mut case = Case::start("does not run");
    case.signal();
    let report = case.lines_until(LAST);
    assert!(report.starts_with(&format!("{FIRST}\n    in no step: ")), "{report}");
    case.release();
    assert_eq!(case.end(), "");
}

#[test]
fn thread_and_watch_end_with_the_handler_and_with_the_loop() {
    let event_loop = asyncio_loop::new_event_loop().unwrap();
    let action = || signal_action(Signal::USR2).unwrap();
    assert_eq!(action(), SignalAction::Default);
    event_loop.dump_tasks_on(Signal::USR2).unwrap();
    event_loop.dump_tasks_on(Signal::USR2).unwrap();
    assert_eq!(action(), SignalAction::Handler);
    assert!(event_loop.remove_signal_handler(Signal::USR2));
    assert_eq!(action(), SignalAction::Default);
    event_loop.dump_tasks_on(Signal::USR2).unwrap();
    event_loop.close().unwrap();
    assert_eq!(action(), SignalAction::Default);
    let refused = asyncio_loop::new_event_loop().unwrap().dump_tasks_on(Signal::KILL).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}
