//! The clock of the kernel drivers wherever the system's clock cannot be read as a plain number: `std`'s.

use crate::LoopTime;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Time since the process first asked, plus one second, so that no deadline lies before the start of the clock.
#[expect(clippy::disallowed_methods, reason = "this is the driver's clock, which everybody else has to take")]
pub(crate) fn now() -> LoopTime {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    LoopTime::ZERO + Duration::from_secs(1) + start.elapsed()
}
