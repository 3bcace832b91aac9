//! What `dump-index` and `dump-store` share: which segments and offsets they show, in
//! which form. Offsets are as in `read`: both ends included, negative ones counted
//! from the end.

use std::path::{Path, PathBuf};

use clap::Args;
use proglog::inspect::finding::FindingId;
use proglog::log::detect::detect;
use proglog::log::directory::{Directory, SegmentNames};
use proglog::log::error::Error;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::scan::layouts;

use super::{Failure, Status, quote, say};

/// An offset as it is typed: from the beginning, or, negative, from the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypedOffset {
    /// Counted from the beginning.
    At(u64),
    /// Counted from the end: 1 is the last.
    FromEnd(u64),
}

impl std::str::FromStr for TypedOffset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| {
            digits
                .parse()
                .map_err(|_| "an offset is a number, negative if counted from the end".to_owned())
        };
        match text.strip_prefix('-') {
            Some("0") => Err("-1 is the last record: there is no -0".to_owned()),
            Some(digits) => Ok(Self::FromEnd(number(digits)?)),
            None => Ok(Self::At(number(text)?)),
        }
    }
}

/// The options of both commands.
#[derive(Debug, Args)]
pub struct DumpArguments {
    /// The log's directory
    pub dir: PathBuf,
    /// Only the segment that begins at BASE
    #[arg(long, value_name = "BASE")]
    pub segment: Option<u64>,
    /// Begin at this offset; -1 is the last
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub from: Option<TypedOffset>,
    /// End with this offset, included
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    pub to: Option<TypedOffset>,
    /// Only the first K of them
    #[arg(short, long, value_name = "K")]
    pub count: Option<u64>,
    /// Only what covers byte P of the file
    #[arg(long, value_name = "P", conflicts_with_all = ["from", "to", "count"])]
    pub position: Option<u64>,
    /// Add the bytes
    #[arg(long)]
    pub hex: bool,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
    /// Take the log for raw or protobuf instead of looking
    #[arg(long, value_name = "CODEC")]
    pub codec: Option<Codec>,
}

/// Which part of a log is shown.
#[derive(Debug, Clone, Copy)]
pub struct Selection {
    /// The first offset.
    pub from: Offset,
    /// The last offset, included.
    pub to: Offset,
    /// Whether the beginning was named.
    pub has_from: bool,
    /// The byte that is asked for.
    pub position: Option<u64>,
    /// How many are still to be shown.
    pub left: u64,
}

impl Selection {
    /// Whether an offset is among the wanted ones. What has no offset is.
    #[inline]
    pub fn holds(&self, offset: Option<Offset>) -> bool {
        offset.is_none_or(|offset| offset >= self.from && offset <= self.to)
    }

    /// Counts one that is shown.
    #[inline]
    pub fn take(&mut self) {
        self.left = self.left.saturating_sub(1);
    }
}

impl DumpArguments {
    /// The names in the log's directory; `command` is for the hint.
    pub fn directory(&self, command: &str) -> anyhow::Result<Directory> {
        let directory = match Directory::list(&self.dir) {
            Err(Error::NotADirectory { path }) => {
                return Err(is_a_file(&path, command, true).into());
            }
            other => other?,
        };
        directory.require_log()?;
        Ok(directory)
    }

    /// The codec that was named or that the records show.
    pub fn codec(&self, directory: &Directory) -> anyhow::Result<Codec> {
        Ok(match self.codec {
            Some(codec) => codec,
            None => detect(directory)?.unwrap_or(Codec::Raw),
        })
    }

    /// The segments that are asked for.
    pub fn segments<'a>(&self, directory: &'a Directory) -> anyhow::Result<Vec<&'a SegmentNames>> {
        let wanted = |names: &&SegmentNames| self.segment.is_none_or(|base| base == names.base.0);
        let segments: Vec<&SegmentNames> = directory.segments.iter().filter(wanted).collect();
        let path = quote(&self.dir);
        if let (Some(base), []) = (self.segment, segments.as_slice()) {
            let message = format!("{path}: no segment begins at {base}");
            let failure = Failure::new(Status::Failed, message);
            return Err(failure.hint(format!("proglog info {path}")).into());
        }
        if self.position.is_some() && segments.len() > 1 {
            let bases: Vec<String> = segments
                .iter()
                .take(3)
                .map(|names| names.base.to_string())
                .collect();
            let message = format!(
                "--position is about one file, and {path} has {} segments",
                segments.len()
            );
            let hint = format!("name it: --segment {}", bases.join(", or "));
            return Err(Failure::new(Status::Failed, message).hint(hint).into());
        }
        Ok(segments)
    }

    /// The range that is asked for; `end` is asked for the offset behind the last
    /// where a number is counted from there.
    pub fn selection(
        &self,
        end: impl FnOnce() -> anyhow::Result<Offset>,
    ) -> anyhow::Result<Selection> {
        let is_negative =
            |typed: Option<TypedOffset>| matches!(typed, Some(TypedOffset::FromEnd(_)));
        let end = if is_negative(self.from) || is_negative(self.to) {
            end()?
        } else {
            Offset(0)
        };
        let resolve = |typed| match typed {
            TypedOffset::At(offset) => Offset(offset),
            TypedOffset::FromEnd(back) => Offset(end.0.saturating_sub(back)),
        };
        let selection = Selection {
            from: self.from.map_or(Offset(0), resolve),
            to: self.to.map_or(Offset::MAX, resolve),
            has_from: self.from.is_some(),
            position: self.position,
            left: self.count.unwrap_or(u64::MAX),
        };
        if selection.from > selection.to {
            let (from, to) = (selection.from, selection.to);
            return Err(Failure::new(
                Status::Failed,
                format!("--from {from} is above --to {to}: there is nothing between"),
            )
            .into());
        }
        Ok(selection)
    }
}

/// Says on stderr if a segment has another program's layout: the bytes are shown in ours
/// all the same.
pub fn say_layout(directory: &Directory, names: &SegmentNames) -> anyhow::Result<()> {
    if let Some(layout) = layouts::of_segment(directory, names)? {
        let id = FindingId::ForeignDialect;
        say(&format!(
            "segment {}: {id}: {layout}; shown in our layout",
            names.base
        ));
    }
    Ok(())
}

/// What to say to `log/0.index` where `log` is meant; whether the command knows
/// `--segment`.
pub fn is_a_file(path: &Path, command: &str, segment: bool) -> Failure {
    let failure = Failure::new(
        Status::Failed,
        format!("{}: is no directory", path.display()),
    );
    let Some(name) = path.file_name().and_then(proglog::log::format::parse_name) else {
        return failure;
    };
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = quote(parent.unwrap_or(Path::new(".")));
    let mut hint = format!("proglog {command} {parent}");
    if segment {
        hint = format!("{hint} --segment {}", name.base);
    }
    failure.hint(hint)
}

/// The answer to a beginning that lies behind the end.
pub fn beyond(from: Offset, end: Offset) -> anyhow::Error {
    let message = format!("offset {from} is not in the log: the next one is {end}");
    Failure::new(Status::No, message).into()
}

/// The answer to a byte that lies behind the end of a file.
pub fn past_the_end(file: &str, position: u64, bytes: u64) -> anyhow::Error {
    let message = format!("{file}: byte {position} is past the end ({bytes} bytes)");
    Failure::new(Status::No, message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_as_they_are_typed() {
        assert_eq!("0".parse(), Ok(TypedOffset::At(0)));
        assert_eq!("-1".parse(), Ok(TypedOffset::FromEnd(1)));
        assert_eq!(
            "18446744073709551615".parse(),
            Ok(TypedOffset::At(u64::MAX))
        );
        for wrong in ["", "-", "-0", "--1", "1.5", "x", "18446744073709551616"] {
            assert!(wrong.parse::<TypedOffset>().is_err(), "{wrong}");
        }
    }
}
