//! The common part of `dump-index` and `dump-store`: the selected segments and offsets,
//! and the format. Offsets are as in `read`: both ends included, negative ones counted
//! from the end.

use std::path::{Path, PathBuf};

use clap::Args;
use proglog::inspect::finding::{FindingId, OffsetRange};
use proglog::log::detect::detect;
use proglog::log::directory::{Directory, SegmentNames};
use proglog::log::error::Error;
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::scan::layouts;

use super::offsets::{Selected, Span};
use super::{Failure, Globals, Status, again, options, quote, say};
use crate::render::sheet::Form;

/// The options of both commands.
#[derive(Debug, Args)]
pub struct DumpArguments {
    /// The log's directory
    pub dir: PathBuf,
    /// Print only the segment that begins at BASE
    #[arg(long, value_name = "BASE", value_parser = options::number)]
    pub segment: Option<u64>,
    #[command(flatten)]
    pub selected: Selected,
    /// Print only the first K
    #[arg(short, long, value_name = "K", value_parser = options::number)]
    pub count: Option<u64>,
    /// Print only what contains byte P of the file
    #[arg(long, value_name = "P", value_parser = options::number)]
    #[arg(conflicts_with_all = ["range", "negative_range", "from", "to", "count"])]
    pub position: Option<u64>,
    /// Print the bytes too
    #[arg(long)]
    pub hex: bool,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
    #[arg(long, value_name = "CODEC", help = options::CODEC)]
    pub codec: Option<Codec>,
}

/// Which part of a log is shown.
#[derive(Debug, Clone, Copy)]
pub struct Selection {
    /// The first offset.
    pub from: Offset,
    /// The last offset, included.
    pub to: Offset,
    /// The range as it was typed.
    span: Span,
    /// Whether the beginning was named.
    pub has_from: bool,
    /// The requested byte.
    pub position: Option<u64>,
    /// Number of items that remain to be printed.
    pub left: u64,
}

impl Selection {
    /// Whether no part of the log is left out.
    pub fn covers_all(&self, segment: Option<u64>) -> bool {
        let all = !self.has_from && self.to == Offset::MAX && self.left == u64::MAX;
        all && self.position.is_none() && segment.is_none()
    }

    /// Whether an offset is among the wanted ones. What has no offset is.
    #[inline]
    pub fn holds(&self, offset: Option<Offset>) -> bool {
        offset.is_none_or(|offset| offset >= self.from && offset <= self.to)
    }

    /// Fails if no `item` has one of the offsets, and none was shown: status 1.
    pub fn check_shown(
        &self,
        shown: u64,
        item: &str,
        end: impl FnOnce() -> anyhow::Result<Offset>,
    ) -> anyhow::Result<()> {
        if shown > 0 || self.left == 0 || self.span == Span::default() {
            return Ok(());
        }
        let end = end()?;
        self.span.check_start(self.from, end)?;
        if self.span.to.is_none() || self.from == end {
            return Ok(());
        }
        let (first, last) = (self.from, self.to);
        let offsets = OffsetRange { first, last };
        let message = if first == last {
            format!("no {item} has offset {offsets}")
        } else {
            format!("no {item} has one of the offsets {offsets}")
        };
        Err(Failure::new(Status::No, message).into())
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

    /// What of each item is printed, and how.
    pub fn form(&self, globals: Globals) -> Form {
        Form {
            json: self.json,
            hex: self.hex,
            quiet: globals.quiet,
        }
    }

    /// The codec that was named or that the records show.
    pub fn codec(&self, directory: &Directory) -> anyhow::Result<Codec> {
        Ok(match self.codec {
            Some(codec) => codec,
            None => detect(directory)?.unwrap_or(Codec::Raw),
        })
    }

    /// The selected segments.
    pub fn segments<'a>(&self, directory: &'a Directory) -> anyhow::Result<Vec<&'a SegmentNames>> {
        let wanted = |names: &&SegmentNames| self.segment.is_none_or(|base| base == names.base.0);
        let segments: Vec<&SegmentNames> = directory.segments.iter().filter(wanted).collect();
        let path = quote(&self.dir);
        if let (Some(base), []) = (self.segment, segments.as_slice()) {
            let (path, base) = (self.dir.clone(), Offset(base));
            return Err(Error::NoSegment { path, base }.into());
        }
        if self.position.is_some() && segments.len() > 1 {
            let bases: Vec<String> = segments
                .iter()
                .take(3)
                .map(|names| names.base.to_string())
                .collect();
            let message = format!(
                "--position needs one file, but {path} has {} segments",
                segments.len()
            );
            let hints = bases.iter().map(|base| again(&format!("--segment {base}")));
            return Err(Failure::new(Status::Failed, message).hints(hints).into());
        }
        Ok(segments)
    }

    /// The selected range; `end` returns the next offset where numbers are counted from
    /// it.
    pub fn selection(
        &self,
        directory: &Directory,
        end: impl FnOnce() -> anyhow::Result<Offset>,
    ) -> anyhow::Result<Selection> {
        let span = self.selected.span();
        let end = if span.is_relative() {
            end()?
        } else {
            Offset(0)
        };
        let resolved = span.resolve(end)?;
        let lowest = directory.segments.first().map(|first| first.base);
        span.check_end(resolved.to, lowest.unwrap_or_default())?;
        let offsets = resolved.offsets()?;
        Ok(Selection {
            span,
            from: offsets.first,
            to: offsets.last,
            has_from: span.from.is_some(),
            position: self.position,
            left: self.count.unwrap_or(u64::MAX),
        })
    }
}

/// Notes on stderr that a segment has the layout of another program: the bytes are still
/// printed in the standard layout.
pub fn say_layout(directory: &Directory, names: &SegmentNames) -> anyhow::Result<()> {
    if let Some(layout) = layouts::of_segment(directory, names)? {
        let id = FindingId::ForeignDialect;
        say(&format!(
            "segment {}: {id}: {layout}; shown in the layout of the book",
            names.base
        ));
    }
    Ok(())
}

/// The hint if `log/0.index` was given instead of `log`, and whether the command knows
/// `--segment`.
pub fn is_a_file(path: &Path, command: &str, segment: bool) -> Failure {
    let failure = Failure::new(
        Status::Failed,
        format!("{}: is not a directory", path.display()),
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

/// The answer to a byte that lies after the end of a file.
pub fn past_the_end(file: &str, position: u64, bytes: u64) -> anyhow::Error {
    let message = format!("{file}: byte {position} is past the end ({bytes} bytes)");
    Failure::new(Status::No, message).into()
}
