//! What Go services leave that were killed and restarted, or whose stores were exchanged.

use proglog_testkit::{Codec, entry, frame, pb};

use super::forge::{padded, pair, proto};
use super::outcome::{Append, Outcome, check, lines, made, numbered, read, salvages, text};
use super::run::{Case, none, run_in};

/// No value is printed with the bytes of its message around it.
fn prints_no_message(case: &Case, wrong: &mut Vec<String>) {
    for sandbox in [case.sandbox(), case.run(&["repair", "log"], "").1] {
        let said = run_in(sandbox.path(), &["read", "--on-error", "skip", "log"], "");
        if said.out.chars().any(|c| c.is_control() && c != '\n') {
            wrong.push(format!("{}: read prints {:?}", case.name, said.out));
        }
    }
}

/// The frames of records from the second offset on, and their entries, behind `position`.
fn again(codec: Codec, base: u64, values: &[Vec<u8>], position: u64) -> (Vec<u8>, Vec<u8>) {
    if codec == Codec::Protobuf {
        return proto(values, base + 1, 1, position);
    }
    let (mut store, mut index) = (Vec::new(), Vec::new());
    for (slot, value) in (1..).zip(values) {
        index.extend(entry(slot, position + store.len() as u64));
        store.extend(frame(value));
    }
    (store, index)
}

fn second(first: u64, n: u64) -> Vec<Vec<u8>> {
    (first..first + n)
        .map(|i| format!("second {i}").into_bytes())
        .collect()
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

#[test]
fn a_service_restarted_with_a_larger_limit_lost_one_record() {
    let mut wrong = Vec::new();
    for (codec, base, limit, lost, n) in [
        (Codec::Protobuf, 0, 1024, 2, 20),
        (Codec::Protobuf, 0, 4096, 2, 3),
        (Codec::Protobuf, 10, 1000, 3, 50),
        (Codec::Protobuf, 0, 100, 1, 8),
        (Codec::Protobuf, 7, 1024, 0, 1),
        (Codec::Raw, 0, 1024, 2, 20),
        (Codec::Raw, 10, 1020, 0, 3),
        (Codec::Raw, 0, 4096, 30, 50),
        (Codec::Raw, 7, 1020, 0, 1),
    ] {
        let (_, old) = made(codec, base, &text(lost));
        let values = second(base + 1, n);
        let (store, new) = again(codec, base, &values, 0);
        let mut index = padded(old, limit);
        index.extend(new);
        let case = Case::new(
            format!(
                "{codec:?}, restarted at {limit}, {lost} lost, then {n} from {}",
                base + 1
            ),
            pair(base, (store, index)),
        );
        wrong.extend(check(
            &case,
            &Outcome {
                finds: &["index-misaligned"],
                count: vec![1],
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
    for (codec, limit, first, n) in [
        (Codec::Protobuf, 1024, 2, 30),
        (Codec::Protobuf, 4096, 2, 5),
        (Codec::Protobuf, 1000, 3, 20),
        (Codec::Raw, 1024, 2, 30),
        (Codec::Raw, 1020, 10, 1),
        (Codec::Raw, 4096, 10, 5),
    ] {
        let (mut store, old) = made(codec, 0, &text(first));
        let values = second(1, n);
        let (more, new) = again(codec, 0, &values, store.len() as u64);
        store.extend(more);
        let mut index = padded(old, limit);
        index.extend(new);
        let case = Case::new(
            format!("{codec:?}, restarted at {limit}, {first} flushed, then {n} from 1"),
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
        let repair = case.untouched(&["repair", "log"], "", &mut wrong);
        if repair.status != 3 {
            wrong.push(format!("{}: {}", case.name, repair.all()));
        }
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
                count: vec![first - whole as u64],
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
fn refused_appends_between_two_records_are_no_fault_of_theirs() {
    let mut wrong = Vec::new();
    for (refused, n) in [(1, 10), (2, 1), (5, 3)] {
        let values = text(20 + n);
        let (mut store, mut index) = made(Codec::Raw, 0, &values[..20]);
        for value in second(0, refused) {
            store.extend(frame(&value));
        }
        for (slot, value) in (20..).zip(&values[20..]) {
            index.extend(entry(slot, store.len() as u64));
            store.extend(frame(value));
        }
        let case = Case::new(
            format!("{refused} refused, then {n} more"),
            pair(0, (store, index)),
        );
        for command in ["verify", "repair"] {
            let said = case.untouched(&[command, "log"], "", &mut wrong);
            if said.status != 0 || !said.out.contains("store-dead-bytes") {
                wrong.push(format!("{}: {}", case.name, said.all()));
            }
        }
        let (found, said) = read(&case.sandbox());
        if found != numbered(0, &values) {
            wrong.push(format!("{}: {}", case.name, said.all()));
        }
    }
    none(&wrong);
}

/// The length of the interrupted append leads into the records after it, wherever they end.
#[test]
fn the_rest_of_an_append_swallows_no_record() {
    let mut wrong = Vec::new();
    let values = text(6);
    let (first, _) = made(Codec::Raw, 0, &values[..1]);
    let (behind, _) = made(Codec::Raw, 0, &values[1..]);
    for end in behind.len() - 30..=behind.len() {
        // The rest of a frame that would end there.
        let mut store = [&first[..], &(end as u64).to_be_bytes()].concat();
        let mut index = entry(0, 0);
        for (slot, value) in (1..).zip(&values[1..]) {
            index.extend(entry(slot, store.len() as u64));
            store.extend(frame(value));
        }
        let case = Case::new(format!("a rest of {end} bytes"), pair(0, (store, index)));
        let said = case.untouched(&["verify", "log"], "", &mut wrong);
        if said.status != 0 {
            wrong.push(format!("{}: {}", case.name, said.all()));
        }
        let (found, said) = read(&case.sandbox());
        if found != numbered(0, &values) {
            wrong.push(format!("{}: {}", case.name, said.all()));
        }
    }
    none(&wrong);
}
