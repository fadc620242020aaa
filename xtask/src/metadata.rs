//! The workspace as cargo sees it: members, folders, and a cargo command that is ready to run.
//!
//! Absent on purpose: the resolved graph. The checks look at what the manifests declare, so that an optional or
//! target-gated dependency counts on every machine.

use crate::Error;
use cargo_metadata::{Metadata, MetadataCommand, Package, TargetKind};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace that this program belongs to.
#[derive(Debug)]
pub(crate) struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo about the workspace.
    pub(crate) fn load() -> Result<Self, Error> {
        // Cargo sets this when it runs a program; the compiled-in one serves whoever starts the program directly.
        let own = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")));
        let manifest = Path::new(&own).join("Cargo.toml");
        Ok(Self { metadata: MetadataCommand::new().manifest_path(manifest).no_deps().exec()? })
    }

    /// What cargo said.
    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The folder of the workspace's manifest.
    pub(crate) fn root(&self) -> &Path {
        self.metadata.workspace_root.as_std_path()
    }

    /// Where cargo builds, for this workspace and for the small crates that the checks generate.
    pub(crate) fn target(&self) -> &Path {
        self.metadata.target_directory.as_std_path()
    }

    /// All members, by name.
    pub(crate) fn members(&self) -> Vec<&Package> {
        let mut members = self.metadata.workspace_packages();
        members.sort_by(|left, right| left.name.cmp(&right.name));
        members
    }

    /// The members that are libraries for others: those under `crates/`.
    pub(crate) fn libraries(&self) -> Vec<&Package> {
        let crates = self.root().join("crates");
        self.members().into_iter().filter(|package| package.manifest_path.starts_with(&crates)).collect()
    }

    /// A cargo command in the root, without what `cargo run` has put into our own environment.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
        for (name, _) in env::vars_os() {
            let of_this_program = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
            if name.to_str().is_some_and(|name| of_this_program.iter().any(|prefix| name.starts_with(prefix))) {
                command.env_remove(name);
            }
        }
        command.current_dir(self.root()).env("CARGO_TARGET_DIR", self.target());
        command
    }

    /// The text of a file, by its path from the root.
    pub(crate) fn read(&self, path: &str) -> Result<String, Error> {
        fs::read_to_string(self.root().join(path)).map_err(|error| format!("{path}: {error}").into())
    }

    /// All files whose name ends in one of `extensions` (or is one of them), as paths from the root, in order.
    ///
    /// Build output and version control are left out.
    pub(crate) fn files(&self, extensions: &[&str]) -> Result<Vec<String>, Error> {
        let mut found = Vec::new();
        walk(self.root(), self.root(), &mut found)?;
        found.retain(|path| {
            let name = path.rsplit('/').next().unwrap_or(path);
            extensions.iter().any(|extension| name == *extension || name.ends_with(&format!(".{extension}")))
        });
        found.sort();
        Ok(found)
    }
}

/// Whether a package is a library that can be documented and linked.
pub(crate) fn is_library(package: &Package) -> bool {
    let linkable = |kind: &TargetKind| matches!(kind, TargetKind::Lib | TargetKind::RLib | TargetKind::ProcMacro);
    package.targets.iter().any(|target| target.kind.iter().any(linkable))
}

fn walk(root: &Path, dir: &Path, found: &mut Vec<String>) -> Result<(), Error> {
    for entry in fs::read_dir(dir)? {
        let path: PathBuf = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !SKIPPED.contains(&name) {
                walk(root, &path, found)?;
            }
        } else if let Ok(inside) = path.strip_prefix(root) {
            let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy()).collect();
            found.push(parts.join("/"));
        }
    }
    Ok(())
}

/// Folders that hold nothing written by hand.
const SKIPPED: [&str; 4] = [".git", "bench-results", "node_modules", "target"];
