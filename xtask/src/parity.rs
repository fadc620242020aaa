//! `parity`: the manifest `parity/asyncio.toml`, which has an entry for each public item of asyncio.
//!
//! An entry says one of three things: `rust = "asyncio::…"`, the path of ours; `todo = "floor N"`, when it comes;
//! `omitted = "…"`, why Rust needs no such thing. Paths are compiled in a generated crate. Beside `rust` may stand
//! `check = "…"`, an expression to compile in place of the path, and `cfg = "…"`, the platforms that have it.
//!
//! A method is compiled as a path expression. Its generic parameters may be left open there: the compiler then asks for
//! type annotations, and can only do so because the name exists.
//!
//! Counts the names that compiled.

use crate::Error;
use crate::metadata::Workspace;
use crate::process;
use crate::report::{self, Report};
use crate::scratch::Scratch;
use cargo_metadata::{Message, diagnostic::DiagnosticLevel};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};

/// What the compiler says about a name that exists when it cannot infer the types around it.
const ONLY_TYPES_OPEN: [&str; 4] = ["E0282", "E0283", "E0284", "E0790"];

/// `parity/asyncio.toml`.
#[derive(Debug, Deserialize)]
struct Manifest {
    /// How many entries there are: none goes missing unnoticed.
    rows: usize,
    /// What the generated crate imports so that extension methods are found.
    imports: Vec<String>,
    #[serde(flatten)]
    entries: BTreeMap<String, Entry>,
}

/// One public item of asyncio. The key is `<area>/<item>`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rust: Option<String>,
    check: Option<String>,
    cfg: Option<String>,
    todo: Option<String>,
    omitted: Option<String>,
}

pub(crate) fn run(workspace: &Workspace) -> Result<Report, Error> {
    let manifest: Manifest = toml::from_str(&workspace.read("parity/asyncio.toml")?)?;
    let mut report = Report::default();
    let faults = manifest.faults();
    let sound = faults.is_empty();
    faults.into_iter().for_each(|fault| report.fail(fault));
    manifest.print_score();
    if sound {
        report.merge(compile(workspace, &manifest)?);
    }
    Ok(report)
}

impl Manifest {
    /// What is wrong with the manifest itself.
    fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> = self
            .entries
            .iter()
            .filter_map(|(key, entry)| entry.fault().map(|fault| format!("{key:?}: {fault}")))
            .collect();
        faults.extend(self.entries.keys().filter(|key| !key.contains('/')).map(|key| format!("{key:?}: has no area")));
        if self.entries.len() != self.rows {
            faults.push(format!("there are {} entries, but `rows` says {}", self.entries.len(), self.rows));
        }
        faults
    }

    fn print_score(&self) {
        let mut areas: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        for (key, entry) in &self.entries {
            let area = key.split('/').next().unwrap_or_default();
            for score in [area, "~ all"] {
                areas.entry(score).or_default()[entry.column()] += 1;
            }
        }
        report::line(format_args!("{:14}{:>6}{:>9}{:>6}", "area", "done", "omitted", "todo"));
        for (area, [done, omitted, todo]) in areas {
            report::line(format_args!("{:14}{done:>6}{omitted:>9}{todo:>6}", area.trim_start_matches("~ ")));
        }
    }
}

impl Entry {
    fn column(&self) -> usize {
        match self {
            Self { rust: Some(_), .. } => 0,
            Self { omitted: Some(_), .. } => 1,
            _ => 2,
        }
    }

    fn fault(&self) -> Option<&'static str> {
        let said = [&self.rust, &self.todo, &self.omitted].into_iter().flatten();
        if said.clone().count() != 1 {
            return Some("says not exactly one of `rust`, `todo` and `omitted`");
        }
        if said.into_iter().any(|text| text.trim().is_empty()) {
            return Some("says nothing");
        }
        if self.rust.is_none() && (self.check.is_some() || self.cfg.is_some()) {
            return Some("has no `rust`, so there is nothing to check");
        }
        let ours = self.rust.as_ref().is_none_or(|path| path.starts_with("asyncio::"));
        (!ours).then_some("its path is not the facade's")
    }

    /// The line of the generated crate that compiles only if the name exists.
    fn line(&self, index: usize) -> String {
        let path = self.rust.as_deref().unwrap_or_default();
        let gate = self.cfg.as_ref().map(|cfg| format!("#[cfg({cfg})] ")).unwrap_or_default();
        let is_type = |segment: &str| segment.starts_with(|c: char| c.is_ascii_uppercase());
        let owner = path.rsplit("::").nth(1).unwrap_or_default();
        match &self.check {
            Some(check) => format!("{gate}fn row_{index}() {{ let _ = {check}; }}"),
            None if is_type(owner) => format!("{gate}fn row_{index}() {{ let _ = {path}; }}"),
            None => format!("{gate}mod row_{index} {{ use {path} as _; }}"),
        }
    }
}

/// Compiles what is claimed. A name that is missing hides the errors in function bodies, so what fails is taken out and
/// the rest compiled again until nothing else turns up.
fn compile(workspace: &Workspace, manifest: &Manifest) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut claims: Vec<(&String, &Entry)> =
        manifest.entries.iter().filter(|(_, entry)| entry.rust.is_some()).collect();
    while !claims.is_empty() {
        let mut text = String::from("//! Generated by `cargo xtask parity`.\n#![allow(unused, deprecated)]\n");
        let imports = manifest.imports.iter().map(|path| format!("use {path};")).collect::<String>();
        writeln!(text, "{imports}")?;
        let first = text.lines().count() + 1;
        for (index, (_, entry)) in claims.iter().enumerate() {
            writeln!(text, "{}", entry.line(index))?;
        }
        let errors = errors_by_line(workspace, &text)?;
        let fault_of = |index: usize| errors.get(&(first + index));
        if let Some(error) = errors.iter().find(|(line, _)| **line < first).map(|(_, error)| error) {
            return Err(format!("the generated crate does not compile: {error}").into());
        }
        let failed = claims.iter().enumerate().filter_map(|(index, (key, entry))| {
            let path = entry.rust.as_deref().unwrap_or_default();
            fault_of(index).map(|error| format!("{key:?}: {path}: {error}"))
        });
        let failed: Vec<String> = failed.collect();
        if failed.is_empty() {
            report.passes(claims.len());
            break;
        }
        failed.into_iter().for_each(|fault| report.fail(fault));
        let mut index = 0;
        claims.retain(|_| {
            index += 1;
            fault_of(index - 1).is_none()
        });
    }
    Ok(report)
}

/// Compiles a crate of this text and gives the first real error of each line; line 0 is for errors elsewhere.
fn errors_by_line(workspace: &Workspace, text: &str) -> Result<BTreeMap<usize, String>, Error> {
    let scratch =
        Scratch::write(workspace, Scratch::inside(workspace, "parity"), &["asyncio"], &[("src/lib.rs", text)])?;
    let mut errors = BTreeMap::new();
    let mut open = 0;
    let mut command = scratch.cargo(workspace);
    // Where types stay open cargo complains at the end; that is only worth showing if nothing else explains a failure.
    let complaints = Scratch::inside(workspace, "parity.stderr");
    command.args(["check", "--quiet", "--message-format=json"]).stderr(File::create(&complaints)?);
    let succeeded = process::messages(&mut command, |message| {
        let Message::CompilerMessage(message) = message else { return };
        let (ours, message) = (message.target.name.starts_with("scratch"), &message.message);
        if message.level != DiagnosticLevel::Error || message.spans.is_empty() {
            return;
        }
        let code = message.code.as_ref().map(|code| code.code.as_str());
        if ours && code.is_some_and(|code| ONLY_TYPES_OPEN.contains(&code)) {
            open += 1;
            return;
        }
        let line = message.spans.iter().find(|span| ours && span.is_primary).map_or(0, |span| span.line_start);
        errors.entry(line).or_insert_with(|| message.message.clone());
    })?;
    if !succeeded && errors.is_empty() && open == 0 {
        errors.insert(0, process::told(&command, &format!("failed: {}", fs::read_to_string(complaints)?)));
    }
    Ok(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entries: &str) -> Result<Manifest, toml::de::Error> {
        let rows = entries.lines().count();
        toml::from_str(&format!("rows = {rows}\nimports = []\n{entries}"))
    }

    #[test]
    fn an_entry_says_one_thing() {
        let good = "\"loop/a\" = { rust = \"asyncio::a\" }\n\"loop/b\" = { todo = \"floor 1\" }\n";
        assert_eq!(parse(good).expect("valid").faults(), [""; 0]);
        assert_eq!(
            parse("\"loop/a\" = { rust = \"asyncio::a\", todo = \"floor 1\" }").expect("valid").faults().len(),
            1
        );
        assert_eq!(parse("\"loop/a\" = {}").expect("valid").faults().len(), 1);
        assert_eq!(parse("\"loop/a\" = { omitted = \" \" }").expect("valid").faults().len(), 1);
        assert_eq!(parse("\"loop/a\" = { todo = \"floor 1\", check = \"f()\" }").expect("valid").faults().len(), 1);
        assert_eq!(parse("\"loop/a\" = { rust = \"elsewhere::a\" }").expect("valid").faults().len(), 1);
    }

    #[test]
    fn duplicates_unknown_keys_and_lost_rows_are_refused() {
        assert!(parse("\"loop/a\" = { todo = \"1\" }\n\"loop/a\" = { todo = \"1\" }").is_err());
        assert!(parse("\"loop/a\" = { done = \"1\" }").is_err());
        let lost: Manifest = toml::from_str("rows = 2\nimports = []\n\"loop/a\" = { todo = \"1\" }").expect("valid");
        assert_eq!(lost.faults().len(), 1);
    }

    #[test]
    fn methods_are_expressions_and_the_rest_is_imported() {
        let entry = |text: &str| toml::from_str::<Entry>(text).expect("valid");
        assert_eq!(entry("rust = \"asyncio::run\"").line(1), "mod row_1 { use asyncio::run as _; }");
        let method = entry("rust = \"asyncio::Handle::cancel\"\ncfg = \"unix\"");
        assert_eq!(method.line(2), "#[cfg(unix)] fn row_2() { let _ = asyncio::Handle::cancel; }");
        let checked = entry("rust = \"asyncio::Future\"\ncheck = \"asyncio::Future::<u8>::new\"");
        assert_eq!(checked.line(3), "fn row_3() { let _ = asyncio::Future::<u8>::new; }");
    }
}
