//! Running programs: their output passes through, and is read on the way.
//!
//! No program that is started here sees our standard input: CI has none.

use crate::Error;
use crate::report::{self, Report};
use cargo_metadata::{Message, diagnostic::DiagnosticLevel};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Runs `command`; `true` if it succeeded.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool, Error> {
    Ok(command.stdin(Stdio::null()).status().map_err(|error| told(command, &error.to_string()))?.success())
}

/// Runs `command` and shows each line of its standard output to `read` before printing it; `true` if it succeeded.
pub(crate) fn each_line(command: &mut Command, mut read: impl FnMut(&str)) -> Result<bool, Error> {
    lines(command, |line| {
        read(line);
        report::line(line);
    })
}

/// Runs `command` and hands each line of its standard output to `read`, which prints what it likes; `true` if it succeeded.
pub(crate) fn lines(command: &mut Command, mut read: impl FnMut(&str)) -> Result<bool, Error> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| told(command, &error.to_string()))?;
    let stdout = child.stdout.take().ok_or("no standard output")?;
    for line in BufReader::new(stdout).split(b'\n') {
        read(String::from_utf8_lossy(&line?).trim_end_matches('\r'));
    }
    Ok(child.wait()?.success())
}

/// Runs `command` for at most `limit`; says what went wrong, if anything did.
#[expect(clippy::disallowed_methods, reason = "watches a child process, which knows no virtual time")]
pub(crate) fn fault_within(command: &mut Command, limit: Duration) -> Result<Option<String>, Error> {
    let mut child = command.stdin(Stdio::null()).spawn().map_err(|error| told(command, &error.to_string()))?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((!status.success()).then(|| told(command, &format!("ended with {status}"))));
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(Some(told(command, &format!("not done after {} s", limit.as_secs()))));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a cargo command that was given `--message-format=json`: prints the compiler's messages and hands all of them to
/// `read`; `true` if it succeeded.
pub(crate) fn messages(command: &mut Command, mut read: impl FnMut(&Message)) -> Result<bool, Error> {
    let mut broken = None;
    let succeeded = lines(command, |line| match serde_json::from_str::<Message>(line) {
        Ok(message) => read(&message),
        Err(_) if !line.starts_with('{') => report::line(line),
        Err(error) => broken = Some(format!("a message of cargo cannot be read: {error}")),
    })?;
    broken.map_or(Ok(succeeded), |error| Err(error.into()))
}

/// Runs a cargo command that compiles with JSON messages, and counts the workspace's targets that were looked at.
pub(crate) fn count_targets(command: &mut Command, members: &[&str]) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut errors = 0;
    let succeeded = messages(command, |message| match message {
        Message::CompilerArtifact(artifact) if is_member(&artifact.package_id.repr, members) => report.pass(),
        Message::CompilerMessage(message) => {
            let message = &message.message;
            if message.level == DiagnosticLevel::Error && !message.spans.is_empty() {
                errors += 1;
            }
            report::line(message.rendered.as_deref().unwrap_or(&message.message).trim_end());
        }
        _ => {}
    })?;
    if !succeeded {
        report.fail(told(command, &format!("failed with {errors} errors")));
    }
    Ok(report)
}

/// A command as a person would type it, and what became of it.
pub(crate) fn told(command: &Command, what: &str) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit(['/', '\\']).next().unwrap_or_default();
    let args: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    format!("`{program} {}` {what}", args.join(" "))
}

/// Whether a package id (`path+file:///…/name#version` or `path+file:///…#name@version`) is of one of `members`.
fn is_member(id: &str, members: &[&str]) -> bool {
    let Some((url, fragment)) = id.strip_prefix("path+").and_then(|id| id.rsplit_once('#')) else { return false };
    let name = fragment.split_once('@').map_or_else(|| url.rsplit('/').next().unwrap_or_default(), |(name, _)| name);
    members.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_known_by_both_forms_of_a_package_id() {
        let members = ["asyncio-loop", "xtask"];
        assert!(is_member("path+file:///a/asyncio-loop#0.1.0", &members));
        assert!(is_member("path+file:///a/loop#asyncio-loop@0.1.0", &members));
        assert!(!is_member("path+file:///a/asyncio-loop-more#0.1.0", &members));
        assert!(!is_member("registry+https://example.org/index#xtask@1.0.0", &members));
    }
}
