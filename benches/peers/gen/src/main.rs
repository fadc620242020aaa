//! `gen --port P --pid PID --conns C --requests N [--size S] [--frame F --pipeline D]`
//!
//! A closed loop of C connections in one thread: each sends S bytes (or D frames of F bytes in one segment), waits for
//! all of them to come back, and begins again. A tenth of the requests warms the server up; then its CPU clock is read,
//! N requests are made, and the clock is read again. Every connection's first exchange is checked byte by byte.
//! Prints one line of JSON. In pipeline mode each frame counts as a request.

mod client;
mod server;

use std::env;
use std::io;
use std::process::ExitCode;
use std::time::Instant;

use client::Clients;
use server::Server;

/// What the command line asks for.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    port: u16,
    pid: i32,
    conns: usize,
    requests: u64,
    size: usize,
    frame: usize,
    pipeline: usize,
}

impl Load {
    fn from_env() -> Option<Self> {
        let mut load = Self { conns: 1, size: 64, pipeline: 16, ..Self::default() };
        let mut arguments = env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next()?;
            match name.as_str() {
                "--port" => load.port = value.parse().ok()?,
                "--pid" => load.pid = value.parse().ok()?,
                "--conns" => load.conns = value.parse().ok()?,
                "--requests" => load.requests = value.parse().ok()?,
                "--size" => load.size = value.parse().ok()?,
                "--frame" => load.frame = value.parse().ok()?,
                "--pipeline" => load.pipeline = value.parse().ok()?,
                _ => return None,
            }
        }
        let is_complete = load.port != 0 && load.pid != 0 && load.requests > 0;
        let is_sound = load.conns > 0 && load.size > 0 && load.pipeline > 0;
        (is_complete && is_sound).then_some(load)
    }

    /// Bytes that a connection has under way.
    fn exchange_bytes(&self) -> usize {
        if self.frame > 0 { self.frame * self.pipeline } else { self.size }
    }

    /// Requests that one exchange counts as.
    fn requests_per_exchange(&self) -> u64 {
        if self.frame > 0 { self.pipeline as u64 } else { 1 }
    }
}

fn main() -> ExitCode {
    let Some(load) = Load::from_env() else {
        eprintln!("usage: gen --port P --pid PID --conns C --requests N [--size S] [--frame F --pipeline D]");
        return ExitCode::from(2);
    };
    match run(load) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("gen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(load: Load) -> io::Result<String> {
    let server = Server::new(load.pid)?;
    let own = Server::new(std::process::id() as i32)?;
    let exchanges = load.requests.div_ceil(load.requests_per_exchange()).max(load.conns as u64);
    let mut clients = Clients::connect(load.port, load.conns, load.exchange_bytes())?;
    clients.check_first_exchange()?;
    clients.run((exchanges / 10).max(load.conns as u64))?;

    let (cpu, ticks, own_cpu, wall) = (server.cpu_seconds()?, server.ticks()?, own.cpu_seconds()?, Instant::now());
    let mut latencies = clients.run(exchanges)?;
    let wall = wall.elapsed().as_secs_f64();
    let (cpu, own_cpu) = (server.cpu_seconds()? - cpu, own.cpu_seconds()? - own_cpu);
    let user_share = server.ticks()?.user_share_since(ticks);
    let rss_kib = server.resident_kib()?;
    clients.reset()?;

    latencies.sort_unstable();
    let percentile = |p: usize| latencies[(latencies.len() - 1) * p / 100] as f64 / 1e3;
    let requests = (exchanges * load.requests_per_exchange()) as f64;
    Ok(format!(
        "{{\"requests\":{requests},\"wall_s\":{wall:.6},\"srv_cpu_us_per_req\":{:.4},\"cpu_s_per_100k\":{:.4},\
         \"srv_user_share\":{user_share:.3},\"srv_util\":{:.3},\"req_s\":{:.0},\"p50_us\":{:.1},\"p99_us\":{:.1},\
         \"gen_cpu_us_per_req\":{:.4},\"srv_rss_kib\":{rss_kib}}}",
        cpu / requests * 1e6,
        cpu / requests * 1e5,
        cpu / wall,
        requests / wall,
        percentile(50),
        percentile(99),
        own_cpu / requests * 1e6,
    ))
}
