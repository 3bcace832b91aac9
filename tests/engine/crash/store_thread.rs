//! Frames that are written beside the writer, buffer by buffer, on a disk that fails: what
//! was committed stays, the error is told, and nothing stands behind what is missing.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::{Error, Result};
use proglog::log::record::Codec;
use proglog::log::writer::NewRecord;
use proglog::mend::session::Session;

use crate::crash::appending::{Script, Size, value};
use crate::crash::faults::{Failing, Fault, judge};
use crate::crash::lab::temporary;
use crate::crash::reading::{read_all, report};
use crate::crash::recorder::{Op, Recorder};
use crate::crash::scenarios::{WIDE, killed};

/// Small enough to be gathered, large enough that a few fill a buffer.
const LARGE: Size = 100_000;

/// Records in each batch: the second and third fill two buffers and a part.
const BATCHES: [usize; 3] = [1, 24, 24];

/// A log with room for all of them.
fn script(codec: Codec) -> Script {
    let mut script = killed(codec, WIDE, &[]);
    script.limits.max_store_bytes = 1 << 30;
    script
}

/// What is appended, in order.
fn values() -> Vec<Vec<u8>> {
    let all = 0..BATCHES.iter().sum::<usize>() as u64;
    all.map(|offset| value(0, offset, if offset == 0 { 30 } else { LARGE }))
        .collect()
}

fn append(session: &mut Session, values: &[Vec<u8>]) -> Result<()> {
    for value in values {
        session.append(NewRecord {
            value,
            ..NewRecord::default()
        })?;
    }
    Ok(())
}

/// Commits the first batch, begins to commit the second, and commits all.
fn append_batches(session: &mut Session, values: &[Vec<u8>]) -> Result<()> {
    let (first, rest) = values.split_at(BATCHES[0]);
    let (second, third) = rest.split_at(BATCHES[1]);
    append(session, first)?;
    session.commit()?;
    append(session, second)?;
    session.commit_behind()?;
    append(session, third)?;
    session.commit()
}

/// A fresh log below a disk that is recorded, and fails.
struct Room {
    _directory: tempfile::TempDir,
    root: PathBuf,
    log: PathBuf,
    script: Script,
    recorder: Arc<Recorder>,
    failing: Arc<Failing>,
}

impl Room {
    fn new(codec: Codec, fault: Fault, at: usize, for_ever: bool) -> Self {
        let directory = temporary();
        // Its own root: names above it are synced too.
        let root = directory.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let script = script(codec);
        let recorder = Arc::new(Recorder::new(&root));
        let inner = Arc::clone(&recorder) as Arc<dyn Disk>;
        Self {
            log: root.join(script.log),
            root,
            _directory: directory,
            script,
            recorder,
            failing: Arc::new(Failing::new(inner, fault, at, for_ever)),
        }
    }

    /// One whose disk works.
    fn sound(codec: Codec) -> Self {
        Self::new(codec, Fault::Short, usize::MAX, false)
    }

    fn open(&self) -> Result<Session> {
        let disk = Arc::clone(&self.failing) as Arc<dyn Disk>;
        self.script.open(&self.log, &disk)
    }

    /// Every write begins at the end of its file or before it.
    fn no_write_leaves_a_hole(&self) -> std::result::Result<(), String> {
        let mut ends = BTreeMap::new();
        for op in self.recorder.recording().ops {
            match op {
                Op::Write {
                    file,
                    position,
                    bytes,
                } => {
                    let end = ends.entry(file).or_insert(0);
                    if position > *end {
                        return Err(format!("a write at {position}, the file has {end}"));
                    }
                    *end = (*end).max(position + bytes.len());
                }
                Op::SetLen { file, bytes } => {
                    ends.insert(file, bytes);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The log holds the first `count` of these values, and nothing else.
    fn holds(&self, values: &[Vec<u8>], count: usize) -> std::result::Result<(), String> {
        let codec = self.script.codec;
        let found = read_all(&self.log, codec).map_err(|error| format!("read: {error}"))?;
        let wanted = (self.script.base..).zip(values).take(count);
        let same = found.len() == count
            && found
                .iter()
                .zip(wanted)
                .all(|((offset, value), (at, sent))| *offset == at && value == sent);
        if !same {
            return Err(format!(
                "{} records, not the {count} that are committed",
                found.len()
            ));
        }
        let report = report(&self.log, Some(codec)).map_err(|error| format!("verify: {error}"))?;
        if report.is_clean() {
            Ok(())
        } else {
            Err(format!("not clean: {:?}", report.findings))
        }
    }

    /// On a disk that works, the rest goes behind what is there.
    fn go_on(&self, values: &[Vec<u8>], committed: usize) -> std::result::Result<(), String> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let go_on = || {
            let mut session = self.script.open(&self.log, &disk)?;
            let next = session.writer().next_offset().map_or(0, |next| next.0);
            let found = usize::try_from(next - self.script.base).unwrap();
            append(&mut session, &values[found.min(values.len())..])?;
            session.commit()?;
            Ok::<usize, Error>(found)
        };
        let found = go_on().map_err(|error| format!("going on: {error}"))?;
        if found < committed {
            return Err(format!("{found} records are left of {committed}"));
        }
        self.holds(values, values.len())
    }
}

/// One append with one fault; gives how many calls there were.
fn one(codec: Codec, values: &[Vec<u8>], fault: Fault, at: usize, for_ever: bool) -> usize {
    let room = Room::new(codec, fault, at, for_ever);
    let (mut committed, mut rolled_back, mut error) = (0, true, None);
    match room.open() {
        Ok(mut session) => {
            if let Err(stopped) = append_batches(&mut session, values) {
                error = Some(stopped.to_string());
                // As the command does it.
                rolled_back = session.roll_back().is_ok();
            }
            committed = usize::try_from(session.committed().records).unwrap();
        }
        Err(stopped) => {
            error = Some(stopped.to_string());
            rolled_back = false;
        }
    }
    let check = || {
        judge(error.as_deref(), &room.failing, &room.root)?;
        room.no_write_leaves_a_hole()?;
        if error.is_none() && committed != values.len() {
            return Err(format!("{committed} records are committed"));
        }
        if rolled_back && committed > 0 {
            room.holds(values, committed)?;
        }
        room.go_on(values, committed)
    };
    if let Err(wrong) = check() {
        panic!("{codec:?}, {fault:?} at call {at}, for ever: {for_ever}: {wrong}");
    }
    room.failing.calls()
}

#[test]
fn a_fault_beside_the_writer_costs_nothing_committed() {
    let _no_forks = crate::FORKS.read();
    let values = values();
    let runs = AtomicUsize::new(0);
    let (values, counted) = (&values, &runs);
    std::thread::scope(|scope| {
        for codec in [Codec::Raw, Codec::Protobuf] {
            scope.spawn(move || {
                for (fault, for_ever) in [
                    (Fault::Errno(libc::ENOSPC), false),
                    (Fault::Errno(libc::ENOSPC), true),
                    (Fault::Errno(libc::EINTR), false),
                    (Fault::Short, false),
                    (Fault::Short, true),
                ] {
                    let mut at = 0;
                    while one(codec, values, fault, at, for_ever) > at {
                        at += 1;
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let runs = runs.load(Ordering::Relaxed);
    proglog_testkit::report(&format!(
        "faults: {runs} runs over a disk that fails beside the writer"
    ));
    assert!(runs > 200, "{runs} runs");
}

/// The mark of their batch is written and synced first.
const MARK_CALLS: usize = 2;

/// How many calls come before the large records.
fn calls_before(codec: Codec, values: &[Vec<u8>]) -> usize {
    let room = Room::sound(codec);
    let mut session = room.open().unwrap();
    append(&mut session, &values[..1]).unwrap();
    session.commit().unwrap();
    room.failing.calls()
}

fn is_no_space(error: &Error) -> bool {
    matches!(error, Error::Io { action: "write", source, .. }
        if source.kind() == io::ErrorKind::StorageFull)
}

/// Bytes of the store.
fn store_bytes(session: &Session) -> u64 {
    let [store, _] = session.writer().active_files();
    std::fs::metadata::<&Path>(store.path()).unwrap().len()
}

#[test]
fn after_a_failed_write_nothing_is_committed_any_more() {
    let _no_forks = crate::FORKS.read();
    let values = values();
    let cases = [Codec::Raw, Codec::Protobuf].map(|codec| [1, 2, 3].map(|buffer| (codec, buffer)));
    for (codec, buffer) in cases.into_iter().flatten() {
        let before = calls_before(codec, &values);
        // Only this buffer of four fails: all that comes later would be taken.
        let fault = Fault::Errno(libc::ENOSPC);
        let room = Room::new(codec, fault, before + MARK_CALLS + buffer, false);
        let mut session = room.open().unwrap();
        append(&mut session, &values[..1]).unwrap();
        session.commit().unwrap();
        let committed_bytes = store_bytes(&session);
        // Told while more is appended, or by the commit.
        let appended = append(&mut session, &values[1..]);
        let told = appended.and_then(|()| session.commit()).unwrap_err();
        assert!(is_no_space(&told), "{codec:?}: {told}");
        for _ in 0..2 {
            session.commit().unwrap_err();
            session.commit_behind().unwrap_err();
        }
        assert_eq!(session.committed().records, 1, "{codec:?}");
        assert!(store_bytes(&session) > committed_bytes, "{codec:?}");
        room.no_write_leaves_a_hole().unwrap();
        session.roll_back().unwrap();
        assert_eq!(store_bytes(&session), committed_bytes, "{codec:?}");
        drop(session);
        room.holds(&values, 1).unwrap();
        room.go_on(&values, 1).unwrap();
    }
}

#[test]
fn a_writer_that_is_dropped_leaves_no_thread() {
    let _no_forks = crate::FORKS.read();
    let values = values();
    for codec in [Codec::Raw, Codec::Protobuf] {
        let room = Room::sound(codec);
        let mut session = room.open().unwrap();
        append(&mut session, &values[..1]).unwrap();
        session.commit().unwrap();
        append(&mut session, &values[1..]).unwrap();
        assert!(Arc::strong_count(&room.failing) > 1);
        drop(session);
        // Whoever still writes holds the disk.
        assert_eq!(Arc::strong_count(&room.failing), 1, "{codec:?}");
        room.no_write_leaves_a_hole().unwrap();
        room.go_on(&values, 1).unwrap();
    }
}

#[test]
fn a_small_append_starts_no_thread() {
    let _no_forks = crate::FORKS.read();
    let values = values();
    let room = Room::sound(Codec::Raw);
    let mut session = room.open().unwrap();
    let holders = Arc::strong_count(&room.failing);
    append(&mut session, &values[..10]).unwrap();
    session.commit().unwrap();
    assert_eq!(Arc::strong_count(&room.failing), holders);
    append(&mut session, &values[10..30]).unwrap();
    session.commit().unwrap();
    assert_eq!(Arc::strong_count(&room.failing), holders + 1);
    drop(session);
    room.holds(&values, 30).unwrap();
}
