//! `conformance`: the programs of `conformance/cases`, run on our API and compared with what CPython's asyncio does.
//!
//! The runner compares, and prints a table by tag; this builds it, runs it, and counts the cases.

use crate::Error;
use crate::ci;
use crate::metadata::Workspace;
use crate::process;
use crate::report::{self, Report};
use std::fs;
use std::path::PathBuf;

/// Whether there is a runner.
pub(crate) fn exists(workspace: &Workspace) -> bool {
    workspace.members().iter().any(|package| package.name == "conformance")
}

/// Compares all of the project's own cases.
pub(crate) fn run(workspace: &Workspace) -> Result<Report, Error> {
    let folder = workspace.root().join("conformance/cases");
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        files.push(entry?.path());
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    compare(workspace, &files)
}

/// Compares the cases in `files`, by their paths from the current folder; `false` if one is not as it should be.
pub(crate) fn run_files(workspace: &Workspace, files: &[&str]) -> Result<bool, Error> {
    let files: Vec<_> = files.iter().map(std::path::absolute).collect::<Result<_, _>>()?;
    Ok(ci::summarize("conformance", &compare(workspace, &files)?))
}

fn compare(workspace: &Workspace, files: &[PathBuf]) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut command = workspace.cargo();
    command.args(["run", "--quiet", "--release", "--package", "conformance", "--", "--compare"]).args(files);
    let mut total = None;
    let succeeded = process::lines(&mut command, |line| match line.strip_prefix("DIFFERS ") {
        Some(difference) => report.fail(difference),
        None => {
            total = passed(line).or(total);
            report::line(line);
        }
    })?;
    report.passes(total.unwrap_or(0));
    if !succeeded && report.failures().is_empty() {
        report.fail(process::told(&command, "failed"));
    }
    Ok(report)
}

/// How many cases were as expected, if `line` is the last one of the table.
fn passed(line: &str) -> Option<usize> {
    line.strip_prefix("total ")?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_the_table_has_the_count() {
        assert_eq!(passed("total                           1661       0            0      0"), Some(1661));
        assert_eq!(passed("lock                             177       0            0      0"), None);
    }
}
