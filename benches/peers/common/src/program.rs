//! The outside of `taskbench`: its arguments, its clock and what it prints.

use std::env;
use std::process;
use std::time::Instant;

use crate::{Peer, machine, workloads};

/// `taskbench NAME N`.
#[derive(Debug)]
pub struct Request {
    pub name: String,
    pub n: u64,
}

impl Request {
    /// Reads the command line; ends the process with status 2 if it makes no sense.
    pub fn from_env() -> Self {
        let mut arguments = env::args().skip(1);
        let name = arguments.next();
        let n = arguments.next().and_then(|text| text.parse().ok());
        let (Some(name), Some(n)) = (name, n) else {
            eprintln!("usage: taskbench NAME N");
            process::exit(2);
        };
        Self { name, n }
    }
}

/// Wall and process CPU clock, read together.
#[derive(Debug)]
pub struct Clock {
    wall: Instant,
    cpu_seconds: f64,
}

impl Clock {
    pub fn start() -> Self {
        Self { cpu_seconds: process_cpu_seconds(), wall: Instant::now() }
    }

    pub fn stop(self) -> Outcome {
        let wall_seconds = self.wall.elapsed().as_secs_f64();
        Outcome::Times { wall_seconds, cpu_seconds: process_cpu_seconds() - self.cpu_seconds }
    }
}

/// What a workload found out.
#[derive(Debug)]
pub enum Outcome {
    Times { wall_seconds: f64, cpu_seconds: f64 },
    BytesPerTask(f64),
    Unsupported,
}

impl Outcome {
    /// Prints the line and ends the process at once: dropping a million tasks is not part of the work.
    pub fn report(self) -> ! {
        match self {
            Self::Times { wall_seconds, cpu_seconds } => println!("{wall_seconds:.9} {cpu_seconds:.9}"),
            Self::BytesPerTask(bytes) => println!("{bytes:.1}"),
            Self::Unsupported => println!("unsupported"),
        }
        process::exit(0)
    }
}

/// The whole task benchmark of a peer.
pub fn taskbench<P: Peer>() {
    let Request { name, n } = Request::from_env();
    if P::UNSUPPORTED.contains(&name.as_str()) || !workloads::NAMES.contains(&name.as_str()) {
        Outcome::Unsupported.report();
    }
    if name.starts_with("xthread") {
        machine::pin_this_thread(0);
    }
    P::block_on(async move {
        let measured = P::spawn(async move { workloads::run::<P>(&name, n).await });
        P::join(measured).await.report()
    });
}

/// Through the C library, so that the programs run under valgrind, too.
fn process_cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "every Linux has this clock");
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
