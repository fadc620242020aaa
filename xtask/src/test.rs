//! `test`: all tests and doctests of the workspace together, then each library alone, so that no crate leans on a feature
//! that only another crate turns on.
//!
//! Counts the tests that ran, as their harness reports them.

use crate::Error;
use crate::metadata::Workspace;
use crate::process;
use crate::report::Report;
use std::process::Command;

pub(crate) fn run(workspace: &Workspace) -> Result<Report, Error> {
    let mut together = workspace.cargo();
    together.args(["test", "--workspace", "--no-fail-fast"]);
    let mut report = count_tests(&mut together)?;
    for package in workspace.libraries() {
        let ways: &[&[&str]] =
            if package.features.is_empty() { &[&[]] } else { &[&[], &["--no-default-features"], &["--all-features"]] };
        for features in ways {
            let mut alone = workspace.cargo();
            alone.args(["test", "--quiet", "--no-fail-fast", "--package", package.name.as_str()]).args(*features);
            report.merge(count_tests(&mut alone)?);
        }
    }
    Ok(report)
}

/// Runs a `cargo test` command and counts; a command that ran no test has failed.
pub(crate) fn count_tests(command: &mut Command) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut failed = 0;
    let mut names = Vec::new();
    let succeeded = process::each_line(command, |line| {
        names.extend(failed_test(line).map(str::to_owned));
        if let Some(result) = TestResult::parse(line) {
            report.passes(result.passed);
            failed += result.failed;
        }
    })?;
    let mut names = names.into_iter();
    for _ in 0..failed {
        let name = names.next().unwrap_or_else(|| "a test, see above".to_owned());
        report.fail(process::told(command, &format!("failed in {name}")));
    }
    if !succeeded && failed == 0 {
        report.fail(process::told(command, "failed"));
    }
    if report.nothing_ran() {
        report.fail(process::told(command, "ran no test"));
    }
    Ok(report)
}

/// The name in `test name ... FAILED`, or in `name --- FAILED`, which the quiet harness prints.
fn failed_test(line: &str) -> Option<&str> {
    let loud = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"));
    loud.or_else(|| line.strip_suffix(" --- FAILED"))
}

/// The last line of a test harness.
#[derive(Debug, PartialEq, Eq)]
struct TestResult {
    passed: usize,
    failed: usize,
}

impl TestResult {
    /// Reads `test result: ok. 3 passed; 0 failed; …`.
    fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
        let count = |name: &str| {
            let part = counts.split("; ").find_map(|part| part.strip_suffix(name))?;
            part.trim().parse().ok()
        };
        Some(Self { passed: count("passed")?, failed: count("failed")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_read() {
        let line = "test result: FAILED. 12 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(TestResult::parse(line), Some(TestResult { passed: 12, failed: 1 }));
        assert_eq!(TestResult::parse("test wait_ends ... ok"), None);
        assert_eq!(failed_test("test driver::wait_ends ... FAILED"), Some("driver::wait_ends"));
        assert_eq!(failed_test("driver::wait_ends --- FAILED"), Some("driver::wait_ends"));
        assert_eq!(failed_test("test driver::wait_ends ... ok"), None);
    }
}
