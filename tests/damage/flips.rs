//! Every single bit of each log, turned over.

use std::collections::BTreeMap;

use proglog_testkit::Codec;

use proglog::inspect::finding::{Finding, FindingId, Severity};

use super::logs::{Byte, Made, Sort, all};
use super::memory::alone;
use super::states::{State, look};

#[test]
fn each_flipped_bit_is_told_of_and_costs_one_record() {
    let _alone = alone();
    let mut wrong = Vec::new();
    for log in all() {
        let mut counts: BTreeMap<Sort, (u64, u64)> = BTreeMap::new();
        let end = log.records.keys().max().unwrap() + 2;
        for byte in &log.bytes {
            for bit in byte.at * 8..byte.at * 8 + 8 {
                log.sandbox.flip(&byte.file, bit);
                let state = look(&log.sandbox.log(), end, None).unwrap();
                log.sandbox.flip(&byte.file, bit);
                let count = counts.entry(byte.sort).or_default();
                count.0 += 1;
                count.1 += u64::from(!state.report.is_clean());
                for what in judge(&log, byte, &state) {
                    wrong.push(format!(
                        "{}: {} bit {bit} ({:?} of {}): {what}{}",
                        log.name,
                        byte.file,
                        byte.sort,
                        byte.offset,
                        state.told()
                    ));
                }
            }
        }
        for (sort, (tried, found)) in counts {
            println!(
                "{}: {sort:?}: {tried} bits flipped, {found} found",
                log.name
            );
        }
    }
    let count = wrong.len();
    wrong.truncate(400);
    assert!(wrong.is_empty(), "{count}\n{}", wrong.join("\n"));
}

fn judge(log: &Made, byte: &Byte, state: &State) -> Vec<String> {
    let mut wrong = state.contradictions(&log.records);
    let lost = state.lost(&log.records);
    let others: Vec<u64> = lost.into_iter().filter(|o| *o != byte.offset).collect();
    if !others.is_empty() {
        wrong.push(format!("costs {others:?}"));
    }
    if state
        .read
        .keys()
        .any(|offset| !log.records.contains_key(offset))
    {
        wrong.push("a record that never was".to_owned());
    }
    let within_value = matches!(byte.sort, Sort::Value | Sort::Message);
    if undecidable(log, byte, state) {
        return wrong;
    }
    let value = &log.records[&byte.offset];
    let changed = state.read.get(&byte.offset).is_some_and(|it| it != value);
    if changed && !within_value {
        wrong.push("another value".to_owned());
    }
    if !within_value && !state.names(byte) {
        wrong.push("not told of".to_owned());
    }
    if log.codec == Codec::Raw && byte.sort == Sort::Value && !state.report.is_clean() {
        wrong.push("told of".to_owned());
    }
    wrong
}

/// What no reader of these bytes can know, and what is told instead.
///
/// Of a raw segment's last frame nothing but its length says where it ends. A longer
/// one says that a frame's end is lost, as after a crash: the entry dangles. A shorter
/// one says that bytes follow which no entry names, and its value is what is left, or, if it
/// is empty and they are zeros, that nobody knows.
///
/// The entry of a segment's only record is all zeros, as padding is, and real only if
/// its frame is whole. Else the store holds bytes that no entry names: a torn tail,
/// which begins with the length.
fn undecidable(log: &Made, byte: &Byte, state: &State) -> bool {
    if byte.sort != Sort::Length || !byte.last {
        return false;
    }
    let told = |id: FindingId| {
        let of = |finding: &&Finding| finding.id == id && finding.severity != Severity::Note;
        state.report.findings.iter().find(of)
    };
    let torn = told(FindingId::StoreTornTail).and_then(|it| it.place.as_ref());
    let read = state.read.get(&byte.offset);
    if byte.only && read.is_none() && torn.is_some_and(|it| it.position == byte.field) {
        return true;
    }
    if log.codec != Codec::Raw {
        return false;
    }
    match read {
        None => {
            let dangling = told(FindingId::IndexDangling).and_then(|it| it.offsets);
            dangling.is_some_and(|it| it.first.0 == byte.offset && it.last.0 == byte.offset)
        }
        Some(value) => {
            let tails = [
                FindingId::StoreTornTail,
                FindingId::StoreUnindexedTail,
                FindingId::StoreZeroTail,
                FindingId::NeedsDecision,
            ];
            let end = byte.field + 8 + value.len() as u64;
            let mut places = tails
                .into_iter()
                .filter_map(told)
                .filter_map(|it| it.place.as_ref());
            log.records[&byte.offset].starts_with(value)
                && places.any(|place| place.file == byte.file && place.position == end)
        }
    }
}
