//! The findings of a log as values: an id, a severity, a place, the figures compared.
//! Their text is in `render`, the repairs in `mend`.

use std::fmt;

use super::listing::NoFile;
use crate::log::damage::DamageKind;
use crate::log::units::Offset;
use crate::scan::account::Doubt;
use crate::scan::layouts::Layout;

/// How bad a finding is; errors and warnings make the exit status 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Committed or acknowledged records are lost, hidden or ambiguous.
    Error,
    /// Damaged, and can be repaired without losing a committed record.
    Warning,
    /// Worth knowing, nothing to do.
    Note,
}

impl Severity {
    /// The word in text and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

macro_rules! finding_ids {
    ($($variant:ident $name:literal $summary:literal;)*) => {
        /// The stable name of a finding: kebab-case, never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(not(feature = "cli"), non_exhaustive)]
        pub enum FindingId {
            $(#[doc = $summary] $variant,)*
        }

        impl FindingId {
            /// Every id, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The id as it is written everywhere.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether it is about the names or the owner of files, not their content.
            #[must_use]
            pub fn is_about_names(self) -> bool {
                matches!(
                    self,
                    Self::StrayName | Self::PaddedName | Self::DuplicateBase | Self::OwnerDiffers
                )
            }

            /// A description in one line, the title of the text of `explain`.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }

            /// The text of `explain`: an example as a hex dump, cause, impact, what the
            /// Go service does, remedy.
            #[must_use]
            pub fn explanation(self) -> &'static str {
                match self {
                    $(Self::$variant => include_str!(concat!("explain/", $name, ".txt")),)*
                }
            }
        }
    };
}

finding_ids! {
    IndexPadded "index-padded" "padding after the last entry of an index";
    IndexPartialEntry "index-partial-entry" "1 to 11 bytes after the last complete entry";
    IndexDangling "index-dangling" "entries whose frames are missing or incomplete";
    IndexEntryDamaged "index-entry-damaged" "a wrong entry; the store shows the correct value";
    IndexMissing "index-missing" "a store without an index";
    IndexMisaligned "index-misaligned" "entries that are not at a multiple of 12 bytes";
    IndexFull "index-full" "the last index is full; the service refuses appends";
    StoreMissing "store-missing" "an index without a store";
    StoreTornTail "store-torn-tail" "the store ends inside a frame without an entry";
    StoreUnindexedTail "store-unindexed-tail" "intact frames after the last entry";
    StoreZeroTail "store-zero-tail" "zeros after the last committed frame";
    StoreDeadBytes "store-dead-bytes" "unreferenced bytes between committed frames";
    StoreUnreadable "store-unreadable" "the disk reports an error for a range of bytes";
    FrameLengthDamaged "frame-length-damaged" "a length that contradicts the index or the store";
    RecordUndecodable "record-undecodable" "a payload that is not a Record in a protobuf log";
    RecordOffsetMismatch "record-offset-mismatch" "a record whose offset does not match its entry";
    RecordChanged "record-changed" "records whose digest differs from the manifest";
    RecordsMissing "records-missing" "records of the manifest after the end of the log";
    SegmentGap "segment-gap" "offsets that no segment contains";
    SegmentOverlap "segment-overlap" "two segments claim the same offsets";
    StrayName "stray-name" "a name that the Go service reads as a base offset";
    PaddedName "padded-name" "a base offset with leading zeros";
    DuplicateBase "duplicate-base" "two names for one base offset";
    NotAFile "not-a-file" "a file that is not regular or that cannot be opened";
    OffsetOverflow "offset-overflow" "offsets above 2^64-2, or more than 2^32 entries";
    OwnerDiffers "owner-differs" "files that the log's owner cannot write";
    IndexOverLimit "index-over-limit" "an index larger than the service's limit";
    NeedsDecision "needs-decision" "damage that needs a decision by a person";
    ForeignDialect "foreign-dialect" "frames or entries in the layout of another program";
}

/// The finding id for a damage of a walk.
impl From<DamageKind> for FindingId {
    fn from(kind: DamageKind) -> Self {
        match kind {
            DamageKind::Entry => Self::IndexEntryDamaged,
            DamageKind::Misaligned => Self::IndexMisaligned,
            DamageKind::Dangling => Self::IndexDangling,
            DamageKind::Length => Self::FrameLengthDamaged,
            DamageKind::Undecodable => Self::RecordUndecodable,
            DamageKind::OffsetMismatch => Self::RecordOffsetMismatch,
            DamageKind::Unreadable => Self::StoreUnreadable,
        }
    }
}

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for FindingId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL
            .iter()
            .copied()
            .find(|id| id.as_str() == text)
            .ok_or(())
    }
}

/// A run of offsets, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetRange {
    /// The first offset of the run.
    pub first: Offset,
    /// The last offset of the run.
    pub last: Offset,
}

impl OffsetRange {
    /// Number of offsets in the run; the largest number if 64 bits cannot express it.
    #[must_use]
    pub fn records(self) -> u64 {
        self.last.since(self.first).saturating_add(1)
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return self.first.fmt(f);
        }
        write!(f, "{}..{}", self.first, self.last)
    }
}

/// Bytes of one file. Units: bytes; `position` is the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's name in the log's directory.
    pub file: String,
    /// Position in the file.
    pub position: u64,
    /// Number of bytes.
    pub bytes: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}+{}", self.file, self.position, self.bytes)
    }
}

/// A figure of a comparison: a number, or bytes and names as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Figure {
    /// A number of bytes, an offset, a position: as the finding's id says.
    Number(u64),
    /// Anything else.
    Text(String),
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// Details that only one kind of finding has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Detail {
    /// Nothing more.
    #[default]
    None,
    /// `index-dangling`: the first frame that is not there.
    Dangling {
        /// The store's name.
        store: String,
        /// The store's size. Bytes.
        store_bytes: u64,
        /// Position of the first missing frame.
        first_position: u64,
    },
    /// `index-dangling`, `store-torn-tail` beside a running writer: the missing bytes may
    /// be in its memory.
    InWritersBuffer {
        /// How far the last entry's position lies past the store's end. Bytes.
        bytes: u64,
    },
    /// `index-padded` beside a running writer.
    PaddedInUse {
        /// The highest offset that the service should report; `None` in an earlier
        /// segment, and without records.
        highest: Option<Offset>,
    },
    /// `index-padded`: the padding is 0xff, not zeros.
    UnusedSlots,
    /// `index-entry-damaged`: whether the store knows where the records are.
    Entry {
        /// Whether they can be read again after a repair.
        record_whole: bool,
        /// Whether all that is wrong with them is that a write of the right ones was
        /// interrupted.
        unfinished: bool,
    },
    /// `store-torn-tail`: an unfinished batch.
    Unfinished {
        /// Whether a writer has the log open: it may be about to finish it.
        in_use: bool,
    },
    /// `store-unindexed-tail`: the kinds of frames.
    UnindexedTail {
        /// Intact frames.
        frames: u64,
        /// Those that continue the sequence of offsets.
        continuing: u64,
        /// Those that carry offsets beyond it: the records before them are lost.
        ahead: u64,
        /// Whether a proglog is at work there.
        in_use: bool,
    },
    /// `needs-decision`: why.
    Decision(Doubt),
    /// `index-missing`: intact frames in the store.
    IndexMissing {
        /// How many.
        frames: u64,
        /// The kind of the file that has the index's name.
        what: Option<NoFile>,
    },
    /// `segment-overlap`: the two sides.
    Overlap {
        /// The base of the newer segment.
        newer: Offset,
        /// Whether both sides are in one segment's index.
        same_segment: bool,
    },
    /// `stray-name`, `padded-name`: the base offset that the Go service derives from the
    /// name.
    Name {
        /// The base offset that it takes it for.
        taken_for: u64,
    },
    /// `not-a-file`, `store-missing`: the kind of the file that has the name.
    NotAFile {
        /// The kind of file.
        what: NoFile,
    },
    /// `owner-differs`: what to run.
    Owner {
        /// The files' names.
        files: Vec<String>,
        /// The owner they should have.
        uid: u32,
        /// The group they should have.
        gid: u32,
        /// The mode they should have.
        mode: u32,
    },
    /// `index-full`: the limit, where it is known.
    IndexFull {
        /// `MaxIndexBytes`. Bytes.
        limit: Option<u64>,
    },
    /// `records-missing`: where the log ends.
    NotThere {
        /// The offset after the log's last one.
        end: Offset,
    },
    /// `foreign-dialect`: the layout.
    Layout(Layout),
    /// More places than are kept one by one.
    Uncounted {
        /// Number of further ones.
        places: u64,
    },
}

/// Something about a log that is worth telling.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Which sort it is.
    pub id: FindingId,
    /// How bad it is.
    pub severity: Severity,
    /// The base offset of the segment.
    pub segment: Option<Offset>,
    /// The bytes concerned.
    pub place: Option<Place>,
    /// The offsets concerned.
    pub offsets: Option<OffsetRange>,
    /// Number of affected records.
    pub records: Option<u64>,
    /// The actual value.
    #[doc(hidden)]
    pub got: Option<Figure>,
    /// The value that the rest of the log implies.
    #[doc(hidden)]
    pub expected: Option<Figure>,
    /// Whether a running writer would explain it, and the existence of one is unknown.
    #[doc(hidden)]
    pub use_unknown: bool,
    /// Details of this kind of finding.
    #[doc(hidden)]
    pub detail: Detail,
}

/// One line: severity, id, segment or place, offsets, and what it is.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.severity, self.id)?;
        match (&self.place, self.segment) {
            (Some(place), _) => write!(f, " {place}")?,
            (None, Some(base)) => write!(f, " segment {base}")?,
            (None, None) => {}
        }
        if let Some(offsets) = self.offsets {
            write!(f, " offsets {offsets}")?;
        }
        write!(f, ": {}", self.id.summary())
    }
}

#[doc(hidden)]
impl Finding {
    /// A finding of this sort, with nothing said yet.
    #[must_use]
    pub fn new(id: FindingId, severity: Severity) -> Self {
        Self {
            id,
            severity,
            segment: None,
            place: None,
            offsets: None,
            records: None,
            got: None,
            expected: None,
            use_unknown: false,
            detail: Detail::None,
        }
    }

    /// In which segment it is.
    #[must_use]
    pub fn in_segment(mut self, base: Offset) -> Self {
        self.segment = Some(base);
        self
    }

    /// Whether it is about data that a running writer holds in its memory, or may hold if
    /// its existence is unknown.
    #[must_use]
    pub fn may_be_buffered(&self) -> bool {
        self.id == FindingId::IndexDangling && (self.severity == Severity::Note || self.use_unknown)
    }

    /// The offsets of entries without an intact record.
    #[must_use]
    pub fn lost(&self) -> Option<OffsetRange> {
        let is_lost = match self.id {
            FindingId::IndexDangling => !self.may_be_buffered(),
            FindingId::IndexEntryDamaged => {
                !matches!(self.detail, Detail::Entry { record_whole, .. } if record_whole)
            }
            FindingId::StoreMissing
            | FindingId::StoreUnreadable
            | FindingId::FrameLengthDamaged
            | FindingId::RecordUndecodable
            | FindingId::RecordOffsetMismatch => true,
            _ => false,
        };
        self.offsets.filter(|_| is_lost && !self.is_closed())
    }

    /// Whether it is about a file that cannot be opened: what it holds is not known.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match self.detail {
            Detail::NotAFile { what } => what.is_closed(),
            Detail::IndexMissing { what, .. } => what.is_some_and(NoFile::is_closed),
            _ => false,
        }
    }

    /// Whether only refused frames show that the index is full: no file does once they are
    /// cut.
    #[must_use]
    pub fn is_full_by_frames(&self) -> bool {
        matches!(self.detail, Detail::IndexFull { limit: None })
    }

    /// Which bytes are concerned.
    #[must_use]
    pub fn at(mut self, file: &str, position: u64, bytes: u64) -> Self {
        self.place = Some(Place {
            file: file.to_owned(),
            position,
            bytes,
        });
        self
    }

    /// Which offsets are concerned, both ends included; sets the number of records.
    #[must_use]
    pub fn offsets(mut self, first: Offset, last: Offset) -> Self {
        let range = OffsetRange { first, last };
        self.offsets = Some(range);
        self.records = Some(range.records());
        self
    }

    /// Both figures of the comparison.
    #[must_use]
    pub fn figures(mut self, got: Option<u64>, expected: Option<u64>) -> Self {
        self.got = got.map(Figure::Number);
        self.expected = expected.map(Figure::Number);
        self
    }

    /// Details of this kind of finding.
    #[must_use]
    pub fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }
}

/// The order in which findings are reported: severity, then place.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| {
        let position = finding.place.as_ref().map(|place| place.position);
        (finding.severity, finding.segment, position)
    });
}
