//! `bench`: our benchmark programs beside those of the peers, interleaved, on the same work.
//!
//! The programs are `benches/asyncio-bench` and the workspace `benches/peers`; what each must do is in
//! `benches/peers/README.md`. A peer that does not build or run on this machine is skipped with a note. Each workload goes
//! round-robin over all programs, so that a disturbance of the machine hits all of them; the result is a median.
//! Reports go to `bench-results/`.

mod build;
mod machine;
mod options;
mod outcome;
mod program;
pub(crate) mod smoke;
mod statistics;
mod workload;

use crate::Error;
use crate::metadata::Workspace;
use crate::report;
use options::Options;
use outcome::Results;
use program::Program;
use workload::Workload;

pub(crate) const USAGE: &str = "\
cargo xtask bench [--build-only] [--no-build] [--out DIR] [--only NAME,…] [--peers NAME,…] [--rounds N] [--scale F]

  --build-only   builds our programs into DIR, and the peers if --peers is given
  --no-build     measures the programs that are in DIR
  --out          where the programs go; the peers go to DIR/peers (default: target/bench)
  --only         these workloads (default: all)
  --peers        these peers, or `none` (default: all)
  --rounds       samples of each program and workload (default: 5)
  --scale        multiplies the operations of each workload (default: 1)";

/// Builds and measures; `false` if the command line made no sense, or if nothing was built or measured.
pub(crate) fn run(args: &[&str]) -> Result<bool, Error> {
    let workspace = Workspace::load()?;
    let options = match Options::parse(args, &workspace.target().join("bench")) {
        Ok(options) => options,
        Err(fault) => {
            report::line(format_args!("{fault}\n\n{USAGE}"));
            return Ok(false);
        }
    };
    if options.is_built {
        build::run(&workspace, &options)?;
    }
    if options.is_build_only {
        return Ok(true);
    }
    let programs = program::find(&options)?;
    let mut results = Results::new(&workspace, options.rounds);
    for workload in workload::all().into_iter().filter(|workload| options.wants(workload.name)) {
        let workload = workload.scaled(options.scale);
        report::line(format_args!("{} …", workload.name));
        let samples = measure(&workload, &programs, options.rounds);
        let table = results.add(workload, samples);
        report::line(table);
    }
    for path in results.write()? {
        report::line(format_args!("written: {path}"));
    }
    Ok(!results.is_empty())
}

/// What each way to run the programs took, in rounds; a way that failed twice, or cannot do this, is left out.
fn measure(workload: &Workload, programs: &[Program], rounds: usize) -> Vec<outcome::Samples> {
    let ways = programs.iter().flat_map(|program| program.ways(workload));
    let mut all: Vec<_> = ways.map(outcome::Samples::new).collect();
    for _ in 0..rounds {
        for samples in &mut all {
            samples.take(workload);
        }
    }
    all
}
