//! `msrv`: compiles the libraries with the `rust-version` of the manifest, which is written nowhere else.
//!
//! Not a stage of CI's main run: it needs rustup and, the first time, a network. Counts the libraries.

use crate::Error;
use crate::metadata::Workspace;
use crate::process;
use crate::report::Report;
use std::process::Command;

pub(crate) fn run(workspace: &Workspace) -> Result<Report, Error> {
    let mut report = Report::default();
    for package in workspace.libraries() {
        let Some(version) = &package.rust_version else {
            report.fail(format!("{} has no `rust-version`", package.name));
            continue;
        };
        let toolchain = format!("{}.{}", version.major, version.minor);
        let mut install = Command::new("rustup");
        install.args(["toolchain", "install", &toolchain, "--profile", "minimal", "--no-self-update"]);
        let mut check = Command::new("rustup");
        check.args(["run", &toolchain, "cargo", "check", "--all-features", "--package", package.name.as_str()]);
        check.current_dir(workspace.root()).env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC").env_remove("RUSTDOC");
        check.env("CARGO_TARGET_DIR", workspace.target().join("msrv"));
        let mut fault = None;
        for command in [&mut install, &mut check] {
            if fault.is_none() && !process::succeeds(command)? {
                fault = Some(process::told(command, "failed"));
            }
        }
        report.check(fault);
    }
    Ok(report)
}
