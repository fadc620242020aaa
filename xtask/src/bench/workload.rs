//! The workloads: their size, their cores and what we want of them.

/// What a workload makes a program do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// `taskbench TASK N`: CPU time for each of N operations. `cores` is a list as `taskset` takes it.
    Task { task: &'static str, cores: &'static str },
    /// `taskbench TASK N` that prints bytes for each of N tasks.
    Memory { task: &'static str },
    /// `echo_server` under load: CPU time of the server for each of N requests.
    Echo { conns: usize, load: Load },
}

/// What the connections send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Load {
    /// One message of this size at a time.
    Messages { bytes: usize },
    /// Sixteen frames of 64 bytes at a time, each answered by a write of its own.
    Frames,
}

/// The most that we may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    /// So many times the cheapest peer.
    Peer(f64),
    /// So many times what is done by hand.
    Raw(f64),
    /// This much, in the unit of the workload.
    Absolute(f64),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) n: u64,
    pub(super) target: Target,
}

impl Workload {
    /// With other numbers of operations.
    pub(super) fn scaled(mut self, scale: f64) -> Self {
        // The tasks divide their operations among up to 1000 tasks or batches.
        let least = self.n.min(1000);
        self.n = ((self.n as f64 * scale).round() as u64).max(least);
        self
    }

    pub(super) fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Task { .. } => "ns of CPU per operation",
            Kind::Memory { .. } => "bytes per task",
            Kind::Echo { .. } => "ns of server CPU per request",
        }
    }
}

/// All of them, in the order in which they are reported.
pub(super) fn all() -> Vec<Workload> {
    use Target::{Absolute, Peer, Raw};
    vec![
        task("spawn_join", 1_000_000, Peer(0.9)),
        task("spawn_await", 1_000_000, Peer(0.9)),
        task("yield_ring", 1_000_000, Peer(0.5)),
        task("callsoon", 1_000_000, Peer(0.35)),
        task("pingpong_chan", 500_000, Peer(0.4)),
        task("pingpong_oneshot", 500_000, Peer(0.5)),
        task("queue", 1_000_000, Peer(0.5)),
        task("mutex100", 500_000, Peer(0.35)),
        task("sem100", 500_000, Peer(0.6)),
        task("timers_fire", 1_000_000, Peer(0.7)),
        task("timers_cancel", 1_000_000, Peer(0.7)),
        task("timer_churn_10k", 1_000_000, Absolute(50.0)),
        task("timeout_churn", 500_000, Peer(0.5)),
        on_cores("xthread", "xthread", "0,1", 20_000, Peer(1.0)),
        on_cores("xthread_same", "xthread_same", "0,1", 50_000, Peer(1.05)),
        on_cores("xthread_flood", "xthread_flood", "0,1", 1_000_000, Peer(0.9)),
        memory("mem_task", 128.0),
        memory("mem_sleep", 256.0),
        task("blocking_rtt", 20_000, Peer(1.0)),
        on_cores("blocking_rtt_2cores", "blocking_rtt", "0,1", 20_000, Peer(1.0)),
        task("blocking_conc", 50_000, Peer(1.0)),
        on_cores("blocking_conc_2cores", "blocking_conc", "0,1", 50_000, Peer(1.0)),
        on_cores("subproc_seq", "subproc_seq", "0,1", 400, Peer(1.0)),
        on_cores("subproc_conc", "subproc_conc", "0,1", 400, Peer(1.0)),
        echo("echo_1", 1, 64, 50_000),
        echo("echo_10", 10, 64, 200_000),
        echo("echo_100", 100, 64, 300_000),
        echo("echo_1000", 1000, 64, 300_000),
        echo("echo_1k", 100, 1 << 10, 300_000),
        echo("echo_10k", 100, 10 << 10, 200_000),
        echo("echo_100k", 10, 100 << 10, 20_000),
        Workload {
            name: "pipeline",
            kind: Kind::Echo { conns: 100, load: Load::Frames },
            n: 1_000_000,
            target: Raw(1.5),
        },
    ]
}

fn task(name: &'static str, n: u64, target: Target) -> Workload {
    on_cores(name, name, "0", n, target)
}

fn on_cores(name: &'static str, task: &'static str, cores: &'static str, n: u64, target: Target) -> Workload {
    Workload { name, kind: Kind::Task { task, cores }, n, target }
}

fn memory(name: &'static str, bytes: f64) -> Workload {
    Workload { name, kind: Kind::Memory { task: name }, n: 200_000, target: Target::Absolute(bytes) }
}

fn echo(name: &'static str, conns: usize, bytes: usize, n: u64) -> Workload {
    Workload { name, kind: Kind::Echo { conns, load: Load::Messages { bytes } }, n, target: Target::Raw(1.03) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = all().iter().map(|workload| workload.name).collect();
        assert_eq!(names.len(), all().len());
    }

    #[test]
    fn scaling_keeps_enough_to_divide() {
        let queue = all().into_iter().find(|workload| workload.name == "queue").expect("it exists");
        assert_eq!((queue.scaled(0.5).n, queue.scaled(1e-9).n), (500_000, 1000));
    }
}
