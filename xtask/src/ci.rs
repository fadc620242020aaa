//! `cargo xtask ci`: the stages, in order, each with its time, and a table at the end.
//!
//! The last line is always `N passed, N failed`. A stage that executed nothing counts as one failure.
//!
//! A stage for something that does not exist yet is not in the table at all: it neither passes nor fails.

use crate::metadata::Workspace;
use crate::report::{self, Report};
use crate::{Error, alone, bench, conformance, doc, examples, fmt, layers, lint, parity, semantics, test, tidy};
use std::env;
use std::time::{Duration, Instant};

/// One stage of CI.
#[derive(Debug)]
struct Stage {
    name: &'static str,
    about: &'static str,
    exists: fn(&Workspace) -> bool,
    run: fn(&Workspace) -> Result<Report, Error>,
}

/// Cheap stages first: whoever forgot to format need not wait for the tests.
const STAGES: [Stage; 12] = [
    Stage { name: "fmt", about: "all code is formatted", exists: always, run: fmt::check },
    Stage { name: "layers", about: "dependencies go down the tower only", exists: always, run: layers::run },
    Stage { name: "tidy", about: "the rules of STYLE.md that a machine can see", exists: always, run: tidy::run },
    Stage {
        name: "semantics",
        about: "statements of the table are cited by tests",
        exists: always,
        run: semantics::run,
    },
    Stage { name: "lint", about: "clippy, with all features and with none", exists: always, run: lint::run },
    Stage { name: "parity", about: "names that we claim to have compile", exists: always, run: parity::run },
    Stage { name: "test", about: "all tests together, and each crate alone", exists: always, run: test::run },
    Stage {
        name: "conformance",
        about: "programs do what they do on CPython's asyncio",
        exists: conformance::exists,
        run: conformance::run,
    },
    Stage { name: "alone", about: "each crate is used from outside", exists: always, run: alone::run },
    Stage { name: "doc", about: "rustdoc, snippets of the book, links", exists: always, run: doc::run },
    Stage { name: "examples", about: "every example runs", exists: examples::exist, run: examples::run },
    Stage {
        name: "bench-smoke",
        about: "the benchmark programs run",
        exists: bench::smoke::exists,
        run: bench::smoke::run,
    },
];

fn always(_: &Workspace) -> bool {
    true
}

/// Whether `name` is a stage.
pub(crate) fn has_stage(workspace: &Workspace, name: &str) -> bool {
    STAGES.iter().any(|stage| stage.name == name && (stage.exists)(workspace))
}

/// Prints the stages.
pub(crate) fn list(workspace: &Workspace) {
    for stage in STAGES.iter().filter(|stage| (stage.exists)(workspace)) {
        report::line(format_args!("{:12}{}", stage.name, stage.about));
    }
}

/// Runs the stages that are named, or all of them; `false` if one of them failed.
pub(crate) fn run(workspace: &Workspace, names: &[&str]) -> Result<bool, Error> {
    if let Some(unknown) = names.iter().find(|name| !has_stage(workspace, name)) {
        return Err(format!("no such stage: {unknown} (`cargo xtask ci --list` names them)").into());
    }
    for (name, value) in env::vars().filter(|(name, _)| name.starts_with("PROPTEST_")) {
        report::line(format_args!("{name}={value}"));
    }
    let chosen = |stage: &&Stage| (names.is_empty() && (stage.exists)(workspace)) || names.contains(&stage.name);
    let results: Vec<_> = STAGES.iter().filter(chosen).map(|stage| timed(stage, workspace)).collect();
    Ok(summary(&results))
}

/// Runs one check that is not a stage of CI; `false` if it failed.
pub(crate) fn run_one(
    name: &'static str,
    workspace: &Workspace,
    run: fn(&Workspace) -> Result<Report, Error>,
) -> Result<bool, Error> {
    Ok(summary(&[timed(&Stage { name, about: "", exists: always, run }, workspace)]))
}

/// Prints the report of a check that was run; `false` if it failed.
pub(crate) fn summarize(name: &'static str, report: &Report) -> bool {
    summary(&[judged(name, report, Duration::ZERO)])
}

/// A stage that was run.
#[derive(Debug)]
struct Finished {
    name: &'static str,
    passed: usize,
    failed: usize,
    time: Duration,
}

#[expect(clippy::disallowed_methods, reason = "how long a stage takes on this machine is real time")]
fn timed(stage: &Stage, workspace: &Workspace) -> Finished {
    report::line(format_args!("\n── {} ── {}", stage.name, stage.about));
    let started = Instant::now();
    let outcome = (stage.run)(workspace).unwrap_or_else(|error| {
        let mut broken = Report::default();
        broken.fail(error.to_string());
        broken
    });
    let finished = judged(stage.name, &outcome, started.elapsed());
    report::line(format_args!(
        "── {}: {} passed, {} failed, {:.1} s",
        finished.name,
        finished.passed,
        finished.failed,
        finished.time.as_secs_f64()
    ));
    finished
}

/// Prints what a report has to say, and counts an empty one as a failure.
fn judged(name: &'static str, outcome: &Report, time: Duration) -> Finished {
    for note in outcome.notes() {
        report::line(note);
    }
    for failure in outcome.failures() {
        report::line(format_args!("FAILED {name}: {failure}"));
    }
    if outcome.nothing_ran() {
        report::line(format_args!("FAILED {name}: nothing was executed"));
    }
    let failed = outcome.failures().len() + usize::from(outcome.nothing_ran());
    Finished { name, passed: outcome.passed(), failed, time }
}

/// Prints the table and the closing line; `false` if a stage failed.
fn summary(results: &[Finished]) -> bool {
    report::line(format_args!("\n{:12}{:>8}{:>8}{:>10}", "stage", "passed", "failed", "seconds"));
    for stage in results {
        let seconds = stage.time.as_secs_f64();
        report::line(format_args!("{:12}{:>8}{:>8}{seconds:>10.1}", stage.name, stage.passed, stage.failed));
    }
    let passed: usize = results.iter().map(|stage| stage.passed).sum();
    let failed: usize = results.iter().map(|stage| stage.failed).sum();
    let seconds: f64 = results.iter().map(|stage| stage.time.as_secs_f64()).sum();
    report::line(format_args!("{:12}{passed:>8}{failed:>8}{seconds:>10.1}\n", "total"));
    report::line(format_args!("{passed} passed, {failed} failed"));
    failed == 0 && !results.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_executed_nothing_has_failed() {
        let finished = judged("empty", &Report::default(), Duration::ZERO);
        assert_eq!((finished.passed, finished.failed), (0, 1));
        assert!(!summary(&[finished]));
    }

    #[test]
    fn one_pass_and_no_failure_is_green() {
        let mut report = Report::default();
        report.pass();
        assert!(summary(&[judged("one", &report, Duration::ZERO)]));
    }
}
