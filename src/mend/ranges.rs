//! Ranges of offsets or of bytes, each end excluded: kept in order and apart.

/// A set of them.
#[derive(Debug, Default)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Those that are given, in any order; where two meet they are one.
    pub fn of(ranges: impl Iterator<Item = (u64, u64)>) -> Self {
        let mut ranges: Vec<(u64, u64)> = ranges.collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, last| {
            let meets = next.0 <= last.1;
            if meets {
                last.1 = last.1.max(next.1);
            }
            meets
        });
        Self(ranges)
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &(u64, u64)> {
        self.0.iter()
    }

    /// Whether all from `first` up to `last`, which is included, is in one of them.
    #[must_use]
    pub fn holds_all(&self, first: u64, last: u64) -> bool {
        let at = self.0.partition_point(|(_, end)| *end <= first);
        let found = self.0.get(at);
        found.is_some_and(|(from, end)| *from <= first && last < *end)
    }
}

/// Two sequences of ranges, each in the order in which its ranges begin, as one such.
pub fn merged(
    ours: impl Iterator<Item = (u64, u64)>,
    theirs: impl Iterator<Item = (u64, u64)>,
) -> impl Iterator<Item = (u64, u64)> {
    let (mut ours, mut theirs) = (ours.peekable(), theirs.peekable());
    std::iter::from_fn(move || match (ours.peek(), theirs.peek()) {
        (Some(our), Some(their)) if their.0 < our.0 => theirs.next(),
        (None, _) => theirs.next(),
        _ => ours.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sequences_in_order_are_one_in_order() {
        let ours = [(0, 2), (5, 6), (9, 12)];
        let theirs = [(1, 4), (9, 10), (20, 21), (30, 31)];
        let all = || merged(ours.into_iter(), theirs.into_iter());
        assert!(all().is_sorted_by_key(|(from, _)| from));
        assert_eq!(all().count(), ours.len() + theirs.len());
        assert!(merged(ours.into_iter(), std::iter::empty()).eq(ours));
        assert!(merged(std::iter::empty(), ours.into_iter()).eq(ours));
    }

    #[test]
    fn what_meets_is_one_and_ends_are_excluded() {
        let ranges = Ranges::of([(7, 9), (0, 2), (1, 3), (3, 5)].into_iter());
        assert!(ranges.holds_all(0, 4) && ranges.holds_all(8, 8));
        assert!(!ranges.holds_all(0, 5) && !ranges.holds_all(6, 6) && !ranges.holds_all(9, 9));
    }
}
