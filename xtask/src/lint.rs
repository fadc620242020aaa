//! `lint`: clippy with warnings denied, over everything with all features, and over each library with none.
//!
//! Counts the targets that clippy looked at.

use crate::Error;
use crate::metadata::Workspace;
use crate::process;
use crate::report::Report;

pub(crate) fn run(workspace: &Workspace) -> Result<Report, Error> {
    let members: Vec<&str> = workspace.members().into_iter().map(|package| package.name.as_str()).collect();
    let mut report = clippy(workspace, &["--workspace", "--all-features"], &members)?;
    for package in workspace.libraries() {
        let name = package.name.as_str();
        report.merge(clippy(workspace, &["--package", name, "--no-default-features"], &[name])?);
    }
    Ok(report)
}

fn clippy(workspace: &Workspace, what: &[&str], members: &[&str]) -> Result<Report, Error> {
    let mut command = workspace.cargo();
    command.args(["clippy", "--quiet", "--all-targets", "--message-format=json-diagnostic-rendered-ansi"]);
    command.args(what).args(["--", "--deny", "warnings"]);
    let mut report = process::count_targets(&mut command, members)?;
    if report.nothing_ran() {
        report.fail(process::told(&command, "looked at nothing"));
    }
    Ok(report)
}
