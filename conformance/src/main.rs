//! Runs small concurrent programs on the public API, and compares what they do with what CPython's asyncio does with them.
//!
//! `conformance FILE…` writes one trace a line to standard output; `conformance --compare FILE…` compares with the traces in
//! the files. The README describes the language.

mod barriers;
mod case;
mod compare;
mod control;
mod fault;
mod futures;
mod locks;
mod queues;
mod run;
mod scopes;
mod state;
mod tasks;
mod trace;
mod waits;

use compare::Comparison;
use serde_json::Value;
use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (options, files): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let compare = match &options[..] {
        [] => false,
        [option] if option == "--compare" => true,
        _ => return Err(format!("no such option: {}", options.join(" ")).into()),
    };
    run::note_panics();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut comparison = Comparison::default();
    for file in files {
        let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line: Value = serde_json::from_str(line).map_err(|error| format!("{file}:{}: {error}", at + 1))?;
            if compare {
                comparison.add(&line);
            } else {
                writeln!(out, "{}", run::run(&line))?;
            }
        }
    }
    if !compare {
        return Ok(ExitCode::SUCCESS);
    }
    write!(out, "{}", comparison.report())?;
    Ok(if comparison.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
