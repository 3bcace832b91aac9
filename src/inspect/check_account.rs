//! Findings of a segment whose index hides records: how the index differs from the one
//! that the account gives, and the decisions that a person must make.

use std::ops::RangeInclusive;

use super::finding::{Detail, Finding, FindingId, Severity};
use super::held::Held;
use super::report::SegmentReport;
use super::usage::Buffered;
use crate::log::damage::{Damage, DamageKind};
use crate::log::format::{ENTRY_BYTES, FileKind};
use crate::scan::account::{Account, Doubt};

/// The result of the account of a segment, beside the facts of the index that it gives.
pub(super) fn segment(segment: &SegmentReport, held: Option<Held>, findings: &mut Vec<Finding>) {
    let Some(account) = &segment.account else {
        return;
    };
    let view = View {
        segment,
        account,
        held,
    };
    if segment.by_account && segment.listing.index.is_some() {
        view.index(findings);
    }
    view.lost(findings);
    view.contested(findings);
    view.decisions(findings);
}

/// The slots of acknowledged records that are lost after the last record of the store. Entries
/// that stay for a decision show what they are about themselves.
pub(super) fn lost(segment: &SegmentReport) -> Option<RangeInclusive<u64>> {
    let account = segment.account.as_ref()?;
    let stay = !segment.by_account || account.slots > account.end_slot;
    if stay && !account.doubts.is_empty() {
        return None;
    }
    account.lost_from(account.end_slot)
}

/// Whether a walk along the index shows the same.
fn is_shown(segment: &SegmentReport, lost: &RangeInclusive<u64>) -> bool {
    let damages = segment.facts.iter().flat_map(|facts| &facts.damages);
    damages.into_iter().any(|damage| {
        damage.kind == DamageKind::Dangling && *lost == (damage.first_slot..=damage.last_slot)
    })
}

/// Whether the loss of records after the last one explains a damage.
pub(super) fn is_explained(segment: &SegmentReport, damage: &Damage) -> bool {
    let within = |lost: &RangeInclusive<u64>| damage.first_slot >= *lost.start();
    lost(segment).is_some_and(|lost| within(&lost) && !is_shown(segment, &lost))
}

struct View<'a> {
    segment: &'a SegmentReport,
    account: &'a Account,
    /// What a writer may have in its buffer.
    held: Option<Held>,
}

impl View<'_> {
    fn finding(&self, id: FindingId, severity: Severity) -> Finding {
        Finding::new(id, severity).in_segment(self.segment.listing.base())
    }

    fn name(&self, kind: FileKind) -> String {
        self.segment.listing.file_name(kind)
    }

    fn store_bytes(&self) -> u64 {
        self.segment
            .listing
            .store
            .as_ref()
            .map_or(0, |file| file.bytes)
    }

    /// The difference between the existing index and the one that the account gives.
    fn index(&self, findings: &mut Vec<Finding>) {
        let base = self.segment.listing.base();
        let name = self.name(FileKind::Index);
        let offset = |slot| base.saturating_add(slot);
        let mut unindexed = self.account.unindexed;
        if let Some((at, slot, end)) = self.account.misplaced {
            findings.push(
                self.finding(FindingId::IndexMisaligned, Severity::Error)
                    .at(&name, at, (end - slot) * ENTRY_BYTES)
                    .figures(Some(at % ENTRY_BYTES), None)
                    .offsets(offset(slot), offset(end - 1)),
            );
        } else if let Some(wrong) = self.account.first_wrong {
            let slot = wrong.slot;
            let last = self.account.end_slot.max(slot + 1);
            unindexed = 0;
            findings.push(
                self.finding(FindingId::IndexEntryDamaged, Severity::Error)
                    .at(&name, slot * ENTRY_BYTES, (last - slot) * ENTRY_BYTES)
                    .figures(Some(wrong.got), Some(wrong.expected))
                    .offsets(offset(slot), offset(last - 1))
                    .detail(Detail::Entry {
                        record_whole: true,
                        unfinished: false,
                    }),
            );
        }
        if unindexed > 0 && self.account.misplaced.is_none() {
            let first = self.account.writes.first();
            let position = first.map_or(0, |run| run.position.0);
            let mut finding = self
                .finding(FindingId::StoreUnindexedTail, Severity::Error)
                .at(
                    &self.name(FileKind::Store),
                    position,
                    self.account.records_end.saturating_sub(position),
                )
                .figures(Some(self.store_bytes()), Some(position))
                .detail(Detail::UnindexedTail {
                    frames: unindexed,
                    continuing: unindexed,
                    ahead: 0,
                    in_use: false,
                });
            if let Some(first) = first {
                finding = finding.offsets(
                    offset(first.first_slot),
                    offset(self.account.end_slot.max(first.first_slot + 1) - 1),
                );
            }
            finding.records = Some(unindexed);
            findings.push(finding);
        }
        self.behind_entries(&name, findings);
        if let Some((position, bytes)) = self.account.padding {
            let index_bytes = position + bytes;
            findings.push(
                self.finding(FindingId::IndexPadded, Severity::Warning)
                    .at(&name, position, bytes)
                    .figures(Some(index_bytes), Some(position)),
            );
        }
    }

    /// Bytes after the entries that should be there: neither entries nor padding.
    fn behind_entries(&self, name: &str, findings: &mut Vec<Finding>) {
        let slots = self.account.slots.max(self.account.promised_end);
        let start = slots * ENTRY_BYTES;
        let index_bytes = self.segment.listing.index.as_ref().map_or(0, |it| it.bytes);
        let end = self.account.padding.map_or(index_bytes, |it| it.0);
        let bytes = end.saturating_sub(start);
        // Zeros in slot 0 are an entry if record 0 is there.
        let is_zero = slots == 0 && self.account.padding.is_some_and(|it| it.0 == ENTRY_BYTES);
        let is_told = self.account.misplaced.is_some() || self.account.first_wrong.is_some();
        if bytes == 0 || is_zero || is_told {
            return;
        }
        let finding = if bytes < ENTRY_BYTES {
            self.finding(FindingId::IndexPartialEntry, Severity::Warning)
        } else {
            let base = self.segment.listing.base();
            let last = slots + bytes / ENTRY_BYTES - 1;
            self.finding(FindingId::IndexEntryDamaged, Severity::Error)
                .offsets(base.saturating_add(slots), base.saturating_add(last))
                .detail(Detail::Entry {
                    record_whole: false,
                    unfinished: false,
                })
        };
        findings.push(finding.at(name, start, bytes));
    }

    /// Records that entries promise after the last one of the store, where the index does
    /// not show just these.
    fn lost(&self, findings: &mut Vec<Finding>) {
        let Some(slots) = lost(self.segment).filter(|slots| !is_shown(self.segment, slots)) else {
            return;
        };
        let base = self.segment.listing.base();
        let (first, last) = (*slots.start(), *slots.end());
        let finding = self
            .finding(FindingId::IndexDangling, Severity::Error)
            .at(
                &self.name(FileKind::Index),
                first * ENTRY_BYTES,
                (last - first + 1) * ENTRY_BYTES,
            )
            .offsets(base.saturating_add(first), base.saturating_add(last))
            .detail(Detail::Dangling {
                store: self.name(FileKind::Store),
                store_bytes: self.store_bytes(),
                first_position: self.account.records_end,
            });
        // Of an index that is built again it is unknown how far its entries are ahead.
        let held = self.held.filter(|_| !self.segment.by_account);
        findings.push(Held::explain(held, finding));
    }

    /// Offsets that records of two sides of a fork have.
    fn contested(&self, findings: &mut Vec<Finding>) {
        let base = self.segment.listing.base();
        let offsets = self.account.contested.iter().map(|it| it.offset);
        let (Some(first), Some(last)) = (offsets.clone().min(), offsets.max()) else {
            return;
        };
        findings.push(
            self.finding(FindingId::SegmentOverlap, Severity::Error)
                .offsets(first, last)
                .detail(Detail::Overlap {
                    newer: base,
                    same_segment: true,
                }),
        );
    }

    /// The decision for a person.
    fn decisions(&self, findings: &mut Vec<Finding>) {
        let by = self.held.map(|held| held.by);
        for doubt in &self.account.doubts {
            let may_be_buffered = *doubt == Doubt::StoreEmpty;
            // Two histories are a finding of their own.
            if *doubt == Doubt::TwoHistories || may_be_buffered && by == Some(Buffered::Live) {
                continue;
            }
            let position = self.account.records_end.min(self.store_bytes());
            let mut finding = self
                .finding(FindingId::NeedsDecision, Severity::Error)
                .at(
                    &self.name(FileKind::Store),
                    position,
                    self.store_bytes() - position,
                )
                .detail(Detail::Decision(*doubt));
            finding.use_unknown = may_be_buffered && by.is_some();
            findings.push(finding);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a log that a service is writing")]
mod tests {
    use std::fs;

    use super::super::{check, listing::Listing, report::Options, report::Report};
    use super::*;
    use crate::log::format::Entry;
    use crate::log::units::{Position, RelativeOffset};

    /// A report of a segment with entries for `records` frames, none of which is in the store.
    fn report(records: u32) -> Report {
        let directory = tempfile::tempdir().unwrap();
        let mut index = Vec::new();
        for slot in 0..records {
            let position = Position(u64::from(slot) * 20);
            let relative = RelativeOffset(slot);
            index.extend(Entry { relative, position }.encode());
        }
        index.resize(1024, 0);
        fs::write(directory.path().join("0.index"), index).unwrap();
        fs::write(directory.path().join("0.store"), []).unwrap();
        let listing = Listing::of(directory.path()).unwrap();
        Report::once(listing, &Options::default(), None).unwrap()
    }

    #[test]
    fn an_entry_that_came_between_the_walk_and_the_account_is_in_the_buffer() {
        for (in_use, severity) in [(Some(true), Severity::Note), (None, Severity::Error)] {
            let (before, mut report) = (report(20), report(21));
            report.usage.in_use = in_use;
            report.segments[0].facts = before.segments[0].facts.clone();
            let findings = check::findings(&report);
            let mut lost = findings
                .iter()
                .filter(|it| it.id == FindingId::IndexDangling);
            let lost = lost.next().unwrap();
            assert_eq!(lost.severity, severity);
            assert_eq!(lost.use_unknown, in_use.is_none());
            assert_eq!(lost.records, Some(21));
        }
    }
}
