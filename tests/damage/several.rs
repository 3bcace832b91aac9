//! Several damages at once, made up from a seed. What is handed out as a record stands
//! where that record was written; verify, readers and lookups agree.

use std::collections::BTreeMap;

use proglog::inspect::finding::FindingId;
use proglog_testkit::Codec;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use super::logs::{Made, Sort, all};
use super::memory::alone;
use super::states::{State, look};

/// Damaged states of each log.
const CASES: u32 = 1000;

/// One thing done to one file; numbers are taken modulo what is there.
#[derive(Debug, Clone)]
enum Damage {
    Flip {
        file: usize,
        bit: u64,
    },
    Cut {
        file: usize,
        length: u64,
    },
    Pad {
        file: usize,
        zeros: u64,
    },
    Append {
        file: usize,
        bytes: Vec<u8>,
    },
    Put {
        file: usize,
        at: u64,
        bytes: Vec<u8>,
    },
    Zero {
        file: usize,
        at: u64,
        count: usize,
    },
    Repeat {
        file: usize,
        from: u64,
        at: u64,
        count: usize,
    },
}

fn damage() -> impl Strategy<Value = Damage> {
    let (file, at) = (0..100_usize, 0..2000_u64);
    prop_oneof![
        8 => (file.clone(), 0..20_000_u64).prop_map(|(file, bit)| Damage::Flip { file, bit }),
        2 => (file.clone(), at.clone()).prop_map(|(file, length)| Damage::Cut { file, length }),
        2 => (file.clone(), 1..200_u64).prop_map(|(file, zeros)| Damage::Pad { file, zeros }),
        1 => (file.clone(), vec(any::<u8>(), 1..40))
            .prop_map(|(file, bytes)| Damage::Append { file, bytes }),
        2 => (file.clone(), at.clone(), vec(any::<u8>(), 1..20))
            .prop_map(|(file, at, bytes)| Damage::Put { file, at, bytes }),
        2 => (file.clone(), at.clone(), 1..40_usize)
            .prop_map(|(file, at, count)| Damage::Zero { file, at, count }),
        1 => (file, at.clone(), at, 1..60_usize)
            .prop_map(|(file, from, at, count)| Damage::Repeat { file, from, at, count }),
    ]
}

impl Damage {
    fn file<'a>(&self, files: &'a [String]) -> &'a str {
        let (Self::Flip { file, .. }
        | Self::Cut { file, .. }
        | Self::Pad { file, .. }
        | Self::Append { file, .. }
        | Self::Put { file, .. }
        | Self::Zero { file, .. }
        | Self::Repeat { file, .. }) = self;
        &files[file % files.len()]
    }

    fn do_to(&self, whole: &mut Vec<u8>) {
        let place = |at: u64| usize::try_from(at).unwrap() % whole.len().max(1);
        match self {
            Self::Pad { zeros, .. } => {
                whole.resize(whole.len() + usize::try_from(*zeros).unwrap(), 0);
            }
            Self::Append { bytes, .. } => whole.extend_from_slice(bytes),
            _ if whole.is_empty() => {}
            Self::Flip { bit, .. } => {
                let at = place(bit / 8);
                whole[at] ^= 0x80 >> (bit % 8);
            }
            Self::Cut { length, .. } => {
                let at = place(*length);
                whole.truncate(at);
            }
            Self::Put { at, bytes, .. } => put(whole, *at, bytes),
            Self::Zero { at, count, .. } => put(whole, *at, &vec![0; *count]),
            Self::Repeat {
                from, at, count, ..
            } => {
                let from = place(*from);
                let end = (from + count).min(whole.len());
                let bytes = whole[from..end].to_vec();
                put(whole, *at, &bytes);
            }
        }
    }
}

fn put(whole: &mut [u8], at: u64, bytes: &[u8]) {
    let at = usize::try_from(at).unwrap() % whole.len();
    for (to, from) in whole[at..].iter_mut().zip(bytes) {
        *to = *from;
    }
}

#[test]
fn whatever_is_damaged_no_record_is_made_up() {
    let _alone = alone();
    for log in all() {
        let names: Vec<String> = log.files.keys().cloned().collect();
        let config = Config {
            cases: CASES,
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(1),
            max_shrink_iters: 4000,
            ..Config::default()
        };
        // Too much damage hides what the codec is; whoever reads such a log can say it.
        let codec = log.codec.as_str().parse().unwrap();
        let mut runner = TestRunner::new(config);
        let result = runner.run(&vec(damage(), 1..6), |damages| {
            let mut files = log.files.clone();
            for damage in &damages {
                damage.do_to(files.get_mut(damage.file(&names)).unwrap());
            }
            log.write(&files);
            let end = log.records.keys().max().unwrap() + 30;
            let state = look(&log.sandbox.log(), end, Some(codec)).unwrap();
            log.write(&log.files);
            let wrong = judge(&log, &files, &state);
            prop_assert!(wrong.is_empty(), "{}{}", wrong.join("\n"), state.told());
            Ok(())
        });
        if let Err(error) = result {
            panic!("{}: {error}", log.name);
        }
        println!("{}: {CASES} times up to five damages", log.name);
    }
}

fn judge(log: &Made, files: &BTreeMap<String, Vec<u8>>, state: &State) -> Vec<String> {
    let mut wrong = state.contradictions(&log.records);
    for (offset, place) in &state.places {
        let zeros = is_undecided(state, place.0) || only_zeros(files, *place);
        if log.codec == Codec::Raw && zeros {
            // Zeros may be empty records: nothing is cut, and a person is asked where no
            // other damage is told of.
            continue;
        }
        let Some(was) = log.places.get(offset) else {
            wrong.push(format!("{offset} was never written"));
            continue;
        };
        let undecidable = undecidable(log, state, *offset)
            || written_over(log, files, *offset)
            || zeroed(log, files, state, *offset);
        let same = state.read[offset] == log.records[offset];
        // A frame that carries its offset is that record, wherever damage copied it to.
        let copied = log.codec == Codec::Protobuf && same;
        if place != was && !undecidable && !copied {
            wrong.push(format!("{offset} is read at {place:?}, it was at {was:?}"));
        }
        if !same && !undecidable && !changed(log, files, *offset, is_payload) {
            wrong.push(format!("{offset} is not what was written"));
        }
    }
    wrong
}

/// Whether verify says of a segment that only a person can decide.
fn is_undecided(state: &State, base: u64) -> bool {
    let findings = &state.report.findings;
    findings.iter().any(|finding| {
        finding.id == FindingId::NeedsDecision
            && finding.segment.is_some_and(|segment| segment.0 == base)
    })
}

/// Whether a store has nothing but zeros from a frame on.
fn only_zeros(files: &BTreeMap<String, Vec<u8>>, (base, from, _): (u64, u64, u64)) -> bool {
    let from = usize::try_from(from).unwrap();
    let bytes = files.get(&format!("{base}.store"));
    bytes.is_some_and(|bytes| bytes.iter().skip(from).all(|&byte| byte == 0))
}

/// What nobody can know: how long a record is whose length is wrong too, if nothing
/// behind it contradicts. In a raw log that is the last one that is read. In a protobuf
/// log a record may seem to end where its term begins, if the next one is lost as well.
fn undecidable(log: &Made, state: &State, offset: u64) -> bool {
    let (base, position, _) = state.places[&offset];
    let mut behind = state.places.range(offset + 1..);
    let next = behind.next().filter(|(_, place)| place.0 == base);
    match log.codec {
        Codec::Raw => next.is_none(),
        Codec::Protobuf => {
            let same_value = state.read[&offset] == log.records[&offset];
            same_value
                && position == log.places[&offset].1
                && next.is_none_or(|(at, _)| *at > offset + 1)
        }
    }
}

/// Whether a raw record's length is zeros now and the entry behind its own is wrong: eight
/// zero bytes that an entry names are an empty record where nothing contradicts.
fn zeroed(log: &Made, files: &BTreeMap<String, Vec<u8>>, state: &State, offset: u64) -> bool {
    let of_entry = |sort| matches!(sort, Sort::Relative | Sort::Position);
    log.codec == Codec::Raw
        && state.read[&offset].is_empty()
        && changed(log, files, offset, |sort| sort == Sort::Length)
        && changed(log, files, offset + 1, of_entry)
}

/// Whether another frame was written over a record's, length and payload: if it is a
/// whole one that carries the record's offset, it is the record.
fn written_over(log: &Made, files: &BTreeMap<String, Vec<u8>>, offset: u64) -> bool {
    changed(log, files, offset, |sort| sort == Sort::Length)
        && changed(log, files, offset, is_payload)
}

fn is_payload(sort: Sort) -> bool {
    matches!(sort, Sort::Message | Sort::Offset | Sort::Value)
}

/// Whether bytes of this sort of a record are not what they were.
fn changed(
    log: &Made,
    files: &BTreeMap<String, Vec<u8>>,
    offset: u64,
    sort: impl Fn(Sort) -> bool,
) -> bool {
    log.bytes.iter().any(|byte| {
        let at = usize::try_from(byte.at).unwrap();
        byte.offset == offset
            && sort(byte.sort)
            && files[&byte.file].get(at) != log.files[&byte.file].get(at)
    })
}
