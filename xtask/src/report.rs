//! What a check tells: a count of what passed, the failures, and lines on standard output.
//!
//! Invariants:
//! 1. A report without a single pass or failure is a failure: see [`Report::nothing_ran`].

use std::fmt::Display;

/// The outcome of a check.
#[derive(Debug, Default)]
pub(crate) struct Report {
    passed: usize,
    failures: Vec<String>,
    notes: Vec<String>,
}

impl Report {
    /// Counts one thing that was executed and is as it should be.
    pub(crate) fn pass(&mut self) {
        self.passes(1);
    }

    /// Counts several of them.
    pub(crate) fn passes(&mut self, count: usize) {
        self.passed += count;
    }

    /// Counts one thing that is not as it should be.
    pub(crate) fn fail(&mut self, message: impl Into<String>) {
        self.failures.push(message.into());
    }

    /// Counts one thing, by whether `fault` says something.
    pub(crate) fn check(&mut self, fault: Option<String>) {
        match fault {
            None => self.pass(),
            Some(fault) => self.fail(fault),
        }
    }

    /// Says something that is neither a pass nor a failure.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Adds what another report counted.
    pub(crate) fn merge(&mut self, other: Self) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
        self.notes.extend(other.notes);
    }

    /// How many things passed.
    pub(crate) fn passed(&self) -> usize {
        self.passed
    }

    /// What failed.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// What else is worth knowing.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether nothing was executed at all, which is as bad as a failure.
    pub(crate) fn nothing_ran(&self) -> bool {
        self.passed == 0 && self.failures.is_empty()
    }
}

/// Prints one line.
#[expect(clippy::print_stdout, reason = "the one place where this program talks")]
pub(crate) fn line(text: impl Display) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_report_has_run_nothing() {
        let mut report = Report::default();
        assert!(report.nothing_ran());
        report.pass();
        assert!(!report.nothing_ran());
    }

    #[test]
    fn merging_adds_up() {
        let mut sum = Report::default();
        let mut part = Report::default();
        part.passes(2);
        part.fail("broken");
        sum.merge(part);
        sum.pass();
        assert_eq!((sum.passed(), sum.failures()), (3, &["broken".to_owned()][..]));
    }
}
