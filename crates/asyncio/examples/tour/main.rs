//! A tour of asyncio for Rust: every floor that exists, on real sockets, threads, signals, files and timers.
//!
//! Run with `cargo run --release --example tour`. Each part prints what it does and checks what came of it; a table of all
//! parts ends the tour. Exits with 0 only if every check holds.

#![expect(clippy::print_stdout, reason = "a tour is there to be read")]

mod callbacks;
mod cancellation;
mod context;
mod datagrams;
mod descriptors;
mod drivers;
mod executor;
mod groups;
mod locks;
mod panics;
#[cfg(unix)]
mod processes;
mod queues;
mod runner;
mod signals;
mod streams;
mod tasks;
mod threads;
mod timers;
mod tls;

use std::fmt;
use std::io;

/// What a part did.
struct Done {
    what: String,
    how_many: usize,
}

impl Done {
    fn new(how_many: usize, what: impl Into<String>) -> Self {
        Self { what: what.into(), how_many }
    }
}

/// One part of the tour: its name, and the function that takes it. A check that fails panics.
type Part = (&'static str, fn() -> io::Result<Done>);

/// From the ground up. A new floor adds its parts at the end.
const PARTS: &[Part] = &[
    ("callbacks", callbacks::tour),
    ("timers", timers::tour),
    ("descriptors", descriptors::tour),
    ("threads", threads::tour),
    ("signals", signals::tour),
    ("context", context::tour),
    ("panics", panics::tour),
    ("drivers", drivers::tour),
    ("tasks", tasks::tour),
    ("cancellation", cancellation::tour),
    ("groups", groups::tour),
    ("runner", runner::tour),
    ("locks", locks::tour),
    ("executor", executor::tour),
    ("queues", queues::tour),
    ("datagrams", datagrams::tour),
    ("tls", tls::tour),
    ("streams", streams::tour),
    #[cfg(unix)]
    ("processes", processes::tour),
];

fn main() -> io::Result<()> {
    let stopwatch = asyncio::new_event_loop()?;
    let mut rows = Vec::new();
    for (name, part) in PARTS {
        println!("{name}");
        let begin = stopwatch.time();
        let done = part()?;
        rows.push(Row { name, done, seconds: stopwatch.time() - begin });
    }
    println!("\n{:<12}  {:>9}  {:>9}  what", "part", "how many", "how long");
    rows.iter().for_each(|row| println!("{row}"));
    let seconds: f64 = rows.iter().map(|row| row.seconds).sum();
    println!("{:<12}  {:>9}  {:>6.0} ms  all checks hold", "all", rows.len(), seconds * 1e3);
    Ok(())
}

/// A line of the table at the end.
struct Row {
    name: &'static str,
    done: Done,
    seconds: f64,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, done: Done { what, how_many }, seconds } = self;
        write!(f, "{name:<12}  {how_many:>9}  {:>6.0} ms  {what}", seconds * 1e3)
    }
}

/// Says what a part does.
fn say(text: fmt::Arguments<'_>) {
    println!("  {text}");
}
