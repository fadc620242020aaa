//! `fmt`: rustfmt over all members.

use crate::Error;
use crate::metadata::Workspace;
use crate::process;
use crate::report::{self, Report};

/// Formats all code.
pub(crate) fn write(workspace: &Workspace) -> Result<bool, Error> {
    process::succeeds(workspace.cargo().args(["fmt", "--all"]))
}

/// Checks that all code is formatted; counts the files that rustfmt looked at.
pub(crate) fn check(workspace: &Workspace) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut looked_at = 0;
    let mut command = workspace.cargo();
    command.args(["fmt", "--all", "--", "--check", "--verbose"]);
    let formatted = process::lines(&mut command, |line| match line.strip_prefix("Formatting ") {
        Some(_) => looked_at += 1,
        None if line.starts_with("Using rustfmt config") || line.starts_with("Spent ") => {}
        None => report::line(line),
    })?;
    if formatted {
        report.passes(looked_at);
    } else {
        report.fail("not formatted: run `cargo xtask fmt`");
    }
    Ok(report)
}
