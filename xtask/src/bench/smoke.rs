//! The stage `bench-smoke` of CI: our benchmark programs do each workload once, on little work, unmeasured.
//!
//! Built in the dev profile, with its checks. A workload that a program does not have yet is a note. Counts the workloads
//! that ran.

use super::workload::{self, Kind};
use crate::Error;
use crate::metadata::Workspace;
use crate::process;
use crate::report::Report;
use std::collections::BTreeSet;
use std::process::Command;

const PACKAGE: &str = "asyncio-bench";

/// Enough for every workload to divide among its tasks.
const OPERATIONS: &str = "2000";

/// Whether there are programs of ours.
pub(crate) fn exists(workspace: &Workspace) -> bool {
    workspace.members().iter().any(|package| package.name.as_str() == PACKAGE)
}

pub(crate) fn run(workspace: &Workspace) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut build = workspace.cargo();
    if !process::succeeds(build.args(["build", "--quiet", "--package", PACKAGE, "--bins"]))? {
        report.fail(process::told(&build, "failed"));
        return Ok(report);
    }
    let taskbench = workspace.target().join("debug").join(format!("taskbench{}", std::env::consts::EXE_SUFFIX));
    for task in tasks() {
        let mut command = Command::new(&taskbench);
        command.args([task, OPERATIONS]);
        let mut said = String::new();
        let succeeded = process::lines(&mut command, |line| said.push_str(line))?;
        match said.trim() {
            "unsupported" => report.note(format!("{task}: not yet")),
            numbers if succeeded && is_result(numbers) => report.pass(),
            other => report.fail(process::told(&command, &format!("printed {other:?}, and succeeded: {succeeded}"))),
        }
    }
    Ok(report)
}

/// The workloads of `taskbench`, each once.
fn tasks() -> BTreeSet<&'static str> {
    let task = |kind| match kind {
        Kind::Task { task, .. } | Kind::Memory { task } => Some(task),
        Kind::Echo { .. } => None,
    };
    workload::all().into_iter().filter_map(|workload| task(workload.kind)).collect()
}

/// Whether this is what `taskbench` prints: numbers, at least one.
fn is_result(text: &str) -> bool {
    let mut numbers = text.split_whitespace().peekable();
    numbers.peek().is_some() && numbers.all(|number| number.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_numbers() {
        assert!(is_result("0.25 0.24") && is_result("128"));
        assert!(!is_result("") && !is_result("unsupported"));
    }

    #[test]
    fn each_task_is_run_once() {
        assert!(tasks().contains("callsoon") && tasks().contains("mem_task"));
    }
}
