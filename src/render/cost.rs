//! The consequences of findings for a reader of the log: one line for a group of
//! findings with one id, from their values alone.

use proglog::inspect::finding::{Detail, Finding, FindingId, Severity};

use super::prose::{count, either, merged, offsets};

/// The consequences of findings of one id and severity for a reader of the log.
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
        FindingId::IndexPadded if note => "expected of a running service's index".to_owned(),
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
        FindingId::IndexMisaligned => at(format!(
            "{} that no reader can find",
            count(records, "record")
        )),
        FindingId::IndexFull => "the service refuses every append".to_owned(),
        FindingId::StoreMissing if records == 0 => "the index has no entries".to_owned(),
        FindingId::StoreMissing => at(format!(
            "{} {} not in this copy",
            count(records, "record"),
            either(records, "is", "are")
        )),
        FindingId::IndexPartialEntry | FindingId::StoreTornTail | FindingId::StoreZeroTail => {
            "no committed record is lost".to_owned()
        }
        FindingId::StoreDeadBytes => "no record is affected; programs that read all of the \
                                      store, such as the service's Raft snapshots, fail on \
                                      them"
            .to_owned(),
        FindingId::StoreUnreadable => at(format!(
            "the disk cannot read {} or {} entries",
            count(records, "record"),
            either(records, "its", "their")
        )),
        FindingId::FrameLengthDamaged | FindingId::RecordUndecodable => {
            at(format!("{} cannot be read", count(records, "record")))
        }
        FindingId::RecordOffsetMismatch => at(format!(
            "{} {} another offset",
            count(records, "record"),
            either(records, "has", "have")
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
            either(records, "is", "are")
        )),
        FindingId::SegmentOverlap => {
            at(either(records, "denotes two records", "each denotes two records").to_owned())
        }
        FindingId::StrayName => "the service reads every name as a base offset".to_owned(),
        FindingId::PaddedName if note => "all names have 20 digits, as a fork of the service \
             writes them; the service of the book would open an empty 0.store beside them"
            .to_owned(),
        FindingId::PaddedName => {
            "read by its number; the service would open an empty file instead".to_owned()
        }
        FindingId::DuplicateBase => "one of the two is not read".to_owned(),
        FindingId::NotAFile => "cannot be opened, and is not read".to_owned(),
        FindingId::OffsetOverflow => "records without an offset".to_owned(),
        FindingId::OwnerDiffers => "the service may fail to open them".to_owned(),
        FindingId::IndexOverLimit => "the service would cut it on open".to_owned(),
        FindingId::NeedsDecision => "the bytes stay as they are until you decide".to_owned(),
        FindingId::ForeignDialect => "another program's log".to_owned(),
    }
}

fn total<'a>(findings: impl Iterator<Item = &'a Finding>) -> u64 {
    findings
        .filter_map(|finding| finding.records)
        .fold(0, u64::saturating_add)
}

/// The consequence of `record-changed`: which record of a run changed is unknown.
fn changed(records: u64) -> String {
    match records {
        1 => "1 record differs from the manifest".to_owned(),
        records => format!(
            "at least one of {} differs from the manifest",
            count(records, "record")
        ),
    }
}

/// The consequence of `index-entry-damaged`: intact records have only wrong entries.
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
            "{} {} intact, the {} wrong",
            count(whole, "record"),
            either(whole, "is", "are"),
            either(whole, "entry is", "entries are")
        ),
        (0, lost) => format!(
            "{} {} wrong, and {} not recognized in the store",
            count(lost, "entry"),
            either(lost, "is", "are"),
            either(lost, "its record is", "their records are")
        ),
        (whole, lost) => format!(
            "{} wrong; {} intact, {} not recognized in the store",
            count(whole.saturating_add(lost), "entry"),
            count(whole, "record"),
            lost
        ),
    }
}

/// The consequence of `index-missing` and `store-unindexed-tail`.
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
                return "the store has no intact frame".to_owned();
            }
            Detail::IndexMissing { .. } => {
                return format!(
                    "{} in the store, but no index for {}",
                    count(records, "intact record"),
                    either(records, "it", "them")
                );
            }
            _ => {}
        }
    }
    match sums {
        (_, true) => "another proglog is writing to this log".to_owned(),
        (0, _) => "no committed record is lost".to_owned(),
        (continuing, _) => format!(
            "{} {} hidden, and may have been acknowledged",
            count(continuing, "record"),
            either(continuing, "is", "are")
        ),
    }
}
