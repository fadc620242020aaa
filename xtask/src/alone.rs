//! `alone`: each library, used by a small program in a workspace of its own outside this one.
//!
//! The programs are `xtask/alone/<crate>.rs`; a library without one fails. Counts the programs that ran.

use crate::Error;
use crate::metadata::Workspace;
use crate::process::fault_within;
use crate::report::Report;
use crate::scratch::Scratch;
use std::env;
use std::fs;
use std::path::Path;
use std::process;
use std::time::Duration;

pub(crate) fn run(workspace: &Workspace) -> Result<Report, Error> {
    let outside = env::temp_dir().join(format!("asyncio-alone-{}", process::id()));
    let outcome = run_all(workspace, &outside);
    if outside.exists() {
        fs::remove_dir_all(&outside)?;
    }
    outcome
}

fn run_all(workspace: &Workspace, outside: &Path) -> Result<Report, Error> {
    let mut report = Report::default();
    for package in workspace.libraries() {
        let name = package.name.as_str();
        let source = format!("xtask/alone/{name}.rs");
        let Ok(program) = workspace.read(&source) else {
            report.fail(format!("{source} is missing: a small program that uses {name} and nothing else"));
            continue;
        };
        let scratch = Scratch::write(workspace, outside.join(name), &[name], &[("src/main.rs", &program)])?;
        let mut command = scratch.cargo(workspace);
        command.args(["run", "--quiet"]);
        report.check(fault_within(&mut command, LIMIT)?.map(|fault| format!("{source}: {fault}")));
    }
    Ok(report)
}

/// Building included.
const LIMIT: Duration = Duration::from_secs(600);
