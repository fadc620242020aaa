//! `alone`: each library, used by a small program in a workspace of its own outside this one.
//!
//! The programs are `xtask/alone/<crate>.rs`; a library without one fails. Those in `xtask/alone/asyncio/` are further ones for the
//! facade: they fix its names and grammar, and must run as they stand. Counts the programs that ran.

use crate::Error;
use crate::metadata::Workspace;
use crate::process::fault_within;
use crate::report::Report;
use crate::scratch::Scratch;
use std::env;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) fn run(workspace: &Workspace) -> Result<Report, Error> {
    // The same folder for each run of this checkout, so that cargo finds what it has built before.
    let mut checkout = DefaultHasher::new();
    workspace.root().hash(&mut checkout);
    let outside = env::temp_dir().join(format!("asyncio-alone-{:x}", checkout.finish()));
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
        report.check(run_one(workspace, outside.join(name), name, &source, &program)?);
    }
    for source in charter(workspace)? {
        let program = workspace.read(&source)?;
        let folder = source.trim_start_matches("xtask/alone/").trim_end_matches(".rs").replace('/', "-");
        report.check(run_one(workspace, outside.join(folder), "asyncio", &source, &program)?);
    }
    Ok(report)
}

/// The further programs of the facade, in order.
fn charter(workspace: &Workspace) -> Result<Vec<String>, Error> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(workspace.root().join(CHARTER))? {
        sources.push(format!("{CHARTER}/{}", entry?.file_name().display()));
    }
    sources.sort();
    Ok(sources)
}

const CHARTER: &str = "xtask/alone/asyncio";

/// Runs one program, which uses the library `name`; gives what is wrong, if anything is.
fn run_one(
    workspace: &Workspace,
    dir: PathBuf,
    name: &str,
    source: &str,
    program: &str,
) -> Result<Option<String>, Error> {
    let scratch = Scratch::write(workspace, dir, &[name], &[("src/main.rs", program)])?;
    let mut command = scratch.cargo(workspace);
    command.args(["run", "--quiet"]);
    Ok(fault_within(&mut command, LIMIT)?.map(|fault| format!("{source}: {fault}")))
}

/// Building included.
const LIMIT: Duration = Duration::from_secs(600);
