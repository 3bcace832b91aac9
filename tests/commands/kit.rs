//! The test kit tested itself: what the fixtures hold, what the oracle sees in them,
//! that a verb of damage does what it says and that a snapshot misses nothing.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use proglog_testkit::{
    Codec, LogBuilder, Record, Sandbox, cases, entry, frame, frames, pb, proglog, truth,
    whole_records,
};
use prost::Message as _;

/// Why the oracle does not return a record that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Nothing is missing.
    Nothing,
    /// The value's bytes are in no store.
    Gone,
    /// The value's bytes are in a store, but no sound entry commits the record.
    Uncommitted,
}
use Missing::{Gone, Nothing, Uncommitted};

/// A case, which of its acknowledged records the oracle does not return (first and
/// last, counted from 0 as truth.json lists them), and why.
type Expected = (&'static str, &'static [(usize, usize)], Missing);

/// Something done to a log.
type Change = fn(&Sandbox);

const EXPECTED: [Expected; 28] = [
    ("clean-empty", &[], Nothing),
    ("clean-one-segment", &[], Nothing),
    ("clean-three-segments", &[], Nothing),
    // Both histories are sound in themselves: offsets 1 to 3 come twice.
    ("forked", &[], Nothing),
    // Dead bytes in mid-store, which no entry names, change nothing.
    ("gap-orphans", &[], Nothing),
    ("gap-torn", &[], Nothing),
    // Record 30 is whole, but its entry names another place.
    ("index-bit-flipped", &[(30, 30)], Uncommitted),
    // The last two entries stand at byte 1024, where no entry begins, so records 4 and
    // 5 of the list (offsets 1 and 2 again) are not committed.
    ("index-misaligned", &[(4, 5)], Uncommitted),
    // An entry commits a record, and there is none.
    ("index-missing", &[(0, 29)], Uncommitted),
    ("index-shrunk", &[(10, 49)], Uncommitted),
    ("killed-empty", &[], Nothing),
    ("killed-index-ahead", &[(243, 299)], Gone),
    // All zeros, and entry 0 is real.
    ("killed-one-record", &[], Nothing),
    ("killed-padding-only", &[], Nothing),
    ("killed-then-reopened", &[(237, 299)], Gone),
    (
        "killed-three-segments",
        &[(160, 234), (390, 464), (624, 699)],
        Gone,
    ),
    // The value is there, the length before it is not.
    ("length-flipped", &[(20, 20)], Uncommitted),
    ("padded-names", &[], Nothing),
    ("raft-log", &[], Nothing),
    // Offsets 375..400: a Raft log begins at 1.
    ("raft-log-never-closed", &[(374, 399)], Gone),
    ("raw-binary", &[], Nothing),
    ("raw-clean", &[], Nothing),
    ("raw-torn", &[(59, 59)], Gone),
    ("segment-missing", &[(20, 40)], Gone),
    ("store-missing", &[(19, 41)], Gone),
    ("store-zero-tail", &[], Nothing),
    ("stray-files", &[], Nothing),
    // The refused frames were never acknowledged, and no entry names them.
    ("wedged", &[], Nothing),
];

#[test]
fn every_case_is_expected() {
    assert_eq!(cases(), EXPECTED.map(|(case, ..)| case));
}

#[test]
fn a_sandbox_holds_what_truth_lists() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let truth = truth(&case);
        assert_eq!(
            sandbox.names(),
            truth.files.keys().cloned().collect::<Vec<_>>()
        );
        for (name, bytes) in &truth.files {
            if sandbox.file(name).is_file() {
                assert_eq!(sandbox.bytes(name), *bytes, "{case}: {name}");
            } else {
                assert_eq!(
                    (case.as_str(), name.as_str()),
                    ("stray-files", "lost+found")
                );
            }
        }
        assert!(!truth.how.is_empty() && !truth.note.is_empty(), "{case}");
    }
}

#[test]
fn the_oracle_returns_the_acknowledged_records_that_are_whole() {
    for (case, missing, _) in EXPECTED {
        let truth = truth(case);
        let expected: Vec<_> = (0..)
            .zip(truth.acknowledged)
            .filter(|(i, _)| {
                !missing
                    .iter()
                    .any(|(first, last)| (first..=last).contains(&i))
            })
            .map(|(_, record)| record)
            .collect();
        let got = whole_records(&Sandbox::of(case).log(), truth.codec);
        assert!(got == expected, "{case}: {got:?}");
    }
}

/// Shows the table's third column from the bytes of the stores alone.
#[test]
fn what_the_oracle_does_not_return_is_gone_or_uncommitted() {
    for (case, missing, why) in EXPECTED {
        let sandbox = Sandbox::of(case);
        let names = sandbox.names();
        let stores: Vec<_> = names
            .iter()
            .filter_map(|name| name.strip_suffix(".store"))
            .map(|base| sandbox.read(&format!("{base}.store")))
            .collect();
        let acknowledged = truth(case).acknowledged;
        for i in missing.iter().flat_map(|(first, last)| *first..=*last) {
            let (offset, value) = &acknowledged[i];
            let there = stores
                .iter()
                .any(|store| store.windows(value.len()).any(|bytes| bytes == value));
            assert_eq!(there, why == Uncommitted, "{case}: offset {offset}");
        }
        assert_eq!(missing.is_empty(), why == Nothing, "{case}");
    }
}

#[test]
fn a_scan_without_an_index_finds_every_frame() {
    for (case, count) in [("index-missing", 30), ("index-shrunk", 50), ("wedged", 200)] {
        let found = frames(&Sandbox::of(case).read("0.store"));
        assert_eq!(found.len(), count, "{case}");
        for ((_, payload), (offset, value)) in found.iter().zip(truth(case).acknowledged) {
            let record = Record::decode(payload.as_slice()).expect("a record");
            assert_eq!((record.offset, record.value), (offset, value), "{case}");
        }
    }
}

#[test]
fn frames_entries_and_records_byte_for_byte() {
    assert_eq!(frame(b"ab"), [0, 0, 0, 0, 0, 0, 0, 2, b'a', b'b']);
    assert_eq!(entry(0x0102, 0x0304), [0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 3, 4]);
    assert_eq!(pb(b"", 0, 0, 0), b"");
    assert_eq!(
        pb(b"a", 300, 2, 3),
        b"\x0a\x01a\x10\xac\x02\x18\x02\x20\x03"
    );
}

/// Made-up logs and the Go service's own are the same, byte for byte.
#[test]
fn a_built_log_is_what_the_service_writes() {
    for (case, bases) in [
        ("clean-empty", [0].as_slice()),
        ("clean-one-segment", &[0]),
        ("clean-three-segments", &[0, 23, 43]),
        ("raw-binary", &[0]),
        ("raw-clean", &[0, 26, 49]),
    ] {
        let sandbox = Sandbox::of(case);
        let truth = truth(case);
        let mut builder = LogBuilder::new(truth.codec);
        for (i, base) in bases.iter().enumerate() {
            let next = bases.get(i + 1).copied().unwrap_or(u64::MAX);
            let values = truth
                .acknowledged
                .iter()
                .filter(|(offset, _)| (*base..next).contains(offset))
                .map(|(_, value)| value);
            builder = builder.segment(*base, values);
        }
        let built = Sandbox::built(&builder);
        assert_eq!(built.names(), sandbox.names());
        for name in sandbox.names() {
            assert!(built.read(&name) == sandbox.read(&name), "{case}: {name}");
        }
    }
}

#[test]
fn a_built_log_reads_back() {
    let logs = [
        (Codec::Raw, LogBuilder::raw()),
        (Codec::Protobuf, LogBuilder::protobuf().raft(2, 1)),
    ];
    for (codec, builder) in logs {
        let sandbox = Sandbox::built(&builder.segment(7, ["a", "", "c"]).segment(10, ["d"]));
        let expected = [(7, "a"), (8, ""), (9, "c"), (10, "d")]
            .map(|(offset, value)| (offset, value.as_bytes().to_vec()));
        assert_eq!(whole_records(&sandbox.log(), codec), expected, "{codec:?}");
    }
}

/// One bit in a length or a position costs that record and no other, whichever bit it
/// is, though in a raw log a longer frame swallows its neighbours and, as all frames
/// here have 16 bytes, a wrong position names another whole one. A frame that became
/// shorter is sound by the definition, with a shorter value.
#[test]
fn one_flipped_bit_costs_one_record() {
    let values: Vec<_> = (0..12).map(|i| format!("{i:08}")).collect();
    let frame_bytes = 8 + values[0].len() as u64;
    let whole: Vec<_> = (0_u64..)
        .zip(&values)
        .map(|(offset, value)| (offset, value.as_bytes().to_vec()))
        .collect();
    for bit in 0..64 {
        for i in 0..12_u64 {
            let without: Vec<_> = whole.iter().filter(|(it, _)| *it != i).cloned().collect();

            let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, &values));
            sandbox.flip("0.store", i * frame_bytes * 8 + bit);
            let mut got = whole_records(&sandbox.log(), Codec::Raw);
            got.retain(|(offset, value)| *offset != i || value.len() == values[0].len());
            assert_eq!(got, without, "length of record {i}, bit {bit}");

            let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, &values));
            sandbox.flip("0.index", (i * 12 + 4) * 8 + bit);
            let got = whole_records(&sandbox.log(), Codec::Raw);
            assert_eq!(got, without, "position of entry {i}, bit {bit}");
        }
    }
}

/// What is said twice must be said alike: the entry's place in the index is its
/// relative offset, and a protobuf record carries its own.
#[test]
fn an_entry_and_a_record_must_say_where_they_stand() {
    for (codec, builder) in [
        (Codec::Raw, LogBuilder::raw()),
        (Codec::Protobuf, LogBuilder::protobuf()),
    ] {
        let builder = builder.segment(5, ["a", "b", "c"]);
        for bit in 0..32 {
            let sandbox = Sandbox::built(&builder);
            sandbox.flip("5.index", 12 * 8 + bit);
            let got = whole_records(&sandbox.log(), codec);
            let expected = [(5, b"a".to_vec()), (7, b"c".to_vec())];
            assert_eq!(got, expected, "{codec:?}, bit {bit}");
        }
    }
    let sandbox = Sandbox::built(&LogBuilder::protobuf().segment(5, ["a", "b"]));
    let other = frame(&pb(b"b", 7, 0, 0));
    sandbox.put(
        "5.store",
        sandbox.bytes("5.store") - other.len() as u64,
        &other,
    );
    let got = whole_records(&sandbox.log(), Codec::Protobuf);
    assert_eq!(got, [(5, b"a".to_vec())]);
}

#[test]
fn padding_commits_nothing_but_a_whole_frame_at_0() {
    let raw = |values: &[&str]| Sandbox::built(&LogBuilder::raw().segment(0, values));
    for (values, records) in [([].as_slice(), 0), (&["a"], 1), (&["a", "b"], 2)] {
        let sandbox = raw(values);
        sandbox.pad_zeros("0.index", 100);
        let got = whole_records(&sandbox.log(), Codec::Raw);
        assert_eq!(got.len(), records, "{values:?}");
    }
    let sandbox = raw(&["a"]);
    sandbox.cut("0.store", 8);
    sandbox.pad_zeros("0.index", 100);
    assert_eq!(whole_records(&sandbox.log(), Codec::Raw), []);
    let sandbox = raw(&["a", "b"]);
    sandbox.cut("0.index", 23);
    assert_eq!(whole_records(&sandbox.log(), Codec::Raw).len(), 1);
}

#[test]
fn of_two_names_for_a_base_the_plain_one_counts() {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(10, ["a"]).segment(9, ["b"]));
    sandbox.write("09.store", b"");
    sandbox.write("+8.store", &frame(b"no base"));
    sandbox.write("+8.index", &entry(0, 0));
    sandbox.rename("10.index", "0010.index");
    let expected = [(9, b"b".to_vec()), (10, b"a".to_vec())];
    assert_eq!(whole_records(&sandbox.log(), Codec::Raw), expected);
}

#[test]
fn verbs_of_damage() {
    let sandbox = Sandbox::empty();
    sandbox.write("0.store", b"abcd");
    let now = || sandbox.read("0.store");
    sandbox.cut("0.store", 3);
    assert_eq!(now(), b"abc");
    sandbox.flip("0.store", 7);
    assert_eq!(now(), b"`bc");
    sandbox.flip("0.store", 8);
    assert_eq!(now(), b"`\xe2c");
    sandbox.put("0.store", 1, b"xy");
    assert_eq!(now(), b"`xy");
    sandbox.pad_zeros("0.store", 2);
    assert_eq!(now(), b"`xy\0\0");
    sandbox.append_bytes("0.store", b"z");
    assert_eq!(now(), b"`xy\0\0z");
    sandbox.rename("0.store", "000.store");
    assert_eq!(sandbox.names(), ["000.store"]);
    sandbox.remove("000.store");
    assert_eq!(sandbox.names(), [""; 0]);
}

#[test]
fn a_snapshot_misses_nothing() {
    let sandbox = Sandbox::of("stray-files");
    let before = sandbox.snapshot();
    assert_eq!(sandbox.snapshot(), before);
    assert_eq!(sandbox.read("0.index").len(), 252);
    assert_eq!(sandbox.snapshot(), before, "reading is no change");
    assert!(before.get("lost+found").is_some());

    let changes: [(&str, Change); 5] = [
        ("a byte", |it| it.flip("0.store", 0)),
        ("a size", |it| it.pad_zeros("0.index", 1)),
        ("a mode", |it| {
            let mode = Permissions::from_mode(0o600);
            fs::set_permissions(it.file("0.index"), mode).expect("a mode");
        }),
        ("a time", |it| {
            let file = File::open(it.file("0.index")).expect("a file");
            let earlier = SystemTime::UNIX_EPOCH + Duration::from_nanos(1);
            file.set_modified(earlier).expect("a time");
        }),
        ("a name below", |it| it.make_directory("lost+found/x")),
    ];
    for (what, change) in changes {
        let before = sandbox.snapshot();
        change(&sandbox);
        assert_ne!(sandbox.snapshot(), before, "{what}");
    }

    let before = sandbox.snapshot();
    sandbox.rename("LOCK", "lock");
    sandbox.rename("lock", "LOCK");
    assert_ne!(sandbox.snapshot(), before, "names that came and went");
    assert_eq!(sandbox.snapshot().contents(), before.contents());
}

#[test]
fn the_binary_runs() {
    let sandbox = Sandbox::bare();
    assert!(!sandbox.log().exists());
    proglog().arg("--help").assert().success();
    sandbox.proglog().arg("--help").assert().success();
}
