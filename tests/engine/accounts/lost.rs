//! Acknowledged records that entries name and no store holds: verify names them, repair and
//! its dry run say them, append refuses, whatever else is wrong with the segment.

use proglog_testkit::{Codec, entry, frame, pb};

use super::forge::{Files, lay, padded, pair};
use super::outcome::text;
use super::run::{Case, Said, none};

/// Values as payloads of this codec.
fn payloads(codec: Codec, base: u64, n: u64) -> Vec<Vec<u8>> {
    let payload = |(offset, value): (u64, Vec<u8>)| match codec {
        Codec::Raw => value,
        Codec::Protobuf => pb(&value, offset, 0, 0),
    };
    (base..).zip(text(n)).map(payload).collect()
}

/// The first `written` of `n` records behind `lead`, and an index of all of them.
fn killed(codec: Codec, base: u64, n: u64, written: u64, lead: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let payloads = payloads(codec, base, n);
    let at = lead.len() as u64;
    let (store, index) = lay(payloads.clone(), frame, |slot, p| entry(slot, p + at));
    let bytes = |of: &[Vec<u8>]| of.iter().map(|it| it.len() + 8).sum::<usize>();
    let kept = bytes(&payloads[..written as usize]);
    ([lead, &store[..kept]].concat(), index)
}

/// The ranges that lines of this kind give.
fn ranges(said: &Said, is: impl Fn(&serde_json::Value) -> bool) -> Vec<(u64, u64)> {
    let range = |line: &serde_json::Value| {
        Some((
            line["first_offset"].as_u64()?,
            line["last_offset"].as_u64()?,
        ))
    };
    said.json()
        .iter()
        .filter(|line| is(line))
        .filter_map(range)
        .collect()
}

/// Each of these cases has lost just these offsets.
fn lose(name: &str, files: Files, lost: (u64, u64), wrong: &mut Vec<String>) {
    let case = Case::new(name, files);
    let verify = case.untouched(&["verify", "--json", "log"], "", wrong);
    let dangling = |line: &serde_json::Value| line["id"] == "index-dangling";
    let is_lost = |line: &serde_json::Value| line["kind"] == "lost";
    let dry = case.untouched(&["repair", "--dry-run", "--json", "log"], "", wrong);
    let (real, _, _) = case.run(&["repair", "--json", "log"], "");
    let found = [
        ranges(&verify, dangling),
        ranges(&dry, is_lost),
        ranges(&real, is_lost),
    ];
    if found.iter().any(|found| found != &[lost]) {
        let said = [verify.all(), dry.all(), real.all()].concat();
        wrong.push(format!("{name}: lost {found:?}, not {lost:?}: {said}"));
    }
    let append = case.untouched(&["append", "log"], "one more\n", wrong);
    if append.status != 3 {
        wrong.push(format!("{name}: append: {}", append.all()));
    }
}

const CODECS: [Codec; 2] = [Codec::Raw, Codec::Protobuf];

#[test]
fn entries_before_those_of_a_larger_limit_are_not_cut_silently() {
    let mut wrong = Vec::new();
    for codec in CODECS {
        let (store, index) = killed(codec, 100, 60, 56, b"");
        let mut index = padded(index, 1020);
        for slot in 1..6 {
            index.extend(entry(slot, store.len() as u64 + 20 * u64::from(slot - 1)));
        }
        let files = pair(100, (store, padded(index, 4096)));
        let name = format!("{codec:?}, restarted");
        lose(&name, files, (156, 159), &mut wrong);
    }
    // One record was acknowledged then, and never written.
    let codec = Codec::Protobuf;
    for limit in [1024, 1200, 4180] {
        let (store, index) = killed(codec, 0, 1, 1, b"\xff\0\0\0\0\0\0\x42unfini");
        let mut index = padded(index, limit);
        index.extend(entry(1, store.len() as u64));
        let files = pair(0, (store, padded(index, limit + 600)));
        lose(
            &format!("one entry behind {limit}"),
            files,
            (1, 1),
            &mut wrong,
        );
    }
    none(&wrong);
}

#[test]
fn a_flipped_bit_does_not_hide_what_is_lost() {
    let mut wrong = Vec::new();
    for codec in CODECS {
        // In the padding, in the slot and in the position of the last record's entry.
        for (at, bit) in [(3990, 4), (8 * 12 + 3, 1), (8 * 12 + 11, 2)] {
            let (store, index) = killed(codec, 0, 60, 9, b"");
            let mut index = padded(index, 4096);
            index[at] ^= bit;
            let files = pair(0, (store, index));
            lose(
                &format!("{codec:?}, flip at {at}"),
                files,
                (9, 59),
                &mut wrong,
            );
        }
    }
    none(&wrong);
}

#[test]
fn zeros_in_place_of_records_do_not_hide_what_is_lost() {
    let mut wrong = Vec::new();
    let codec = Codec::Protobuf;
    let (store, index) = killed(codec, 0, 40, 40, b"");
    let mut files = pair(0, (store, index));
    let (store, index) = killed(codec, 40, 13, 13, b"");
    files.extend(pair(40, (vec![0; store.len()], index)));
    lose("a store of zeros", files, (40, 52), &mut wrong);

    let (mut store, index) = killed(codec, 0, 40, 40, b"");
    store[512..].fill(0);
    // The record in which the zeros begin keeps its entry.
    let cut = (0..).zip(index.chunks(12));
    let cut = cut.filter(|(_, it)| u64::from_be_bytes(it[4..].try_into().unwrap()) < 512);
    let first = cut.last().map(|(slot, _)| slot + 1).unwrap();
    lose(
        "zeros from a sector on",
        pair(0, (store, index)),
        (first, 39),
        &mut wrong,
    );
    none(&wrong);
}

#[test]
fn bytes_without_entries_do_not_hide_what_is_lost() {
    let mut wrong = Vec::new();
    let marked = b"\xff\0\0\0\0\0\0\x10uuuuuuuuuuuuuuuu".to_vec();
    let leads = [
        (Codec::Raw, marked.clone()),
        (Codec::Protobuf, marked),
        (Codec::Protobuf, b"junkjunkjunk".to_vec()),
        (Codec::Protobuf, vec![0; 16]),
    ];
    for (codec, lead) in leads {
        for (size, lost) in [(0, 1), (0, 2), (0, 4), (1200, 1), (1200, 2), (1200, 4)] {
            let (store, index) = killed(codec, 0, 1 + lost, 1, &lead);
            let size = index.len().max(size);
            let files = pair(0, (store, padded(index, size)));
            let name = format!("{codec:?}, {lost} behind {lead:?}, {size}");
            lose(&name, files, (1, lost), &mut wrong);
        }
    }
    // Bytes between the records put every entry behind them in the wrong.
    let (mut store, index) = killed(Codec::Protobuf, 0, 12, 11, b"");
    store.splice(24..24, *b"added in between");
    let files = pair(0, (store, padded(index, 1024)));
    lose("bytes added", files, (11, 11), &mut wrong);
    none(&wrong);
}

#[test]
fn a_store_of_another_segment_does_not_hide_what_is_lost() {
    let mut wrong = Vec::new();
    for codec in CODECS {
        let (_, index) = killed(codec, 0, 40, 40, b"");
        let values = (0..5).map(|n: u64| vec![b'o'; 31 + n as usize]);
        let others = (0..).zip(values).map(|(offset, value)| match codec {
            Codec::Raw => value,
            Codec::Protobuf => pb(&value, offset, 0, 0),
        });
        let (store, _) = lay(others.collect::<Vec<_>>(), frame, entry);
        let name = format!("{codec:?}, another store");
        lose(&name, pair(0, (store, index)), (5, 39), &mut wrong);
    }
    none(&wrong);
}

/// The last entry is damaged, and its frame is lost or torn: its slot shows the record.
#[test]
fn a_damaged_entry_still_shows_its_record() {
    let mut wrong = Vec::new();
    for codec in CODECS {
        for byte in 0..12 {
            for torn in [0, 5] {
                let (mut store, mut index) = killed(codec, 0, 10, 9, b"");
                let whole = killed(codec, 0, 10, 10, b"").0;
                store.extend(&whole[store.len()..][..torn]);
                index[9 * 12 + byte] ^= 0x55;
                let name = format!("{codec:?}: byte {byte}, {torn} bytes of the frame");
                lose(&name, pair(0, (store, index)), (9, 9), &mut wrong);
            }
        }
    }
    none(&wrong);
}

/// What a repair would cut from an index is reported, whatever it is.
#[test]
fn junk_after_an_index_is_reported() {
    let mut wrong = Vec::new();
    for bytes in [1_u8, 11, 12, 13, 24, 36, 120] {
        let (store, mut index) = killed(Codec::Raw, 0, 10, 10, b"");
        index.extend((0..bytes).map(|at: u8| 0xa5 ^ at.wrapping_mul(37)));
        let case = Case::new(format!("{bytes} bytes of junk"), pair(0, (store, index)));
        let verify = case.untouched(&["verify", "log"], "", &mut wrong);
        if verify.status != 3 {
            wrong.push(format!("{bytes} bytes: verify: {}", verify.all()));
        }
    }
    none(&wrong);
}
