//! Checks on one segment: the consequences of its facts for a reader of the log.

use super::check_account;
use super::check_directory::doubled_in_segment;
use super::finding::{Detail, Finding, FindingId, Severity};
use super::held::Held;
use super::listing::FileFacts;
use super::report::{Report, SegmentReport};
use super::scan::SegmentFacts;
use super::tail::Tail;
use super::usage::Buffered;
use crate::log::damage::{Damage, DamageKind};
use crate::log::format::{ENTRY_BYTES, FileKind};
use crate::log::record::Codec;
use crate::log::units::Offset;
use crate::scan::account::{Doubt, Stretch, Unreferenced};

/// How much of a store the Go service keeps in memory. Units: bytes.
const SERVICE_BUFFER_BYTES: u64 = 4096;

/// All findings of one segment.
pub fn segment(report: &Report, segment: &SegmentReport, findings: &mut Vec<Finding>) {
    if let Some(layout) = segment.layout.as_deref() {
        let name = segment.listing.file_name(FileKind::Store);
        let bytes = segment.listing.store.as_ref().map_or(0, |file| file.bytes);
        findings.push(
            Finding::new(FindingId::ForeignDialect, Severity::Error)
                .in_segment(segment.listing.base())
                .at(&name, 0, bytes)
                .detail(Detail::Layout(*layout)),
        );
        return;
    }
    lone_half(report, segment, findings);
    let Some(facts) = &segment.facts else { return };
    let view = View {
        report,
        segment,
        facts,
        store: segment.listing.file_name(FileKind::Store),
        index: segment.listing.file_name(FileKind::Index),
        is_last: report.is_last(segment),
    };
    let damages = facts.damages.iter();
    for damage in damages.filter(|damage| !check_account::is_explained(segment, damage)) {
        findings.push(view.damaged(damage));
    }
    view.uncounted(findings);
    if !segment.by_account {
        doubled_in_segment(segment, findings);
    }
    check_account::segment(segment, view.held(), findings);
    view.dead_bytes(findings);
    view.index_rest(findings);
    view.tail(findings);
    view.index_full(findings);
    view.index_over_limit(findings);
}

/// A store without index, or an index without store.
fn lone_half(report: &Report, segment: &SegmentReport, findings: &mut Vec<Finding>) {
    let base = segment.listing.base();
    let what = |kind| segment.listing.file(kind).and_then(|file| file.no_file);
    if segment.by_account
        && segment.listing.index.is_none()
        && let Some(account) = &segment.account
    {
        let name = segment.listing.file_name(FileKind::Index);
        let mut finding = Finding::new(FindingId::IndexMissing, Severity::Error)
            .in_segment(base)
            .at(&name, 0, 0)
            .detail(Detail::IndexMissing {
                frames: account.records,
                what: None,
            });
        if let Some(last) = account.end_slot.checked_sub(1) {
            finding = finding.offsets(base, base.saturating_add(last));
        }
        finding.records = Some(account.records);
        findings.push(finding);
    } else if let Some(tail) = segment.lone_store() {
        let name = segment.listing.file_name(FileKind::Index);
        let mut finding = Finding::new(FindingId::IndexMissing, Severity::Error)
            .in_segment(base)
            .at(&name, 0, 0)
            .detail(Detail::IndexMissing {
                frames: tail.frames,
                what: what(FileKind::Index),
            });
        // In a protobuf log, only frames that carry their offsets count.
        let records = match report.codec {
            Some(Codec::Protobuf) => tail.continuing,
            _ => tail.frames,
        };
        if records > 0 {
            finding = finding.offsets(base, base.saturating_add(records - 1));
        }
        findings.push(finding);
    }
    if let Some(entries) = segment.lone_index() {
        let name = segment.listing.file_name(FileKind::Store);
        let mut finding = Finding::new(FindingId::StoreMissing, Severity::Error)
            .in_segment(base)
            .at(&name, 0, 0);
        if let Some(what) = what(FileKind::Store) {
            finding = finding.detail(Detail::NotAFile { what });
        }
        if entries > 0 {
            finding = finding.offsets(base, base.saturating_add(entries - 1));
        }
        findings.push(finding);
    }
}

/// The facts of one segment and the context of the checks.
struct View<'a> {
    report: &'a Report,
    segment: &'a SegmentReport,
    facts: &'a SegmentFacts,
    store: String,
    index: String,
    is_last: bool,
}

impl View<'_> {
    fn finding(&self, id: FindingId, severity: Severity) -> Finding {
        Finding::new(id, severity).in_segment(self.facts.base)
    }

    fn offset(&self, slot: u64) -> Offset {
        self.facts.base.saturating_add(slot)
    }

    /// One place at which entries and frames are not valid.
    fn damaged(&self, damage: &Damage) -> Finding {
        let file = match damage.file {
            FileKind::Store => &self.store,
            FileKind::Index => &self.index,
        };
        let finding = self
            .finding(damage.kind.into(), Severity::Error)
            .at(file, damage.position, damage.bytes)
            .offsets(
                self.offset(damage.first_slot),
                self.offset(damage.last_slot),
            )
            .figures(damage.got, damage.expected);
        match damage.kind {
            DamageKind::Dangling => self.dangling(damage, finding),
            DamageKind::Entry => finding.detail(Detail::Entry {
                record_whole: damage.record_whole,
                unfinished: damage.unfinished,
            }),
            _ => finding,
        }
    }

    fn dangling(&self, damage: &Damage, mut finding: Finding) -> Finding {
        // Where refused frames were overwritten, any bytes may represent the length: no
        // frame but the last ends after the position that the last entry names.
        if damage.slots() > 1 && damage.expected > Some(self.last_position()) {
            finding.expected = None;
        }
        let finding = finding.detail(Detail::Dangling {
            store: self.store.clone(),
            store_bytes: self.facts.store_bytes,
            first_position: damage.frame.map_or(0, |frame| frame.0),
        });
        Held::explain(self.held(), finding)
    }

    /// Whether a writer is known to live.
    fn is_written(&self) -> bool {
        self.report.usage.is_written()
    }

    /// Whether the existence of a writer is unknown.
    fn use_is_unknown(&self) -> bool {
        self.report.usage.in_use.is_none()
    }

    /// What the entries are ahead of the store, if a running writer may hold that much in
    /// its buffer: a service that restarted on its own wreck holds nothing.
    fn held(&self) -> Option<Held> {
        let by = match self.report.usage.in_use {
            Some(true) => Buffered::Live,
            None => Buffered::Unknown,
            Some(false) => return None,
        };
        let claimed = match self.facts.first_damage(DamageKind::Dangling) {
            Some(dangling) => dangling.expected.unwrap_or(0),
            None => 0,
        };
        let bytes = claimed.saturating_sub(self.facts.store_bytes);
        let last_position_ahead = self.last_position().saturating_sub(self.facts.store_bytes);
        if last_position_ahead >= SERVICE_BUFFER_BYTES {
            return None;
        }
        let ends_at_a_frame = self.facts.tail().torn_bytes == 0;
        let since = self.report.usage.writing_since();
        let modified = self
            .segment
            .listing
            .store
            .as_ref()
            .and_then(FileFacts::modified);
        let written_since = match (modified, since) {
            (Some(modified), Some(since)) => modified >= since,
            _ => false,
        };
        let may_hold = ends_at_a_frame || written_since || by == Buffered::Unknown;
        may_hold.then_some(Held { by, bytes })
    }

    /// The position that the last real entry names.
    fn last_position(&self) -> u64 {
        self.facts.last_position
    }

    fn uncounted(&self, findings: &mut Vec<Finding>) {
        if self.facts.damages_uncounted > 0 {
            findings.push(
                self.finding(FindingId::IndexEntryDamaged, Severity::Error)
                    .at(&self.index, 0, self.facts.index_bytes)
                    .detail(Detail::Uncounted {
                        places: self.facts.damages_uncounted,
                    }),
            );
        }
    }

    /// Bytes between committed frames that begin as a frame does.
    fn dead_bytes(&self, findings: &mut Vec<Finding>) {
        for dead in &self.facts.dead {
            findings.push(self.finding(FindingId::StoreDeadBytes, Severity::Note).at(
                &self.store,
                dead.position.0,
                dead.bytes,
            ));
        }
        if self.facts.dead_uncounted > 0 {
            findings.push(
                self.finding(FindingId::StoreDeadBytes, Severity::Note)
                    .at(&self.store, 0, self.facts.store_bytes)
                    .detail(Detail::Uncounted {
                        places: self.facts.dead_uncounted,
                    }),
            );
        }
    }

    /// Padding, or a partial entry, after the last entry.
    fn index_rest(&self, findings: &mut Vec<Finding>) {
        let Some(rest) = self.facts.rest else { return };
        if !rest.padding {
            findings.push(
                self.finding(FindingId::IndexPartialEntry, Severity::Warning)
                    .at(&self.index, rest.position, rest.bytes),
            );
            return;
        }
        let mut finding = self
            .finding(FindingId::IndexPadded, Severity::Warning)
            .at(&self.index, rest.position, rest.bytes)
            .figures(Some(self.facts.index_bytes), Some(rest.position));
        finding.use_unknown = self.use_is_unknown();
        let is_written = self.is_written();
        if is_written {
            finding.severity = Severity::Note;
        }
        if rest.unused {
            finding.detail = Detail::UnusedSlots;
        } else if is_written {
            // The content of its buffer counts; only the end of the last segment is the
            // end of the log.
            let highest = self.facts.entries.checked_sub(1).filter(|_| self.is_last);
            finding.detail = Detail::PaddedInUse {
                highest: highest.map(|slot| self.offset(slot)),
            };
        }
        findings.push(finding);
    }

    /// The bytes after the last committed frame.
    fn tail(&self, findings: &mut Vec<Finding>) {
        let tail = self.facts.tail();
        if self.facts.first_damage(DamageKind::Misaligned).is_some() || tail.bytes == 0 {
            return;
        }
        let ours = self.report.usage.lock_holder.is_some();
        let tail = Tail {
            ahead: tail
                .ahead
                .saturating_sub(self.frames_of(&[Unreferenced::Refused])),
            ..tail
        };
        // Frames of another history, and those that need a decision, are reported.
        let told = self.frames_of(&[Unreferenced::Second, Unreferenced::Unnumbered]);
        if tail.frames > told {
            let severity = match (ours, tail.continuing + tail.ahead > 0) {
                (true, _) => Severity::Note,
                (false, true) => Severity::Error,
                (false, false) => Severity::Warning,
            };
            let mut finding = self
                .finding(FindingId::StoreUnindexedTail, severity)
                .at(
                    &self.store,
                    tail.frames_position,
                    tail.frames_end - tail.frames_position,
                )
                .figures(Some(self.facts.store_bytes), Some(tail.position))
                .detail(Detail::UnindexedTail {
                    frames: tail.frames,
                    continuing: tail.continuing,
                    ahead: tail.ahead,
                    in_use: ours,
                });
            if tail.continuing > 0 {
                let first = self.facts.next_slot();
                finding =
                    finding.offsets(self.offset(first), self.offset(first + tail.continuing - 1));
            }
            finding.records = Some(tail.frames);
            findings.push(finding);
        }
        let is_told = self.facts.first_damage(DamageKind::Dangling).is_some()
            || check_account::lost(self.segment).is_some();
        if tail.torn_bytes > 0 && !is_told {
            let mut finding = self
                .finding(FindingId::StoreTornTail, Severity::Warning)
                .at(&self.store, tail.torn_position, tail.torn_bytes)
                .figures(Some(self.facts.store_bytes), Some(tail.torn_position));
            if tail.unfinished {
                let in_use = ours || self.report.usage.is_written();
                finding.detail = Detail::Unfinished { in_use };
                if in_use {
                    finding.severity = Severity::Note;
                }
            } else {
                let by = Buffered::Live;
                let held = if ours {
                    Some(Held { by, bytes: 0 })
                } else {
                    self.held()
                };
                finding = Held::explain(held, finding);
            }
            findings.push(finding);
        }
        let account = self.segment.account.as_ref();
        let undecided = account.is_some_and(|it| it.doubts.contains(&Doubt::ZerosOrRecord));
        if tail.zero_bytes > 0 && !is_told && !undecided {
            let severity = if ours {
                Severity::Note
            } else {
                Severity::Warning
            };
            let position = self.facts.store_bytes - tail.zero_bytes;
            findings.push(
                self.finding(FindingId::StoreZeroTail, severity)
                    .at(&self.store, position, tail.zero_bytes)
                    .figures(Some(self.facts.store_bytes), Some(position)),
            );
        }
    }

    /// Frames of these kinds, by the segment's account.
    fn frames_of(&self, kinds: &[Unreferenced]) -> u64 {
        let account = self.segment.account.iter();
        let stretches = account.flat_map(|account| &account.unreferenced);
        let of_kinds = stretches.filter(|it| kinds.contains(&it.kind));
        of_kinds.map(|it| it.frames).sum()
    }

    /// Whether the last index has no room for one more entry: known from the limit,
    /// or from the frames of appends that the service refused.
    fn index_full(&self, findings: &mut Vec<Finding>) {
        if !self.is_last || self.facts.first_damage(DamageKind::Misaligned).is_some() {
            return;
        }
        let bytes = self.facts.entries * ENTRY_BYTES;
        let limit = self.report.options.max_index_bytes;
        let full = if let Some(limit) = limit {
            bytes <= limit && bytes + ENTRY_BYTES > limit && limit % ENTRY_BYTES != 0
        } else {
            let is_run = |it: &Stretch| it.kind == Unreferenced::Refused && it.frames > 1;
            let tail = self.facts.tail();
            let refuses = match &self.segment.account {
                // After padding it is the padding that refuses them.
                Some(account) if account.padding.is_some() => false,
                Some(account) => account.unreferenced.iter().any(is_run),
                None => tail.frames > 1 && tail.continuing + tail.ahead == 0,
            };
            self.report.codec == Some(Codec::Protobuf) && self.facts.rest.is_none() && refuses
        };
        if full {
            findings.push(
                self.finding(FindingId::IndexFull, Severity::Warning)
                    .at(&self.index, bytes, 0)
                    .figures(Some(bytes), limit)
                    .detail(Detail::IndexFull { limit }),
            );
        }
    }

    fn index_over_limit(&self, findings: &mut Vec<Finding>) {
        if let Some(limit) = self.report.options.max_index_bytes
            && self.facts.index_bytes > limit
        {
            findings.push(
                self.finding(FindingId::IndexOverLimit, Severity::Note)
                    .at(&self.index, limit, self.facts.index_bytes - limit)
                    .figures(Some(self.facts.index_bytes), Some(limit)),
            );
        }
    }
}
