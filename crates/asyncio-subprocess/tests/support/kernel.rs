//! What the kernel knows of processes.

use std::fs;

/// The letter of a process's state; `None` if there is no such process, not even a zombie.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Waits until a process is gone, zombie and all: another thread works at that.
#[track_caller]
pub(crate) fn until_gone(pid: u32) {
    for _ in 0..20_000_000 {
        if state(pid).is_none() {
            return;
        }
        std::thread::yield_now();
    }
    panic!("process {pid} is still there, in state {:?}", state(pid));
}
