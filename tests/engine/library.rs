//! The interface of the library, as its front page shows it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use proglog::{
    Action, Appender, AppenderOptions, Codec, Error, Follow, Obstacle, Offset, Plan, ReadError,
    Reader, Record, Records, Report, Undo,
};
use proglog_testkit::entry;
use tempfile::TempDir;

/// No other process is there, whether the system tells or not.
fn options() -> AppenderOptions {
    Appender::options().assume_unused(true)
}

fn log_of(codec: Codec, values: &[&str], max_store_bytes: u64) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let options = options().codec(codec);
    let mut log = options
        .max_store_bytes(max_store_bytes)
        .open(dir.path())
        .unwrap();
    for value in values {
        log.append(value).unwrap();
        log.commit().unwrap();
    }
    dir
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    });
    files.collect()
}

/// What an iterator gives: values, and the offsets that it reports.
fn told(read: impl Iterator<Item = Result<Record, ReadError>>) -> Vec<String> {
    read.map(|it| match it {
        Ok(record) => String::from_utf8(record.into_value()).unwrap(),
        Err(ReadError::Obstacle { first, last, .. }) => format!("!{first}..={}", last.unwrap()),
        Err(error) => panic!("{error}"),
    })
    .collect()
}

#[test]
fn records_are_read_from_both_ends() {
    let _no_forks = crate::FORKS.read();
    for codec in [Codec::Raw, Codec::Protobuf] {
        let dir = log_of(codec, &["a", "b", "c", "d", "e", ""], 30);
        let reader = Reader::open(dir.path()).unwrap();
        assert_eq!(reader.read_offsets().unwrap(), Offset(0)..Offset(6));
        assert_eq!(told(reader.records(..)), ["a", "b", "c", "d", "e", ""]);
        assert_eq!(
            told(reader.records(..).rev()),
            ["", "e", "d", "c", "b", "a"]
        );
        assert_eq!(told(reader.records(Offset(2)..=Offset(3))), ["c", "d"]);
        assert_eq!(told(reader.records(Offset(4)..Offset(4))), [""; 0]);
        assert_eq!(told(reader.records(Offset(9)..)), [""; 0]);
        let mut both = reader.records(Offset(1)..);
        let mut next = |back| {
            let record = if back { both.next_back() } else { both.next() };
            record.map(|record| record.unwrap().offset().0)
        };
        let order = [false, true, true, false, false, true].map(&mut next);
        assert_eq!(order, [Some(1), Some(5), Some(4), Some(2), Some(3), None]);
        assert_eq!(reader.get(Offset(3)).unwrap().unwrap().value(), b"d");
        assert!(reader.get(Offset(6)).unwrap().is_none());
    }
}

#[test]
fn an_iterator_continues_after_damage() {
    let _no_forks = crate::FORKS.read();
    let dir = log_of(Codec::Raw, &["one", "two", "three", "four"], 1 << 20);
    let store = dir.path().join("0.store");
    let mut bytes = fs::read(&store).unwrap();
    bytes[11] = 0x77; // the first byte of the second length
    fs::write(&store, &bytes).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(told(reader.records(..)), ["one", "!1..=1", "three", "four"]);
    let mut backwards = told(reader.records(..).rev());
    backwards.reverse();
    assert_eq!(backwards, told(reader.records(..)));
    assert!(reader.get(Offset(2)).unwrap().is_some());
    let error = reader.get(Offset(1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "offsets 1..=1: a wrong length in the store"
    );
}

#[test]
fn gaps_are_errors_and_overlaps_too() {
    let _no_forks = crate::FORKS.read();
    let dir = log_of(Codec::Raw, &["a", "b", "c", "d", "e", "f"], 18);
    let remove = |name: &str| fs::remove_file(dir.path().join(name)).unwrap();
    let newer = ["2.store", "2.index"].map(|name| (name, fs::read(dir.path().join(name)).unwrap()));
    remove("2.store");
    remove("2.index");
    let reader = Reader::open(dir.path()).unwrap();
    assert_eq!(told(reader.records(..)), ["a", "b", "!2..=3", "e", "f"]);
    assert_eq!(
        told(reader.records(..).rev()),
        ["f", "e", "!2..=3", "b", "a"]
    );
    assert!(reader.get(Offset(2)).unwrap().is_none());
    // Of the last segment one file is missing.
    let last = fs::read(dir.path().join("4.store")).unwrap();
    remove("6.store");
    remove("6.index");
    remove("4.store");
    let end = reader.records(Offset(4)..).next().unwrap().unwrap_err();
    assert_eq!(
        end.to_string(),
        "offsets 4 and following: the store is missing"
    );
    // Another program wrote it.
    let other = b"\0\0\0\x05value\0\0\0\x05other\0\0\0\x04last";
    fs::write(dir.path().join("4.store"), other).unwrap();
    let index = dir.path().join("4.index");
    let ours = fs::read(&index).unwrap();
    fs::write(&index, [entry(0, 0), entry(1, 9), entry(2, 18)].concat()).unwrap();
    let end = reader
        .records(Offset(4)..)
        .next_back()
        .unwrap()
        .unwrap_err();
    assert_eq!(
        end.to_string(),
        "offsets 4 and following: the segment has another program's layout"
    );
    fs::write(dir.path().join("4.store"), last).unwrap();
    fs::write(index, ours).unwrap();
    for (name, bytes) in newer {
        let name = name.replace('2', "1");
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let mut overlap = reader.records(..=Offset(2));
    assert_eq!(overlap.next().unwrap().unwrap().value(), b"a");
    let Some(Err(ReadError::Obstacle { obstacle, .. })) = overlap.next() else {
        panic!("offset 1 is in two segments");
    };
    assert_eq!(obstacle, Obstacle::Overlap { newer: Offset(1) });
    assert_eq!(told(overlap), ["b", "d"]);
}

/// A length on disk that a sparse file bears out.
#[test]
fn a_value_that_is_too_large_is_an_error_and_the_records_after_it_are_read() {
    const HOLE: u64 = 8 << 30;
    let _no_forks = crate::FORKS.read();
    let dir = log_of(Codec::Raw, &["one"], 1 << 40);
    let (store, index) = (dir.path().join("0.store"), dir.path().join("0.index"));
    let mut bytes = fs::read(&store).unwrap();
    bytes.extend(HOLE.to_be_bytes());
    fs::write(&store, &bytes).unwrap();
    let begin = bytes.len() as u64 - 8;
    let file = fs::OpenOptions::new().write(true).open(&store).unwrap();
    let behind = begin + 8 + HOLE;
    file.set_len(behind).unwrap();
    file.write_all_at(&proglog_testkit::frame(b"three"), behind)
        .unwrap();
    let mut entries = fs::read(&index).unwrap();
    entries.extend(proglog_testkit::entry(1, begin));
    entries.extend(proglog_testkit::entry(2, behind));
    fs::write(&index, entries).unwrap();

    let show = |read: Result<Record, ReadError>| match read {
        Ok(record) => String::from_utf8(record.into_value()).unwrap(),
        Err(error) => error.to_string(),
    };
    let reader = Reader::open(dir.path()).unwrap();
    let large = "offset 1: the value has 8589934592 bytes, more than the maximum of 1073741824";
    let expected = ["one", large, "three"];
    assert!(reader.records(..).map(show).eq(expected));
    assert!(
        reader
            .records(..)
            .rev()
            .map(show)
            .eq(expected.into_iter().rev())
    );
    assert!(reader.follow(..Offset(3)).map(show).eq(expected));
    let error = reader.get(Offset(1)).unwrap_err();
    assert!(matches!(
        error,
        ReadError::ValueTooLarge { bytes: HOLE, .. }
    ));
    let strict = reader.with_max_value_bytes(4);
    assert!(strict.get(Offset(0)).is_ok() && strict.get(Offset(2)).is_err());
    assert!(strict.with_max_value_bytes(5).get(Offset(2)).is_ok());
}

#[test]
fn what_was_not_committed_is_not_in_the_log() {
    let _no_forks = crate::FORKS.read();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/log");
    let mut log = options().open(&path).unwrap();
    log.append_all(["a", "b"]).unwrap();
    log.commit().unwrap();
    let held = options().open(&path).map(|_| ());
    assert!(matches!(held, Err(Error::InUse { .. })));
    assert_eq!(log.append("c").unwrap(), Offset(2));
    drop(log);
    assert!(Report::scan(&path).unwrap().is_clean());
    let mut log = options().open(&path).unwrap();
    assert_eq!(log.next_offset(), Some(Offset(2)));
    assert_eq!(log.append_all([""; 0]).unwrap(), Offset(2)..Offset(2));
    assert!(
        log.append_raft("d", 1, 0).is_err(),
        "a raw log has no terms"
    );
}

#[test]
fn a_follower_waits_and_ends_after_its_range() {
    let _no_forks = crate::FORKS.read();
    let dir = log_of(Codec::Protobuf, &["a"], 1 << 20);
    let path = dir.path().to_path_buf();
    let reader = Reader::open(&path).unwrap();
    let mut nothing = reader.follow(Offset(1)..);
    assert!(nothing.next_within(Duration::from_millis(30)).is_none());
    let writer = thread::spawn(move || {
        for value in ["b", "c", "d"] {
            thread::sleep(Duration::from_millis(20));
            let mut log = options().wait(Duration::from_secs(30)).open(&path).unwrap();
            log.append(value).unwrap();
            log.commit().unwrap();
        }
    });
    assert_eq!(told(reader.follow(..Offset(3))), ["a", "b", "c"]);
    assert_eq!(told(nothing.by_ref().take(3)), ["b", "c", "d"]);
    writer.join().unwrap();
}

#[test]
fn a_follower_opens_the_files_only_if_they_changed() {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

    let _no_forks = crate::FORKS.read();
    let dir = log_of(Codec::Raw, &["a"], 1 << 20);
    let mut follow = Reader::open(dir.path()).unwrap().follow(..);
    assert_eq!(told(follow.by_ref().take(1)), ["a"]);
    assert!(follow.next_within(Duration::ZERO).is_none());
    let events = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
    for file in ["0.store", "0.index"] {
        add_watch(&events, dir.path().join(file), WatchFlags::OPEN).unwrap();
    }
    for _ in 0..10 {
        assert!(follow.next_within(Duration::ZERO).is_none());
    }
    let opened = rustix::io::read(&events, &mut [0; 4096]);
    assert_eq!(opened.err(), Some(rustix::io::Errno::AGAIN));
    let mut log = options().open(dir.path()).unwrap();
    log.append("b").unwrap();
    log.commit().unwrap();
    drop(log);
    assert_eq!(told(follow.by_ref().take(1)), ["b"]);
    // A segment that is being made is no obstacle, nor is one that has no records yet.
    fs::write(dir.path().join("2.store"), b"").unwrap();
    assert!(follow.next_within(Duration::from_secs(1)).is_none());
}

#[test]
fn a_log_of_another_program_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
    let frames = (0..20).flat_map(|n| {
        let value = format!("record {n}");
        let length = u32::try_from(value.len()).unwrap();
        let heads = [length, crc.checksum(value.as_bytes())].map(u32::to_be_bytes);
        [heads.concat(), value.into_bytes()].concat()
    });
    fs::write(dir.path().join("0.store"), frames.collect::<Vec<u8>>()).unwrap();
    fs::write(dir.path().join("0.index"), b"").unwrap();
    let opened = Reader::open(dir.path());
    assert!(
        matches!(opened, Err(Error::ForeignLayout { .. })),
        "{opened:?}"
    );
}

#[test]
fn a_follower_reports_damage_that_lasts_and_history_that_changed() {
    let _no_forks = crate::FORKS.read();
    let dir = log_of(Codec::Raw, &["one", "two", "three"], 1 << 20);
    let store = dir.path().join("0.store");
    let mut bytes = fs::read(&store).unwrap();
    bytes[11] = 0x77;
    fs::write(&store, &bytes).unwrap();
    let reader = Reader::open(dir.path()).unwrap();
    let mut follow = reader.follow(..);
    assert_eq!(told(follow.by_ref().take(3)), ["one", "!1..=1", "three"]);
    for name in ["0.store", "0.index"] {
        fs::write(dir.path().join(name), b"").unwrap();
    }
    let end = follow.next();
    assert!(
        matches!(end, Some(Err(ReadError::Rewritten { .. }))),
        "{end:?}"
    );
    assert!(follow.next().is_none());
}

#[test]
fn a_repair_is_shown_carried_out_and_undone() {
    let _no_forks = crate::FORKS.read();
    let dir = log_of(Codec::Raw, &["a", "b"], 1 << 20);
    let log = &dir.path().join("log");
    fs::create_dir(log).unwrap();
    for name in ["0.store", "0.index"] {
        fs::rename(dir.path().join(name), log.join(name)).unwrap();
    }
    let index = fs::OpenOptions::new()
        .write(true)
        .open(log.join("0.index"))
        .unwrap();
    index.set_len(1024).unwrap();
    drop(index);
    let before = files(log);
    let report = Report::scan(log).unwrap();
    assert!(!report.is_clean());
    let finding = report.findings()[0].to_string();
    assert!(
        finding.starts_with("warning index-padded 0.index 24+1000"),
        "{finding}"
    );
    let plan = report.plan();
    let actions: Vec<Action> = plan.changes().map(|change| change.action).collect();
    assert_eq!(actions, [Action::Cut { from: 1024, to: 24 }]);
    assert_eq!(plan.to_string(), "0.index: cut from 1024 to 24 bytes\n");
    assert!(plan.remaining().is_empty());
    assert_eq!(files(log), before, "looking changes nothing");
    let undo = plan.assume_unused(true).apply().unwrap();
    assert!(undo.saved().unwrap().is_dir());
    assert!(Report::scan(log).unwrap().is_clean());
    undo.undo().unwrap();
    assert_eq!(files(log), before);
}

#[test]
fn a_plan_for_another_state_is_refused() {
    let _no_forks = crate::FORKS.read();
    let dir = log_of(Codec::Raw, &["a", "b"], 1 << 20);
    let index = dir.path().join("0.index");
    let write = |bytes: u64| {
        let file = fs::OpenOptions::new().write(true).open(&index).unwrap();
        file.set_len(bytes).unwrap();
    };
    write(1024);
    let plan = Report::scan(dir.path()).unwrap().plan().assume_unused(true);
    write(2048);
    let before = files(dir.path());
    assert!(matches!(plan.apply(), Err(Error::CannotAppend { .. })));
    assert_eq!(files(dir.path()), before);
}

#[test]
fn types_can_be_sent_to_other_threads() {
    fn send<T: Send>() {}
    fn send_sync<T: Send + Sync>() {}
    send::<Appender>();
    send_sync::<Reader>();
    send_sync::<Records>();
    send_sync::<Follow>();
    send_sync::<Record>();
    send_sync::<ReadError>();
    send_sync::<Error>();
    send_sync::<Report>();
    send_sync::<Plan>();
    send_sync::<Undo>();
}
