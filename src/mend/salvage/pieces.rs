//! Very many small values in order, kept in pieces: they grow without being copied to a
//! larger place, an insertion is cheap, and values taken from the front free their
//! memory. A damaged log may have a run of records for every few bytes.

/// Values in a piece, at most.
const PIECE: usize = 1024;

/// Values in order. No piece is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pieces<T>(Vec<Vec<T>>);

impl<T> Default for Pieces<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Pieces<T> {
    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first value.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        self.0.first()?.first()
    }

    /// The last value.
    #[must_use]
    pub fn last(&self) -> Option<&T> {
        self.0.last()?.last()
    }

    /// The last value, to be changed.
    pub fn last_mut(&mut self) -> Option<&mut T> {
        self.0.last_mut()?.last_mut()
    }

    /// Adds a value after all others.
    pub fn push(&mut self, value: T) {
        match self.0.last_mut() {
            Some(piece) if piece.len() < PIECE => piece.push(value),
            _ => self.0.push(vec![value]),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.0.iter().flatten()
    }

    /// The values from the first on for which `is_before` is false; it must be true of
    /// none after that.
    pub fn iter_from(&self, is_before: impl Fn(&T) -> bool) -> impl Iterator<Item = &T> {
        let (piece, at) = self.place(is_before);
        let first = self.0.get(piece).and_then(|piece| piece.get(at..));
        let others = self.0.get(piece + 1..).unwrap_or_default();
        first
            .unwrap_or_default()
            .iter()
            .chain(others.iter().flatten())
    }

    /// Puts a value before the first for which `is_before` is false.
    pub fn insert(&mut self, value: T, is_before: impl Fn(&T) -> bool) {
        let (number, at) = self.place(is_before);
        let Some(piece) = self.0.get_mut(number) else {
            return self.push(value);
        };
        if piece.len() < PIECE {
            return piece.insert(at, value);
        }
        // Others most often follow here: the piece before them stays as full as it is.
        let behind = piece.split_off(at.max(PIECE / 2));
        piece.insert(at, value);
        self.0.insert(number + 1, behind);
    }

    /// In which piece and where in it the first value is for which `is_before` is false.
    fn place(&self, is_before: impl Fn(&T) -> bool) -> (usize, usize) {
        let pieces = &self.0;
        let number = pieces.partition_point(|piece| piece.last().is_some_and(&is_before));
        let piece = pieces.get(number);
        (
            number,
            piece.map_or(0, |piece| piece.partition_point(is_before)),
        )
    }
}

/// Takes the values from the end of what there is, so that they are hardly ever there
/// twice.
impl<T> From<Vec<T>> for Pieces<T> {
    fn from(mut values: Vec<T>) -> Self {
        let mut pieces = Vec::with_capacity(values.len() / PIECE + 1);
        while values.len() > PIECE {
            pieces.push(values.split_off(values.len() - PIECE));
            values.shrink_to_fit();
        }
        if !values.is_empty() {
            pieces.push(values);
        }
        pieces.reverse();
        Self(pieces)
    }
}

impl<T> IntoIterator for Pieces<T> {
    type Item = T;
    type IntoIter = std::iter::Flatten<std::vec::IntoIter<Vec<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_between_others_stands_in_order() {
        for step in [1, 7, 1999, 3999] {
            let mut pieces = Pieces::default();
            // Prime to the count, or every one in its turn: all come once.
            for number in (0..4000_u32).map(|number| number * step % 4000) {
                pieces.insert(number, |it| *it < number);
            }
            assert!(pieces.iter().copied().eq(0..4000), "{step}");
            assert!(pieces.0.iter().all(|piece| piece.len() <= PIECE));
            let from = |first: u32| pieces.iter_from(move |it| *it < first).copied();
            assert!(from(0).eq(0..4000) && from(1500).eq(1500..4000));
            assert_eq!(from(4000).next(), None);
            assert_eq!((pieces.first(), pieces.last()), (Some(&0), Some(&3999)));
            assert!(pieces.into_iter().eq(0..4000));
        }
    }

    #[test]
    fn what_is_pushed_and_what_was_a_vector_is_the_same() {
        for count in [0, 1, PIECE, PIECE + 1, 5 * PIECE + 3] {
            let values: Vec<usize> = (0..count).collect();
            let mut pushed = Pieces::default();
            for value in 0..count {
                pushed.push(value);
            }
            let made = Pieces::from(values.clone());
            assert_eq!((made.is_empty(), made.last()), (count == 0, values.last()));
            assert!(made.iter().eq(&values) && pushed.iter().eq(&values));
            assert!(made.into_iter().eq(values));
        }
    }
}
