//! The measured process, seen from outside: its CPU clock, its ticks, its memory.

use std::fs;
use std::io;
use std::mem::MaybeUninit;

pub(crate) struct Server {
    pid: i32,
    clock: libc::clockid_t,
}

/// CPU time by kind, in clock ticks (10 ms): good for a share, too coarse for a cost.
#[derive(Clone, Copy)]
pub(crate) struct Ticks {
    user: u64,
    system: u64,
}

impl Ticks {
    pub(crate) fn user_share_since(self, before: Self) -> f64 {
        let (user, system) = (self.user - before.user, self.system - before.system);
        user as f64 / (user + system).max(1) as f64
    }
}

impl Server {
    pub(crate) fn new(pid: i32) -> io::Result<Self> {
        let mut clock = MaybeUninit::uninit();
        // SAFETY: the pointer is valid for a write of one clock id.
        let error = unsafe { libc::clock_getcpuclockid(pid, clock.as_mut_ptr()) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: the call succeeded, so it was written.
        Ok(Self { pid, clock: unsafe { clock.assume_init() } })
    }

    /// User and system time of all threads of the process, those of io_uring included.
    pub(crate) fn cpu_seconds(&self) -> io::Result<f64> {
        let mut time = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: the pointer is valid for a write of one timespec.
        if unsafe { libc::clock_gettime(self.clock, time.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so it was written.
        let time = unsafe { time.assume_init() };
        Ok(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9)
    }

    pub(crate) fn ticks(&self) -> io::Result<Ticks> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // The name, in parentheses, may hold blanks; `utime` and `stime` are fields 14 and 15 (`man 5 proc_pid_stat`).
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11);
        let mut next = || fields.next().and_then(|field| field.parse().ok()).ok_or(io::ErrorKind::InvalidData);
        Ok(Ticks { user: next()?, system: next()? })
    }

    pub(crate) fn resident_kib(&self) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
        Ok(kib.trim().trim_end_matches(" kB").trim().parse().unwrap_or(0))
    }
}
