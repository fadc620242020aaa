//! All automation of this repository. `cargo xtask ci` is what CI runs, and the only command that one has to know.
//!
//! Each command is a file, and each check returns a [`Report`](report::Report) that counts what it executed: a check that
//! executed nothing has failed. The stages of `ci` are a table in `ci.rs`.
//!
//! Absent on purpose: network access, and any tool that does not come with the Rust toolchain.

mod alone;
mod bench;
mod ci;
mod conformance;
mod deep;
mod doc;
mod examples;
mod fmt;
mod layers;
mod lint;
mod markdown;
mod metadata;
mod msrv;
mod parity;
mod process;
mod report;
mod scratch;
mod semantics;
mod source;
mod test;
mod tidy;

use metadata::Workspace;
use std::env;
use std::process::ExitCode;

/// What goes wrong outside the checks themselves: a file that cannot be read, a program that cannot be started.
type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::line(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs one command; `false` if a check of it failed.
fn run(args: &[&str]) -> Result<bool, Error> {
    let Some((&command, rest)) = args.split_first() else {
        report::line(USAGE);
        return Ok(false);
    };
    let workspace = Workspace::load()?;
    match (command, rest) {
        ("help" | "--help" | "-h", _) => {
            report::line(USAGE);
            Ok(true)
        }
        ("ci", ["--list"]) => {
            ci::list(&workspace);
            Ok(true)
        }
        ("ci", stages) => ci::run(&workspace, stages),
        ("fmt", []) => fmt::write(&workspace),
        ("layers", ["--dot"]) => {
            report::line(layers::dot(&workspace)?);
            Ok(true)
        }
        ("conformance", ["--cases", files @ ..]) => conformance::run_files(&workspace, files),
        ("bench", options) => bench::run(options),
        ("deep", []) => deep::run_all(&workspace),
        ("deep", [what]) => deep::run(&workspace, what),
        ("semantics", ["--update"]) => {
            report::line(semantics::update(&workspace)?);
            Ok(true)
        }
        // The last job of a workflow: skipped and cancelled jobs are no success.
        ("done", results) => Ok(!results.is_empty() && results.iter().all(|result| *result == "success")),
        ("msrv", []) => ci::run_one("msrv", &workspace, msrv::run),
        (stage, []) if ci::has_stage(&workspace, stage) => ci::run(&workspace, &[stage]),
        _ => {
            report::line(format_args!("no such command: {}\n\n{USAGE}", args.join(" ")));
            Ok(false)
        }
    }
}

const USAGE: &str = "\
cargo xtask <command>

  ci [stage…]           everything that CI runs, or only these stages, in CI's order; `ci --list` names them
  fmt                   formats all code (`ci fmt` only looks)
  layers [--dot]        dependencies against layers.toml and ARCHITECTURE.md; --dot prints the graph
  bench [option…]       measures our benchmark programs beside the peers'; `bench --help` explains
  conformance [--cases FILE…]
                        programs on our API and on CPython's: those of the project, or those in other files
  semantics [--update]  which tests cite which statement; --update writes them into the table
  deep [loom|asan|tsan|children] models of what crosses threads; tests under sanitizers (needs a nightly toolchain); 5,000 children
  msrv                  compiles the crates with the oldest supported Rust (needs rustup)
  done <result…>        fails unless each result of CI's jobs is `success`
  <stage>               one stage of ci: lint, tidy, parity, test, alone, doc, examples …";
