//! Keeping `errno` across code that a signal handler may run between a system call and the look at its error.

#![expect(unsafe_code, reason = "`errno` is a place that only the C library knows")]

use std::ffi::c_int;

#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
use libc::__errno as errno_place;
#[cfg(any(target_os = "dragonfly", target_os = "hurd", target_os = "linux", target_os = "redox"))]
use libc::__errno_location as errno_place;
#[cfg(any(target_os = "freebsd", target_vendor = "apple"))]
use libc::__error as errno_place;

/// Puts `errno` back, when dropped, to what it was when this was made. Async-signal-safe.
#[derive(Debug)]
pub(crate) struct KeepErrno(c_int);

impl KeepErrno {
    pub(crate) fn new() -> Self {
        // SAFETY: has no precondition.
        let place = unsafe { errno_place() };
        // SAFETY: the C library gives the address of this thread's `errno`, which lives as long as the thread.
        Self(unsafe { place.read() })
    }
}

impl Drop for KeepErrno {
    fn drop(&mut self) {
        // SAFETY: has no precondition.
        let place = unsafe { errno_place() };
        // SAFETY: as in `new`; nobody but this thread touches its `errno`.
        unsafe { place.write(self.0) };
    }
}
