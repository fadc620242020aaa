//! `semantics`: the table of asyncio's observable behaviour in the book, against the tests that cite it.
//!
//! Each row is a number, a statement, and where it is tested: files, or `floor N` for what comes later, or `differs: why`;
//! files may be followed by `; differs: why`.
//! A test cites a statement in a comment that contains `sem. 7`, `sem. 9-16` or `sem. 1, 2`. Counts the rows.
//!
//! A row that claims a file which does not cite it fails; so does a citation of a statement that has no row, a row that
//! says nothing, and one that waits for a floor that stands already. `--update` writes the files that cite a row into it.

use crate::Error;
use crate::layers;
use crate::metadata::Workspace;
use crate::report::Report;
use crate::source::{Line, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

const TABLE: &str = "docs/book/src/semantics.md";
const DIFFERS: &str = "differs: ";

/// Which files cite each statement.
type Citations = BTreeMap<usize, BTreeSet<String>>;

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Row<'a> {
    number: usize,
    statement: &'a str,
    covered: &'a str,
}

pub(crate) fn run(workspace: &Workspace) -> Result<Report, Error> {
    let standing = layers::standing_floors(&workspace.read("ARCHITECTURE.md")?);
    Ok(check(&workspace.read(TABLE)?, &citations(workspace)?, &standing))
}

/// Writes what is cited into the table; says how many rows are covered by a test.
pub(crate) fn update(workspace: &Workspace) -> Result<String, Error> {
    let citations = citations(workspace)?;
    let text = updated(&workspace.read(TABLE)?, &citations);
    let covered = text.lines().filter_map(Row::parse).filter(|row| row.covered.contains(".rs")).count();
    fs::write(workspace.root().join(TABLE), text)?;
    Ok(format!("{TABLE}: {covered} statements are cited by tests"))
}

fn check(table: &str, citations: &Citations, standing: &BTreeSet<usize>) -> Report {
    let mut report = Report::default();
    let mut numbers = BTreeSet::new();
    let mut counts = [0; 3];
    for row in table.lines().filter_map(Row::parse) {
        let (number, covered) = (row.number, row.covered);
        if !numbers.insert(number) {
            report.fail(format!("{TABLE}: statement {number} has two rows"));
        }
        if row.statement.is_empty() {
            report.fail(format!("{TABLE}: statement {number} states nothing"));
        }
        counts[row.kind()] += 1;
        report.check(match row.kind() {
            0 => row.uncited(citations).map(|file| format!("{TABLE}: {file} does not cite `sem. {number}`")),
            1 => None,
            _ if row.floor().is_some_and(|floor| !standing.contains(&floor)) => None,
            _ if row.floor().is_some() => Some(format!("{TABLE}: {covered} stands, but no test cites `sem. {number}`")),
            _ => Some(format!("{TABLE}: statement {number} says neither where it is tested nor why not: {covered:?}")),
        });
    }
    for (number, files) in citations.iter().filter(|(number, _)| !numbers.contains(number)) {
        report.fail(format!("{TABLE}: `sem. {number}`, cited in {files:?}, has no row"));
    }
    let [tested, differing, later] = counts;
    report.note(format!(
        "{tested} statements cited by tests, {differing} more are deliberate differences, {later} for later floors"
    ));
    report
}

fn updated(table: &str, citations: &Citations) -> String {
    let line = |line: &str| match Row::parse(line) {
        Some(row) if citations.contains_key(&row.number) => {
            let files: Vec<_> = citations[&row.number].iter().map(|file| format!("`{file}`")).collect();
            let differs = row.differs().map(|reason| format!("; {DIFFERS}{reason}")).unwrap_or_default();
            format!("| {} | {} | {}{differs} |\n", row.number, row.statement, files.join(", "))
        }
        _ => format!("{line}\n"),
    };
    table.lines().map(line).collect()
}

impl<'a> Row<'a> {
    /// Reads `| 7 | Statement. | where |`.
    fn parse(line: &'a str) -> Option<Self> {
        let mut cells = line.strip_prefix('|')?.trim_end().strip_suffix('|')?.splitn(3, " | ").map(str::trim);
        let number = cells.next()?.parse().ok()?;
        Some(Self { number, statement: cells.next()?, covered: cells.next()? })
    }

    /// 0: tested; 1: only different on purpose; 2: anything else.
    fn kind(&self) -> usize {
        let differs = self.differs().is_some_and(|reason| !reason.trim().is_empty());
        if self.covered.starts_with('`') { 0 } else { 2 - usize::from(differs) }
    }

    /// The floor with which its test comes.
    fn floor(&self) -> Option<usize> {
        self.covered.strip_prefix("floor ")?.parse().ok()
    }

    /// Why we differ.
    fn differs(&self) -> Option<&'a str> {
        self.covered.split_once(DIFFERS).map(|(_, reason)| reason)
    }

    /// The first file in the row that does not cite it.
    fn uncited(&self, citations: &Citations) -> Option<&'a str> {
        let cites = |file: &&str| citations.get(&self.number).is_some_and(|files| files.contains(*file));
        let files = self.covered.split("; ").next().unwrap_or_default();
        files.split(", ").map(|file| file.trim_matches('`')).find(|file| !cites(file))
    }
}

/// All citations in tests. What the docs of `src/` mention is no proof.
fn citations(workspace: &Workspace) -> Result<Citations, Error> {
    let mut citations = Citations::new();
    let ours = |path: &String| ["crates/", "conformance/"].iter().any(|folder| path.starts_with(folder));
    for path in workspace.files(&["rs"])?.into_iter().filter(ours) {
        let source = Source::new(&workspace.read(&path)?);
        for line in tests_of(&path, &source) {
            for number in cited(&line.comment) {
                citations.entry(number).or_default().insert(path.clone());
            }
        }
    }
    Ok(citations)
}

/// The lines of a file that belong to tests: all of `tests/`, and what comes after `#[cfg(test)]` elsewhere.
fn tests_of<'a>(path: &str, source: &'a Source) -> &'a [Line] {
    let lines = source.lines();
    if path.contains("/tests/") || path.ends_with("/tests.rs") {
        return lines;
    }
    let start = lines.iter().position(|line| line.code.trim() == "#[cfg(test)]").unwrap_or(lines.len());
    &lines[start..]
}

/// The numbers that a comment cites.
fn cited(comment: &str) -> Vec<usize> {
    let mut numbers = Vec::new();
    for (at, mark) in comment.match_indices("sem. ") {
        let mut rest = &comment[at + mark.len()..];
        while let Some((first, after)) = number(rest) {
            let (last, after) = match after.strip_prefix(['-', '–']).and_then(number) {
                Some((last, after)) => (last, after),
                None => (first, after),
            };
            numbers.extend(first..=last);
            rest = [", ", " and "].iter().find_map(|glue| after.strip_prefix(glue)).unwrap_or_default();
        }
    }
    numbers
}

fn number(text: &str) -> Option<(usize, &str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_citation() -> Citations {
        Citations::from([(1, BTreeSet::from(["crates/a/tests/b.rs".to_owned()]))])
    }

    fn standing() -> BTreeSet<usize> {
        BTreeSet::from([0, 1])
    }

    #[test]
    fn citations_are_lists_and_ranges() {
        assert_eq!(cited("// sem. 153"), [153]);
        assert_eq!(cited("/// First come, first served (sem. 1, 2 and 9-11; not 12)."), [1, 2, 9, 10, 11]);
        assert_eq!(cited("// item. 3, sem. x"), [0; 0]);
    }

    #[test]
    fn only_tests_are_proof() {
        let source = Source::new("// sem. 1\n#[cfg(test)]\nmod tests {}\n");
        assert_eq!(tests_of("crates/a/src/b.rs", &source).len(), 2);
        assert_eq!(tests_of("crates/a/tests/b.rs", &source).len(), 3);
    }

    #[test]
    fn a_row_that_claims_a_file_needs_its_citation() {
        let good = "| 1 | Fifo. | `crates/a/tests/b.rs` |\n| 2 | Later. | floor 3 |\n| 3 | Not. | differs: no heap |\n";
        assert_eq!(check(good, &one_citation(), &standing()).failures(), [""; 0]);
        assert_eq!(check(good, &one_citation(), &standing()).passed(), 3);
        assert_eq!(check(good, &Citations::new(), &standing()).failures().len(), 1);
    }

    #[test]
    fn empty_rows_and_unknown_numbers_fail() {
        assert_eq!(check("| 1 | Fifo. | |\n", &one_citation(), &standing()).failures().len(), 1);
        assert_eq!(check("| 1 | Fifo. | differs: |\n", &one_citation(), &standing()).failures().len(), 1);
        assert_eq!(check("| 2 | Fifo. | floor 2 |\n", &one_citation(), &standing()).failures().len(), 1);
    }

    #[test]
    fn a_floor_that_stands_is_no_excuse() {
        assert_eq!(check("| 2 | Fifo. | floor 2 |\n", &Citations::new(), &standing()).failures(), [""; 0]);
        assert_eq!(check("| 2 | Fifo. | floor 1 |\n", &Citations::new(), &standing()).failures().len(), 1);
    }

    #[test]
    fn update_fills_rows_in() {
        let table = "| 1 | Fifo. | floor 1 |\n| 3 | Not. | differs: no heap |\n";
        let text = updated(table, &one_citation());
        assert_eq!(text, "| 1 | Fifo. | `crates/a/tests/b.rs` |\n| 3 | Not. | differs: no heap |\n");
        let both = updated("| 1 | Fifo. | differs: stricter |\n", &one_citation());
        assert_eq!(both, "| 1 | Fifo. | `crates/a/tests/b.rs`; differs: stricter |\n");
        assert_eq!(updated(&both, &one_citation()), both);
        assert_eq!(check(&both, &one_citation(), &standing()).failures(), [""; 0]);
    }

    #[test]
    fn the_table_of_this_workspace_holds() {
        let report = run(&Workspace::load().expect("a workspace")).expect("readable files");
        assert_eq!(report.failures(), [""; 0]);
        assert!(!report.nothing_ran());
    }
}
