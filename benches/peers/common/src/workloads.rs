//! The workloads by name: what must happen is the same for every peer.

use crate::{Outcome, Peer};

mod memory;
mod outside;
pub(crate) mod random;
mod scheduling;
mod synchronisation;
mod timers;

/// Every workload there is.
pub const NAMES: &[&str] = &[
    "spawn_join",
    "spawn_await",
    "yield_ring",
    "callsoon",
    "pingpong_chan",
    "pingpong_oneshot",
    "queue",
    "mutex100",
    "sem100",
    "timers_fire",
    "timers_cancel",
    "timer_churn_10k",
    "timeout_churn",
    "xthread",
    "xthread_same",
    "xthread_flood",
    "mem_task",
    "mem_sleep",
    "blocking_rtt",
    "blocking_conc",
    "subproc_seq",
    "subproc_conc",
];

/// Workloads that are worth nothing where a yield returns at once.
const NEED_FAIR_YIELD: &[&str] = &["yield_ring", "mutex100", "sem100"];

/// Runs one workload in the calling task.
pub async fn run<P: Peer>(name: &str, n: u64) -> Outcome {
    if NEED_FAIR_YIELD.contains(&name) && !scheduling::is_yield_fair::<P>().await {
        return Outcome::Unsupported;
    }
    match name {
        "spawn_join" => scheduling::spawn_join::<P>(n).await,
        "spawn_await" => scheduling::spawn_await::<P>(n).await,
        "yield_ring" => scheduling::yield_ring::<P>(n).await,
        "callsoon" => scheduling::callsoon::<P>(n).await,
        "pingpong_chan" => synchronisation::pingpong_chan::<P>(n).await,
        "pingpong_oneshot" => synchronisation::pingpong_oneshot::<P>(n).await,
        "queue" => synchronisation::queue::<P>(n).await,
        "mutex100" => synchronisation::mutex100::<P>(n).await,
        "sem100" => synchronisation::sem100::<P>(n).await,
        "timers_fire" => timers::timers_fire::<P>(n).await,
        "timers_cancel" => timers::timers_cancel::<P>(n).await,
        "timer_churn_10k" => timers::timer_churn_10k::<P>(n).await,
        "timeout_churn" => timers::timeout_churn::<P>(n).await,
        "xthread" => outside::xthread::<P>(n, 1).await,
        "xthread_same" => outside::xthread::<P>(n, 0).await,
        "xthread_flood" => outside::xthread_flood::<P>(n).await,
        "mem_task" => memory::mem_task::<P>(n).await,
        "mem_sleep" => memory::mem_sleep::<P>(n).await,
        "blocking_rtt" => outside::blocking_rtt::<P>(n).await,
        "blocking_conc" => outside::blocking_conc::<P>(n).await,
        "subproc_seq" => outside::subproc_seq::<P>(n).await,
        "subproc_conc" => outside::subproc_conc::<P>(n).await,
        _ => Outcome::Unsupported,
    }
}
