//! The clock of the kernel drivers on Linux: `CLOCK_MONOTONIC`, read without entering the kernel.
//!
//! Through the C library, which finds the kernel's shared page also where a tool such as valgrind hides it.

#![expect(unsafe_code, reason = "a call into the C library")]

use crate::LoopTime;

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock that `epoll_pwait2` measures its timeouts by.
pub(crate) fn now() -> LoopTime {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing, and the clock exists on every Linux: the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    // Counted from the boot, so neither part is negative; 2^64 ns are 584 years.
    #[expect(clippy::cast_sign_loss, reason = "not negative: the clock starts at the boot")]
    LoopTime::from_nanos((time.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back() {
        let mut earlier = now();
        for _ in 0..10_000 {
            let later = now();
            assert!(later >= earlier, "{later:?} is before {earlier:?}");
            earlier = later;
        }
    }
}
