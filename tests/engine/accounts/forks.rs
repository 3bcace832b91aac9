//! Logs of which an older segment reaches into a newer one, by entries that stand behind
//! padding or not: what writes goes by the records there, not by the names of the files.

use proglog_testkit::{entry, frame, pb};

use super::forge::{Files, padded, pair, proto};
use super::outcome::{read, text};
use super::run::{Case, none};

/// A log whose first segment has the records from `base` on, and another that begins one
/// record after it.
fn forked(base: u64, first: (Vec<u8>, Vec<u8>), second: u64) -> Files {
    let mut files = pair(base, first);
    let other = proto(&text(second), base + 1, 0, 0);
    files.extend(pair(base + 1, other));
    files
}

#[test]
fn append_gives_no_offset_that_an_entry_behind_padding_names() {
    let mut wrong = Vec::new();
    for limit in [1020, 1024] {
        let one = frame(&pb(b"first", 100, 0, 0));
        let (more, mut old) = proto(&text(4), 101, 1, one.len() as u64);
        let store = [one, more].concat();
        // The last ones were in the buffer.
        for slot in 5..9 {
            old.extend(entry(slot, store.len() as u64 + 30 * u64::from(slot - 5)));
        }
        let mut index = vec![0; limit];
        index.extend(old);
        let mut files = forked(100, (store, padded(index, 10240)), 1);
        let newest = files.get_mut("101.index").unwrap();
        newest.resize(10240, 0);
        let case = Case::new(format!("entries behind {limit}"), files);
        let said = case.untouched(&["append", "log"], "one more\n", &mut wrong);
        if said.status != 3 || !said.err.contains("both claim offset 101") {
            wrong.push(format!("{}: {}", case.name, said.all()));
        }
    }
    none(&wrong);
}

#[test]
fn trim_goes_by_the_records_of_a_segment() {
    let mut wrong = Vec::new();
    let first = proto(&text(10), 0, 0, 0);
    let of_size = |size| (first.0.clone(), padded(first.1.clone(), size));
    let one = frame(&pb(b"first", 0, 0, 0));
    let (more, entries) = proto(&text(9), 1, 1, one.len() as u64);
    let behind = ([one, more].concat(), [vec![0; 1024], entries].concat());
    for (name, first) in [
        ("sound", of_size(120)),
        ("padded", of_size(1020)),
        ("entries behind padding", behind),
    ] {
        let case = Case::new(name, forked(0, first, 2));
        for part in [
            ["--before", "3"],
            ["--keep-segments", "1"],
            ["--keep-bytes", "1"],
        ] {
            let arguments = [&["trim", "log"][..], &part].concat();
            let said = case.untouched(&arguments, "", &mut wrong);
            if said.status != 0 {
                wrong.push(format!("{name}: {}", said.all()));
            }
        }
        let (said, trimmed, _) = case.run(&["trim", "log", "--before", "10"], "");
        if said.status == 0 && trimmed.names().contains(&"0.store".to_owned()) {
            wrong.push(format!("{name}: {}", said.all()));
        }
    }
    // From the other end, the older segment has such records too.
    let case = Case::new("after", forked(0, of_size(120), 2));
    let (said, trimmed, _) = case.run(&["trim", "log", "--after", "1"], "");
    let (records, _) = read(&trimmed);
    if said.status != 0 || records.keys().any(|offset| *offset > 1) {
        wrong.push(format!("after: {}{:?}", said.all(), records.keys()));
    }
    none(&wrong);
}

#[test]
fn trim_removes_no_less_than_read_gives() {
    let (store, index) = proto(&text(10), 0, 0, 0);
    let hidden = pair(0, (store, vec![0; index.len()]));
    let mut alone = pair(10, proto(&text(5), 10, 0, 0));
    alone.remove("10.store");
    alone.extend(hidden.clone());
    let mut wrong = Vec::new();
    for (name, files) in [("zero entries", hidden), ("and half a segment", alone)] {
        let case = Case::new(name, files);
        let (said, trimmed, _) = case.run(&["trim", "log", "--after", "3"], "");
        let (records, _) = read(&trimmed);
        if said.status == 0 && records.keys().any(|offset| *offset > 3) {
            wrong.push(format!("{name}: {}{:?}", said.all(), records.keys()));
        }
    }
    none(&wrong);
}

#[test]
fn truncate_index_cuts_no_entry_that_names_a_record() {
    let mut wrong = Vec::new();
    for limit in [1020, 1024] {
        let (mut store, old) = proto(&text(50), 0, 0, 0);
        let (more, new) = proto(&text(92), 1, 1, store.len() as u64);
        store.extend(more);
        let index = [padded(old, limit), new].concat();
        let files = forked(0, (store, padded(index, 4096)), 1);
        let case = Case::new(format!("sections at {limit}"), files);
        for arguments in [
            &["truncate-index", "log"][..],
            &["truncate-index", "--leave-tail", "log"],
        ] {
            let said = case.untouched(arguments, "", &mut wrong);
            if said.status != 3 || !said.err.contains("proglog repair log") {
                wrong.push(format!("{}: {}", case.name, said.all()));
            }
        }
    }
    // Where bytes went missing, no entry behind them names its frame.
    let (mut store, index) = proto(&text(30), 0, 0, 0);
    store.drain(100..130);
    let case = Case::new("bytes missing", pair(0, (store, index)));
    let arguments = ["truncate-index", "--leave-tail", "log"];
    let (first, cut, _) = case.run(&arguments, "");
    let once = cut.snapshot();
    let again = super::run::run_in(cut.path(), &arguments, "");
    if cut.snapshot() != once {
        wrong.push(format!("{}: {}{}", case.name, first.all(), again.all()));
    }
    none(&wrong);
}
