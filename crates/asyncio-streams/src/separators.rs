//! `Separators`: what `readuntil` looks for, in the forms in which people write that.

use memchr::{memchr, memmem};

/// One separator or several: `b"\n"`, `"\r\n"`, a `Vec<u8>`, or an array or `Vec` of such, `["\r\n", "\n"]`.
pub trait Separators {
    /// Each separator, in any order.
    fn separators(&self) -> impl Iterator<Item = &[u8]>;
}

impl Separators for &[u8] {
    fn separators(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(*self)
    }
}

impl<const N: usize> Separators for &[u8; N] {
    fn separators(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self[..])
    }
}

impl Separators for &str {
    fn separators(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.as_bytes())
    }
}

impl<S: AsRef<[u8]>, const N: usize> Separators for [S; N] {
    fn separators(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().map(AsRef::as_ref)
    }
}

impl<S: AsRef<[u8]>> Separators for Vec<S> {
    fn separators(&self) -> impl Iterator<Item = &[u8]> {
        self.iter().map(AsRef::as_ref)
    }
}

/// Where a separator lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The lengths of the shortest and of the longest separator. `None` if there is none, or an empty one.
pub(crate) fn lengths(separators: &impl Separators) -> Option<(usize, usize)> {
    let lengths = || separators.separators().map(<[u8]>::len);
    Some((lengths().min().filter(|shortest| *shortest > 0)?, lengths().max()?))
}

/// The separator in `bytes`, from `from` on, that ends first; of several that end together, the shortest.
pub(crate) fn find(separators: &impl Separators, bytes: &[u8], from: usize) -> Option<Match> {
    let mut first: Option<Match> = None;
    for separator in separators.separators() {
        // One that ends later than what was found is of no interest.
        let until = first.map_or(bytes.len(), |found| found.end);
        let place = match separator {
            [byte] => memchr(*byte, &bytes[from..until]),
            _ => memmem::find(&bytes[from..until], separator),
        };
        if let Some(place) = place {
            let found = Match { start: from + place, end: from + place + separator.len() };
            if first.is_none_or(|first| (found.end, first.start) < (first.end, found.start)) {
                first = Some(found);
            }
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_that_ends_first_is_found_and_of_equals_the_shortest() {
        let found = |separators: &[&str], bytes: &str, from| {
            let found = find(&separators.to_vec(), bytes.as_bytes(), from)?;
            Some((found.start, found.end))
        };
        assert_eq!(found(&["\n"], "ab\ncd\n", 0), Some((2, 3)));
        assert_eq!(found(&["\n"], "ab\ncd\n", 3), Some((5, 6)));
        assert_eq!(found(&["\n", "b"], "ab\n", 0), Some((1, 2)));
        assert_eq!(found(&["xyz", "z"], "axyz", 0), Some((3, 4)));
        assert_eq!(found(&["z", "xyz"], "axyz", 0), Some((3, 4)));
        assert_eq!(found(&["xyz", "yz", "q"], "axyz", 0), Some((2, 4)));
        assert_eq!(found(&["longer than all"], "ab", 0), None);
    }

    #[test]
    fn an_empty_separator_makes_no_sense() {
        assert_eq!(lengths(&b"\r\n"), Some((2, 2)));
        assert_eq!(lengths(&["\r\n", "\n"]), Some((1, 2)));
        assert_eq!(lengths(&""), None);
        assert_eq!(lengths(&["a", ""]), None);
        assert_eq!(lengths(&Vec::<Vec<u8>>::new()), None);
    }
}
