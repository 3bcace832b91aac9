//! The three numbers that are easily mixed up, as three types: the offset of a
//! record in the log, its relative offset in a segment, and a byte position in a
//! store. What they are written as is the business of `format`.

use std::fmt;

/// The number of a record in the log, counted from the log's initial offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(pub u64);

/// The number of a record in its segment, counted from the segment's base offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RelativeOffset(pub u32);

/// A position in a store file. Units: bytes from the beginning of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Offset {
    /// The largest offset there is.
    pub const MAX: Self = Self(u64::MAX);

    /// The offset `records` further on, or `None` past 2^64 - 1.
    #[must_use]
    pub fn checked_add(self, records: u64) -> Option<Self> {
        self.0.checked_add(records).map(Self)
    }

    /// The offset `records` further on, or the largest one.
    #[must_use]
    pub fn saturating_add(self, records: u64) -> Self {
        Self(self.0.saturating_add(records))
    }

    /// Number of records between `base` and this offset; 0 if it is below.
    #[must_use]
    pub fn since(self, base: Self) -> u64 {
        self.0.saturating_sub(base.0)
    }

    /// Number of records that can have offsets from this one on: the last of them is 2^64
    /// - 2, because the offset after it must be a number too.
    #[must_use]
    pub fn room(self) -> u64 {
        Self::MAX.0 - self.0
    }
}

impl Position {
    /// The position `bytes` further on, or `None` past 2^64 - 1.
    #[must_use]
    pub fn checked_add(self, bytes: u64) -> Option<Self> {
        self.0.checked_add(bytes).map(Self)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RelativeOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_do_not_wrap() {
        assert_eq!(Offset::MAX.checked_add(1), None);
        assert_eq!(Position(u64::MAX).checked_add(1), None);
    }
}
