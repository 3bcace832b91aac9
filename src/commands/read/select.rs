//! Which records `read` is asked for: offsets counted from the front or from the
//! end, and where the first or the last so many records begin or end.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use proglog::log::error::Error;
use proglog::log::reader::{Item, LogReader};
use proglog::log::units::Offset;

use super::super::{Failure, Status};
use super::deliver::OnError;

/// An offset as the user writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The offset itself.
    At(Offset),
    /// So many before the end: 1 is the last record.
    FromEnd(u64),
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WHAT: &str =
            "an offset is a number, or -1 for the last record, -2 for the one before";
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(WHAT);
        }
        let number: u64 = digits.parse().map_err(|_| WHAT)?;
        match (text.len() == digits.len(), number) {
            (true, _) => Ok(Self::At(Offset(number))),
            (false, 0) => Err(WHAT),
            (false, back) => Ok(Self::FromEnd(back)),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(offset) => offset.fmt(f),
            Self::FromEnd(back) => write!(f, "-{back}"),
        }
    }
}

impl Place {
    /// Counted from the front; below 0 where the end is not that far from it.
    fn resolve(self, next: Offset) -> i128 {
        match self {
            Self::At(offset) => i128::from(offset.0),
            Self::FromEnd(back) => i128::from(next.0) - i128::from(back),
        }
    }
}

/// Offsets as they were asked for, counted from the front.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub from: Option<i128>,
    pub to: Option<i128>,
}

/// Counts what was asked for from the front.
pub fn resolve(from: Option<Place>, to: Option<Place>, next: Offset) -> Result<Asked, Failure> {
    let asked = Asked {
        from: from.map(|place| place.resolve(next)),
        to: to.map(|place| place.resolve(next)),
    };
    if let (Some(first), Some(last)) = (asked.from, asked.to)
        && first > last
    {
        let message = format!("--from {first} is above --to {last}");
        return Err(Failure::new(Status::Failed, message)
            .hint("both are included: --from 5 --to 5 is one record"));
    }
    Ok(asked)
}

/// Offsets that are read: from the first to the last, which is included, or to the
/// end of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub from: Offset,
    pub last: Option<Offset>,
}

impl Asked {
    /// What of it can be in a log that begins at `lowest`.
    pub fn within(self, lowest: Offset) -> Range {
        let offset = |number: i128| u64::try_from(number).map_or(lowest, Offset);
        Range {
            from: self.from.map_or(lowest, offset).max(lowest),
            last: self.to.map(offset),
        }
    }
}

impl Range {
    /// The end (excluded) in a log whose next offset is `next`.
    pub fn end(self, next: Offset) -> Offset {
        match self.last {
            Some(last) => next.min(last.saturating_add(1)),
            None => next,
        }
    }
}

/// Where the last `records` whole records of a range begin.
pub fn tail(log: &mut LogReader, range: Range, records: u64) -> Result<Offset, Error> {
    let next = log.next_offset()?;
    let mut begin = range.end(next).max(range.from);
    let mut missing = records;
    let mut step = 0_u64;
    while missing > 0 && begin > range.from {
        // Each offset is a record as a rule; where many are not, larger steps.
        step = missing.max(step.saturating_mul(2));
        let low = Offset(begin.0.saturating_sub(step)).max(range.from);
        let found = count(log, low, begin)?;
        if found > missing {
            return nth(log, low, begin, found - missing);
        }
        missing -= found;
        begin = low;
    }
    Ok(begin)
}

/// The last of the first `records` offsets of a range, or, where damage is skipped,
/// of its first `records` records.
pub fn head(
    log: &mut LogReader,
    range: Range,
    records: u64,
    on_error: OnError,
) -> Result<Option<Offset>, Error> {
    let behind = range.from.saturating_add(records);
    let last = match on_error {
        OnError::Stop => behind,
        OnError::Skip => {
            let next = log.next_offset()?;
            nth(log, range.from, range.end(next), records)?
        }
    };
    let last = Offset(last.0.saturating_sub(1));
    Ok(Some(range.last.map_or(last, |asked| asked.min(last))))
}

fn count(log: &mut LogReader, from: Offset, end: Offset) -> Result<u64, Error> {
    let mut records = 0;
    let _ = log.read::<Error>(from, end, |item| {
        records += u64::from(matches!(item, Item::Record(_)));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(records)
}

/// The offset of the record behind `records` others; `end` where there is none.
fn nth(log: &mut LogReader, from: Offset, end: Offset, records: u64) -> Result<Offset, Error> {
    let mut left = records;
    let mut found = end;
    let _ = log.read::<Error>(from, end, |item| {
        if let Item::Record(record) = item {
            if left == 0 {
                found = record.offset;
                return Ok(ControlFlow::Break(()));
            }
            left -= 1;
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        assert_eq!("42".parse(), Ok(Place::At(Offset(42))));
        assert_eq!("-1".parse(), Ok(Place::FromEnd(1)));
        assert_eq!(
            "18446744073709551615".parse(),
            Ok(Place::At(Offset(u64::MAX)))
        );
        for wrong in [
            "",
            "-",
            "-0",
            "+1",
            "--1",
            "1.0",
            "1e3",
            "18446744073709551616",
        ] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
        assert_eq!(Place::FromEnd(3).resolve(Offset(10)), 7);
        assert_eq!(Place::FromEnd(11).resolve(Offset(10)), -1);
    }

    #[test]
    fn a_range_begins_where_the_log_does() {
        let asked = resolve(
            Some(Place::FromEnd(100)),
            Some(Place::At(Offset(7))),
            Offset(10),
        );
        let range = asked.unwrap().within(Offset(5));
        assert_eq!((range.from, range.last), (Offset(5), Some(Offset(7))));
        assert_eq!(range.end(Offset(10)), Offset(8));
        assert_eq!(range.end(Offset(6)), Offset(6));
        assert!(resolve(Some(Place::FromEnd(1)), Some(Place::FromEnd(2)), Offset(10)).is_err());
    }
}
