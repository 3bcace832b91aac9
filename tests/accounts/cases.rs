//! Harmed logs of every kind that was seen, in several sizes, bases and codecs, with the
//! exact outcome of verify, repair, append, read and salvage.

use std::collections::BTreeMap;

use proglog_testkit::{Codec, Sandbox, entry, frame, pb};

use super::forge::{self, Files, lay, padded, pair, proto, raw};
use super::run::{Case, Said, compare_dry_run, none, run_in, same_contents};

/// Values by offset.
type Records = BTreeMap<u64, Vec<u8>>;

/// What an append of one line does.
#[derive(Debug, Clone, Copy)]
enum Append {
    /// It gets this offset; nothing is cut.
    Gets(u64),
    /// It gets this offset, or refuses with status 3.
    MayGet(u64),
    /// It refuses with status 3 and changes nothing.
    Refuses,
}

/// What must come of a log.
struct Outcome {
    /// Ids that verify must find; any of a group separated by `|`.
    finds: &'static [&'static str],
    /// Ids that it must not find.
    finds_not: &'static [&'static str],
    /// A number of records that one of the findings must name.
    count: Option<u64>,
    /// Statuses of repair.
    repair: &'static [i32],
    /// What is readable afterwards, all of it.
    records: Option<Records>,
    /// Whether a repair may cut the stores.
    cuts: bool,
    append: Append,
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            finds: &[],
            finds_not: &["foreign-dialect"],
            count: None,
            repair: &[0],
            records: None,
            cuts: false,
            append: Append::Refuses,
        }
    }
}

fn text(n: u64) -> Vec<Vec<u8>> {
    (0..n)
        .map(|i| format!("record number {i}").into_bytes())
        .collect()
}

/// Lines of different lengths.
fn lines(n: u64) -> Vec<Vec<u8>> {
    (0..n)
        .map(|i| {
            "some words of a line, more or less "
                .repeat(1 + (i * 5 % 7) as usize)
                .into_bytes()
        })
        .collect()
}

fn numbered(first: u64, values: &[Vec<u8>]) -> Records {
    (first..).zip(values.iter().cloned()).collect()
}

/// A pair of this codec.
fn made(codec: Codec, base: u64, values: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
    match codec {
        Codec::Raw => raw(values),
        Codec::Protobuf => proto(values, base, 0, 0),
    }
}

/// The records of a log, as `read` gives them behind any damage.
fn read(sandbox: &Sandbox) -> (Records, Said) {
    read_of(sandbox, "log")
}

fn read_of(sandbox: &Sandbox, log: &str) -> (Records, Said) {
    let arguments = ["read", "--json", "--on-error", "skip", log];
    let said = run_in(sandbox.path(), &arguments, "");
    let record = |line: &serde_json::Value| {
        let value = line["value"].as_str()?.as_bytes().to_vec();
        Some((line["offset"].as_u64()?, value))
    };
    (said.json().iter().filter_map(record).collect(), said)
}

/// Whether every store still begins with the bytes that it had.
fn stores_kept(files: &Files, sandbox: &Sandbox) -> bool {
    let names = sandbox.names();
    let kept = |name: &String, bytes: &Vec<u8>| {
        names.contains(name) && sandbox.read(name).starts_with(bytes)
    };
    files
        .iter()
        .all(|(name, bytes)| name.ends_with("index") || kept(name, bytes))
}

/// Which records these are, for messages.
fn brief(records: &Records) -> String {
    let first = records
        .iter()
        .take(3)
        .map(|(o, v)| format!("{o} {}", v.escape_ascii()));
    format!(
        "{} records: {}",
        records.len(),
        first.collect::<Vec<_>>().join(", ")
    )
}

/// Runs every command on a copy of its own; gives what is not as it must be.
fn check(case: &Case, outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = &case.name;
    let verify = case.untouched(&["verify", "--json", "log"], "", &mut wrong);
    check_verify(name, &verify, outcome, &mut wrong);

    let dry = [
        &["repair", "--dry-run", "log"][..],
        &["repair", "--dry-run", "--json", "log"],
    ]
    .map(|arguments| case.untouched(arguments, "", &mut wrong));
    let (text, _, _) = case.run(&["repair", "log"], "");
    let (json, repaired, same) = case.run(&["repair", "--json", "log"], "");
    compare_dry_run(name, [&dry[0], &dry[1]], [&text, &json], &mut wrong);
    if !outcome.repair.contains(&json.status) {
        wrong.push(format!("{name}: repair: {}", json.all()));
    }
    if !outcome.cuts && !stores_kept(&case.files, &repaired) {
        wrong.push(format!("{name}: repair cut a store: {}", text.all()));
    }
    if let Some(expected) = &outcome.records {
        let (found, said) = read(&repaired);
        if found != *expected {
            wrong.push(format!(
                "{name}: after repair {}, expected {}: {}{}",
                brief(&found),
                brief(expected),
                text.all(),
                said.err
            ));
        }
    }
    check_again(case, &repaired, &json, same, &mut wrong);
    check_append(case, outcome, &mut wrong);
    wrong
}

fn check_verify(name: &str, verify: &Said, outcome: &Outcome, wrong: &mut Vec<String>) {
    let found = verify.findings();
    if verify.status != 3 {
        wrong.push(format!("{name}: verify: {}", verify.all()));
    }
    for group in outcome.finds {
        if !group
            .split('|')
            .any(|id| found.iter().any(|found| found == id))
        {
            wrong.push(format!("{name}: verify finds {found:?}, not {group}"));
        }
    }
    for id in outcome.finds_not {
        if found.iter().any(|found| found == id) {
            wrong.push(format!("{name}: verify finds {id}"));
        }
    }
    if let Some(count) = outcome.count {
        let named = |line: &serde_json::Value| {
            line["kind"] == "finding" && (line["records"] == count || line["frames"] == count)
        };
        if !verify.json().iter().any(named) {
            wrong.push(format!(
                "{name}: no finding of {count} records: {}",
                verify.all()
            ));
        }
    }
}

/// A second repair does nothing, verify ends as the repair did, undo restores.
fn check_again(case: &Case, repaired: &Sandbox, first: &Said, same: bool, wrong: &mut Vec<String>) {
    let name = &case.name;
    let after = repaired.snapshot();
    let verify = run_in(repaired.path(), &["verify", "--json", "log"], "");
    if verify.status != first.status || verify.findings() != first.findings() {
        wrong.push(format!(
            "{name}: repair: {}verify: {}",
            first.all(),
            verify.all()
        ));
    }
    let again = run_in(repaired.path(), &["repair", "--json", "log"], "");
    if repaired.snapshot() != after || again.status != first.status {
        wrong.push(format!(
            "{name}: first repair: {}second: {}",
            first.all(),
            again.all()
        ));
    }
    if !same {
        let undo = run_in(repaired.path(), &["undo", "log"], "");
        let before = case.sandbox().snapshot();
        if undo.status != 0 || !same_contents(&repaired.snapshot(), &before) {
            wrong.push(format!("{name}: undo: {}", undo.all()));
        }
    }
}

fn check_append(case: &Case, outcome: &Outcome, wrong: &mut Vec<String>) {
    let name = &case.name;
    let arguments = ["append", "--print-offsets", "log"];
    let (said, appended, same) = case.run(&arguments, "one more line\n");
    if !outcome.cuts && !stores_kept(&case.files, &appended) {
        wrong.push(format!("{name}: append cut a store: {}", said.all()));
    }
    let gets = |offset: u64| said.status == 0 && said.out.trim() == offset.to_string();
    let refuses = said.status == 3 && same;
    let right = match outcome.append {
        Append::Gets(offset) => gets(offset),
        Append::MayGet(offset) => gets(offset) || refuses,
        Append::Refuses => refuses,
    };
    if !right {
        wrong.push(format!(
            "{name}: append, {:?}: {}",
            outcome.append,
            said.all()
        ));
    }
    if let (0, Some(expected)) = (said.status, &outcome.records) {
        let (mut found, _) = read(&appended);
        found.retain(|_, value| value != b"one more line");
        if found != *expected {
            wrong.push(format!(
                "{name}: after append {}: {}",
                brief(&found),
                said.all()
            ));
        }
    }
}

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
                            count: Some(n - keep),
                            records: Some(numbered(base, &values)),
                            append: Append::Gets(base + n),
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
                    count: Some(n - keep as u64),
                    records: Some(numbered(0, &values)),
                    append: Append::Gets(n),
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
                    records: Some(numbered(base, &values)),
                    append: Append::MayGet(base + n),
                    ..Outcome::default()
                },
            ));
        }
    }
    none(&wrong);
}

#[test]
fn an_index_of_another_log_is_one_fault() {
    let mut wrong = Vec::new();
    for (n, from, step) in [(20, 10_u32, 37), (20, 4, 19), (60, 30, 100)] {
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
        (40, 39, 7, 2),
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
fn swapped_stores_are_left() {
    let mut wrong = Vec::new();
    for (n, base, codec) in [
        (10, 0, Codec::Protobuf),
        (3, 100, Codec::Protobuf),
        (40, 0, Codec::Protobuf),
    ] {
        let (store, index) = made(codec, base, &text(n));
        let mut files = pair(base, (Vec::new(), index));
        files.extend(pair(base + n, (store, Vec::new())));
        let case = Case::new(format!("{n} records from {base}, stores swapped"), files);
        wrong.extend(check(
            &case,
            &Outcome {
                repair: &[3],
                append: Append::Refuses,
                ..Outcome::default()
            },
        ));
        salvages(&case, &[], &numbered(base, &text(n)), &mut wrong);
    }
    // Both have records: 0..9 and 10..14.
    let (store, index) = proto(&text(10), 0, 0, 0);
    let (other, other_index) = proto(&lines(5), 10, 0, 0);
    let mut files = pair(0, (other, index));
    files.extend(pair(10, (store, other_index)));
    let case = Case::new("two full stores swapped", files);
    wrong.extend(check(
        &case,
        &Outcome {
            repair: &[3],
            append: Append::Refuses,
            ..Outcome::default()
        },
    ));
    none(&wrong);
}

/// Salvages; what is in the new log must be `expected`.
fn salvages(case: &Case, options: &[&str], expected: &Records, wrong: &mut Vec<String>) {
    let sandbox = case.sandbox();
    let mut arguments = vec!["salvage", "log", "new"];
    arguments.extend(options);
    let said = run_in(sandbox.path(), &arguments, "");
    let (found, _) = read_of(&sandbox, "new");
    if found != *expected {
        wrong.push(format!(
            "{}: salvage {options:?}: {}, expected {}: {}",
            case.name,
            brief(&found),
            brief(expected),
            said.all()
        ));
    }
}

/// No value is printed with the bytes of its message around it.
fn prints_no_message(case: &Case, wrong: &mut Vec<String>) {
    for sandbox in [case.sandbox(), case.run(&["repair", "log"], "").1] {
        let said = run_in(sandbox.path(), &["read", "--on-error", "skip", "log"], "");
        if said.out.contains('\n') && said.out.bytes().any(|byte| byte < b'\n') {
            wrong.push(format!("{}: read prints {:?}", case.name, said.out));
        }
    }
}

fn second(first: u64, n: u64) -> Vec<Vec<u8>> {
    (first..first + n)
        .map(|i| format!("second {i}").into_bytes())
        .collect()
}

#[test]
fn a_service_restarted_with_a_larger_limit_lost_one_record() {
    let mut wrong = Vec::new();
    for (base, limit, lost, n) in [
        (0, 1024, 2, 20),
        (0, 4096, 2, 3),
        (10, 1000, 3, 50),
        (0, 100, 1, 8),
    ] {
        let (_, old) = proto(&text(lost), base, 0, 0);
        let values = second(base + 1, n);
        let (store, new) = proto(&values, base + 1, 1, 0);
        let mut index = padded(old, limit);
        index.extend(new);
        let case = Case::new(
            format!(
                "restarted at {limit}, {lost} lost, then {n} from {}",
                base + 1
            ),
            pair(base, (store, index)),
        );
        wrong.extend(check(
            &case,
            &Outcome {
                finds: &["index-misaligned"],
                repair: &[3],
                append: Append::Refuses,
                ..Outcome::default()
            },
        ));
        prints_no_message(&case, &mut wrong);
        salvages(&case, &[], &numbered(base + 1, &values), &mut wrong);
    }
    none(&wrong);
}

#[test]
fn a_service_restarted_with_a_larger_limit_has_two_histories() {
    let mut wrong = Vec::new();
    for (limit, first, n) in [(1024, 2, 30), (4096, 2, 5), (1000, 3, 20)] {
        let (mut store, old) = proto(&text(first), 0, 0, 0);
        let values = second(1, n);
        let (more, new) = proto(&values, 1, 1, store.len() as u64);
        store.extend(more);
        let mut index = padded(old, limit);
        index.extend(new);
        let case = Case::new(
            format!("restarted at {limit}, {first} flushed, then {n} from 1"),
            pair(0, (store, index)),
        );
        wrong.extend(check(
            &case,
            &Outcome {
                repair: &[3],
                append: Append::Refuses,
                ..Outcome::default()
            },
        ));
        prints_no_message(&case, &mut wrong);
        let mut older = numbered(1, &values);
        older.extend(numbered(0, &text(first)));
        salvages(&case, &["--prefer", "old"], &older, &mut wrong);
        let mut newer = numbered(0, &text(first));
        newer.extend(numbered(1, &values));
        salvages(&case, &["--prefer", "new"], &newer, &mut wrong);
    }
    none(&wrong);
}

#[test]
fn a_service_restarted_at_an_aligned_limit_has_two_histories() {
    let mut wrong = Vec::new();
    for (limit, first, whole, n) in [(1020, 20, 5, 3), (1200, 12, 4, 2), (1020, 30, 9, 8)] {
        let (store, old) = proto(&text(first), 0, 0, 0);
        let end = &old[12 * whole + 4..12 * whole + 12];
        let cut = u64::from_be_bytes(end.try_into().unwrap()) as usize + 6;
        let mut store = store[..cut].to_vec();
        let values = second(1, n);
        let (more, new) = proto(&values, 1, 1, cut as u64);
        store.extend(more);
        let mut index = padded(old, limit);
        index.extend(new);
        let case = Case::new(
            format!("restarted at {limit}, {whole} of {first} whole, then {n} from 1"),
            pair(0, (store, index)),
        );
        wrong.extend(check(
            &case,
            &Outcome {
                repair: &[3],
                append: Append::Refuses,
                ..Outcome::default()
            },
        ));
        prints_no_message(&case, &mut wrong);
        let mut newer = numbered(0, &text(whole as u64));
        newer.extend(numbered(1, &values));
        salvages(&case, &["--prefer", "new"], &newer, &mut wrong);
    }
    none(&wrong);
}

#[test]
fn frames_that_were_all_refused_are_cut() {
    let mut wrong = Vec::new();
    for (base, n, limit, junk) in [
        (0, 10, 1024, 0),
        (0, 150, 1020, 100),
        (20, 2, 4096, 0),
        (5, 30, 100, 13),
    ] {
        for (what, value) in [("equal", 0), ("different", 1)] {
            let store: Vec<u8> = (0..n)
                .flat_map(|i| frame(&pb(format!("x{}", i * value).as_bytes(), base + 1, 0, 0)))
                .collect();
            let mut index = vec![0; limit];
            index.extend(vec![0xff; junk]);
            let mut files = pair(base, (store, index));
            if base > 0 {
                files.extend(pair(0, proto(&text(base), 0, 0, 0)));
            }
            let case = Case::new(
                format!("{n} {what} refused from {base}, index {limit} and {junk}"),
                files,
            );
            // What was there before the segment.
            let kept = numbered(0, &text(base));
            wrong.extend(check(
                &case,
                &Outcome {
                    cuts: true,
                    records: Some(kept),
                    append: Append::Gets(base),
                    ..Outcome::default()
                },
            ));
            let (said, repaired, _) = case.run(&["repair", "log"], "");
            for half in ["store", "index"] {
                let bytes = repaired.bytes(&format!("{base}.{half}"));
                if bytes > 0 {
                    wrong.push(format!(
                        "{}: {half} has {bytes} bytes: {}",
                        case.name,
                        said.all()
                    ));
                }
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

#[test]
fn a_kafka_partition_is_named_and_left() {
    let mut wrong = Vec::new();
    for bases in [&[0, 12][..], &[0], &[5, 100, 2000]] {
        for timeindex in [false, true] {
            let mut files = Files::new();
            for base in bases {
                files.insert(format!("{base:020}.log"), vec![0; 61]);
                let entries = [5_u32, 400, 9, 800].map(u32::to_be_bytes).concat();
                files.insert(format!("{base:020}.index"), padded(entries, 1024));
                if timeindex {
                    files.insert(format!("{base:020}.timeindex"), vec![0; 120]);
                }
            }
            let case = Case::new(format!("kafka {bases:?}, timeindex {timeindex}"), files);
            for arguments in super::layouts::WRITING
                .iter()
                .chain(super::layouts::DRY_RUNS)
            {
                let said = case.untouched(arguments, "a line\n", &mut wrong);
                if ![2, 3].contains(&said.status) {
                    wrong.push(format!("{}: {arguments:?}: {}", case.name, said.all()));
                }
            }
            let verify = case.untouched(&["verify", "log"], "", &mut wrong);
            if ![2, 3].contains(&verify.status) || !verify.all().contains("Kafka") {
                wrong.push(format!("{}: verify: {}", case.name, verify.all()));
            }
        }
    }
    none(&wrong);
}

#[test]
fn names_that_are_padded_throughout_are_a_note() {
    let mut wrong = Vec::new();
    for codec in [Codec::Raw, Codec::Protobuf] {
        for bases in [&[0_u64, 10][..], &[0]] {
            let mut files = Files::new();
            for base in bases {
                let (store, index) = made(codec, *base, &text(10));
                files.insert(format!("{base:020}.store"), store);
                files.insert(format!("{base:020}.index"), index);
            }
            let next = bases.last().unwrap() + 10;
            let case = Case::new(format!("{codec:?} padded names {bases:?}"), files);
            let verify = case.untouched(&["verify", "--json", "log"], "", &mut wrong);
            let notes = verify
                .json()
                .into_iter()
                .filter(|line| line["kind"] == "finding");
            if verify.status != 0 || notes.count() != 1 {
                wrong.push(format!("{}: verify: {}", case.name, verify.all()));
            }
            for arguments in [&["repair", "log"][..], &["repair", "--dry-run", "log"]] {
                let said = case.untouched(arguments, "", &mut wrong);
                if said.status != 0 {
                    wrong.push(format!("{}: {arguments:?}: {}", case.name, said.all()));
                }
            }
            // A roll: the new segment's name is of the same style.
            let arguments = [
                "append",
                "--print-offsets",
                "--max-store-bytes",
                "100",
                "log",
            ];
            let (said, appended, _) = case.run(&arguments, "a line\nanother line\n");
            let offsets = format!("{next}\n{}\n", next + 1);
            let plain = |name: &String| name.len() != "00000000000000000000.store".len();
            let names = appended.names();
            if said.status != 0
                || said.out != offsets
                || names.iter().any(plain)
                || names.len() <= case.files.len()
            {
                wrong.push(format!("{}: {names:?}: {}", case.name, said.all()));
            }
            let (found, read) = read(&appended);
            if found.len() as u64 != next + 2 || read.status != 0 {
                wrong.push(format!("{}: {}: {}", case.name, brief(&found), read.err));
            }
        }
    }
    none(&wrong);
}

/// The six layouts that were seen, as they were seen; `layouts` has many more.
#[test]
fn the_layouts_that_were_seen_are_left() {
    let values = text(20);
    let all = |frame: &dyn Fn(&[u8]) -> Vec<u8>, entry: &dyn Fn(u32, u64) -> Vec<u8>| {
        lay(values.clone(), frame, entry)
    };
    let one = |frame: &dyn Fn(&[u8]) -> Vec<u8>| lay([pb(&values[0], 0, 0, 0)], frame, entry);
    let sum = |payload: &[u8]| forge::crc(forge::CRC32C, payload).to_be_bytes();
    let four = |slot: u32, p: u64| [slot.to_be_bytes(), (p as u32).to_be_bytes()].concat();
    let (mut killed, mut little) = lay(text(40), frame, |slot, p| {
        [&slot.to_le_bytes()[..], &p.to_le_bytes()].concat()
    });
    killed.truncate(killed.len() - 5);
    little = padded(little, 1020);
    let cases = [
        ("entries 4+4", all(&frame, &four)),
        (
            "entries 8+8",
            all(&frame, &|slot, p| {
                [u64::from(slot).to_be_bytes(), p.to_be_bytes()].concat()
            }),
        ),
        (
            "lengths of 4",
            all(&|b| [&(b.len() as u32).to_be_bytes(), b].concat(), &four),
        ),
        ("crc before", one(&|b| [&sum(b)[..], &frame(b)].concat())),
        ("crc behind", one(&|b| [&frame(b)[..], &sum(b)].concat())),
        ("little-endian index, killed", (killed, little)),
    ];
    let mut wrong = Vec::new();
    for (name, files) in cases {
        super::layouts::is_left(&Case::new(name, pair(0, files)), &mut wrong);
    }
    none(&wrong);
}
