//! Builds the programs, and puts copies of them where they will be measured.

use super::options::Options;
use crate::Error;
use crate::metadata::Workspace;
use crate::{process, report};
use cargo_metadata::Message;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Our own programs.
const OURS: &str = "asyncio-bench";
/// The load generator, without which no echo server can be measured.
const GENERATOR: &str = "gen";

/// Builds what the options ask for. A peer that does not build is skipped; ours must build, if they exist.
pub(super) fn run(workspace: &Workspace, options: &Options) -> Result<(), Error> {
    fs::create_dir_all(options.out.join("peers"))?;
    if workspace.members().iter().any(|package| package.name.as_str() == OURS) {
        let mut command = workspace.cargo();
        command.args(["build", "--package", OURS, "--bins", "--profile", "bench-programs"]);
        copy(&executables(&mut command)?, &options.out)?;
    } else if options.is_build_only {
        return Err(format!("the package {OURS} does not exist yet: there is nothing to build").into());
    } else {
        report::line(format_args!("note: the package {OURS} does not exist yet: only the peers are measured"));
    }
    let peers = options.peers();
    if peers.is_empty() {
        return Ok(());
    }
    build_peer(workspace, options, GENERATOR)?;
    for peer in peers {
        if let Err(error) = build_peer(workspace, options, &format!("peer-{peer}")) {
            report::line(format_args!("note: {peer} is skipped: {error}"));
        }
    }
    Ok(())
}

/// One package at a time: their whole-program optimisation needs memory.
fn build_peer(workspace: &Workspace, options: &Options, package: &str) -> Result<(), Error> {
    report::line(format_args!("building {package} …"));
    let mut command = workspace.cargo();
    command.current_dir(workspace.root().join("benches/peers")).env("CARGO_TARGET_DIR", peers_target(workspace));
    command.args(["build", "--package", package, "--bins", "--release", "--locked"]);
    copy(&executables(&mut command)?, &options.out.join("peers"))
}

fn peers_target(workspace: &Workspace) -> PathBuf {
    workspace.target().join("bench-peers")
}

/// Runs a build, and says which executables came out of it.
fn executables(command: &mut Command) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let succeeded = process::messages(command.arg("--message-format=json-render-diagnostics"), |message| {
        if let Message::CompilerArtifact(artifact) = message {
            found.extend(artifact.executable.iter().map(|path| path.clone().into_std_path_buf()));
        }
    })?;
    if !succeeded {
        return Err(process::told(command, "failed").into());
    }
    Ok(found)
}

fn copy(executables: &[PathBuf], folder: &Path) -> Result<(), Error> {
    for executable in executables {
        let target = folder.join(executable.file_name().ok_or("an executable without a name")?);
        // A program that somebody runs cannot be written to, but its name can go.
        if target.exists() {
            fs::remove_file(&target)?;
        }
        fs::copy(executable, &target)?;
    }
    Ok(())
}
