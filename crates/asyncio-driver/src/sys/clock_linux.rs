//! The clock of the kernel drivers on Linux: `CLOCK_MONOTONIC`, read without entering the kernel.

use crate::LoopTime;
use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock that `epoll_pwait2` measures its timeouts by.
pub(crate) fn now() -> LoopTime {
    let time = clock_gettime(ClockId::Monotonic);
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
