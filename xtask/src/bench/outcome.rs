//! Samples, the tables that they make, and the report files.

use super::machine::{self, Sample};
use super::program::{Side, Way};
use super::statistics::{Summary, shown};
use super::workload::{Target, Workload};
use crate::Error;
use crate::metadata::Workspace;
use crate::report;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// What one way to do a workload took.
#[derive(Debug)]
pub(super) struct Samples {
    way: Way,
    costs: Vec<f64>,
    failures: usize,
    is_unsupported: bool,
}

impl Samples {
    pub(super) fn new(way: Way) -> Self {
        Self { way, costs: Vec::new(), failures: 0, is_unsupported: false }
    }

    /// Measures once more, unless that is in vain.
    pub(super) fn take(&mut self, workload: &Workload) {
        if self.is_unsupported || self.failures > 1 {
            return;
        }
        match machine::sample(&self.way, workload) {
            Ok(Sample::Cost(cost)) => self.costs.push(cost),
            Ok(Sample::Unsupported) => self.is_unsupported = true,
            Err(error) => {
                self.failures += 1;
                report::line(format_args!("note: {} in {}: {error}", self.way.label, workload.name));
            }
        }
    }
}

/// A program in a workload: one row.
#[derive(Debug)]
struct Row {
    label: String,
    side: Side,
    summary: Summary,
    costs: Vec<f64>,
}

/// All that was found out about a workload.
#[derive(Debug)]
struct Finding {
    workload: Workload,
    rows: Vec<Row>,
}

impl Finding {
    fn new(workload: Workload, samples: Vec<Samples>) -> Self {
        let rows = samples.into_iter().filter_map(|Samples { way, costs, .. }| {
            let summary = Summary::of(&costs)?;
            Some(Row { label: way.label, side: way.side, summary, costs })
        });
        let mut rows: Vec<Row> = rows.collect();
        rows.sort_by(|left, right| left.summary.median.total_cmp(&right.summary.median));
        Self { workload, rows }
    }

    /// The cheapest of a side.
    fn best(&self, side: Side) -> Option<&Row> {
        self.rows.iter().find(|row| row.side == side)
    }

    /// The most that we may cost, as far as it can be known without the program that it is measured by.
    fn target(&self) -> Option<f64> {
        match self.workload.target {
            Target::Peer(factor) => Some(self.best(Side::Peer)?.summary.median * factor),
            Target::Raw(factor) => Some(self.best(Side::Raw)?.summary.median * factor),
            Target::Absolute(most) => Some(most),
        }
    }

    fn aim(&self) -> String {
        match self.workload.target {
            Target::Peer(factor) => format!("{factor}x best peer"),
            Target::Raw(factor) => format!("{factor}x raw"),
            Target::Absolute(_) => "absolute".to_owned(),
        }
    }

    /// Markdown: a row for each program, cheapest first.
    fn table(&self) -> String {
        let Workload { name, n, .. } = self.workload;
        let target = self.target().map_or_else(|| "unknown".to_owned(), shown);
        let mut text = format!("### {name}\n\n{}, N = {n}; target {target} ({})\n\n", self.workload.unit(), self.aim());
        text.push_str("| program | median | min | max | to best peer | to target |\n|---|---|---|---|---|---|\n");
        let best = self.best(Side::Peer).map(|row| row.summary.median);
        for Row { label, summary: Summary { median, min, max }, .. } in &self.rows {
            let (to_best, to_target) = (ratio(*median, best), ratio(*median, self.target()));
            let (median, min, max) = (shown(*median), shown(*min), shown(*max));
            let _ = writeln!(text, "| {label} | {median} | {min} | {max} | {to_best} | {to_target} |");
        }
        text
    }

    /// Markdown: one row of the overview.
    fn overview(&self) -> String {
        let told = |side| self.best(side).map_or_else(|| "–".to_owned(), |row| shown(row.summary.median));
        let peer = self.best(Side::Peer).map_or("–", |row| row.label.as_str());
        let ours = self.best(Side::Ours).map(|row| row.summary.median);
        let best = self.best(Side::Peer).map(|row| row.summary.median);
        let to = |other| ours.map_or_else(|| "–".to_owned(), |ours| ratio(ours, other));
        let (to_best, to_target) = (to(best), to(self.target()));
        let columns = [self.workload.name, &told(Side::Ours), peer, &told(Side::Peer), &told(Side::Raw), &to_best];
        format!("| {} | {} | {to_target} |", columns.join(" | "), self.aim())
    }

    fn json(&self) -> Value {
        let programs = self.rows.iter().map(|row| {
            let Summary { median, min, max } = row.summary;
            json!({ "name": row.label, "median": median, "min": min, "max": max,
                    "spread": row.summary.spread(), "samples": row.costs })
        });
        json!({ "name": self.workload.name, "unit": self.workload.unit(), "n": self.workload.n,
                "aim": self.aim(), "target": self.target(), "programs": programs.collect::<Vec<_>>() })
    }
}

fn ratio(cost: f64, other: Option<f64>) -> String {
    other.map_or_else(|| "–".to_owned(), |other| format!("{:.2}", cost / other))
}

/// Everything that one `cargo xtask bench` measured.
#[derive(Debug)]
pub(super) struct Results {
    folder: PathBuf,
    rounds: usize,
    circumstances: Vec<(&'static str, String)>,
    findings: Vec<Finding>,
}

impl Results {
    pub(super) fn new(workspace: &Workspace, rounds: usize) -> Self {
        let lock = workspace.read("benches/peers/Cargo.lock").unwrap_or_default();
        let circumstances = vec![
            (
                "commit",
                told_by(Command::new("git").args(["rev-parse", "--short", "HEAD"]).current_dir(workspace.root())),
            ),
            ("kernel", told_by(Command::new("uname").arg("-rm"))),
            ("processor", processor()),
            ("compiler", told_by(Command::new("rustc").arg("--version"))),
            ("peers", versions(&lock, &["tokio", "async-executor", "async-io", "monoio", "compio", "glommio"])),
        ];
        Self { folder: workspace.root().join("bench-results"), rounds, circumstances, findings: Vec::new() }
    }

    /// Adds a workload, and shows its table.
    pub(super) fn add(&mut self, workload: Workload, samples: Vec<Samples>) -> String {
        let finding = Finding::new(workload, samples);
        let table = finding.table();
        self.findings.push(finding);
        table
    }

    pub(super) fn is_empty(&self) -> bool {
        self.findings.iter().all(|finding| finding.rows.is_empty())
    }

    /// Writes the report as Markdown and as JSON; says where.
    pub(super) fn write(&self) -> Result<Vec<String>, Error> {
        fs::create_dir_all(&self.folder)?;
        let time = told_by(Command::new("date").args(["-u", "+%Y%m%d-%H%M%S"]));
        let files = [("md", self.markdown()), ("json", serde_json::to_string_pretty(&self.json())?)];
        let mut written = Vec::new();
        for (extension, text) in files {
            let path = self.folder.join(format!("{time}.{extension}"));
            fs::write(&path, text)?;
            written.push(path.display().to_string());
        }
        Ok(written)
    }

    fn markdown(&self) -> String {
        let mut text = format!("# Benchmarks\n\nMedians of {} interleaved rounds.\n\n", self.rounds);
        for (name, value) in &self.circumstances {
            let _ = writeln!(text, "- {name}: {value}");
        }
        text.push_str("\n| workload | ours | best peer | cost | raw | ours to best peer | target | ours to target |\n");
        text.push_str("|---|---|---|---|---|---|---|---|\n");
        for finding in &self.findings {
            let _ = writeln!(text, "{}", finding.overview());
        }
        for finding in &self.findings {
            let _ = write!(text, "\n{}", finding.table());
        }
        text
    }

    fn json(&self) -> Value {
        let circumstances: serde_json::Map<_, _> =
            self.circumstances.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let workloads: Vec<_> = self.findings.iter().map(Finding::json).collect();
        json!({ "circumstances": circumstances, "rounds": self.rounds, "workloads": workloads })
    }
}

/// The first line that a command prints.
fn told_by(command: &mut Command) -> String {
    let told = command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    told.ok().and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_else(|| "unknown".to_owned())
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<_> = info.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(": ")).collect();
    let model = models.first().map_or("unknown", |(_, model)| model);
    format!("{} x {model}", models.len())
}

/// The versions of packages in a lock file.
fn versions(lock: &str, packages: &[&str]) -> String {
    let lines: Vec<_> = lock.lines().collect();
    let found = lines.windows(2).filter_map(|pair| {
        let name = pair[0].strip_prefix("name = \"")?.trim_end_matches('"');
        let version = pair[1].strip_prefix("version = \"")?.trim_end_matches('"');
        packages.contains(&name).then(|| format!("{name} {version}"))
    });
    found.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::workload;

    fn finding(name: &str, costs: &[(&str, Side, f64)]) -> Finding {
        let workload = workload::all().into_iter().find(|workload| workload.name == name).expect("it exists");
        let samples = costs.iter().map(|&(label, side, cost)| {
            let none = PathBuf::new();
            let way = Way { label: label.to_owned(), side, executable: none.clone(), mode: "", generator: none };
            Samples { costs: vec![cost], ..Samples::new(way) }
        });
        Finding::new(workload, samples.collect())
    }

    #[test]
    fn raw_is_no_peer() {
        let costs = [("tokio", Side::Peer, 100.0), ("raw", Side::Raw, 10.0), ("ours", Side::Ours, 20.0)];
        let finding = finding("callsoon", &costs);
        assert_eq!(finding.target(), Some(35.0));
        assert_eq!(finding.overview(), "| callsoon | 20.0 | tokio | 100 | 10.0 | 0.20 | 0.35x best peer | 0.57 |");
    }

    #[test]
    fn the_cheapest_comes_first() {
        let finding = finding("queue", &[("b", Side::Peer, 2.0), ("a", Side::Peer, 1.0)]);
        assert_eq!(finding.best(Side::Peer).map(|row| row.label.as_str()), Some("a"));
        assert!(finding.table().contains("| a | 1.00 | 1.00 | 1.00 | 1.00 | 2.00 |"), "{}", finding.table());
    }

    #[test]
    fn versions_come_from_the_lock_file() {
        let lock =
            "[[package]]\nname = \"tokio\"\nversion = \"1.54.1\"\n\n[[package]]\nname = \"x\"\nversion = \"1\"\n";
        assert_eq!(versions(lock, &["tokio"]), "tokio 1.54.1");
    }
}
