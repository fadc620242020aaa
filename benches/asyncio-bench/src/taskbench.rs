//! `taskbench`: the workloads that all peers share, and those that asyncio does by callbacks.

mod callbacks;
mod peer;

use peers_common::{Request, machine, taskbench};

fn main() {
    let Request { name, n } = Request::from_env();
    if name.starts_with("xthread") {
        machine::pin_this_thread(0);
    }
    match name.as_str() {
        "callsoon" => callbacks::callsoon(n),
        "timer_churn_10k" => callbacks::timer_churn_10k(n),
        "xthread" => callbacks::xthread(n, 1),
        "xthread_same" => callbacks::xthread(n, 0),
        "xthread_flood" => callbacks::xthread_flood(n),
        _ => taskbench::<peer::Asyncio>(),
    }
}
