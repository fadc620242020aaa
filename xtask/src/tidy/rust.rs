//! What each Rust file has to look like.

use super::Exceptions;
use crate::source::{Source, words};

/// More lines than this are worth a remark.
const LINES_WARN: usize = 600;
/// More lines than this need an exception.
const LINES_MAX: usize = 900;
/// A crate root is a table of contents.
const ROOT_LINES_MAX: usize = 100;

/// Names that say nothing about what is in the file.
const EMPTY_NAMES: [&str; 6] = ["common", "helpers", "misc", "mod", "util", "utils"];

/// What has no place in code, with what to do instead.
const FORBIDDEN: [(&str, &str); 6] = [
    ("todo!", "write it, or leave it out"),
    ("unimplemented!", "write it, or leave it out"),
    ("dbg!", "remove it"),
    ("#[ignore", "a test that does not run proves nothing"),
    ("#[allow(", "use `#[expect(…, reason = …)]`"),
    ("#![allow(", "use `#![expect(…, reason = …)]`"),
];

/// What is worth a remark, but not wrong.
pub(super) fn warnings(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_WARN && lines <= LINES_MAX).then(|| format!("warning: {path} has {lines} lines"))
}

/// What is wrong with a file.
pub(super) fn faults(path: &str, text: &str, source: &Source, exceptions: &Exceptions) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") && !text.starts_with("#![doc") {
        faults.push(format!("{path}:1: starts without `//!`: say what the file is for"));
    }
    let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    if EMPTY_NAMES.contains(&name) {
        faults.push(format!("{path}: is named `{name}`: name it after what is in it"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX && !exceptions.allow_long(path) {
        faults.push(format!("{path}: has {lines} lines, more than {LINES_MAX}"));
    }
    if path.starts_with("crates/") && path.ends_with("/src/lib.rs") {
        faults.extend(root_faults(path, source));
    }
    faults.extend(forbidden(path, source));
    faults.extend(unsafe_faults(path, source, exceptions));
    if path.starts_with("crates/") && path.contains("/src/") {
        faults.extend(cancel_safety_faults(path, source));
    }
    faults
}

fn root_faults(path: &str, source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    if source.lines().len() > ROOT_LINES_MAX {
        faults.push(format!("{path}: is a crate root with more than {ROOT_LINES_MAX} lines"));
    }
    // The compiler wants the entry points of procedural macros to stand here.
    let of_macros = source.lines().iter().any(|line| line.code.contains("#[proc_macro"));
    for number in source.find_word("fn").filter(|_| !of_macros) {
        faults.push(format!("{path}:{number}: a crate root has no logic of its own"));
    }
    faults
}

fn forbidden(path: &str, source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, line) in source.lines().iter().enumerate() {
        let number = index + 1;
        for (what, instead) in FORBIDDEN.iter().filter(|(what, _)| has(&line.code, what)) {
            faults.push(format!("{path}:{number}: `{what}`: {instead}"));
        }
        let marks = ["TODO", "FIXME", "XXX"];
        let marked = words(&line.comment).find(|word| marks.contains(word));
        let has_issue = line.comment.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if let Some(mark) = marked.filter(|_| !has_issue) {
            faults.push(format!("{path}:{number}: {mark} without the number of an issue"));
        }
    }
    faults
}

/// Whether `what` stands in the code, and not as the end of a longer word.
fn has(code: &str, what: &str) -> bool {
    code.match_indices(what).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

fn unsafe_faults(path: &str, source: &Source, exceptions: &Exceptions) -> Vec<String> {
    let mut faults = Vec::new();
    if let Some(number) = source.find_word("unsafe").next()
        && !exceptions.allow_unsafe(path)
    {
        faults.push(format!("{path}:{number}: `unsafe` in a file that xtask/tidy.toml does not list"));
    }
    for number in source.find_word("unsafe") {
        let code = &source.lines()[number - 1].code;
        let after = code.split("unsafe").nth(1).unwrap_or_default().trim_start();
        let needs_argument = after.starts_with('{') || after.starts_with("impl") || after.is_empty();
        if needs_argument && !source.comments_at(number).contains("SAFETY:") {
            faults.push(format!("{path}:{number}: `unsafe` without a `// SAFETY:` comment"));
        }
    }
    faults
}

fn cancel_safety_faults(path: &str, source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, line) in source.lines().iter().enumerate() {
        let code = line.code.trim_start();
        let is_async = code.starts_with("pub async fn")
            || (code.starts_with("pub fn") && (code.contains("-> impl Future") || code.contains("-> impl IntoFuture")));
        if is_async && !source.docs_above(index + 1).contains("# Cancel safety") {
            faults.push(format!("{path}:{}: can be awaited, but its docs have no `# Cancel safety`", index + 1));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: &str = "[unsafe-code]\n\"sys/\" = \"why\"\n[long-files]\n";

    fn faults_of(path: &str, text: &str) -> Vec<String> {
        faults(path, text, &Source::new(text), &Exceptions::parse(NONE).expect("valid"))
    }

    #[track_caller]
    fn assert_fault(path: &str, text: &str, why: &str) {
        let faults = faults_of(path, text);
        assert!(matches!(&faults[..], [fault] if fault.contains(why)), "{faults:?}");
    }

    #[test]
    fn a_file_says_what_it_is_for() {
        assert_fault("a.rs", "fn f() {}\n", "without `//!`");
        assert_eq!(faults_of("a.rs", "//! F.\nfn f() {}\n"), [""; 0]);
    }

    #[test]
    fn names_mean_something_and_files_are_short() {
        assert_fault("a/mod.rs", "//! M.\n", "named `mod`");
        assert_fault("a.rs", &"//! long\n".repeat(901), "901 lines");
    }

    #[test]
    fn forbidden_words_are_found_in_code_only() {
        assert_fault("a.rs", "//! A.\nfn f() { todo!() }\n", "`todo!`");
        assert_fault("a.rs", "//! A.\n#[ignore = \"slow\"]\nfn f() {}\n", "`#[ignore`");
        assert_fault("a.rs", "//! A.\n#[allow(dead_code)]\nfn f() {}\n", "`#[allow(`");
        assert_fault("a.rs", "//! A.\n// TODO later\n", "TODO");
        assert_eq!(faults_of("a.rs", "//! A todo! list.\nconst A: &str = \"dbg!\"; // TODO: after #12\n"), [""; 0]);
    }

    #[test]
    fn unsafe_is_listed_and_argued() {
        assert_fault("b.rs", "//! B.\n// SAFETY: fine.\nunsafe { f() }\n", "does not list");
        assert_fault("sys/b.rs", "//! B.\nunsafe { f() }\n", "SAFETY");
        assert_fault("sys/b.rs", "//! B.\nunsafe impl Send for X {}\n", "SAFETY");
        assert_eq!(faults_of("sys/b.rs", "//! B.\n// SAFETY: fine.\nlet x = unsafe { f() };\n"), [""; 0]);
    }

    #[test]
    fn what_can_be_awaited_says_what_cancelling_does() {
        assert_fault("crates/a/src/b.rs", "//! B.\n/// Waits.\npub async fn wait() {}\n", "Cancel safety");
        let good = "//! B.\n/// Waits.\n///\n/// # Cancel safety\n///\n/// Nothing is lost.\npub async fn wait() {}\n";
        assert_eq!(faults_of("crates/a/src/b.rs", good), [""; 0]);
    }

    #[test]
    fn a_crate_root_has_no_logic() {
        assert_fault("crates/a/src/lib.rs", "//! A.\nmod b;\npub fn f() {}\n", "no logic");
        assert_eq!(faults_of("crates/a/src/lib.rs", "//! A.\nmod b;\npub use b::f;\n"), [""; 0]);
    }
}
