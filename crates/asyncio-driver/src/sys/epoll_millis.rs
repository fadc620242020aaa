//! `epoll_wait` with milliseconds, for kernels before 5.11 and sandboxes that do not know `epoll_pwait2`.

#![expect(unsafe_code, reason = "no safe binding: `rustix` is built for the newer call only")]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// The events of one wait, as the older call writes them.
pub(super) struct MillisBuffer(Vec<libc::epoll_event>);

impl MillisBuffer {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Waits for up to `capacity` events, and for `timeout` at least, rounded up to a millisecond.
    ///
    /// A timeout of more than 24 days ends after 24 days. Gives each event's bits and word.
    pub(super) fn wait(
        &mut self,
        epoll: BorrowedFd<'_>,
        capacity: usize,
        timeout: Option<Duration>,
    ) -> io::Result<impl Iterator<Item = (u32, u64)>> {
        self.0.resize(capacity, libc::epoll_event { events: 0, u64: 0 });
        let capacity = c_int::try_from(capacity).unwrap_or(c_int::MAX);
        // SAFETY: the buffer has room for `capacity` events, and the kernel writes at most so many.
        let count = unsafe {
            libc::epoll_wait(epoll.as_raw_fd(), self.0.as_mut_ptr(), capacity, timeout.map_or(-1, millis_up))
        };
        let Ok(count) = usize::try_from(count) else { return Err(io::Error::last_os_error()) };
        Ok(self.0[..count].iter().map(|event| (event.events, event.u64)))
    }
}

impl std::fmt::Debug for MillisBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MillisBuffer").field("capacity", &self.0.len()).finish()
    }
}

/// Whole milliseconds, never less than asked for.
fn millis_up(timeout: Duration) -> c_int {
    let millis = timeout.as_nanos().div_ceil(1_000_000);
    c_int::try_from(millis).unwrap_or(c_int::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_are_rounded_up() {
        let cases = [(0, 0), (1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2), (u64::MAX, c_int::MAX)];
        for (nanos, millis) in cases {
            assert_eq!(millis_up(Duration::from_nanos(nanos)), millis, "{nanos} ns");
        }
    }
}
