//! The offsets that `read` reads, and what damage among them does.

use std::str::FromStr;

use proglog::log::units::Offset;

use crate::commands::offsets::Resolved;

/// The effect of damage on a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// It ends there.
    Stop,
    /// It continues after it.
    Skip,
}

impl FromStr for OnError {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "stop" => Ok(Self::Stop),
            "skip" => Ok(Self::Skip),
            _ => Err("stop or skip"),
        }
    }
}

/// Offsets that are read: from the first to the last, which is included, or to the
/// end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub from: Offset,
    pub last: Option<Offset>,
}

impl Range {
    /// Every offset.
    pub const ALL: Self = Self {
        from: Offset(0),
        last: None,
    };

    /// Whether an offset is one of them.
    pub fn contains(self, offset: Offset) -> bool {
        self.from <= offset && self.last.is_none_or(|last| offset <= last)
    }

    /// These offsets, and so many before and after them that are in `whole`.
    pub fn widened(self, by: u64, whole: Self) -> Self {
        let last = self.last.map(|last| last.saturating_add(by));
        Self {
            from: Offset(self.from.0.saturating_sub(by)).max(whole.from),
            last: whole
                .last
                .map_or(last, |end| last.map(|last| last.min(end))),
        }
    }

    /// The part of a range that can be in a log that begins at `lowest`.
    pub fn within(asked: Resolved, lowest: Offset) -> Self {
        let offset = |number: i128| u64::try_from(number).map_or(lowest, Offset);
        Self {
            from: asked.from.map_or(lowest, offset).max(lowest),
            last: asked.to.map(offset),
        }
    }

    /// The end (excluded) in a log whose next offset is `next`.
    pub fn end(self, next: Offset) -> Offset {
        match self.last {
            Some(last) => next.min(last.saturating_add(1)),
            None => next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::offsets::Span;

    #[test]
    fn a_range_begins_where_the_log_does() {
        let asked: Span = "-100..7".parse().unwrap();
        let range = Range::within(asked.resolve(Offset(10)).unwrap(), Offset(5));
        assert_eq!((range.from, range.last), (Offset(5), Some(Offset(7))));
        assert_eq!(range.end(Offset(10)), Offset(8));
        assert_eq!(range.end(Offset(6)), Offset(6));
    }
}
