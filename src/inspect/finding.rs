//! What can be wrong with a log, as values: an id, a severity, a place, the figures
//! compared. The words for them are `render`'s, the remedies `mend`'s.

use std::fmt;

use crate::log::units::Offset;

/// How bad a finding is; errors and warnings make the exit status 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Committed or acknowledged records are lost, hidden or ambiguous.
    Error,
    /// Unclean, and can be mended without losing a committed record.
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

            /// One line that says what it is.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Self::$variant => $summary,)* }
            }

            /// The long text: what it looks like in a hex dump, how it comes about,
            /// what the Go service does with it, and what to do.
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
    IndexPadded "index-padded" "zeros after the index's last real entry";
    IndexPartialEntry "index-partial-entry" "1 to 11 bytes after the index's last whole entry";
    IndexDangling "index-dangling" "entries that name frames the store does not hold whole";
    IndexEntryDamaged "index-entry-damaged" "an entry that is wrong though the store knows the right one";
    IndexMissing "index-missing" "a store without an index";
    IndexMisaligned "index-misaligned" "entries at a place that no 12-byte boundary falls on";
    IndexFull "index-full" "the last index is full: the service refuses every append";
    StoreMissing "store-missing" "an index without a store";
    StoreTornTail "store-torn-tail" "the store ends inside a frame that no entry names";
    StoreUnindexedTail "store-unindexed-tail" "whole frames after the last committed one";
    StoreZeroTail "store-zero-tail" "zeros after the last committed frame";
    StoreDeadBytes "store-dead-bytes" "bytes between committed frames that no entry names";
    StoreUnreadable "store-unreadable" "the disk gives an error for a byte range";
    FrameLengthDamaged "frame-length-damaged" "a frame's length that disagrees with the index or the store";
    RecordUndecodable "record-undecodable" "a payload that is no Record in a protobuf log";
    RecordOffsetMismatch "record-offset-mismatch" "a record that carries another offset than its place";
    RecordChanged "record-changed" "a run of records whose digest is not the manifest's";
    SegmentGap "segment-gap" "offsets that stand in no segment";
    SegmentOverlap "segment-overlap" "two segments claim the same offsets";
    StrayName "stray-name" "a name the Go service would take for a base offset";
    PaddedName "padded-name" "a base offset with leading zeros";
    DuplicateBase "duplicate-base" "two names for one base offset";
    NotAFile "not-a-file" "a directory, FIFO or device under a segment's name";
    OffsetOverflow "offset-overflow" "offsets past 2^64-1, or an index past 2^32 entries";
    OwnerDiffers "owner-differs" "files that the log's owner cannot write";
    IndexOverLimit "index-over-limit" "an index larger than the service's limit";
    ForeignDialect "foreign-dialect" "the bytes make sense little-endian only";
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
    /// How many offsets the run holds; the largest number there is where 64 bits
    /// cannot say it.
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
    /// Where the bytes begin.
    pub position: u64,
    /// How many they are.
    pub bytes: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}+{}", self.file, self.position, self.bytes)
    }
}
