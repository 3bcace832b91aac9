//! Damage of the entries and frames of a segment, as values: the result of a walk over
//! them where they are not valid. `inspect` maps it to findings.

use std::fmt;

use super::format::{ENTRY_BYTES, Entry, FileKind, LENGTH_BYTES};
use super::units::{Position, RelativeOffset};

/// The ways in which an entry or its frame can be invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(not(feature = "cli"), non_exhaustive)]
pub enum DamageKind {
    /// The entry is wrong; the store may know the right one.
    Entry,
    /// The entries continue at a place that no 12-byte boundary falls on.
    Misaligned,
    /// The entries name frames that are incomplete in the store.
    Dangling,
    /// The frame's length disagrees with the entries around it.
    Length,
    /// The payload is not a Record.
    Undecodable,
    /// The record has another offset than its place.
    OffsetMismatch,
    /// The disk reports an error for the frame's bytes.
    Unreadable,
}

impl DamageKind {
    /// What is wrong, in a few words.
    pub(super) fn summary(self) -> &'static str {
        match self {
            Self::Entry => "a wrong entry in the index",
            Self::Misaligned => "entries that are not at a multiple of 12 bytes",
            Self::Dangling => "entries whose frames are missing or incomplete",
            Self::Length => "a wrong length in the store",
            Self::Undecodable => "a payload that is not a Record",
            Self::OffsetMismatch => "a record with another offset than its entry",
            Self::Unreadable => "the disk reports an error",
        }
    }
}

/// One or more consecutive slots of an index that are not valid, for one cause.
///
/// Units: slots count entries from the segment's base; `position` and `bytes` are
/// bytes of the file that `file` names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The kind of damage.
    pub kind: DamageKind,
    /// The first slot concerned.
    pub first_slot: u64,
    /// The last slot concerned.
    pub last_slot: u64,
    /// The file in which the wrong bytes are.
    pub file: FileKind,
    /// Position in the file.
    pub position: u64,
    /// Number of bytes.
    pub bytes: u64,
    /// The actual value.
    pub got: Option<u64>,
    /// The value that the rest of the log implies.
    pub expected: Option<u64>,
    /// Position of the frame of `first_slot` in the store, if known.
    pub frame: Option<Position>,
    /// Whether the records concerned are intact in the store all the same.
    pub record_whole: bool,
    /// Whether each affected entry is an interrupted write of the right one: its first
    /// bytes, or none, and then zeros.
    pub unfinished: bool,
}

impl Damage {
    /// An entry that does not name its slot's frame, which is at `frame`, if that
    /// is known.
    pub(super) fn entry(slot: u64, entry: Entry, frame: Option<Position>) -> Self {
        let relative_wrong = u64::from(entry.relative.0) != slot;
        let (got, expected) = match frame {
            Some(frame) if entry.position != frame => (Some(entry.position.0), Some(frame.0)),
            _ if relative_wrong => (Some(u64::from(entry.relative.0)), Some(slot)),
            _ => (Some(entry.position.0), None),
        };
        let right = u32::try_from(slot)
            .ok()
            .zip(frame)
            .map(|(slot, position)| Entry {
                relative: RelativeOffset(slot),
                position,
            });
        Self {
            kind: DamageKind::Entry,
            first_slot: slot,
            last_slot: slot,
            file: FileKind::Index,
            position: slot * ENTRY_BYTES,
            bytes: ENTRY_BYTES,
            got,
            expected,
            frame,
            record_whole: frame.is_some(),
            unfinished: right.is_some_and(|right| entry.is_unfinished(right)),
        }
    }

    /// Entries whose frames are not in a store of `store_bytes`; one needs it to have
    /// `needed`, where that is known.
    pub(super) fn dangling(
        first_slot: u64,
        last_slot: u64,
        store_bytes: u64,
        needed: Option<u64>,
    ) -> Self {
        Self {
            kind: DamageKind::Dangling,
            first_slot,
            last_slot,
            file: FileKind::Index,
            position: first_slot * ENTRY_BYTES,
            bytes: (last_slot + 1 - first_slot) * ENTRY_BYTES,
            got: Some(store_bytes),
            expected: needed,
            frame: None,
            record_whole: false,
            unfinished: false,
        }
    }

    /// A frame under which the disk fails.
    pub(super) fn unreadable_frame(slot: u64, position: Position, bytes: u64) -> Self {
        Self {
            kind: DamageKind::Unreadable,
            bytes,
            ..Self::length(slot, position, None, None)
        }
    }

    /// An entry under which the disk fails.
    pub(super) fn unreadable_entry(slot: u64, frame: Option<Position>) -> Self {
        Self {
            kind: DamageKind::Unreadable,
            first_slot: slot,
            last_slot: slot,
            file: FileKind::Index,
            position: slot * ENTRY_BYTES,
            bytes: ENTRY_BYTES,
            got: None,
            expected: None,
            frame,
            record_whole: frame.is_some(),
            unfinished: false,
        }
    }

    /// A frame whose length differs from the one that the entries around it imply.
    pub(super) fn length(
        slot: u64,
        position: Position,
        got: Option<u64>,
        expected: Option<u64>,
    ) -> Self {
        Self {
            kind: DamageKind::Length,
            first_slot: slot,
            last_slot: slot,
            file: FileKind::Store,
            position: position.0,
            bytes: LENGTH_BYTES,
            got,
            expected,
            frame: Some(position),
            record_whole: false,
            unfinished: false,
        }
    }

    /// Number of affected slots.
    #[must_use]
    pub fn slots(&self) -> u64 {
        self.last_slot
            .saturating_sub(self.first_slot)
            .saturating_add(1)
    }
}

/// Places that are kept one by one; what comes beyond is counted.
pub(crate) const PLACES_MAX: usize = 20_000;

/// Damage in the order of the slots; consecutive slots with the same cause are one item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Damages {
    /// The first ones.
    pub list: Vec<Damage>,
    /// Number of further ones.
    pub uncounted: u64,
}

impl Damages {
    pub fn add(&mut self, damage: Damage) {
        if let Some(last) = self.list.last_mut()
            && continues(last, &damage)
        {
            last.last_slot = damage.last_slot;
            last.bytes = (damage.position + damage.bytes).saturating_sub(last.position);
            last.record_whole &= damage.record_whole;
            last.unfinished &= damage.unfinished;
        } else if self.list.len() < PLACES_MAX {
            self.list.push(damage);
        } else {
            self.uncounted += 1;
        }
    }
}

/// Whether two places are one finding: the same damage, slot after slot.
fn continues(last: &Damage, damage: &Damage) -> bool {
    last.kind == damage.kind
        && last.file == damage.file
        && damage.first_slot == last.last_slot + 1
        && last.record_whole == damage.record_whole
        && damage.position >= last.position
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DamageKind::Entry => "a damaged entry",
            DamageKind::Misaligned => "misaligned entries",
            DamageKind::Dangling => "entries without their frames",
            DamageKind::Length => "a damaged length",
            DamageKind::Undecodable => "a payload that is not a record",
            DamageKind::OffsetMismatch => "a record with another offset",
            DamageKind::Unreadable => "unreadable bytes",
        };
        write!(f, "{what} at byte {}+{}", self.position, self.bytes)?;
        if let (Some(got), Some(expected)) = (self.got, self.expected) {
            write!(f, ": {got}, expected {expected}")?;
        }
        Ok(())
    }
}
