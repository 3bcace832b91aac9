//! An obstacle in words: the id of the finding, the place in the form of `xxd`, both
//! figures, the offsets that cannot be read, and where the log continues.

use proglog::inspect::finding::{FindingId, OffsetRange, Place};
use proglog::inspect::standing::loses_nothing;
use proglog::inspect::usage::Buffered;
use proglog::log::damage::{Damage, DamageKind};
use proglog::log::dir::Links;
use proglog::log::directory::{Directory, SegmentNames};
use proglog::log::error::reason;
use proglog::log::format::{ENTRY_BYTES, FileKind, file_name};
use proglog::log::reader::Obstacle;
use proglog::log::units::Offset;

/// Where a read continues after an obstacle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoesOn {
    /// At this offset.
    At(Offset),
    /// Nothing follows in the log.
    Nowhere,
    /// Not determined.
    Unknown,
}

/// An obstacle, ready to be reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    id: FindingId,
    /// The file, and the bytes in it, where bytes are to blame.
    file: Option<String>,
    bytes: Option<(u64, u64)>,
    /// The problem.
    what: String,
    first: Offset,
    last: Option<Offset>,
    /// Number of similar obstacles that follow directly.
    more: u64,
    /// Whether the records follow all the same, according to the store.
    pub follows: bool,
    /// In whose buffer these records still are, if they are in one.
    pub buffered: Option<Buffered>,
}

/// The finding of an obstacle; `None` if nothing is lost by it.
pub fn describe(
    directory: &Directory,
    obstacle: &Obstacle,
    first: Offset,
    last: Option<Offset>,
) -> Option<Trouble> {
    if loses_nothing(directory, obstacle, last) {
        return None;
    }
    let plain = |id, what: String| Trouble {
        id,
        file: None,
        bytes: None,
        what,
        first,
        last,
        more: 0,
        follows: matches!(obstacle, Obstacle::Unindexed { .. }),
        buffered: None,
    };
    Some(match obstacle {
        Obstacle::Damage { segment, damage } => Trouble {
            file: Some(name(directory, *segment, damage.file)),
            bytes: Some((damage.position, damage.bytes)),
            ..plain(damage.kind.into(), what(directory, *segment, damage))
        },
        Obstacle::Gap => plain(
            FindingId::SegmentGap,
            "no segment contains these offsets".to_owned(),
        ),
        Obstacle::Overlap { newer } => plain(
            FindingId::SegmentOverlap,
            format!(
                "{} claims offsets that an older segment contains too; the older records are read",
                name(directory, *newer, FileKind::Index)
            ),
        ),
        Obstacle::Contested { segment } => plain(
            FindingId::SegmentOverlap,
            format!(
                "two records in {} claim each of these offsets; the older ones are read",
                name(directory, *segment, FileKind::Store)
            ),
        ),
        Obstacle::Unindexed {
            segment,
            missing: true,
        } => Trouble {
            file: Some(name(directory, *segment, FileKind::Index)),
            ..plain(
                FindingId::IndexMissing,
                "is missing; the store holds the records".to_owned(),
            )
        },
        Obstacle::Unindexed { segment, .. } => {
            let (id, what) = match unusable(directory, *segment, FileKind::Index) {
                Some(what) => (
                    FindingId::NotAFile,
                    format!("{what}; the store holds the records"),
                ),
                None => (
                    FindingId::IndexEntryDamaged,
                    "has no entries for records in the store (a repair adds them)".to_owned(),
                ),
            };
            Trouble {
                file: Some(name(directory, *segment, FileKind::Index)),
                ..plain(id, what)
            }
        }
        Obstacle::Foreign { segment, layout } => Trouble {
            file: Some(name(directory, *segment, FileKind::Store)),
            ..plain(
                FindingId::ForeignDialect,
                format!("has another program's layout: {layout}"),
            )
        },
        Obstacle::Unpaired { segment, missing } => {
            let (id, what) = unpaired(directory, *segment, *missing)?;
            Trouble {
                file: Some(name(directory, *segment, *missing)),
                ..plain(id, what)
            }
        }
    })
}

/// The problem, with both figures of the comparison.
fn what(directory: &Directory, segment: Offset, damage: &Damage) -> String {
    let got = damage.got.unwrap_or_default();
    let intact = if damage.record_whole {
        " (the record is intact in the store; a repair restores its entry)"
    } else {
        ""
    };
    match (damage.kind, damage.expected) {
        (DamageKind::Entry, Some(expected)) => {
            let slot = damage.position / ENTRY_BYTES;
            format!("entry {slot} has {got}, expected {expected}{intact}")
        }
        (DamageKind::Entry, None) => {
            let slot = damage.position / ENTRY_BYTES;
            format!("entry {slot} has {got}, where no record with its offset begins{intact}")
        }
        (DamageKind::Misaligned, _) => {
            format!("entries continue {got} bytes after a 12-byte boundary")
        }
        (DamageKind::Dangling, expected) => {
            let store = name(directory, segment, FileKind::Store);
            let needed = expected.map_or_else(String::new, |bytes| {
                format!(": one needs {bytes} bytes, the store has {got}")
            });
            format!("entries refer to frames that are not in {store}{needed}")
        }
        (DamageKind::Length, Some(expected)) => match damage.got {
            Some(got) => format!("a length of {got}, expected {expected}"),
            None => format!("an incomplete length, expected {expected}"),
        },
        (DamageKind::Length, None) => format!("a length of {got}, which fits no record"),
        (DamageKind::Undecodable, _) => "a payload that is not a record".to_owned(),
        (DamageKind::OffsetMismatch, expected) => format!(
            "a record with offset {got}, expected {}",
            expected.unwrap_or_default()
        ),
        (DamageKind::Unreadable, _) => "the disk reports an error".to_owned(),
    }
}

/// The missing file of a segment.
fn unpaired(
    directory: &Directory,
    segment: Offset,
    missing: FileKind,
) -> Option<(FindingId, String)> {
    let names = segment_names(directory, segment)?;
    if let Some(what) = unusable(directory, segment, missing) {
        return Some((FindingId::NotAFile, what));
    }
    let other = missing.other();
    let other_bytes = directory.file(names, other).metadata();
    let other_bytes = other_bytes.map_or(0, |it| it.len());
    let id = match missing {
        FileKind::Store => FindingId::StoreMissing,
        FileKind::Index => FindingId::IndexMissing,
    };
    Some((
        id,
        format!("is missing; the {other} has {other_bytes} bytes"),
    ))
}

/// Why a file that is there is not read.
fn unusable(directory: &Directory, segment: Offset, kind: FileKind) -> Option<String> {
    let path = directory.file(segment_names(directory, segment)?, kind);
    if !path.is_file() {
        let is_there = path.link_metadata().is_ok_and(|it| !it.is_symlink());
        return is_there.then(|| "is not a regular file".to_owned());
    }
    let error = path.open(Links::Followed).err()?;
    Some(format!("cannot be opened: {}", reason(&error)))
}

fn segment_names(directory: &Directory, segment: Offset) -> Option<&SegmentNames> {
    let at = directory.segment_of(segment)?;
    directory.segments.get(at)
}

/// The name that a segment's file has in this directory.
fn name(directory: &Directory, segment: Offset, kind: FileKind) -> String {
    segment_names(directory, segment).map_or_else(
        || file_name(segment, kind),
        |names| names.file_name(kind).to_string_lossy().into_owned(),
    )
}

impl Trouble {
    /// Whether an offset is one of those concerned.
    pub fn claims(&self, offset: Offset) -> bool {
        self.first <= offset && self.last.is_none_or(|last| offset <= last)
    }

    /// Takes in what directly follows, comes directly before, or overlaps, and is the same.
    pub fn absorb(&mut self, next: &Self) -> bool {
        let alike = self.bytes.is_some() || self.what == next.what;
        // The buffers of one writer are one place for a reader that waits for them.
        let one_buffer = self.buffered.is_some() && self.buffered == next.buffered;
        let same = self.id == next.id && (self.file == next.file || one_buffer) && alike;
        let (Some(last), Some(next_last)) = (self.last, next.last) else {
            return false;
        };
        // Of two blocks that are read from the end, one offset may be in both.
        let touches =
            next.first <= last.saturating_add(1) && self.first <= next_last.saturating_add(1);
        if !same || !touches {
            return false;
        }
        self.first = self.first.min(next.first);
        self.last = Some(last.max(next_last));
        // One that is read in two blocks is still one place.
        self.more += next.more + u64::from(self.bytes != next.bytes);
        true
    }

    /// The finding on one line.
    pub fn line(&self, goes_on: GoesOn) -> String {
        let place = match (&self.file, self.bytes) {
            (Some(file), Some((position, bytes))) => {
                let file = file.clone();
                format!(
                    "{}: ",
                    Place {
                        file,
                        position,
                        bytes
                    }
                )
            }
            (Some(file), None) => format!("{file} "),
            (None, _) => String::new(),
        };
        let more = match self.more {
            0 => String::new(),
            more => format!(", and {more} more places"),
        };
        let offsets = self.offsets();
        let (severity, fate) = if let Some(buffered) = self.buffered {
            let fate = match buffered {
                Buffered::Live => "a writer has the log open and holds",
                Buffered::Unknown => "cannot tell if a writer has the log open and holds",
            };
            ("note", fate)
        } else if self.follows && self.id != FindingId::SegmentOverlap {
            ("error", "not in the index:")
        } else if self.id == FindingId::SegmentOverlap {
            ("error", "uncertain:")
        } else {
            ("error", "cannot be read:")
        };
        let goes_on = match goes_on {
            GoesOn::At(offset) => format!("; continues at offset {offset}"),
            GoesOn::Nowhere => "; nothing follows".to_owned(),
            GoesOn::Unknown => String::new(),
        };
        format!(
            "{severity}: {}: {place}{}{more}; {fate} {offsets}{goes_on}",
            self.id, self.what
        )
    }

    fn offsets(&self) -> String {
        match self.last {
            None => format!("offset {} and all after it", self.first),
            Some(last) if last <= self.first => format!("offset {}", self.first),
            Some(last) => {
                let first = self.first;
                format!("offsets {}", OffsetRange { first, last })
            }
        }
    }
}
