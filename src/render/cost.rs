//! What findings cost whoever reads the log: one line for a whole group of findings with
//! one id, from their values alone.

use proglog::inspect::finding::{Detail, Finding, FindingId, Severity};

use super::prose::{count, either, merged, offsets};

/// What findings of one id and severity mean for whoever reads the log.
pub fn cost(group: &[&Finding]) -> String {
    let Some(first) = group.first() else {
        return String::new();
    };
    let records = total(group.iter().copied());
    let ranges = merged(group.iter().filter_map(|finding| finding.offsets));
    let at = |text: String| match ranges.as_slice() {
        [] => text,
        ranges => format!("{}: {text}", offsets(ranges)),
    };
    let note = first.severity == Severity::Note;
    match first.id {
        FindingId::IndexPadded if note => "as a running service's index is".to_owned(),
        FindingId::IndexPadded => "nothing lost".to_owned(),
        FindingId::IndexDangling if note => at(format!(
            "{} may still be in the writer's buffer",
            count(records, "record")
        )),
        FindingId::IndexDangling => at(format!(
            "{} {} lost",
            count(records, "acknowledged record"),
            either(records, "is", "are")
        )),
        FindingId::IndexEntryDamaged => at(entries_damaged(group)),
        FindingId::IndexMissing | FindingId::StoreUnindexedTail => at(frames(group, records)),
        FindingId::IndexMisaligned => {
            at(format!("{} that no reader finds", count(records, "record")))
        }
        FindingId::IndexFull => "the service refuses every append".to_owned(),
        FindingId::StoreMissing if records == 0 => "the index names no record".to_owned(),
        FindingId::StoreMissing => at(format!(
            "{} {} not in this copy",
            count(records, "record"),
            either(records, "is", "are")
        )),
        FindingId::IndexPartialEntry | FindingId::StoreTornTail | FindingId::StoreZeroTail => {
            "no committed record is lost".to_owned()
        }
        FindingId::StoreDeadBytes => "no record is concerned; who reads the store from end to \
             end, as the service's Raft snapshots do, trips on them"
            .to_owned(),
        FindingId::StoreUnreadable => at(format!(
            "the disk fails under {} or {} entries",
            count(records, "record"),
            either(records, "its", "their")
        )),
        FindingId::FrameLengthDamaged | FindingId::RecordUndecodable => {
            at(format!("{} cannot be read", count(records, "record")))
        }
        FindingId::RecordOffsetMismatch => at(format!(
            "{} {} another offset",
            count(records, "record"),
            either(records, "carries", "carry")
        )),
        FindingId::RecordChanged => at(changed(records)),
        FindingId::RecordsMissing => at(format!(
            "{} {} missing",
            count(records, "record"),
            either(records, "is", "are")
        )),
        FindingId::SegmentGap => at(format!(
            "{} {} in no segment",
            count(records, "record"),
            either(records, "stands", "stand")
        )),
        FindingId::SegmentOverlap => at(either(
            records,
            "stands for two records",
            "each stands for two records",
        )
        .to_owned()),
        FindingId::StrayName => "the service takes every name for a base offset".to_owned(),
        FindingId::PaddedName if note => "all names have 20 digits, as a fork of the service \
             writes them; the service of the book would open an empty 0.store beside them"
            .to_owned(),
        FindingId::PaddedName => {
            "read here by its number; the service would open an empty twin".to_owned()
        }
        FindingId::DuplicateBase => "one of the two is not read".to_owned(),
        FindingId::NotAFile => "never opened; the segment is not read".to_owned(),
        FindingId::OffsetOverflow => "records without an offset".to_owned(),
        FindingId::OwnerDiffers => "the service may fail to open them".to_owned(),
        FindingId::IndexOverLimit => "the service would cut it on open".to_owned(),
        FindingId::NeedsDecision => "nothing is cut; a person decides".to_owned(),
        FindingId::ForeignDialect => "another program's log".to_owned(),
    }
}

fn total<'a>(findings: impl Iterator<Item = &'a Finding>) -> u64 {
    findings
        .filter_map(|finding| finding.records)
        .fold(0, u64::saturating_add)
}

/// What `record-changed` costs: which record of a run changed is not known.
fn changed(records: u64) -> String {
    match records {
        1 => "1 record is not what the manifest says".to_owned(),
        records => format!(
            "at least one of {} is not what the manifest says",
            count(records, "record")
        ),
    }
}

/// What `index-entry-damaged` costs: whole records are only misnamed.
fn entries_damaged(group: &[&Finding]) -> String {
    let sum = |wanted: bool| -> u64 {
        let mine = group.iter().filter(|finding| {
            matches!(finding.detail, Detail::Entry { record_whole, .. } if record_whole == wanted)
        });
        total(mine.copied())
    };
    match (sum(true), sum(false)) {
        (0, 0) => "wrong entries".to_owned(),
        (whole, 0) => format!(
            "{} {} whole, the {} wrong",
            count(whole, "record"),
            either(whole, "is", "are"),
            either(whole, "entry is", "entries are")
        ),
        (0, lost) => format!(
            "{} {} wrong, and {} not recognised in the store",
            count(lost, "entry"),
            either(lost, "is", "are"),
            either(lost, "its record is", "their records are")
        ),
        (whole, lost) => format!(
            "{} wrong; {} whole, {} not recognised in the store",
            count(whole.saturating_add(lost), "entry"),
            count(whole, "record"),
            lost
        ),
    }
}

/// What `index-missing` and `store-unindexed-tail` cost.
fn frames(group: &[&Finding], records: u64) -> String {
    let mut sums = (0_u64, false);
    for finding in group {
        match finding.detail {
            Detail::UnindexedTail {
                continuing,
                ahead,
                in_use,
                ..
            } => {
                sums.0 = sums.0.saturating_add(continuing).saturating_add(ahead);
                sums.1 |= in_use;
            }
            Detail::IndexMissing { .. } if records == 0 => {
                return "the store holds no whole frame".to_owned();
            }
            Detail::IndexMissing { .. } => {
                return format!(
                    "{} in the store, and no index that names {}",
                    count(records, "whole record"),
                    either(records, "it", "them")
                );
            }
            _ => {}
        }
    }
    match sums {
        (_, true) => "another proglog is at work here".to_owned(),
        (0, _) => "no committed record is lost".to_owned(),
        (continuing, _) => format!(
            "{} {} hidden, and may have been acknowledged",
            count(continuing, "record"),
            either(continuing, "is", "are")
        ),
    }
}
