//! Intact stores under an index that is short, cleared, gone, or another log's.

use proglog_testkit::{Codec, entry};

use super::forge::{Files, padded, pair, proto, raw};
use super::outcome::{Append, Outcome, brief, check, lines, made, numbered, read, text};
use super::run::{Case, none};

#[test]
fn frames_behind_a_short_index_are_records() {
    let mut wrong = Vec::new();
    for (n, keep) in [(20, 10), (3, 1), (3, 2), (60, 40), (200, 20)] {
        for codec in [Codec::Raw, Codec::Protobuf] {
            for base in [0, 7] {
                let values = if base == 0 { text(n) } else { lines(n) };
                let (store, index) = made(codec, base, &values);
                let kept = index[..keep as usize * 12].to_vec();
                let zeros = index.len();
                let mut unaligned = kept.clone();
                unaligned.extend(&index[kept.len()..kept.len() + 5]);
                for (what, index) in [
                    ("short", kept.clone()),
                    ("zeros", padded(kept.clone(), zeros)),
                    ("padded", padded(kept.clone(), 12 * 300 + 4)),
                    ("partial entry", unaligned),
                ] {
                    let name =
                        format!("{codec:?} {n} records, index {what} at {keep}, base {base}");
                    let case = Case::new(name, pair(base, (store.clone(), index)));
                    wrong.extend(check(
                        &case,
                        &Outcome {
                            finds: &["store-unindexed-tail"],
                            // An entry of zeros alone may be padding, of an index that
                            // is gone.
                            count: if keep == 1 {
                                vec![n - keep, n]
                            } else {
                                vec![n - keep]
                            },
                            records: Some(numbered(base, &values)),
                            append: if keep == 1 {
                                Append::MayGet(base + n)
                            } else {
                                Append::Gets(base + n)
                            },
                            ..Outcome::default()
                        },
                    ));
                }
            }
        }
    }
    none(&wrong);
}

#[test]
fn blank_lines_behind_a_short_index_are_records() {
    let mut wrong = Vec::new();
    for (n, keep, every) in [(40, 18, 4), (12, 5, 3), (60, 22, 4), (31, 1, 2)] {
        let mut values = text(n);
        for value in values.iter_mut().skip(every / 2).step_by(every) {
            value.clear();
        }
        if values.last().is_some_and(Vec::is_empty) {
            values.push(b"the last line".to_vec());
        }
        let n = values.len() as u64;
        let (store, index) = raw(&values);
        for (what, zeros) in [("cut", 0), ("zeros", 12 * (n as usize - keep))] {
            let index = padded(index[..12 * keep].to_vec(), 12 * keep + zeros);
            let name = format!("{n} lines, each {every}th blank, index {what} at {keep}");
            wrong.extend(check(
                &Case::new(name, pair(0, (store.clone(), index))),
                &Outcome {
                    finds: &["store-unindexed-tail"],
                    count: vec![n - keep as u64],
                    records: Some(numbered(0, &values)),
                    append: if keep == 1 {
                        Append::MayGet(n)
                    } else {
                        Append::Gets(n)
                    },
                    ..Outcome::default()
                },
            ));
        }
    }
    none(&wrong);
}

#[test]
fn a_store_whose_whole_index_is_gone_is_not_cut() {
    let mut wrong = Vec::new();
    for (n, codec, base) in [
        (1000, Codec::Raw, 0),
        (20, Codec::Raw, 0),
        (3, Codec::Raw, 5),
        (50, Codec::Protobuf, 0),
        (20, Codec::Protobuf, 1000),
    ] {
        let values = text(n);
        let (store, index) = made(codec, base, &values);
        for (what, size) in [
            ("empty", Some(0)),
            ("zeros", Some(index.len())),
            ("a page of zeros", Some(12288)),
            ("missing", None),
        ] {
            let mut files = pair(base, (store.clone(), Vec::new()));
            match size {
                Some(size) => files.insert(format!("{base}.index"), vec![0; size]),
                None => files.remove(&format!("{base}.index")),
            };
            wrong.extend(check(
                &Case::new(
                    format!("{codec:?} {n} records from {base}, index {what}"),
                    files,
                ),
                &Outcome {
                    finds: if size.is_some() {
                        &[]
                    } else {
                        &["index-missing"]
                    },
                    count: vec![n, n - 1],
                    records: Some(numbered(base, &values)),
                    append: Append::MayGet(base + n),
                    ..Outcome::default()
                },
            ));
        }
    }
    none(&wrong);
}

/// A service that was started on padding gave out the second offset first: one append.
#[test]
fn one_append_behind_padding_keeps_its_codec_and_its_offset() {
    let mut wrong = Vec::new();
    for (base, size) in [(0, 1024), (0, 12288), (100, 1020)] {
        let values = text(1);
        let (store, _) = made(Codec::Protobuf, base + 1, &values);
        let case = Case::new(
            format!("base {base}, {size} zeros"),
            pair(base, (store, vec![0; size])),
        );
        wrong.extend(check(
            &case,
            &Outcome {
                finds: &["record-offset-mismatch"],
                repair: &[3],
                records: Some(numbered(base + 1, &values)),
                ..Outcome::default()
            },
        ));
    }
    none(&wrong);
}

#[test]
fn an_index_of_another_log_is_one_fault() {
    let mut wrong = Vec::new();
    for (n, from, step) in [(20, 10_u32, 37), (20, 4, 19), (60, 30, 100), (200, 10, 37)] {
        for codec in [Codec::Raw, Codec::Protobuf] {
            let values = text(n);
            let (store, index) = made(codec, 0, &values);
            let mut mixed = index[..from as usize * 12].to_vec();
            for slot in from..from + 14 {
                mixed.extend(entry(slot, 1000 + step * u64::from(slot)));
            }
            let case = Case::new(
                format!("{codec:?} {n} records, index of another log from {from} on"),
                pair(0, (store, mixed)),
            );
            wrong.extend(check(
                &case,
                &Outcome {
                    repair: &[0],
                    records: Some(numbered(0, &values)),
                    append: Append::MayGet(n),
                    ..Outcome::default()
                },
            ));
            let verify = case.run(&["verify", "--json", "log"], "").0;
            let about_index = verify.json().into_iter().filter(|line| {
                line["kind"] == "finding" && line["id"].as_str().unwrap().starts_with("index-")
            });
            if about_index.count() != 1 {
                wrong.push(format!(
                    "{}: more than one finding: {}",
                    case.name,
                    verify.all()
                ));
            }
        }
    }
    none(&wrong);
}

#[test]
fn protobuf_records_behind_a_bad_length_keep_their_offsets() {
    let mut wrong = Vec::new();
    for (n, at, byte, bit) in [
        (1000, 0, 5, 2_u8),
        (1000, 0, 7, 1),
        (10, 0, 7, 0x80),
        (10, 0, 0, 1),
        (40, 17, 6, 4),
        (40, 38, 7, 2),
    ] {
        let values = text(n);
        let (mut store, index) = proto(&values, 0, 0, 0);
        let entry = &index[at as usize * 12 + 4..at as usize * 12 + 12];
        let position = u64::from_be_bytes(entry.try_into().unwrap()) as usize;
        store[position + byte] ^= bit;
        for (what, index) in [
            ("missing", None),
            ("one zero entry", Some(vec![0; 12])),
            ("empty", Some(vec![])),
        ] {
            let mut files = Files::from([("0.store".to_owned(), store.clone())]);
            if let Some(index) = index {
                files.insert("0.index".to_owned(), index);
            }
            let name = format!("{n} records, index {what}, length {at} wrong in byte {byte}");
            let case = Case::new(name, files);
            wrong.extend(check(
                &case,
                &Outcome {
                    finds: &["frame-length-damaged"],
                    repair: &[0, 3],
                    append: Append::Refuses,
                    ..Outcome::default()
                },
            ));
            let (said, repaired, _) = case.run(&["repair", "log"], "");
            let (mut found, _) = read(&repaired);
            let mut expected = numbered(0, &values);
            let damaged = found.remove(&at);
            let right = expected.remove(&at);
            if found != expected {
                wrong.push(format!("{}: {}: {}", case.name, brief(&found), said.all()));
            }
            if (said.status == 0) != (damaged == right) {
                wrong.push(format!(
                    "{}: record {at} is {damaged:?}: {}",
                    case.name,
                    said.all()
                ));
            }
            let (found, said) = read(&case.sandbox());
            if at == 0 && !expected.iter().all(|it| found.get(it.0) == Some(it.1)) {
                wrong.push(format!(
                    "{}: read: {}: {}",
                    case.name,
                    brief(&found),
                    said.err
                ));
            }
        }
    }
    none(&wrong);
}

#[test]
fn unused_slots_of_ff_are_padding() {
    let mut wrong = Vec::new();
    for (n, size) in [
        (40, 1020),
        (10, 1024),
        (1, 4096),
        (300, 12 * 300 + 12 * 40 + 7),
    ] {
        for codec in [Codec::Raw, Codec::Protobuf] {
            let values = text(n);
            let (store, mut index) = made(codec, 0, &values);
            let clean = index.clone();
            index.resize(size, 0xff);
            let case = Case::new(
                format!("{codec:?} {n} records, padded with ff to {size}"),
                pair(0, (store.clone(), index)),
            );
            wrong.extend(check(
                &case,
                &Outcome {
                    finds: &["index-padded"],
                    finds_not: &["index-dangling", "foreign-dialect"],
                    records: Some(numbered(0, &values)),
                    append: Append::Gets(n),
                    ..Outcome::default()
                },
            ));
            let (said, repaired, _) = case.run(&["repair", "log"], "");
            if repaired.read("0.index") != clean || repaired.read("0.store") != store {
                wrong.push(format!("{}: not the clean log: {}", case.name, said.all()));
            }
        }
    }
    none(&wrong);
}
