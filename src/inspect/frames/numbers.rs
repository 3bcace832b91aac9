//! The offsets of the frames of a store, from the store alone.

use crate::log::units::Offset;

/// The numbers that the next frame may carry. A frame with another number is marked;
/// whether it took a number (a damaged offset) or repeats one (a refused append) shows in
/// the frame after it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    /// According to the valid frames before.
    pub next: Option<u64>,
    /// If the unexpected ones before it count too.
    counted: Option<u64>,
    /// If the frame before is right.
    followed: Option<u64>,
    /// Whether frames are lost before it: then it may carry any later number.
    pub after_loss: bool,
}

impl Numbers {
    pub fn at(next: Option<u64>) -> Self {
        Self {
            next,
            counted: next,
            followed: next,
            after_loss: false,
        }
    }

    /// The offset of the first of several frames without numbers.
    pub fn take_row(&mut self, frames: u64) -> Option<Offset> {
        let first = self.counted;
        *self = Self::at(first.and_then(|first| first.checked_add(frames)));
        first.map(Offset)
    }

    /// The offset of a frame with the number `carries`, or without one.
    pub fn take(&mut self, carries: Option<u64>) -> Option<Offset> {
        let after = |number: Option<u64>| number.and_then(|number| number.checked_add(1));
        let expected = [self.next, self.counted, self.followed];
        match carries {
            Some(carries)
                if expected.contains(&Some(carries))
                    || (self.after_loss && self.next.is_some_and(|next| carries > next)) =>
            {
                *self = Self::at(carries.checked_add(1));
                Some(Offset(carries))
            }
            Some(carries) => {
                self.counted = after(self.counted);
                self.followed = carries.checked_add(1);
                self.next.map(Offset)
            }
            None => self.take_row(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(carried: &[u64]) -> Vec<u64> {
        let mut numbers = Numbers::at(Some(10));
        carried
            .iter()
            .map(|carries| numbers.take(Some(*carries)).map_or(0, |offset| offset.0))
            .collect()
    }

    #[test]
    fn a_damaged_offset_took_a_number_and_a_refused_one_did_not() {
        assert_eq!(offsets(&[10, 11, 12]), [10, 11, 12]);
        assert_eq!(offsets(&[10, 999, 12, 13]), [10, 11, 12, 13]);
        assert_eq!(offsets(&[10, 10, 10, 11]), [10, 11, 11, 11]);
        assert_eq!(offsets(&[10, 20, 21, 22]), [10, 11, 21, 22]);
    }
}
