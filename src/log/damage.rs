//! What can be wrong with a segment's entries and frames, as values: what a walk
//! over them yields where they are not sound. Which finding that makes is
//! `inspect`'s to say.

use std::fmt;

use super::format::FileKind;
use super::units::Position;

/// The ways in which an entry or its frame can be unsound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DamageKind {
    /// The entry is wrong; the store may know the right one.
    Entry,
    /// The entries go on at a place that no 12-byte boundary falls on.
    Misaligned,
    /// The entries name frames that the store does not hold whole.
    Dangling,
    /// The frame's length disagrees with the entries around it.
    Length,
    /// The payload is no Record.
    Undecodable,
    /// The record carries another offset than its place.
    OffsetMismatch,
    /// The disk gives an error for the frame's bytes.
    Unreadable,
}

/// One or more consecutive slots of an index that are not sound, for one cause.
///
/// Units: slots count entries from the segment's base; `position` and `bytes` are
/// bytes of the file that `file` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// What is wrong.
    pub kind: DamageKind,
    /// The first slot concerned.
    pub first_slot: u64,
    /// The last slot concerned.
    pub last_slot: u64,
    /// The file in which the wrong bytes stand.
    pub file: FileKind,
    /// Where they begin.
    pub position: u64,
    /// How many they are.
    pub bytes: u64,
    /// What is there.
    pub got: Option<u64>,
    /// What the rest of the log demands.
    pub expected: Option<u64>,
    /// Where the frame of `first_slot` begins in the store, if that is known.
    pub frame: Option<Position>,
    /// Whether the records concerned are whole in the store all the same.
    pub record_whole: bool,
}

impl Damage {
    /// How many slots are concerned.
    #[must_use]
    pub fn slots(&self) -> u64 {
        self.last_slot
            .saturating_sub(self.first_slot)
            .saturating_add(1)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DamageKind::Entry => "a damaged entry",
            DamageKind::Misaligned => "entries off their 12-byte boundaries",
            DamageKind::Dangling => "entries without their frames",
            DamageKind::Length => "a damaged length",
            DamageKind::Undecodable => "a payload that is no record",
            DamageKind::OffsetMismatch => "a record with another offset",
            DamageKind::Unreadable => "unreadable bytes",
        };
        write!(f, "{what} at byte {}+{}", self.position, self.bytes)?;
        if let (Some(got), Some(expected)) = (self.got, self.expected) {
            write!(f, ": {got} where {expected} is expected")?;
        }
        Ok(())
    }
}
