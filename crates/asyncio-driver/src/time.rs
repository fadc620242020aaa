//! `LoopTime`: a point on a driver's clock, in whole nanoseconds.
//!
//! Integer nanoseconds add up exactly, so a timer set "one second from now" is due exactly then; the seconds as `f64`
//! that asyncio's names speak of exist only at the edge.
//!
//! Invariants:
//! 1. All arithmetic saturates: a far deadline is "never" ([`LoopTime::MAX`]), not a wrapped-around "long ago".
//!
//! Absent on purpose: wall-clock time, and any reading of a clock. Only a [`Driver`](crate::Driver) knows what time it is.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time on the clock of one driver: nanoseconds since a start of the driver's choosing.
///
/// Times of different drivers cannot be compared, except those of the two kernel drivers, which share the system's
/// monotonic clock.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoopTime(u64);

impl LoopTime {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);
    /// The end of the clock, 584 years after its start: "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The point `nanos` nanoseconds after the start of the clock.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start of the clock.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The point `seconds` after the start of the clock, to the nearest nanosecond.
    ///
    /// Before the start gives [`ZERO`](Self::ZERO); beyond the end, or infinity, gives [`MAX`](Self::MAX).
    ///
    /// # Panics
    ///
    /// If `seconds` is NaN.
    #[must_use]
    #[track_caller]
    pub fn from_secs_f64(seconds: f64) -> Self {
        assert!(!seconds.is_nan(), "a point in time is NaN seconds");
        // A float-to-integer `as` saturates, which is just what the ends of the clock ask for.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates at both ends")]
        Self((seconds * 1e9).round() as u64)
    }

    /// Seconds since the start of the clock, to the nearest `f64`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "exact to the nanosecond for the first 104 days")]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for LoopTime {
    type Output = Self;

    /// Saturates at [`LoopTime::MAX`].
    fn add(self, delay: Duration) -> Self {
        Self(u64::try_from(delay.as_nanos()).map_or(u64::MAX, |nanos| self.0.saturating_add(nanos)))
    }
}

impl Sub<Duration> for LoopTime {
    type Output = Self;

    /// Saturates at [`LoopTime::ZERO`].
    fn sub(self, delay: Duration) -> Self {
        Self(u64::try_from(delay.as_nanos()).map_or(0, |nanos| self.0.saturating_sub(nanos)))
    }
}

impl fmt::Debug for LoopTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(LoopTime::MAX + Duration::from_nanos(1), LoopTime::MAX);
        assert_eq!(LoopTime::from_nanos(5) + Duration::MAX, LoopTime::MAX);
        assert_eq!(LoopTime::from_nanos(5) - Duration::from_secs(1), LoopTime::ZERO);
        assert_eq!(LoopTime::ZERO.saturating_since(LoopTime::MAX), Duration::ZERO);
    }

    #[test]
    fn seconds_round_to_the_nearest_nanosecond() {
        assert_eq!(LoopTime::from_secs_f64(0.1).as_nanos(), 100_000_000);
        assert_eq!(LoopTime::from_secs_f64(-3.0), LoopTime::ZERO);
        assert_eq!(LoopTime::from_secs_f64(f64::INFINITY), LoopTime::MAX);
        let odd = LoopTime::from_nanos(8_999_999_123_456_789);
        assert_eq!(LoopTime::from_secs_f64(odd.as_secs_f64()), odd);
    }

    #[test]
    #[should_panic(expected = "NaN")]
    fn nan_is_refused() {
        let _ = LoopTime::from_secs_f64(f64::NAN);
    }
}
