//! Cores, descriptors and memory of this process.

use std::fs;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

/// Pins the calling thread. A machine without that core is served unpinned.
pub fn pin_this_thread(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    if let Err(error) = sched_setaffinity(None, &cores) {
        eprintln!("not pinned to core {core}: {error}");
    }
}

/// Raises the soft limit of descriptors as far as the hard one allows.
pub fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        eprintln!("the limit of descriptors stays: {error}");
    }
}

/// Resident memory of this process.
pub fn resident_bytes() -> u64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("Linux 4.14 has it");
    let rss = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).expect("the kernel writes it");
    let kib: u64 = rss.trim().trim_end_matches(" kB").trim().parse().expect("a number of KiB");
    kib * 1024
}
