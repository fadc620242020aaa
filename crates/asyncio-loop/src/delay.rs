//! `IntoDelay`: seconds, as asyncio has them, or a `Duration`.

use crate::timers::Nanos;
use std::time::Duration;

/// A length of time, to the nanosecond; negative if it lies in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delay(Nanos);

impl Delay {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Nanoseconds; saturated at some 292 years, which means never.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whether this is not a wait: zero, or negative.
    #[must_use]
    pub const fn is_now(self) -> bool {
        self.0 <= 0
    }
}

/// What can be given as a delay or a timeout: seconds as a number (`2`, `0.5`), or a [`Duration`].
///
/// Negative seconds mean now; infinity means never.
///
/// # Panics
///
/// Converting NaN panics, with a message that says so.
///
/// # asyncio
///
/// asyncio takes seconds as `int` or `float`. Differs: a `Duration` is accepted too.
pub trait IntoDelay {
    /// Converts into nanoseconds, rounding to the nearest.
    fn into_delay(self) -> Delay;
}

impl IntoDelay for Delay {
    fn into_delay(self) -> Delay {
        self
    }
}

impl IntoDelay for Duration {
    fn into_delay(self) -> Delay {
        Delay(Nanos::try_from(self.as_nanos()).unwrap_or(Nanos::MAX))
    }
}

impl IntoDelay for f64 {
    #[track_caller]
    fn into_delay(self) -> Delay {
        Delay(nanos_of_secs(self))
    }
}

impl IntoDelay for f32 {
    #[track_caller]
    fn into_delay(self) -> Delay {
        f64::from(self).into_delay()
    }
}

macro_rules! whole_seconds {
    ($($integer:ty),*) => {$(
        impl IntoDelay for $integer {
            fn into_delay(self) -> Delay {
                let seconds = Nanos::try_from(self).unwrap_or(if self > 0 { Nanos::MAX } else { Nanos::MIN });
                Delay(seconds.saturating_mul(NANOS_PER_SEC))
            }
        }
    )*};
}

whole_seconds!(i32, i64, isize, u32, u64, usize);

/// What can be given as a time limit: a delay (see [`IntoDelay`]), or `None` for no limit.
pub trait IntoTimeout {
    /// Converts into a delay, if there is a limit.
    fn into_timeout(self) -> Option<Delay>;
}

impl<D: IntoDelay> IntoTimeout for D {
    #[track_caller]
    fn into_timeout(self) -> Option<Delay> {
        Some(self.into_delay())
    }
}

impl<D: IntoDelay> IntoTimeout for Option<D> {
    #[track_caller]
    fn into_timeout(self) -> Option<Delay> {
        self.map(IntoDelay::into_delay)
    }
}

/// What can be given as a deadline: seconds of [`EventLoop::time`](crate::EventLoop::time), or `None` for none.
pub trait IntoDeadline {
    /// Converts into nanoseconds of the loop's clock.
    fn into_deadline(self) -> Option<i64>;
}

impl IntoDeadline for f64 {
    #[track_caller]
    fn into_deadline(self) -> Option<i64> {
        Some(nanos_of_secs(self))
    }
}

impl IntoDeadline for Option<f64> {
    #[track_caller]
    fn into_deadline(self) -> Option<i64> {
        self.map(nanos_of_secs)
    }
}

/// Seconds to the nearest nanosecond; what is out of range is as near as it gets.
///
/// # Panics
///
/// If `seconds` is NaN.
#[track_caller]
pub(crate) fn nanos_of_secs(seconds: f64) -> Nanos {
    assert!(!seconds.is_nan(), "a delay or deadline is NaN seconds");
    (seconds * NANOS_PER_SEC as f64).round() as Nanos
}

/// Nanoseconds as seconds, to the nearest `f64`: exact for the first 104 days of a clock.
pub(crate) fn secs_of_nanos(nanos: Nanos) -> f64 {
    nanos as f64 / NANOS_PER_SEC as f64
}

const NANOS_PER_SEC: Nanos = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_durations_mean_the_same() {
        assert_eq!(2.into_delay(), Duration::from_secs(2).into_delay());
        assert_eq!(0.001.into_delay(), Duration::from_millis(1).into_delay());
        assert_eq!(0.5_f32.into_delay(), Duration::from_millis(500).into_delay());
        assert!((-1).into_delay().is_now() && (-0.1).into_delay().is_now() && 0_u64.into_delay().is_now());
    }

    #[test]
    fn far_ends_saturate() {
        assert_eq!(f64::INFINITY.into_delay().as_nanos(), i64::MAX);
        assert_eq!(f64::NEG_INFINITY.into_delay().as_nanos(), i64::MIN);
        assert_eq!(Duration::MAX.into_delay().as_nanos(), i64::MAX);
        assert_eq!((u64::MAX.into_delay().as_nanos(), i64::MIN.into_delay().as_nanos()), (i64::MAX, i64::MIN));
    }

    #[test]
    #[should_panic(expected = "NaN")]
    fn nan_is_refused() {
        let _ = f64::NAN.into_delay();
    }
}
