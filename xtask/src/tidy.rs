//! `tidy`: the rules of STYLE.md that a machine can see. Counts the files looked at.
//!
//! Exceptions stand in `xtask/tidy.toml`, each with a reason; one that nothing needs any more is a failure itself.

mod files;
mod manifests;
mod rust;

use crate::Error;
use crate::metadata::Workspace;
use crate::report::Report;
use crate::source::Source;
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

pub(crate) fn run(workspace: &Workspace) -> Result<Report, Error> {
    let exceptions = Exceptions::parse(&workspace.read("xtask/tidy.toml")?)?;
    let mut report = Report::default();
    for path in workspace.files(&["rs"])? {
        let text = workspace.read(&path)?;
        report.note_all(rust::warnings(&path, &text));
        report.check_all(rust::faults(&path, &text, &Source::new(&text), &exceptions));
    }
    for path in workspace.files(&["rs", "md", "toml", "yml", "yaml", "sh", "run"])? {
        report.check_all(files::faults(&path, &workspace.read(&path)?));
    }
    for package in workspace.members() {
        let manifest = package.manifest_path.as_str();
        report.check_all(manifests::faults(&package.name, &fs::read_to_string(manifest)?.parse()?));
    }
    for package in workspace.libraries() {
        let readme = format!("crates/{}/README.md", package.name);
        report.check((!workspace.root().join(&readme).exists()).then(|| format!("{readme} is missing")));
    }
    report.check_all(exceptions.unused());
    Ok(report)
}

impl Report {
    /// Counts one file: a pass if it has no fault, and each of its faults otherwise.
    fn check_all(&mut self, faults: Vec<String>) {
        if faults.is_empty() {
            self.pass();
        }
        faults.into_iter().for_each(|fault| self.fail(fault));
    }

    fn note_all(&mut self, notes: Option<String>) {
        notes.into_iter().for_each(|note| self.note(note));
    }
}

/// `xtask/tidy.toml`, and which of its entries were needed.
#[derive(Debug)]
struct Exceptions {
    listed: Listed,
    used: RefCell<BTreeSet<String>>,
}

/// Paths (of a file, or of a folder with a `/` at the end) with the reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Listed {
    unsafe_code: BTreeMap<String, String>,
    long_files: BTreeMap<String, String>,
}

impl Exceptions {
    fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self { listed: toml::from_str(text)?, used: RefCell::default() })
    }

    /// Whether `path` may contain `unsafe`.
    fn allow_unsafe(&self, path: &str) -> bool {
        self.uses(&self.listed.unsafe_code, path)
    }

    /// Whether `path` may be long.
    fn allow_long(&self, path: &str) -> bool {
        self.uses(&self.listed.long_files, path)
    }

    fn uses(&self, listed: &BTreeMap<String, String>, path: &str) -> bool {
        let covers = |listed: &&String| path == *listed || (listed.ends_with('/') && path.starts_with(listed.as_str()));
        let entry = listed.keys().find(covers);
        self.used.borrow_mut().extend(entry.cloned());
        entry.is_some()
    }

    fn unused(&self) -> Vec<String> {
        let used = self.used.borrow();
        let listed = self.listed.unsafe_code.iter().chain(&self.listed.long_files);
        let faults = listed.filter_map(|(path, reason)| match () {
            () if reason.trim().is_empty() => Some(format!("xtask/tidy.toml: {path} has no reason")),
            () if !used.contains(path) => Some(format!("xtask/tidy.toml: {path} needs its exception no more")),
            () => None,
        });
        faults.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_that_nothing_needs_is_a_fault() {
        let exceptions = Exceptions::parse("[unsafe-code]\n\"a/sys/\" = \"why\"\n[long-files]\n\"b.rs\" = \"why\"\n");
        let exceptions = exceptions.expect("valid");
        assert!(exceptions.allow_unsafe("a/sys/epoll.rs"));
        assert!(!exceptions.allow_unsafe("a/system.rs"));
        assert!(matches!(&exceptions.unused()[..], [fault] if fault.contains("b.rs")));
    }

    #[test]
    fn this_workspace_is_tidy() {
        let report = run(&Workspace::load().expect("a workspace")).expect("readable files");
        assert_eq!(report.failures(), [""; 0]);
        assert!(!report.nothing_ran());
    }
}
