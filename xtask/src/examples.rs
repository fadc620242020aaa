//! `examples`: builds and runs every example; each must end by itself, and well.
//!
//! The tour is run as the README says, with `--release`. Counts the examples that ran.

use crate::Error;
use crate::metadata::Workspace;
use crate::process;
use crate::report::{self, Report};
use cargo_metadata::{Package, Target};
use std::time::Duration;

/// Whether there are examples.
pub(crate) fn exist(workspace: &Workspace) -> bool {
    !all(workspace).is_empty()
}

pub(crate) fn run(workspace: &Workspace) -> Result<Report, Error> {
    let mut report = Report::default();
    for (package, example) in all(workspace) {
        let mut words = vec!["--package", package.name.as_str(), "--example", example.name.as_str()];
        let features = example.required_features.join(",");
        if !features.is_empty() {
            words.extend(["--features", &features]);
        }
        if example.name == "tour" {
            words.push("--release");
        }
        let mut build = workspace.cargo();
        if !process::succeeds(build.args(["build", "--quiet"]).args(&words))? {
            report.fail(process::told(&build, "failed"));
            continue;
        }
        report::line(format_args!("example {}", example.name));
        let mut run = workspace.cargo();
        report.check(process::fault_within(run.args(["run", "--quiet"]).args(&words), LIMIT)?);
    }
    Ok(report)
}

fn all(workspace: &Workspace) -> Vec<(&Package, &Target)> {
    let members = workspace.members().into_iter();
    members
        .flat_map(|package| package.targets.iter().filter(|it| it.is_example()).map(move |it| (package, it)))
        .collect()
}

/// An example is a demonstration, not a service.
const LIMIT: Duration = Duration::from_secs(120);
