//! Small crates that checks generate and compile, each a workspace of its own with this workspace's lock file.
//!
//! The lock file keeps them on the same versions, so that they build without a network.

use crate::Error;
use crate::metadata::Workspace;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A generated crate.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: PathBuf,
}

impl Scratch {
    /// Writes a crate into `dir` that depends on `dependencies`, members of the workspace, by their paths.
    ///
    /// `files` are paths inside the crate with their text.
    pub(crate) fn write(
        workspace: &Workspace,
        dir: PathBuf,
        dependencies: &[&str],
        files: &[(&str, &str)],
    ) -> Result<Self, Error> {
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or("scratch").to_owned();
        let mut manifest = format!(
            "[workspace]\n\n[package]\nname = \"scratch-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\npublish = false\n\n\
             [dependencies]\n"
        );
        for package in workspace.members() {
            if dependencies.contains(&package.name.as_str()) {
                let path = package.manifest_path.parent().ok_or("a manifest without a folder")?;
                writeln!(manifest, "{} = {{ path = '{path}' }}", package.name)?;
            }
        }
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(dir.join("src"))?;
        fs::write(dir.join("Cargo.toml"), manifest)?;
        fs::copy(workspace.root().join("Cargo.lock"), dir.join("Cargo.lock"))?;
        for (path, text) in files {
            fs::write(dir.join(path), text)?;
        }
        Ok(Self { dir })
    }

    /// A cargo command inside the crate, which builds into the workspace's target folder.
    pub(crate) fn cargo(&self, workspace: &Workspace) -> Command {
        let mut command = workspace.cargo();
        command.current_dir(&self.dir);
        command
    }

    /// Where generated crates go that need not be outside the workspace.
    pub(crate) fn inside(workspace: &Workspace, name: &str) -> PathBuf {
        workspace.target().join("xtask").join(name)
    }
}
