//! Programs from their start to their end, and what becomes of one that is cancelled.

#![cfg(target_os = "linux")]

#[path = "support/children.rs"]
mod children;
#[path = "support/kernel.rs"]
mod kernel;

use asyncio_subprocess::{CreateSubprocess, RunProcessError, ToCompletion, run_process};
use asyncio_tasks::{create_task, timeout, yield_now};
use children::run;
use kernel::{state, until_gone};
use std::future::{IntoFuture as _, poll_fn};
use std::io::{self, BufRead as _, BufReader};
use std::task::Poll;

const NONE: [&str; 0] = [];

#[test]
fn a_program_runs_to_its_end() {
    run(async {
        let output = run_process("sort", NONE).input("b\na\n").capture_output(true).await.unwrap();
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"a\nb\n"[..], &b""[..]));
        let output = run_process("cat", NONE).capture_output(true).await.unwrap();
        assert_eq!(output.stdout, "", "its input is empty");
    });
}

#[test]
fn a_failure_is_an_error_that_has_everything() {
    run(async {
        let script = "echo out; echo a line >&2; echo what is wrong >&2; exit 3";
        let error = run_process("sh", ["-c", script]).capture_output(true).await.unwrap_err();
        assert_eq!(error.to_string(), "sh failed with exit status: 3: what is wrong");
        let RunProcessError::Failed(failed) = error else { panic!("{error}") };
        assert_eq!((failed.output.status.code(), &failed.output.stdout[..]), (Some(3), &b"out\n"[..]));
        let output = run_process("sh", ["-c", script]).capture_output(true).check(false).await.unwrap();
        assert_eq!(output, failed.output);
        let error = io::Error::from(run_process("false", NONE).await.unwrap_err());
        assert_eq!(error.to_string(), "false failed with exit status: 1");
        assert!(
            matches!(run_process("/no/such", NONE).await, Err(RunProcessError::Io(error)) if error.kind() == io::ErrorKind::NotFound)
        );
    });
}

/// A program that says its number, does this when it is asked to end, and reads for ever what nobody writes.
struct Telling {
    script: String,
    out: BufReader<io::PipeReader>,
    into: Option<io::PipeWriter>,
    input: Option<io::PipeReader>,
    _kept: io::PipeWriter,
}

impl Telling {
    fn new(trap: &str) -> Self {
        let ((out, into), (input, kept)) = (io::pipe().unwrap(), io::pipe().unwrap());
        let script = format!("trap '{trap}' TERM; echo $$; while :; do read line; done");
        Self { script, out: BufReader::new(out), into: Some(into), input: Some(input), _kept: kept }
    }

    fn run(&mut self) -> CreateSubprocess<ToCompletion> {
        let (into, input) = (self.into.take().unwrap(), self.input.take().unwrap());
        run_process("sh", ["-c", &self.script]).stdout(into).stdin(input)
    }

    /// The next line; nothing at the end.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

#[test]
fn a_cancelled_program_is_asked_first() {
    run(async {
        let mut program = Telling::new("echo bye; exit 0");
        let running = program.run();
        let task = create_task(async move { running.await });
        yield_now().await;
        let pid = program.line().parse().unwrap();
        task.cancel();
        assert!(task.await.is_err());
        assert_eq!(state(pid), None, "it is collected when the cancellation is through");
        assert_eq!(program.line(), "bye");
    });
}

#[test]
fn a_stubborn_program_is_killed_after_the_grace() {
    run(async {
        let mut program = Telling::new("");
        let running = program.run().grace(0.01);
        let task = create_task(async move { running.await });
        yield_now().await;
        let pid = program.line().parse().unwrap();
        task.cancel();
        assert!(task.await.is_err());
        assert_eq!((state(pid), program.line()), (None, String::new()));
    });
}

#[test]
fn the_group_of_a_cancelled_program_is_asked_too() {
    run(async {
        let (out, into) = io::pipe().unwrap();
        let script = "sleep 1000 & echo $$; wait";
        let running = run_process("sh", ["-c", script]).stdout(into).process_group(0);
        let task = create_task(async move { running.await });
        yield_now().await;
        let mut out = BufReader::new(out);
        out.read_line(&mut String::new()).unwrap();
        task.cancel();
        assert!(task.await.is_err());
        assert_eq!(out.lines().count(), 0, "the pipe ends with the last of them");
    });
}

#[test]
fn a_program_that_is_dropped_is_killed() {
    run(async {
        let mut program = Telling::new("");
        let mut running = program.run().into_future();
        assert!(poll_fn(|cx| Poll::Ready(running.as_mut().poll(cx).is_pending())).await);
        let pid = program.line().parse().unwrap();
        drop(running);
        until_gone(pid);
    });
}

#[test]
fn a_time_limit_ends_the_program_too() {
    run(async {
        let mut program = Telling::new("exit 0");
        assert!(timeout(0, program.run().into_future()).await.is_err());
        // It may have been asked before it could say anything.
        if let Ok(pid) = program.line().parse() {
            assert_eq!(state(pid), None);
        }
    });
}
