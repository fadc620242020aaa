//! What a child is started with: each option is seen by a child that prints its own state.

#![cfg(unix)]

#[path = "support/children.rs"]
mod children;

use asyncio_driver::Signal;
use asyncio_subprocess::{
    CreateSubprocess, PIPE, STDOUT, WithStreams, create_subprocess_exec, create_subprocess_shell,
};
use children::run;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;

async fn output(start: CreateSubprocess<WithStreams>) -> String {
    let output = start.stdout(PIPE).await.unwrap().communicate(None).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.to_vec()).unwrap().trim_end().to_owned()
}

/// A path that nobody else has.
fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("asyncio-subprocess-{}-{name}", std::process::id()))
}

fn sh(script: &str) -> CreateSubprocess<WithStreams> {
    create_subprocess_shell(script)
}

/// A field of `/proc/PID/stat`, counted as in man 5 proc, of a program whose name has no blank.
fn field(stat: &str, number: usize) -> u32 {
    stat.split(' ').nth(number - 1).unwrap().parse().unwrap()
}

#[test]
fn directory_and_environment() {
    run(async {
        assert_eq!(output(sh("pwd -P").cwd("/usr")).await, "/usr");
        assert_eq!(output(sh("echo \"$COLOUR $HOME\"").env("COLOUR", "blue").env_remove("HOME")).await, "blue");
        let start = create_subprocess_exec("/usr/bin/env", [] as [&str; 0]).env_clear();
        assert_eq!(output(start.envs([("A", "1"), ("B", "2")])).await, "A=1\nB=2");
    });
}

#[test]
fn arguments_are_bytes() {
    run(async {
        let odd = OsStr::from_bytes(b"not \xff text");
        let mut child = create_subprocess_exec("printf", [OsStr::new("%s"), odd]).stdout(PIPE).await.unwrap();
        assert_eq!(child.communicate(None).await.unwrap().stdout, &b"not \xff text"[..]);
        assert_eq!(output(create_subprocess_exec("sh", ["-c", "echo $0"]).arg0("sh")).await, "sh");
        assert_eq!(
            output(create_subprocess_exec("/bin/sh", ["-c", "tr '\\0' ' ' < /proc/$$/cmdline; :"]).arg0("me"))
                .await
                .split(' ')
                .next(),
            Some("me")
        );
    });
}

#[test]
fn groups_and_sessions() {
    run(async {
        let stat = "read stat < /proc/self/stat; echo $stat";
        let (pid, pgrp, session) = (1, 5, 6);
        let plain = output(sh(stat)).await;
        assert_ne!(field(&plain, pgrp), field(&plain, pid));
        let group = output(sh(stat).process_group(0)).await;
        assert_eq!((field(&group, pgrp), field(&group, session)), (field(&group, pid), field(&plain, session)));
        let alone = output(sh(stat).start_new_session(true)).await;
        assert_eq!((field(&alone, pgrp), field(&alone, session)), (field(&alone, pid), field(&alone, pid)));
    });
}

#[test]
fn a_group_is_ended_as_one() {
    run(async {
        let script = "sleep 1000 & echo $!; wait";
        let mut child = sh(script).stdout(PIPE).process_group(0).await.unwrap();
        assert_ne!(child.stdout.as_mut().unwrap().readline().await.unwrap(), "");
        child.kill_group().unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(9));
        // The grandchild has held the pipe.
        assert_eq!(child.stdout.as_mut().unwrap().read(-1).await.unwrap(), "");
        let loner = sh("exec sleep 1000").await.unwrap();
        assert_eq!(loner.send_signal_to_group(Signal::TERM).unwrap_err().kind(), io::ErrorKind::NotFound);
        loner.kill().unwrap();
        loner.wait().await.unwrap();
    });
}

#[test]
fn umask() {
    run(async {
        let path = temporary("umask");
        let script = format!("umask; : > '{}'", path.display());
        assert_eq!(output(sh(&script).umask(0o137)).await, "0137");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        fs::remove_file(path).unwrap();
    });
}

#[test]
fn user_and_groups() {
    run(async {
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            let ids = "echo $(id -u) $(id -g) $(id -G)";
            assert_eq!(output(sh(ids).user(65_534).group(12_345)).await, "65534 12345 12345");
            assert_eq!(output(sh(ids).user(65_534).group(12_345).extra_groups([7, 8])).await, "65534 12345 12345 7 8");
        } else {
            let error = sh("id -u").user(0).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        }
    });
}

#[test]
fn descriptors_are_passed_and_no_others() {
    run(async {
        let (mut out, into) = io::pipe().unwrap();
        let (_other_out, other) = io::pipe().unwrap();
        let number = into.as_raw_fd();
        let script =
            format!("echo passed > /proc/self/fd/{number}; test -e /proc/self/fd/{} && echo leaked", other.as_raw_fd());
        let status = sh(&script).pass_fds([into]).await.unwrap().wait().await.unwrap();
        assert_eq!(status.code(), Some(1));
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        assert_eq!(text, "passed\n", "and then the end: it is closed here, too");
    });
}

#[test]
fn given_files_are_the_standard_streams() {
    run(async {
        let (input, log) = (temporary("in"), temporary("log"));
        fs::write(&input, "from a file\n").unwrap();
        let mut file = File::options().read(true).write(true).create(true).truncate(true).open(&log).unwrap();
        let start = sh("cat; echo too >&2").stdin(File::open(&input).unwrap());
        let child = start.stdout(file.try_clone().unwrap()).stderr(STDOUT).await.unwrap();
        assert!(child.stdin.is_none() && child.stdout.is_none() && child.stderr.is_none());
        assert!(child.wait().await.unwrap().success());
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "from a file\ntoo\n");
        fs::remove_file(input).unwrap();
        fs::remove_file(log).unwrap();
    });
}

#[test]
fn one_child_feeds_another() {
    run(async {
        let (out, into) = io::pipe().unwrap();
        let first = sh("echo b; echo a").stdout(into).await.unwrap();
        assert_eq!(output(create_subprocess_exec("sort", [] as [&str; 0]).stdin(out)).await, "a\nb");
        assert!(first.wait().await.unwrap().success());
    });
}

#[test]
fn a_limit_holds_for_both_outputs() {
    run(async {
        let mut child = sh("echo 0123456789; echo 0123456789 >&2").stdout(PIPE).stderr(PIPE).limit(5).await.unwrap();
        assert!(child.stdout.as_mut().unwrap().readline().await.is_err());
        assert!(child.stderr.as_mut().unwrap().readline().await.is_err());
        child.wait().await.unwrap();
    });
}

#[test]
fn children_start_with_default_signals() {
    // Rust ignores SIGPIPE for itself; a child in a pipeline must die of it.
    run(async {
        let (out, into) = io::pipe().unwrap();
        drop(out);
        let child = create_subprocess_exec("yes", [] as [&str; 0]).stdout(into).await.unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(13));
    });
}
