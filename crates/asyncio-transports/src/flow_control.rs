//! `WriteLimits`: when a protocol is to stop writing, and when it may go on. A pure state machine of two numbers and a bit.
//!
//! Absent on purpose: buffers, and calling anybody.

/// The marks between which the bytes that wait to be sent may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WriteLimits {
    low_bytes: usize,
    high_bytes: usize,
}

impl Default for WriteLimits {
    fn default() -> Self {
        Self { low_bytes: HIGH_BYTES / 4, high_bytes: HIGH_BYTES }
    }
}

impl WriteLimits {
    /// The marks that asyncio makes of what is given. `None` if the low mark is above the high one.
    pub(crate) fn new(high_bytes: Option<usize>, low_bytes: Option<usize>) -> Option<Self> {
        let high = high_bytes.or_else(|| low_bytes.map(|low| low.saturating_mul(4))).unwrap_or(HIGH_BYTES);
        let low = low_bytes.unwrap_or(high / 4);
        (low <= high).then_some(Self { low_bytes: low, high_bytes: high })
    }

    /// The low mark and the high one.
    pub(crate) const fn as_pair(self) -> (usize, usize) {
        (self.low_bytes, self.high_bytes)
    }

    /// Strictly above the high mark: exactly `high_bytes` does not pause.
    pub(crate) const fn must_pause(self, waiting_bytes: usize) -> bool {
        waiting_bytes > self.high_bytes
    }

    /// At the low mark or below.
    pub(crate) const fn may_resume(self, waiting_bytes: usize) -> bool {
        waiting_bytes <= self.low_bytes
    }
}

/// asyncio's default of the high mark: 64 KiB.
const HIGH_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_those_of_asyncio() {
        // sem. 206
        let pair = |high, low| WriteLimits::new(high, low).map(WriteLimits::as_pair);
        assert_eq!(WriteLimits::default().as_pair(), (16_384, 65_536));
        assert_eq!(pair(None, None), Some((16_384, 65_536)));
        assert_eq!(pair(Some(100), None), Some((25, 100)));
        assert_eq!(pair(None, Some(100)), Some((100, 400)));
        assert_eq!(pair(Some(0), None), Some((0, 0)));
        assert_eq!(pair(Some(7), Some(7)), Some((7, 7)));
        assert_eq!(pair(Some(6), Some(7)), None);
        assert_eq!(pair(None, Some(usize::MAX)), Some((usize::MAX, usize::MAX)));
    }

    #[test]
    fn exactly_the_high_mark_does_not_pause() {
        // sem. 205
        let limits = WriteLimits::new(Some(100), Some(10)).unwrap();
        assert_eq!([100, 101].map(|bytes| limits.must_pause(bytes)), [false, true]);
        assert_eq!([10, 11].map(|bytes| limits.may_resume(bytes)), [true, false]);
    }
}
