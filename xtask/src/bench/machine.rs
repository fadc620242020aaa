//! One run of one program on this machine: pinned, and with an end.

use super::program::Way;
use super::workload::{Kind, Load, Workload};
use crate::Error;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

/// Servers and single-threaded programs have a core; the load has the other.
const SERVER_CORE: &str = "0";
const LOAD_CORE: &str = "1";
/// What takes longer than this (in seconds) hangs.
const LIMIT: &str = "120";

/// What a run came to.
#[derive(Debug, PartialEq)]
pub(super) enum Sample {
    /// In the workload's unit.
    Cost(f64),
    Unsupported,
}

/// Runs a program once.
pub(super) fn sample(way: &Way, workload: &Workload) -> Result<Sample, Error> {
    match workload.kind {
        Kind::Task { task, cores } => {
            let line = taskbench(way, task, workload.n, cores)?;
            parse_times(&line).map(|sample| sample.per(workload.n)).ok_or_else(|| unreadable(&line))
        }
        Kind::Memory { task } => {
            let line = taskbench(way, task, workload.n, SERVER_CORE)?;
            parse_bytes(&line).ok_or_else(|| unreadable(&line))
        }
        Kind::Echo { conns, load } => echo(way, conns, load, workload.n),
    }
}

impl Sample {
    /// Seconds for all operations as nanoseconds for one.
    fn per(self, n: u64) -> Self {
        match self {
            Self::Cost(seconds) => Self::Cost(seconds * 1e9 / n as f64),
            Self::Unsupported => Self::Unsupported,
        }
    }
}

fn taskbench(way: &Way, task: &str, n: u64, cores: &str) -> Result<String, Error> {
    let mut command = limited(cores);
    command.arg(&way.executable).args([task, &n.to_string()]);
    first_line(&command.stdin(Stdio::null()).output()?)
}

/// A command line that ends in a program: `timeout … taskset -c … PROGRAM`.
fn limited(cores: &str) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=1", LIMIT, "taskset", "-c", cores]);
    command
}

fn first_line(output: &Output) -> Result<String, Error> {
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        return Ok(text.lines().next().unwrap_or_default().to_owned());
    }
    // A panic says where in its first line, and why in the second.
    let fault = String::from_utf8_lossy(&output.stderr);
    let fault: Vec<_> = fault.lines().filter(|line| !line.is_empty()).take(2).collect();
    Err(format!("{}: {}", output.status, fault.join(" ")).into())
}

/// `WALL CPU`, or `WALL` alone, in seconds.
fn parse_times(line: &str) -> Option<Sample> {
    if line == "unsupported" {
        return Some(Sample::Unsupported);
    }
    line.split_whitespace().last()?.parse().ok().map(Sample::Cost)
}

fn parse_bytes(line: &str) -> Option<Sample> {
    if line == "unsupported" { Some(Sample::Unsupported) } else { line.trim().parse().ok().map(Sample::Cost) }
}

fn unreadable(line: &str) -> Error {
    format!("it printed `{line}`").into()
}

/// Kills the server however the run ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already, and there is nobody to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn echo(way: &Way, conns: usize, load: Load, n: u64) -> Result<Sample, Error> {
    let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port().to_string();
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]).arg(&way.executable).args(["--mode", way.mode, "--port", &port]);
    if load == Load::Frames {
        command.args(["--frame", "64"]);
    }
    let mut server = Server(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
    let mut ready = String::new();
    let stdout = server.0.stdout.take().ok_or("no standard output")?;
    BufReader::new(stdout).read_line(&mut ready)?;
    if ready != "READY\n" {
        // A mode that does not exist ends so.
        let is_unsupported = server.0.wait()?.code() == Some(2);
        return if is_unsupported { Ok(Sample::Unsupported) } else { Err("it is never ready".into()) };
    }
    let mut generator = limited(LOAD_CORE);
    generator.arg(&way.generator).args(["--port", &port, "--pid", &server.0.id().to_string()]);
    generator.args(["--conns", &conns.to_string(), "--requests", &n.to_string()]);
    match load {
        Load::Messages { bytes } => generator.args(["--size", &bytes.to_string()]),
        Load::Frames => generator.args(["--frame", "64", "--pipeline", "16"]),
    };
    let line = first_line(&generator.stdin(Stdio::null()).output()?)?;
    parse_load(&line).ok_or_else(|| unreadable(&line))
}

/// The server's CPU time for each request, in nanoseconds.
fn parse_load(line: &str) -> Option<Sample> {
    let told: serde_json::Value = serde_json::from_str(line).ok()?;
    told.get("srv_cpu_us_per_req")?.as_f64().map(|microseconds| Sample::Cost(microseconds * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_counts_and_wall_time_stands_in_for_it() {
        assert_eq!(parse_times("0.5 0.25").map(|sample| sample.per(1_000_000)), Some(Sample::Cost(250.0)));
        assert_eq!(parse_times("0.5"), Some(Sample::Cost(0.5)));
        assert_eq!(parse_times("unsupported"), Some(Sample::Unsupported));
        assert_eq!((parse_times(""), parse_times("0.5 x")), (None, None));
    }

    #[test]
    fn bytes_are_a_single_number() {
        assert_eq!((parse_bytes("80.0"), parse_bytes("1 2")), (Some(Sample::Cost(80.0)), None));
    }

    #[test]
    fn the_generator_tells_microseconds() {
        assert_eq!(parse_load("{\"srv_cpu_us_per_req\":3.5,\"p50_us\":1}"), Some(Sample::Cost(3500.0)));
        assert_eq!(parse_load("{}"), None);
    }
}
