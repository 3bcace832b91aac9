//! Offsets and ranges as they are typed: `N`, `A..B`, `A..`, `..B`, both ends included,
//! negative numbers counted from the end. One parser for every command that selects by
//! offset.

use std::fmt;
use std::str::FromStr;

use proglog::inspect::finding::OffsetRange;
use proglog::log::units::Offset;

use super::{Failure, Status};

/// The error for a number that is no offset.
pub const TOO_LARGE: &str = "larger than 2^64 - 1";

/// An offset, counted from the front or from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The offset itself.
    At(Offset),
    /// Counted from the end: 1 is the last record.
    FromEnd(u64),
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WHAT: &str =
            "an offset is a whole number, or -1 for the last record, -2 for the one before";
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(WHAT);
        }
        let is_empty = digits.is_empty();
        let number: u64 = digits
            .parse()
            .map_err(|_| if is_empty { WHAT } else { TOO_LARGE })?;
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
    /// The offset in a log with this next offset; below 0 where the log is too short.
    pub fn resolve(self, next: Offset) -> i128 {
        match self {
            Self::At(offset) => i128::from(offset.0),
            Self::FromEnd(back) => i128::from(next.0) - i128::from(back),
        }
    }
}

/// A range of offsets, both ends included; a missing end is the log's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    pub from: Option<Place>,
    pub to: Option<Place>,
}

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WHAT: &str = "a range is A..B, A.., ..B or one offset, both ends included; \
                            negative numbers count from the end";
        let place = |text: &str| match text {
            "" => Ok(None),
            text => match text.parse() {
                Err(TOO_LARGE) => Err(TOO_LARGE),
                place => place.map(Some).map_err(|_| WHAT),
            },
        };
        let (from, to) = match text.split_once("..") {
            Some(("", "")) => return Err(WHAT),
            Some((from, to)) => (place(from)?, place(to)?),
            None if text.is_empty() => return Err(WHAT),
            None => (place(text)?, place(text)?),
        };
        Ok(Self { from, to })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.single() {
            return place.fmt(f);
        }
        let text = |place: Option<Place>| place.map_or(String::new(), |place| place.to_string());
        write!(f, "{}..{}", text(self.from), text(self.to))
    }
}

impl Span {
    /// The one offset that it is.
    pub fn single(&self) -> Option<Place> {
        self.from.filter(|_| self.from == self.to)
    }

    /// Whether an end is counted from the end of the log.
    pub fn is_relative(&self) -> bool {
        let is_relative = |place| matches!(place, Some(Place::FromEnd(_)));
        is_relative(self.from) || is_relative(self.to)
    }

    /// The range in a log with this next offset.
    ///
    /// # Errors
    ///
    /// The first offset is above the last: status 2.
    pub fn resolve(&self, next: Offset) -> Result<Resolved, Failure> {
        let resolved = Resolved {
            from: self.from.map(|place| place.resolve(next)),
            to: self.to.map(|place| place.resolve(next)),
        };
        match (resolved.from, resolved.to) {
            (Some(first), Some(last)) if first > last => {
                let from_end = if self.is_relative() {
                    format!("; the next offset is {next}")
                } else {
                    String::new()
                };
                let message = format!(
                    "range {self}: its first offset, {first}, is above its last, {last}{from_end}"
                );
                let hint = "both ends are included: 5..5 is one record";
                Err(Failure::new(Status::Failed, message).hint(hint))
            }
            _ => Ok(resolved),
        }
    }

    /// Fails if the range, which ends at `to`, ends before the log: status 1.
    pub fn check_end(&self, to: Option<i128>, lowest: Offset) -> Result<(), Failure> {
        let Some(to) = to.filter(|to| *to < i128::from(lowest.0)) else {
            return Ok(());
        };
        let message = match self.to {
            Some(Place::FromEnd(back)) => {
                format!("offset -{back} from the end is before the log, which begins at {lowest}")
            }
            _ => format!("offset {to} is no longer in the log, which begins at {lowest}"),
        };
        Err(Failure::new(Status::No, message))
    }

    /// Fails if the range, which begins at `from`, begins after the log: status 1. A range of
    /// several offsets may begin where the log ends.
    pub fn check_start(&self, from: Offset, next: Offset) -> Result<(), Failure> {
        if from > next || (from == next && self.single().is_some()) {
            return Err(Failure::new(Status::No, not_yet(from, next)));
        }
        Ok(())
    }
}

/// The message about an offset that is not there yet.
pub fn not_yet(offset: Offset, next: Offset) -> String {
    format!("offset {offset} is not in the log yet: the next offset is {next}")
}

/// A range counted from the front; below 0 where the log is too short.
#[derive(Debug, Clone, Copy)]
pub struct Resolved {
    pub from: Option<i128>,
    pub to: Option<i128>,
}

impl Resolved {
    /// The offsets that there can be.
    ///
    /// # Errors
    ///
    /// The range ends before offset 0: status 1.
    pub fn offsets(self) -> Result<OffsetRange, Failure> {
        if let Some(to @ ..0) = self.to {
            let message = format!("the range ends at {to}, before the log");
            return Err(Failure::new(Status::No, message));
        }
        let offset = |number: Option<i128>, missing| match number {
            Some(number) => Offset(u64::try_from(number).unwrap_or(0)),
            None => missing,
        };
        Ok(OffsetRange {
            first: offset(self.from, Offset(0)),
            last: offset(self.to, Offset::MAX),
        })
    }
}

/// The options that select records by offset.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Selected {
    /// Offsets: A..B (both ends included), A.., ..B or N; -1 is the last record
    #[arg(value_name = "RANGE", conflicts_with_all = ["from", "to"])]
    range: Option<Span>,
    // A range that begins with a minus sign: see `cli::typed`.
    #[arg(long = "range", value_name = "RANGE", hide = true)]
    #[arg(conflicts_with_all = ["range", "from", "to"])]
    negative_range: Option<Span>,
    /// Start at offset N; -10 is the tenth record from the end
    #[arg(long, value_name = "N")]
    from: Option<Place>,
    /// Stop after offset N
    #[arg(long, value_name = "N")]
    to: Option<Place>,
}

impl Selected {
    /// The range that was typed.
    pub fn typed(&self) -> Option<Span> {
        self.range.or(self.negative_range)
    }

    /// The range, typed as such or with --from and --to.
    pub fn span(&self) -> Span {
        self.typed().unwrap_or(Span {
            from: self.from,
            to: self.to,
        })
    }
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
        let wrong = [
            "",
            "-",
            "-0",
            "+1",
            "--1",
            "1.0",
            "1e3",
            "18446744073709551616",
        ];
        for wrong in wrong {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
        for large in ["18446744073709551616", "-99999999999999999999"] {
            assert_eq!(large.parse::<Place>(), Err(TOO_LARGE));
            for range in [
                large.to_owned(),
                format!("5..{large}"),
                format!("{large}.."),
            ] {
                assert_eq!(range.parse::<Span>(), Err(TOO_LARGE), "{range}");
            }
        }
        assert_eq!(Place::FromEnd(3).resolve(Offset(10)), 7);
        assert_eq!(Place::FromEnd(11).resolve(Offset(10)), -1);
    }

    #[test]
    fn spans() {
        for text in [
            "5..10", "5..", "..10", "7", "-3..", "..-3", "-5..-2", "0..-1", "-1",
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string(), text);
        }
        for wrong in [
            "", "..", "...", "1...2", "1..2..3", "a..", "1..b", "-0..", "1-2", " 1",
        ] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
        assert_eq!("4..4".parse::<Span>().unwrap().to_string(), "4");
    }

    #[test]
    fn a_range_is_counted_from_the_front() {
        let resolved = |text: &str| text.parse::<Span>().unwrap().resolve(Offset(10));
        let range = |text: &str| {
            resolved(text)
                .unwrap()
                .offsets()
                .map(|it| (it.first.0, it.last.0))
        };
        assert_eq!(range("-3..").unwrap(), (7, u64::MAX));
        assert_eq!(range("-30..-9").unwrap(), (0, 1));
        assert!(range("..-11").is_err());
        let error = resolved("0..-18").unwrap_err();
        assert_eq!(
            error.message,
            "range 0..-18: its first offset, 0, is above its last, -8; the next offset is 10"
        );
        assert!(resolved("-1..-2").is_err() && resolved("5..4").is_err());
    }
}
