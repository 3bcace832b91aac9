//! Windows of rows: wherever one begins, it shows the same rows.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;

use proglog::log::units::Offset;
use proglog_testkit::{LogBuilder, Sandbox};

use super::super::loading::{Loader, Message, Request};
use super::super::rows::{AROUND, Key, Target, View, Window};

fn window(sandbox: &Sandbox, view: View, target: Target) -> Window {
    let (out, news) = mpsc::channel();
    let newest = Arc::new(AtomicU64::new(0));
    let mut loader = Loader::new(sandbox.log(), None, newest, out);
    loader.serve(&Request::Load {
        number: 1,
        view,
        segment: Offset(0),
        target,
    });
    let window = news.try_iter().find_map(|message| match message {
        Message::Window(_, window) => Some(window),
        Message::Failed(_, error) => panic!("{error}"),
        _ => None,
    });
    window.unwrap()
}

const RECORDS: u64 = 5000;

fn values() -> impl Iterator<Item = String> {
    (0..RECORDS).map(|number| format!("value {}", "x".repeat((number % 17) as usize)))
}

/// All rows, by windows from the start.
fn all(sandbox: &Sandbox, view: View) -> Vec<(Key, String)> {
    let mut rows: Vec<(Key, String)> = Vec::new();
    let mut target = Target::Start;
    loop {
        let window = window(sandbox, view, target);
        let known = rows.last().map(|row| row.0);
        let from = known.map_or(0, |known| {
            1 + window.rows.iter().position(|row| row.key == known).unwrap()
        });
        let new = window.rows.get(from..).unwrap();
        rows.extend(
            new.iter()
                .map(|row| (row.key, row.text.trim_start().to_owned())),
        );
        if window.is_end {
            return rows;
        }
        target = Target::Row(rows.last().unwrap().0);
    }
}

fn check(sandbox: &Sandbox, view: View, least: usize) {
    let all = all(sandbox, view);
    assert!(all.len() >= least, "{view:?}: {} rows", all.len());
    let targets = (0..all.len()).step_by(997).map(|at| Target::Row(all[at].0));
    for target in [Target::Start, Target::End].into_iter().chain(targets) {
        let window = window(sandbox, view, target);
        let first = all
            .iter()
            .position(|row| row.0 == window.rows[0].key)
            .unwrap();
        for (row, (key, text)) in window.rows.iter().zip(&all[first..]) {
            assert_eq!(
                (row.key, row.text.trim_start()),
                (*key, text.as_str()),
                "{target:?}"
            );
        }
        assert_eq!(window.is_start, first == 0, "{view:?} {target:?}");
        assert_eq!(
            window.is_end,
            first + window.rows.len() == all.len(),
            "{view:?} {target:?}"
        );
        assert!(window.rows.len() <= 4 * AROUND, "{view:?} {target:?}");
        match target {
            Target::Row(key) => assert_eq!(window.rows[window.cursor].key, key, "{view:?}"),
            Target::Start => assert_eq!(window.cursor, 0),
            Target::End => assert_eq!(window.cursor, window.rows.len() - 1),
            Target::Offset(_) => {}
        }
    }
}

#[test]
fn a_window_shows_the_same_rows_wherever_it_begins() {
    let records = usize::try_from(RECORDS).unwrap();
    for builder in [LogBuilder::raw(), LogBuilder::protobuf()] {
        let sandbox = Sandbox::built(&builder.segment(0, values()));
        for view in [View::Records, View::Entries, View::Frames] {
            check(&sandbox, view, records);
        }
        // Frames without entries: what an earlier dump passed is remembered.
        sandbox.cut("0.index", 12 * 100);
        check(&sandbox, View::Frames, records);
        sandbox.remove("0.index");
        check(&sandbox, View::Frames, records);
    }
}

#[test]
fn damage_in_the_middle_hides_no_frame_that_an_entry_names() {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, values()));
    // A length in the middle: to dump-store nothing follows it.
    let at = window(&sandbox, View::Frames, Target::Offset(Offset(2500)));
    let row = &at.rows[at.cursor];
    assert_eq!(row.offset, Some(Offset(2500)));
    let mut store = sandbox.read("0.store");
    store[usize::try_from(row.key.at).unwrap()] = 0x7f;
    sandbox.write("0.store", &store);
    check(&sandbox, View::Frames, usize::try_from(RECORDS).unwrap());
    let rows = all(&sandbox, View::Frames);
    let damaged = rows
        .iter()
        .find(|row| row.1.starts_with("no frame"))
        .unwrap();
    assert_eq!(damaged.0, row.key);
    check(&sandbox, View::Records, usize::try_from(RECORDS).unwrap());
}

#[test]
fn an_offset_is_found_in_each_view() {
    let sandbox = Sandbox::built(&LogBuilder::protobuf().segment(0, values()));
    for view in [View::Records, View::Entries, View::Frames] {
        for offset in [0, 1, 777, RECORDS - 1] {
            let window = window(&sandbox, view, Target::Offset(Offset(offset)));
            let row = &window.rows[window.cursor];
            assert_eq!(row.offset, Some(Offset(offset)), "{view:?}");
        }
        let window = window(&sandbox, view, Target::Offset(Offset::MAX));
        assert_eq!(window.cursor, window.rows.len() - 1, "{view:?}");
    }
    // Without the index by the frames alone.
    sandbox.remove("0.index");
    let window = window(&sandbox, View::Frames, Target::Offset(Offset(777)));
    assert_eq!(window.rows[window.cursor].offset, Some(Offset(777)));
}

/// A gap of any length is one row.
#[test]
fn a_gap_is_one_row() {
    let log = LogBuilder::raw()
        .segment(0, ["a", "b"])
        .segment(1_000_000, ["c", "d"]);
    let sandbox = Sandbox::built(&log);
    for target in [Target::Start, Target::End, Target::Offset(Offset(5000))] {
        let window = window(&sandbox, View::Records, target);
        let texts: Vec<&str> = window.rows.iter().map(|row| row.text.as_str()).collect();
        assert_eq!(texts.len(), 5, "{target:?}: {texts:?}");
        assert!(texts[2].contains("offsets 2..999999"), "{texts:?}");
        assert!(window.is_start && window.is_end);
    }
}

/// Large values are few rows: a screen needs no more.
#[test]
fn large_values_are_read_in_small_windows() {
    let values = std::iter::repeat_n(vec![b'v'; 100_000], 600);
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, values));
    let window = window(&sandbox, View::Records, Target::Offset(Offset(300)));
    assert!(window.rows.len() <= 300, "{}", window.rows.len());
    assert!(window.rows.iter().all(|row| row.text.len() < 1000));
}

/// Also if the store ends in zeros, as after a power failure.
#[test]
fn lost_records_at_the_end_have_a_row() {
    let values = || (1..=10).map(|number| number.to_string());
    for is_zeroed in [false, true] {
        for target in [Target::Start, Target::End, Target::Offset(Offset(9))] {
            let sandbox = Sandbox::built(&LogBuilder::protobuf().segment(0, values()));
            let mut store = sandbox.read("0.store");
            let size = store.len();
            store.truncate(size - 40);
            if is_zeroed {
                store.resize(size, 0);
            }
            sandbox.write("0.store", &store);
            let rows = window(&sandbox, View::Records, target).rows;
            let last = rows.last().unwrap();
            assert!(last.key.is_obstacle && last.key.at <= 7, "{rows:?}");
            assert_eq!(last.last, Some(Offset(9)), "{rows:?}");
        }
    }
}
