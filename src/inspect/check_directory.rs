//! Checks on the names in the directory and on what segments are to each other.

use std::collections::BTreeMap;

use super::finding::{Detail, Finding, FindingId, Severity};
use super::listing::{FileFacts, SegmentListing};
use super::report::{Report, SegmentReport};
use crate::log::damage::DamageKind;
use crate::log::directory::Directory;
use crate::log::format::{FileKind, NameStyle, SEGMENT_ENTRIES_MAX};
use crate::log::record::Codec;
use crate::log::units::Offset;

/// Names that the Go service would misread, and names that are no files.
pub fn names(report: &Report, findings: &mut Vec<Finding>) {
    let directory = &report.listing.directory;
    for name in &directory.strays {
        let name = name.display().to_string();
        let taken_for = base_as_go_reads_it(&name);
        findings.push(
            Finding::new(FindingId::StrayName, Severity::Warning)
                .at(&name, 0, 0)
                .detail(Detail::Name { taken_for }),
        );
    }
    padded_names(directory, findings);
    for (base, name) in &directory.duplicates {
        findings.push(
            Finding::new(FindingId::DuplicateBase, Severity::Error)
                .in_segment(*base)
                .at(&name.display().to_string(), 0, 0),
        );
    }
    for segment in &report.listing.segments {
        for kind in [FileKind::Store, FileKind::Index] {
            if let Some(what) = segment.file(kind).and_then(|file| file.no_file) {
                findings.push(
                    Finding::new(FindingId::NotAFile, Severity::Error)
                        .in_segment(segment.base())
                        .at(&segment.file_name(kind), 0, 0)
                        .detail(Detail::NotAFile { what }),
                );
            }
        }
    }
}

/// Names with leading zeros: a note where all of them have 20 digits, as a fork of the
/// service writes them.
fn padded_names(directory: &Directory, findings: &mut Vec<Finding>) {
    if directory.name_style() == NameStyle::Padded {
        if let Some((base, name)) = directory.zero_padded.first() {
            findings.push(
                Finding::new(FindingId::PaddedName, Severity::Note)
                    .at(&name.display().to_string(), 0, 0)
                    .detail(Detail::Name { taken_for: base.0 }),
            );
        }
        return;
    }
    let mut padded: BTreeMap<Offset, String> = BTreeMap::new();
    for (base, name) in &directory.zero_padded {
        padded
            .entry(*base)
            .or_insert_with(|| name.display().to_string());
    }
    for (base, name) in padded {
        findings.push(
            Finding::new(FindingId::PaddedName, Severity::Warning)
                .in_segment(base)
                .at(&name, 0, 0)
                .detail(Detail::Name { taken_for: base.0 }),
        );
    }
}

/// The base offset that the Go service derives from a name: the part before the last dot
/// as a number; 0 if it is not a number, the largest if it is too large.
#[must_use]
pub fn base_as_go_reads_it(name: &str) -> u64 {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if stem.is_empty() || !stem.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    stem.parse().unwrap_or(u64::MAX)
}

/// Files that the owner of the others cannot write: a repair as root leaves them. A log
/// without any writable file is a copy and is ignored.
pub fn owners(report: &Report, findings: &mut Vec<Finding>) {
    let segments = &report.listing.segments;
    let files = || segments.iter().flat_map(|segment| segment_files(segment));
    let mut owners: BTreeMap<u32, u64> = BTreeMap::new();
    for (_, file) in files() {
        *owners.entry(file.uid).or_default() += 1;
    }
    // Of as many the one that is not root: root repairs, the service owns.
    let most = owners
        .iter()
        .max_by_key(|(uid, count)| (**count, **uid != 0));
    let Some((&uid, _)) = most else { return };
    let model = files().find(|(_, file)| file.uid == uid && file.owner_can_write());
    let Some((_, model)) = model else { return };
    let odd = || files().filter(|(_, file)| file.uid != uid || !file.owner_can_write());
    let name = |(segment, kind): (&SegmentListing, FileKind)| segment.file_name(kind);
    let Some((first_name, first)) = odd().next() else {
        return;
    };
    findings.push(
        Finding::new(FindingId::OwnerDiffers, Severity::Warning)
            .at(&name(first_name), 0, 0)
            .figures(Some(u64::from(first.uid)), Some(u64::from(uid)))
            .detail(Detail::Owner {
                files: odd().take(1000).map(|(file, _)| name(file)).collect(),
                uid,
                gid: model.gid,
                mode: model.mode.into(),
            }),
    );
}

/// The regular files of a segment, each with what its name is made from.
fn segment_files(
    segment: &SegmentListing,
) -> impl Iterator<Item = ((&SegmentListing, FileKind), &FileFacts)> {
    let files = [FileKind::Store, FileKind::Index]
        .into_iter()
        .filter_map(move |kind| Some(((segment, kind), segment.file(kind)?)));
    files.filter(|(_, file)| file.no_file.is_none())
}

/// Gaps and overlaps between segments, and offsets that go past the last there is.
pub fn neighbours(report: &Report, findings: &mut Vec<Finding>) {
    for segment in &report.segments {
        overflow(segment, findings);
    }
    between(
        &report.segments,
        |segment| claimed_records(segment, report.codec),
        findings,
    );
}

/// Gaps and overlaps between segments with these numbers of records.
pub fn between<'a>(
    segments: impl IntoIterator<Item = &'a SegmentReport>,
    records: impl Fn(&SegmentReport) -> u64,
    findings: &mut Vec<Finding>,
) {
    let mut reached: Option<(Offset, u64)> = None;
    let mut before: Option<&SegmentReport> = None;
    for segment in segments {
        let base = segment.listing.base();
        let claimed = records(segment);
        if let Some((last, end)) = reached {
            if base.0 > end && !before.is_none_or(fills_unknown) {
                findings.push(gap(last, end, base));
            }
            if base.0 < end {
                let last = end.min(base.0.saturating_add(claimed).max(base.0 + 1)) - 1;
                findings.push(
                    Finding::new(FindingId::SegmentOverlap, Severity::Error)
                        .in_segment(base)
                        .offsets(base, Offset(last))
                        .detail(Detail::Overlap {
                            newer: base,
                            same_segment: false,
                        }),
                );
            }
        }
        let end = base.0.saturating_add(claimed);
        reached = match reached {
            Some((last, reached)) if reached > end => Some((last, reached)),
            _ => Some((base, end)),
        };
        before = Some(segment);
    }
}

fn gap(before: Offset, end: u64, base: Offset) -> Finding {
    Finding::new(FindingId::SegmentGap, Severity::Error)
        .in_segment(before)
        .offsets(Offset(end), Offset(base.0 - 1))
}

/// Whether the number of records of a segment is unknown: then its own finding reports
/// the loss after it.
fn fills_unknown(segment: &SegmentReport) -> bool {
    segment.facts.is_none() && segment.lone_index().is_none()
}

/// Number of offsets that a segment claims, by its entries or by frames that continue
/// after them.
#[must_use]
pub fn claimed_records(segment: &SegmentReport, codec: Option<Codec>) -> u64 {
    if let Some(facts) = &segment.facts {
        let by_entries = facts.claimed_end().since(facts.base);
        let tail = facts.tail();
        let by_frames = match codec {
            Some(Codec::Protobuf) => tail.continuing,
            _ if tail.is_frames_only() => tail.frames,
            _ => 0,
        };
        return by_entries.max(facts.next_slot() + by_frames);
    }
    if let Some(entries) = segment.lone_index() {
        return entries;
    }
    segment.lone_store().map_or(0, |tail| match codec {
        Some(Codec::Protobuf) => tail.continuing,
        _ => tail.frames,
    })
}

fn overflow(segment: &SegmentReport, findings: &mut Vec<Finding>) {
    let Some(facts) = &segment.facts else { return };
    let expected = facts.base.room().min(SEGMENT_ENTRIES_MAX);
    if facts.entries <= expected {
        return;
    }
    let name = segment.listing.file_name(FileKind::Index);
    findings.push(
        Finding::new(FindingId::OffsetOverflow, Severity::Error)
            .in_segment(facts.base)
            .at(
                &name,
                expected.saturating_mul(12),
                (facts.entries - expected) * 12,
            )
            .figures(Some(facts.entries), Some(expected)),
    );
}

/// Entries that repeat offsets of the same segment at a place off the boundaries.
pub fn doubled_in_segment(segment: &SegmentReport, findings: &mut Vec<Finding>) {
    let Some(facts) = &segment.facts else { return };
    let Some(damage) = facts.first_damage(DamageKind::Misaligned) else {
        return;
    };
    if damage.first_slot >= facts.entries {
        return;
    }
    let last = damage.last_slot.min(facts.entries - 1);
    findings.push(
        Finding::new(FindingId::SegmentOverlap, Severity::Error)
            .in_segment(facts.base)
            .offsets(
                facts.base.saturating_add(damage.first_slot),
                facts.base.saturating_add(last),
            )
            .detail(Detail::Overlap {
                newer: facts.base,
                same_segment: true,
            }),
    );
}
