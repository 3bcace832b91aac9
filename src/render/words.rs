//! The words for each finding, from its values alone: the content of its place, and a
//! summary in one line. No file is inspected here, and no text goes beyond the values.
//! The consequences of a group of findings are in `cost`.

use proglog::inspect::finding::{Detail, Figure, Finding, FindingId, OffsetRange};
use proglog::inspect::listing::NoFile;
use proglog::inspect::usage::Usage;
use proglog::log::format::ENTRY_BYTES;
use proglog::log::processes::Unseen;
use proglog::scan::account::Doubt;

use super::cost::cost;
use super::prose::{count, either, escaped};

/// The remark on a finding that a writer would explain, if any.
pub const USE_UNKNOWN: &str = "cannot tell if a writer has the log open";

/// Why it is unknown whether a log is in use, or who can tell.
pub fn unseen(usage: &Usage) -> String {
    match &usage.unseen {
        Some(Unseen::NotTheOwner) | None => "run as the log's owner or root".to_owned(),
        Some(why) => why.to_string(),
    }
}

/// The same for a log of which it is unknown.
pub fn unknown_use(usage: &Usage) -> Option<String> {
    usage.in_use.is_none().then(|| unseen(usage))
}

/// A finding in one line.
pub fn message(finding: &Finding) -> String {
    let message = plain_message(finding);
    if finding.use_unknown {
        return format!("{message}; {USE_UNKNOWN}");
    }
    message
}

fn plain_message(finding: &Finding) -> String {
    let cost = cost(&[finding]);
    let what = what(finding);
    match (&finding.place, what.is_empty()) {
        (_, true) => cost,
        (Some(place), false) if place.bytes == 0 => {
            format!("{cost}; {}: {what}", escaped(&place.file))
        }
        _ => format!("{cost}; {what}"),
    }
}

/// The place of a finding: `0.index 2916+684`, or the name if it is about the whole file.
pub fn place(finding: &Finding) -> Option<String> {
    let place = finding.place.as_ref()?;
    let file = escaped(&place.file);
    Some(if place.bytes == 0 {
        file
    } else {
        format!("{file} {}+{}", place.position, place.bytes)
    })
}

/// The content of the place of a finding, with all figures.
pub fn what(finding: &Finding) -> String {
    if let Detail::Uncounted { places } = finding.detail {
        return format!("{} of damage not listed", count(places, "place"));
    }
    let got = number(finding.got.as_ref());
    let expected = number(finding.expected.as_ref());
    let bytes = finding.place.as_ref().map_or(0, |place| place.bytes);
    match finding.id {
        FindingId::IndexPadded => padding(finding, bytes),
        FindingId::IndexPartialEntry => format!(
            "{} that {} neither a complete entry nor padding",
            count(bytes, "byte"),
            either(bytes, "is", "are")
        ),
        FindingId::IndexDangling => dangling(finding),
        FindingId::IndexEntryDamaged => entry(finding),
        FindingId::IndexMissing => index_missing(finding),
        FindingId::IndexMisaligned if got == Some(0) => {
            format!("{} in the wrong slot", count(bytes / ENTRY_BYTES, "entry"))
        }
        FindingId::NeedsDecision => decision(finding).to_owned(),
        FindingId::IndexMisaligned => format!(
            "{} that begin {} after a 12-byte boundary",
            count(bytes / ENTRY_BYTES, "entry"),
            count(got.unwrap_or(0), "byte")
        ),
        FindingId::IndexFull => index_full(finding, got.unwrap_or(0)),
        FindingId::StoreMissing => {
            let what = match finding.detail {
                Detail::NotAFile { what } => Some(what),
                _ => None,
            };
            let entries = count(finding.records.unwrap_or(0), "entry");
            format!("{}; the index has {entries}", absence(what))
        }
        FindingId::StoreTornTail => torn(finding, bytes),
        FindingId::StoreUnindexedTail => unindexed(finding),
        FindingId::StoreZeroTail => format!(
            "{} after the last frame, up to the end of the store",
            count(bytes, "zero byte")
        ),
        FindingId::StoreDeadBytes => {
            format!("{} without an entry", count(bytes, "byte"))
        }
        FindingId::StoreUnreadable => "the disk reports an error for these bytes".to_owned(),
        FindingId::FrameLengthDamaged => length(got, expected),
        FindingId::RecordUndecodable => "the frame's payload is not a Record".to_owned(),
        FindingId::RecordOffsetMismatch => offset_mismatch(got, expected),
        FindingId::RecordChanged => changed(finding),
        FindingId::RecordsMissing => match finding.detail {
            Detail::NotThere { end } => {
                format!(
                    "the manifest has them, but the log ends before them: its next offset \
                         is {end}"
                )
            }
            _ => String::new(),
        },
        FindingId::SegmentGap => gap(finding),
        FindingId::SegmentOverlap => overlap(finding),
        FindingId::StrayName => match finding.detail {
            Detail::Name { taken_for } => {
                format!("read as base offset {taken_for}")
            }
            _ => String::new(),
        },
        FindingId::PaddedName => match finding.detail {
            Detail::Name { taken_for } => {
                format!("base offset {taken_for}, which the service writes without leading zeros")
            }
            _ => String::new(),
        },
        FindingId::DuplicateBase => "a second name for the same base offset; not read".to_owned(),
        FindingId::NotAFile => match finding.detail {
            Detail::NotAFile { what } => absence(Some(what)),
            _ => String::new(),
        },
        FindingId::OffsetOverflow => format!(
            "{} where {} fit",
            count(got.unwrap_or(0), "entry"),
            expected.unwrap_or(0)
        ),
        FindingId::OwnerDiffers => owner(finding),
        FindingId::IndexOverLimit => format!(
            "the index has {}, the limit is {}",
            count(got.unwrap_or(0), "byte"),
            expected.unwrap_or(0)
        ),
        FindingId::ForeignDialect => match &finding.detail {
            Detail::Layout(layout) => layout.to_string(),
            _ => String::new(),
        },
    }
}

fn index_missing(finding: &Finding) -> String {
    match finding.detail {
        Detail::IndexMissing { frames, what } => format!(
            "{}; the store holds {}",
            absence(what),
            count(frames, "intact frame")
        ),
        _ => absence(None),
    }
}

/// Why a file is not read: it does not exist, or it is of this kind.
fn absence(what: Option<NoFile>) -> String {
    match what {
        None => "no such file".to_owned(),
        Some(what) if what.is_file() => what.to_string(),
        Some(what) => format!("{what}, not a regular file"),
    }
}

fn offset_mismatch(got: Option<u64>, expected: Option<u64>) -> String {
    match (got, expected) {
        (Some(got), Some(expected)) => {
            format!("the record has offset {got}, expected {expected}")
        }
        _ => "the record has an unexpected offset".to_owned(),
    }
}

/// The text of `record-changed`; the digests by their first digits.
fn changed(finding: &Finding) -> String {
    const DIGITS: usize = 16;
    let short = |figure: &Figure| {
        let text = figure.to_string();
        text.get(..DIGITS)
            .map_or_else(|| text.clone(), |short| format!("{short}..."))
    };
    match (&finding.got, &finding.expected) {
        (Some(got), Some(expected)) => format!(
            "the digest is {}, the manifest has {}",
            short(got),
            short(expected)
        ),
        _ => "the digests differ from the manifest".to_owned(),
    }
}

fn number(figure: Option<&Figure>) -> Option<u64> {
    match figure {
        Some(Figure::Number(number)) => Some(*number),
        _ => None,
    }
}

fn padding(finding: &Finding, bytes: u64) -> String {
    let (entries, rest) = (bytes / ENTRY_BYTES, bytes % ENTRY_BYTES);
    let (entry, byte) = match finding.detail {
        Detail::UnusedSlots => ("unused entry", "unused byte"),
        _ => ("zero entry", "zero byte"),
    };
    let zeros = match (entries, rest) {
        (0, rest) => count(rest, byte),
        (entries, 0) => count(entries, entry),
        (entries, rest) => format!("{} and {}", count(entries, entry), count(rest, byte)),
    };
    let begins = finding.place.as_ref().map_or(0, |place| place.position);
    let zeros = if begins == 0 {
        format!("{zeros}, and no entry before them")
    } else {
        format!("{zeros} after the last entry")
    };
    match finding.detail {
        Detail::PaddedInUse {
            highest: Some(highest),
        } => format!(
            "{zeros}; if the service's highest offset is not {highest}, it opened a padded \
             index: stop it, then repair"
        ),
        _ => zeros,
    }
}

fn dangling(finding: &Finding) -> String {
    let entries = finding.offsets.map_or_else(String::new, |offsets| {
        let one = offsets.first == offsets.last;
        let (subject, object) = if one {
            ("entry", "refers to a frame")
        } else {
            ("entries", "refer to frames")
        };
        format!("{subject} {offsets} {object}")
    });
    match &finding.detail {
        Detail::InWritersBuffer { .. } => format!(
            "{entries} that the store does not contain yet; up to 4096 bytes are in the \
             writer's buffer"
        ),
        Detail::Dangling {
            store,
            store_bytes,
            first_position,
        } => {
            let begins = match finding.offsets {
                Some(OffsetRange { first, last }) if first == last => "it begins at",
                _ => "the first begins at",
            };
            let must = number(finding.expected.as_ref()).map_or_else(
                || "; the store has".to_owned(),
                |end| format!("; the store must have {end} bytes and has"),
            );
            format!(
                "{entries} that {} does not fully contain: {begins} {first_position}{must} \
                 {store_bytes}",
                escaped(store)
            )
        }
        _ => entries,
    }
}

fn entry(finding: &Finding) -> String {
    let slot = finding
        .place
        .as_ref()
        .map_or(0, |p| p.position / ENTRY_BYTES);
    let subject = match finding.records {
        Some(1) | None => format!("entry {slot} has"),
        Some(more) => format!(
            "entries {slot}..{}: the first has",
            slot.saturating_add(more - 1)
        ),
    };
    let got = number(finding.got.as_ref()).unwrap_or(0);
    match (number(finding.expected.as_ref()), slot) {
        // Of slot 0 both figures are 0, and which is meant cannot be seen here.
        (Some(0), 0) => format!("{subject} {got}, expected 0"),
        (Some(right), slot) if right == slot => {
            format!("{subject} relative offset {got}, expected {right}")
        }
        (Some(right), _) => format!("{subject} position {got}, but its record begins at {right}"),
        (None, _) => format!("{subject} position {got}, where its record does not begin"),
    }
}

fn index_full(finding: &Finding, got: u64) -> String {
    let entries = count(got / ENTRY_BYTES, "entry");
    let config = "the service of the first edition fails with EOF until its MaxIndexBytes is a \
                  multiple of 12";
    match finding.detail {
        Detail::IndexFull { limit: Some(limit) } => format!(
            "{entries} fill {got} of {limit} bytes, which is not a multiple of 12 and leaves no \
             space for another: {config}"
        ),
        _ => format!("{entries} in {got} bytes, and refused frames in the store: {config}"),
    }
}

fn torn(finding: &Finding, bytes: u64) -> String {
    if let Detail::Unfinished { in_use } = finding.detail {
        let bytes = count(bytes, "byte");
        return if in_use {
            format!("{bytes} of an append in progress")
        } else {
            format!("{bytes} of an interrupted append; none of its records was acknowledged")
        };
    }
    let what = format!(
        "{} at the end that {} not a complete frame, without an entry",
        count(bytes, "byte"),
        either(bytes, "is", "are")
    );
    match finding.detail {
        Detail::InWritersBuffer { .. } => {
            format!("{what}; a writer has the log open, and may be about to write the rest")
        }
        _ => what,
    }
}

fn unindexed(finding: &Finding) -> String {
    let Detail::UnindexedTail {
        frames,
        continuing,
        ahead,
        in_use,
    } = finding.detail
    else {
        return String::new();
    };
    let what = format!("{} without an entry", count(frames, "intact frame"));
    let others = frames.saturating_sub(continuing).saturating_sub(ahead);
    match (continuing, others) {
        _ if in_use => format!("{what} yet"),
        _ if ahead > 0 => {
            let mut parts = Vec::new();
            let mut part = |number: u64, one: &str, more: &str| {
                if number > 0 {
                    parts.push(format!("{number} {}", either(number, one, more)));
                }
            };
            part(
                continuing,
                "continues the sequence",
                "continue the sequence",
            );
            part(
                ahead,
                "carries an offset beyond the next, so the records before it are lost",
                "carry offsets beyond the next, so the records before them are lost",
            );
            part(others, "does not continue it", "do not continue it");
            format!("{what}; {}", parts.join(", "))
        }
        (0, others) => format!(
            "{what}; {} not continue the sequence: refused appends leave such frames",
            either(others, "it does", "they do")
        ),
        (continuing, 0) => format!(
            "{what}; {} the sequence",
            either(continuing, "it continues", "they continue")
        ),
        (continuing, others) => format!(
            "{what}; {continuing} {} the sequence, {others} {} not",
            either(continuing, "continues", "continue"),
            either(others, "does", "do")
        ),
    }
}

fn length(got: Option<u64>, expected: Option<u64>) -> String {
    match (got, expected) {
        (Some(got), Some(expected)) => {
            format!("the length is {got}, but its entries imply {expected}")
        }
        (Some(got), None) => format!("the length is {got}, which does not fit its record"),
        (None, Some(expected)) => format!("not a length; its entries imply {expected} bytes"),
        (None, None) => "the length is wrong".to_owned(),
    }
}

fn gap(finding: &Finding) -> String {
    let behind = finding
        .segment
        .map_or_else(String::new, |base| format!("after segment {base}: "));
    let first = finding
        .offsets
        .map_or_else(String::new, |offsets| offsets.first.to_string());
    format!(
        "{behind}the service returns \"out of range\" for them, and a consumer that streams \
         across them waits at {first} forever"
    )
}

fn overlap(finding: &Finding) -> String {
    match &finding.detail {
        Detail::Overlap {
            newer,
            same_segment: true,
        } => format!("segment {newer}: a fork: two records claim each of these offsets"),
        Detail::Overlap { newer, .. } => {
            format!("segment {newer} begins inside an earlier one: a fork")
        }
        _ => String::new(),
    }
}

fn owner(finding: &Finding) -> String {
    let Detail::Owner { files, uid, .. } = &finding.detail else {
        return String::new();
    };
    let what = match number(finding.got.as_ref()) {
        Some(got) if got != u64::from(*uid) => format!("belongs to user {got}, the log to {uid}"),
        _ => format!("its owner, user {uid}, cannot read and write it"),
    };
    match files.len().saturating_sub(1) as u64 {
        0 => what,
        more => format!("{what}; one or the other applies to {more} more"),
    }
}

fn decision(finding: &Finding) -> &'static str {
    let Detail::Decision(doubt) = finding.detail else {
        return "";
    };
    match doubt {
        Doubt::TwoHistories => "a fork: two sets of records claim the same offsets",
        Doubt::EntriesDisagree => "the entries disagree about which record has which offset",
        Doubt::Unnumbered => "intact frames whose offsets are unknown",
        Doubt::EmptyRow => "a long run of empty records without entries",
        Doubt::ZerosOrRecord => "zeros that may have been a record",
        Doubt::HoldsFrames => "not a torn frame: the bytes may contain records",
        Doubt::LongRemainder => "more bytes than an interrupted append leaves",
        Doubt::MayBeUnwritten => {
            "a frame with a sector of zeros, which may never have been \
                                  written"
        }
        Doubt::StoreEmpty => "the store is empty, its index is not",
    }
}
