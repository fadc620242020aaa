//! Children as values with streams.

#![cfg(unix)]

#[path = "support/children.rs"]
mod children;

use asyncio_driver::Signal;
use asyncio_loop::get_running_loop;
use asyncio_subprocess::{
    DEVNULL, PIPE, Process, STDOUT, create_subprocess_exec, create_subprocess_shell, run_process,
};
use asyncio_tasks::{LoopTasksExt as _, Task, create_task, gather, timeout, yield_now};
use children::run;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::rc::Rc;

const NONE: [&str; 0] = [];

async fn shell(script: &str) -> Process {
    create_subprocess_shell(script).stdin(PIPE).stdout(PIPE).stderr(PIPE).await.unwrap()
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    next.take(bytes).collect()
}

#[test]
fn communicate_feeds_and_reads_at_once() {
    // sem. 261
    run(async {
        for bytes in [0, 1, 65_535, 65_536, 65_537, 300_000] {
            let mut cat = create_subprocess_exec("cat", NONE).stdin(PIPE).stdout(PIPE).await.unwrap();
            let input = noise(bytes);
            let output = cat.communicate(Some(&input)).await.unwrap();
            assert!(output.status.success() && output.stdout == input && output.stderr.is_empty(), "{bytes}");
            assert_eq!(cat.returncode(), Some(output.status));
        }
    });
}

#[test]
fn sixty_four_mebibytes_through_cat_both_ways() {
    run(async {
        let mut cat = create_subprocess_exec("cat", NONE).stdin(PIPE).stdout(PIPE).await.unwrap();
        let input = noise(64 << 20);
        let output = cat.communicate(Some(&input)).await.unwrap();
        assert!(output.stdout == input, "{} bytes came back", output.stdout.len());
    });
}

#[test]
fn ten_mebibytes_on_both_pipes() {
    run(async {
        let script = "head -c 10485760 /dev/zero | tr '\\0' e >&2 & head -c 10485760 /dev/zero | tr '\\0' o; wait";
        let output = shell(script).await.communicate(None).await.unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (10 << 20, 10 << 20));
        assert!(output.stdout.iter().all(|byte| *byte == b'o') && output.stderr.iter().all(|byte| *byte == b'e'));
    });
}

#[test]
fn streams_can_be_written_and_read_line_by_line() {
    run(async {
        let mut cat = create_subprocess_exec("cat", NONE).stdin(PIPE).stdout(PIPE).await.unwrap();
        let stdin = cat.stdin.take().unwrap();
        let stdout = cat.stdout.as_mut().unwrap();
        for line in ["one\n", "two\n"] {
            stdin.write_all(line).await.unwrap();
            assert_eq!(stdout.readline().await.unwrap(), line);
        }
        assert!(stdin.can_write_eof());
        stdin.close();
        stdin.wait_closed().await.unwrap();
        assert_eq!(stdout.readline().await.unwrap(), "");
        assert!(cat.wait().await.unwrap().success());
    });
}

#[test]
fn a_child_that_closes_its_input_early_is_no_error() {
    // sem. 261
    run(async {
        let mut child = shell("exec <&-; echo done").await;
        let output = child.communicate(Some(&noise(1 << 20))).await.unwrap();
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"done\n"[..]));
        let mut child = shell("head -c 3").await;
        let output = child.communicate(Some(b"abcdef")).await.unwrap();
        assert_eq!(output.stdout, "abc");
    });
}

#[test]
fn a_writer_learns_that_its_child_has_gone() {
    run(async {
        let mut child = shell("exit 3").await;
        let stdin = child.stdin.take().unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(3));
        stdin.wait_closed().await.unwrap();
        let error = stdin.write_all("x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
    });
}

#[test]
fn a_grandchild_that_holds_stdout_does_not_delay_wait() {
    // sem. 258
    run(async {
        let mut child = shell("sleep 1000 2>&- <&- & echo $!").await;
        let pid: u32 = {
            let line = child.stdout.as_mut().unwrap().readline().await.unwrap();
            std::str::from_utf8(&line).unwrap().trim().parse().unwrap()
        };
        assert!(child.wait().await.unwrap().success());
        // The output goes on until the grandchild is gone.
        assert!(timeout(0, child.communicate(None)).await.is_err());
        asyncio_driver::send_signal(pid, Signal::KILL).unwrap();
        assert!(child.communicate(None).await.unwrap().status.success());
    });
}

#[test]
fn communicate_is_resumed_after_a_timeout_and_loses_nothing() {
    // sem. 263
    run(async {
        let mut cat = create_subprocess_exec("cat", NONE).stdin(PIPE).stdout(PIPE).await.unwrap();
        let input = noise(300_000);
        assert!(timeout(0, cat.communicate(Some(&input))).await.is_err());
        let error = cat.communicate(Some(b"more")).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
        let output = cat.communicate(None).await.unwrap();
        assert!(output.status.success() && output.stdout == input);
        assert_eq!(cat.communicate(None).await.unwrap(), output, "once more");
    });
}

#[test]
fn what_communicate_has_read_before_it_was_dropped_is_given_again() {
    // sem. 263
    run(async {
        let mut child = shell("printf early; exec 1>&-; read line; echo late >&2").await;
        let stdin = child.stdin.take().unwrap();
        // Its first output ends; the second one waits for the input.
        let mut first = Box::pin(child.communicate(None));
        let task = get_running_loop().create_task(async { yield_now().await });
        assert!(timeout(0, &mut first).await.is_err());
        task.await.unwrap();
        drop(first);
        stdin.write_all("go\n").await.unwrap();
        let output = child.communicate(None).await.unwrap();
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"early"[..], &b"late\n"[..]));
    });
}

#[test]
fn input_needs_a_pipe() {
    run(async {
        let mut child = create_subprocess_exec("true", NONE).await.unwrap();
        let error = child.communicate(Some(b"x")).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(child.communicate(None).await.unwrap().status.success());
    });
}

#[test]
fn signals_reach_the_child_until_it_is_collected() {
    // sem. 259, 260, 269
    run(async {
        let child = create_subprocess_exec("sleep", ["1000"]).await.unwrap();
        assert_eq!(child.returncode(), None);
        child.terminate().unwrap();
        let status = child.wait().await.unwrap();
        assert_eq!(
            (status.signal(), child.wait().await.unwrap(), child.returncode()),
            (Some(15), status, Some(status))
        );
        for outcome in [child.kill(), child.terminate(), child.send_signal(Signal::USR1), child.kill_group()] {
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    });
}

#[test]
fn a_child_that_ignores_one_signal_is_ended_by_another() {
    run(async {
        let mut child = shell("trap '' TERM; echo ready; while :; do read line || exec sleep 1000; done").await;
        assert_eq!(child.stdout.as_mut().unwrap().readline().await.unwrap(), "ready\n");
        child.terminate().unwrap();
        // It still answers to its input's end.
        child.kill().unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
    });
}

#[test]
fn several_tasks_wait_and_some_are_cancelled() {
    run(async {
        let mut child = create_subprocess_exec("cat", NONE).stdin(PIPE).stdout(DEVNULL).await.unwrap();
        let stdin = child.stdin.take();
        let child = Rc::new(child);
        let tasks: Vec<Task<_>> = (0..5)
            .map(|_| {
                let child = child.clone();
                create_task(async move { child.wait().await.unwrap() })
            })
            .collect();
        yield_now().await;
        tasks[1].cancel();
        tasks[3].cancel();
        yield_now().await;
        drop(stdin);
        let mut succeeded = Vec::new();
        for task in tasks {
            succeeded.push(task.await.ok().map(|status| status.success()));
        }
        assert_eq!(succeeded, [Some(true), None, Some(true), None, Some(true)]);
    });
}

#[test]
fn two_hundred_at_once() {
    run(async {
        let children = (0..200).map(|number| async move {
            let mut child = shell("read line; echo \"<$line>\"; echo x >&2; exit $((line % 7))").await;
            let output = child.communicate(Some(format!("{number}\n").as_bytes())).await.unwrap();
            assert_eq!(output.stdout, format!("<{number}>\n"));
            assert_eq!((output.status.code(), &output.stderr[..]), (Some(number % 7), &b"x\n"[..]));
        });
        gather(children.collect::<Vec<_>>()).await;
    });
}

#[test]
fn errors_of_the_start_name_the_program() {
    run(async {
        let error = create_subprocess_exec("/no/such/program", NONE).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("/no/such/program"), "{error}");
        let error = create_subprocess_exec("true", NONE).cwd("/no/such/dir").await.unwrap_err();
        assert!(error.to_string().contains("/no/such/dir"), "{error}");
        let error = create_subprocess_exec("/etc/passwd", NONE).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let error = create_subprocess_exec("true", NONE).stdin(STDOUT).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(
            create_subprocess_shell("no-such-program-here").stderr(DEVNULL).await.unwrap().wait().await.unwrap().code(),
            Some(127)
        );
    });
}

#[test]
fn standard_streams_are_pipes_that_can_be_opened() {
    run(async {
        let mut child = shell("cat /dev/stdin > /proc/self/fd/1").await;
        assert_eq!(child.communicate(Some(b"real")).await.unwrap().stdout, "real");
    });
}

#[test]
fn outputs_may_be_one() {
    run(async {
        let script = "echo one; echo two >&2; echo three";
        let mut child = create_subprocess_shell(script).stdout(PIPE).stderr(STDOUT).await.unwrap();
        assert!(child.stderr.is_none());
        assert_eq!(child.communicate(None).await.unwrap().stdout, "one\ntwo\nthree\n");
        let output = run_process("sh", ["-c", script]).stdout(DEVNULL).stderr(STDOUT).await.unwrap();
        assert_eq!((&output.stdout[..], &output.stderr[..]), (&b""[..], &b""[..]));
    });
}
