//! Medians, spreads and ratios of a few samples.

/// What a handful of samples says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Summary {
    /// `None` if there are no samples.
    pub(super) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Self { median: f64::midpoint(low, high), min, max })
    }

    /// Largest over smallest: how disturbed the machine was.
    pub(super) fn spread(&self) -> f64 {
        self.max / self.min
    }
}

/// A number with as many digits as are worth reading.
pub(super) fn shown(number: f64) -> String {
    let digits = if number < 10.0 {
        2
    } else if number < 100.0 {
        1
    } else {
        0
    };
    format!("{number:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(Summary::of(&[4.0, 1.0, 2.0, 9.0]), Some(Summary { median: 3.0, min: 1.0, max: 9.0 }));
        assert_eq!(Summary::of(&[5.0, 1.0, 2.0]).map(|summary| summary.median), Some(2.0));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn the_spread_is_a_ratio() {
        assert_eq!(Summary::of(&[2.0, 3.0]).map(|summary| summary.spread()), Some(1.5));
    }

    #[test]
    fn numbers_are_shown_with_three_digits() {
        assert_eq!([1.234, 12.34, 1234.5].map(shown), ["1.23", "12.3", "1234"]);
    }
}
