//! The policy of repair, in one place: the result of the account of a segment is written
//! and cut, in an order that an interruption may end anywhere. `rehearsal` checks the
//! result.

use super::plan::{NewEntries, Step, cut};
use crate::inspect::report::SegmentReport;
use crate::log::format::{ENTRY_BYTES, FileKind};
use crate::log::units::Offset;
use crate::scan::account::{Account, Doubt, Unreferenced};

/// Decisions that are the same for every part of a segment.
pub(super) struct Policy {
    /// Whether this is the active segment.
    pub(super) last: bool,
    /// Number of records that fit before the next segment's base.
    pub(super) room: Option<u64>,
}

impl Policy {
    /// The steps that one segment needs.
    pub(super) fn segment(&self, segment: &SegmentReport) -> Vec<Step> {
        let base = segment.listing.base();
        let file = |kind| segment.listing.file(kind);
        // A name that something else has cannot be given to a new file.
        let kinds = [FileKind::Store, FileKind::Index];
        if kinds
            .iter()
            .any(|kind| file(*kind).is_some_and(|it| it.no_file.is_some()))
        {
            return Vec::new();
        }
        if let Some(account) = &segment.account {
            return self.by_account(base, segment, account);
        }
        if segment.lone_index() == Some(0) && self.last {
            let bytes = segment.listing.index.as_ref().map_or(0, |file| file.bytes);
            let mut steps = vec![Step::CreateEmpty {
                base,
                kind: FileKind::Store,
            }];
            steps.extend(cut(base, FileKind::Index, bytes, 0));
            return steps;
        }
        Vec::new()
    }

    fn by_account(&self, base: Offset, segment: &SegmentReport, account: &Account) -> Vec<Step> {
        let bytes = |kind| segment.listing.file(kind).map(|file| file.bytes);
        let store_bytes = bytes(FileKind::Store).unwrap_or(0);
        // Bytes without one record stay as they are: the file may be another program's.
        let is_known = account.first_slot + account.records > 0 || account.store_end == 0;
        let cut_store = cut(base, FileKind::Store, store_bytes, account.store_end);
        let cut_store = cut_store.filter(|_| is_known);
        if account.keep_index {
            // Which of two histories is read depends on every byte.
            return Vec::new();
        }
        // No record may come to hide one of the next segment.
        let end = account
            .writes
            .last()
            .map_or(0, |it| it.first_slot + it.count);
        if self.room.is_some_and(|room| end > room) {
            return Vec::new();
        }
        let Some(index_bytes) = bytes(FileKind::Index) else {
            return Self::without_index(base, account, cut_store);
        };
        let mut steps = writes(base, account);
        let index_end = account.slots * ENTRY_BYTES;
        // The evidence for a decision remains, wherever it is: the padding too, if it
        // shows that frames may be incomplete.
        let only_padding = account.padding.is_some_and(|it| it.0 <= index_end)
            && !account.doubts.contains(&Doubt::MayBeUnwritten);
        let cut_index = cut(base, FileKind::Index, index_bytes, index_end)
            .filter(|_| account.doubts.is_empty() || only_padding);
        // Entries without frames, and the padding after refused ones, say what may be cut:
        // an interrupted repair needs them until the bytes are gone.
        let lost = account.lost_from(account.end_slot).is_some();
        let refused = |it: &crate::scan::account::Stretch| it.kind == Unreferenced::Refused;
        if lost || account.unreferenced.iter().any(refused) {
            steps.extend(cut_store.into_iter().chain(cut_index));
        } else {
            steps.extend(cut_index.into_iter().chain(cut_store));
        }
        steps
    }

    /// A store whose index is gone gets a new one.
    fn without_index(base: Offset, account: &Account, cut_store: Option<Step>) -> Vec<Step> {
        if account.slots == 0 {
            if account.store_end > 0 {
                return Vec::new();
            }
            let empty = Step::CreateEmpty {
                base,
                kind: FileKind::Index,
            };
            return std::iter::once(empty).chain(cut_store).collect();
        }
        let entries = NewEntries::new(account.entries.clone());
        let build = Step::BuildIndex { base, entries };
        std::iter::once(build).chain(cut_store).collect()
    }
}

/// The entries that are not as they should be, those whose slots follow each other in one
/// step.
fn writes(base: Offset, account: &Account) -> Vec<Step> {
    let together = |a: &crate::scan::account::Entries, b: &crate::scan::account::Entries| {
        a.first_slot + a.count == b.first_slot
    };
    let groups = account.writes.chunk_by(together);
    let step = |runs: &[crate::scan::account::Entries]| Step::WriteEntries {
        base,
        entries: NewEntries::new(runs.to_vec()),
    };
    groups.map(step).collect()
}
