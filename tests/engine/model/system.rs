//! A log and the `Vec` that it must be like. What was committed stands in `records`;
//! what was not, and may yet be adopted, in `maybe`.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proglog::log::config::Config;
use proglog::log::disk::Disk;
use proglog::log::error::Error;
use proglog::log::reader::{Item, LogReader, Obstacle};
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::log::writer::NewRecord;
use proglog::mend::session::{OpenOptions, Session};
use proglog_testkit::memory_directory;
use tempfile::TempDir;

use crate::model::mortal::{Fuse, Mortal};

/// When a segment is full.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a store.
    pub store: u64,
    /// Bytes of an index.
    pub index: u64,
}

/// What kind of log a sequence is about.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Or else raw.
    pub protobuf: bool,
    /// Its limits.
    pub limits: Limits,
    /// Its first offset.
    pub first: u64,
}

/// What a crash leaves at a log's end.
#[derive(Debug, Clone)]
pub enum Junk {
    /// So many zero entries.
    Padding(usize),
    /// So many bytes of an entry.
    PartialEntry(usize),
    /// So many bytes of a longer frame.
    TornFrame(usize),
    /// Frames that no entry names: they are adopted.
    WholeFrames(Vec<Vec<u8>>),
    /// A batch that was never durable: it is cut.
    Marked(Vec<Vec<u8>>),
}

/// What is kept.
#[derive(Debug, Clone, Copy)]
pub enum Trim {
    /// Segments with records from this part on.
    Before(u16),
    /// Records up to this part.
    After(u16),
    /// The last so many segments.
    KeepSegments(u64),
}

/// An operation. Parts are of the records that are there: 0 is none of them.
#[derive(Debug, Clone)]
pub enum Op {
    /// Opens the log if need be.
    Append(Vec<Vec<u8>>),
    /// Makes everything appended last.
    Commit,
    /// Lets the log go; what is not committed is not kept.
    Close,
    /// The disk fails or the process is killed soon.
    Hinder(Fuse),
    /// A crash leaves this.
    Leave(Junk),
    /// Mends the log, with a disk that fails meanwhile or not.
    Repair(Option<Fuse>),
    /// Drops records.
    Trim(Trim, Option<Fuse>),
    /// Takes the last change back, if nothing came behind it.
    Undo(Option<Fuse>),
    /// Reads the records between two parts, in all ways.
    Read(u16, u16),
}

/// What an undo brings back.
#[derive(Clone)]
pub struct Before {
    /// How many saved changes there were.
    pub changes: usize,
    pub lowest: u64,
    pub records: Vec<Vec<u8>>,
    pub maybe: Vec<Vec<u8>>,
    pub is_clean: bool,
}

/// The log and its model.
pub struct System {
    pub room: TempDir,
    pub setup: Setup,
    pub disk: Arc<Mortal>,
    session: Option<Session>,
    /// Records when the session was opened.
    at_open: usize,
    /// The first record's offset.
    pub lowest: u64,
    /// What is committed.
    pub records: Vec<Vec<u8>>,
    /// What was appended behind that: may be found, any first part of it.
    pub maybe: Vec<Vec<u8>>,
    /// Whether verify finds nothing.
    pub is_clean: bool,
    pub undoable: Option<Before>,
}

static OPERATIONS: AtomicUsize = AtomicUsize::new(0);
static APPENDED: AtomicUsize = AtomicUsize::new(0);
static HINDERED: AtomicUsize = AtomicUsize::new(0);
static MENDED: AtomicUsize = AtomicUsize::new(0);
static UNDONE: AtomicUsize = AtomicUsize::new(0);

/// What was done over all sequences, in words.
pub fn counts() -> String {
    let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    format!(
        "{} operations, {} records appended, {} sessions cut short by the disk, \
         {} repairs and trims that changed something, {} undone",
        of(&OPERATIONS),
        of(&APPENDED),
        of(&HINDERED),
        of(&MENDED),
        of(&UNDONE)
    )
}

/// Counts a mending that changed something, or one that was taken back.
pub fn count_mended(undone: bool) {
    let count = if undone { &UNDONE } else { &MENDED };
    count.fetch_add(1, Ordering::Relaxed);
}

impl System {
    /// A log that is not there yet.
    pub fn new(setup: Setup) -> Self {
        let room = memory_directory();
        std::fs::create_dir(room.path().join("log")).unwrap();
        Self {
            room,
            setup,
            disk: Arc::new(Mortal::default()),
            session: None,
            at_open: 0,
            lowest: setup.first,
            records: Vec::new(),
            maybe: Vec::new(),
            is_clean: true,
            undoable: None,
        }
    }

    pub fn log(&self) -> PathBuf {
        self.room.path().join("log")
    }

    pub fn codec(&self) -> Codec {
        if self.setup.protobuf {
            Codec::Protobuf
        } else {
            Codec::Raw
        }
    }

    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk) as Arc<dyn Disk>
    }

    /// Does it to both, and compares.
    pub fn apply(&mut self, operation: Op) {
        OPERATIONS.fetch_add(1, Ordering::Relaxed);
        match operation {
            Op::Append(values) => self.append(&values),
            Op::Commit => self.commit(),
            Op::Close => self.close(),
            Op::Hinder(fuse) => self.disk.set(Some(fuse)),
            Op::Leave(junk) => self.leave(junk),
            Op::Repair(fuse) => self.repair(fuse),
            Op::Trim(trim, fuse) => self.trim(trim, fuse),
            Op::Undo(fuse) => self.undo(fuse),
            Op::Read(from, to) => self.read(from, to),
        }
    }

    /// The last append finds its way, and leaves nothing to be said.
    pub fn end(&mut self) {
        self.close();
        self.append(&[b"the last one".to_vec()]);
        self.commit();
        self.close();
        assert!(self.is_clean);
        self.read(0, u16::MAX);
        self.read(20_000, 40_000);
    }

    /// How many records a part is.
    pub fn part(&self, part: u16) -> u64 {
        let all = self.records.len() as u128;
        u64::try_from(all * u128::from(part) / u128::from(u16::MAX)).unwrap()
    }

    /// Opens the log; says whether that went well.
    fn open(&mut self) -> bool {
        if self.session.is_some() {
            return true;
        }
        let options = OpenOptions {
            config: Config {
                max_store_bytes: Some(self.setup.limits.store),
                max_index_bytes: Some(self.setup.limits.index),
                initial_offset: None,
                codec: Some(self.codec()),
                no_sync: false,
            },
            assume_unused: true,
            ..OpenOptions::default()
        };
        let mut options = options;
        if !self.is_there() {
            options.config.initial_offset = Some(Offset(self.setup.first));
        }
        match Session::open(&self.log(), &options, &self.disk(), &|| false) {
            Ok(session) => {
                let next = session.writer().next_offset().unwrap().0;
                let found = usize::try_from(next - self.lowest).unwrap();
                let known = self.records.len();
                assert!(
                    (known..=known + self.maybe.len()).contains(&found),
                    "opened with {found} records, {known} are committed"
                );
                self.records.extend(self.maybe.drain(..found - known));
                self.maybe.clear();
                self.at_open = found;
                self.session = Some(session);
                self.is_clean = true;
                true
            }
            Err(Error::Io { .. }) => {
                self.hindered();
                false
            }
            Err(error) => panic!("open: {error}"),
        }
    }

    /// Whether there is a segment.
    pub fn is_there(&self) -> bool {
        std::fs::read_dir(self.log()).unwrap().next().is_some()
    }

    fn append(&mut self, values: &[Vec<u8>]) {
        if !self.open() {
            return;
        }
        self.undoable = None;
        for value in values {
            let expected = self.lowest + (self.records.len() + self.maybe.len()) as u64;
            let session = self.session.as_mut().unwrap();
            let record = NewRecord {
                value,
                ..NewRecord::default()
            };
            // What fails may still have come to the disk.
            self.maybe.push(value.clone());
            match session.append(record) {
                Ok(offset) => assert_eq!(offset.0, expected),
                Err(error) => return self.abandon(&error),
            }
            APPENDED.fetch_add(1, Ordering::Relaxed);
            self.count_committed();
        }
    }

    fn commit(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        if let Err(error) = session.commit() {
            return self.abandon(&error);
        }
        self.count_committed();
        assert!(self.maybe.is_empty(), "a commit that leaves records out");
    }

    fn count_committed(&mut self) {
        let Some(session) = &self.session else { return };
        let committed = usize::try_from(session.committed().records).unwrap();
        let more = self.at_open + committed - self.records.len();
        self.records.extend(self.maybe.drain(..more));
    }

    /// After an error, as the command does it.
    fn abandon(&mut self, error: &Error) {
        assert!(matches!(error, Error::Io { .. }), "{error}");
        self.count_committed();
        if let Some(mut session) = self.session.take() {
            // On a disk that is gone it cannot be.
            let _ = session.roll_back();
        }
        self.hindered();
    }

    fn hindered(&mut self) {
        HINDERED.fetch_add(1, Ordering::Relaxed);
        self.disk.set(None);
        self.is_clean = false;
        self.check();
    }

    /// Lets the log go without a commit.
    pub fn close(&mut self) {
        if self.session.is_some() {
            self.count_committed();
            if !self.maybe.is_empty() {
                self.is_clean = false;
            }
            self.session = None;
        }
        self.disk.set(None);
        self.check();
    }

    /// Everything is there, some of what is not committed may be, and nothing else.
    pub fn check(&mut self) {
        assert!(self.session.is_none());
        let found = self.found(0, u64::MAX);
        let known = self.records.len();
        let (committed, more) = found.split_at_checked(known).unwrap_or_else(|| {
            panic!("{} records of {known} are left", found.len());
        });
        assert!(committed == self.records, "other records");
        assert!(
            self.maybe.starts_with(more),
            "records that are no prefix of what was sent"
        );
        let more = more.len();
        self.records.extend(self.maybe.drain(..more));
        if self.is_clean && self.is_there() {
            let report = self.report(false);
            assert!(report.is_clean(), "{:?}", report.findings);
        }
    }

    fn reader(&self) -> LogReader {
        let mut reader = LogReader::open(&self.log()).unwrap();
        reader.set_codec(self.codec());
        reader
    }

    /// The values of the records from one number on to another, which is not included.
    fn found(&self, from: u64, end: u64) -> Vec<Vec<u8>> {
        if !self.is_there() {
            return Vec::new();
        }
        let mut reader = self.reader();
        assert_eq!(reader.lowest_offset().0, self.lowest, "the first offset");
        let next = reader.next_offset().unwrap().0;
        let end = Offset(self.lowest.saturating_add(end).min(next));
        let mut expected = self.lowest + from;
        let mut values = Vec::new();
        let done = reader.read(Offset(expected), end, |item| {
            let (offset, value) = of_item(&item)?;
            assert_eq!(offset, expected);
            expected += 1;
            values.push(value);
            Ok::<_, Error>(ControlFlow::Continue(()))
        });
        let _ = done.unwrap();
        values
    }

    /// Forwards, backwards, one by one.
    fn read(&mut self, from: u16, to: u16) {
        self.close();
        let (from, to) = (self.part(from.min(to)), self.part(from.max(to)));
        if !self.is_there() {
            return;
        }
        let range = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
        let expected = self.records.get(range).unwrap();
        assert!(self.found(from, to) == expected, "read {from}..{to}");
        let mut reader = self.reader();
        let mut backwards = Vec::new();
        let (first, end) = (Offset(self.lowest + from), Offset(self.lowest + to));
        let done = reader.read_reverse(first, end, |item| {
            backwards.push(of_item(&item)?.1);
            Ok::<_, Error>(ControlFlow::Continue(()))
        });
        let _ = done.unwrap();
        backwards.reverse();
        assert!(backwards == expected, "read {from}..{to} backwards");
        for number in [from, to.saturating_sub(1), self.records.len() as u64] {
            let mut one = None;
            let offset = self.lowest + number;
            let done = reader.lookup(Offset(offset), |item| {
                // Half a pair that was begun stands behind the end.
                if !is_half_a_pair(&item) || self.is_clean {
                    one = Some(of_item(&item)?);
                }
                Ok::<_, Error>(ControlFlow::Break(()))
            });
            let _ = done.unwrap();
            let record = self.records.get(usize::try_from(number).unwrap());
            assert!(
                one == record.map(|value| (offset, value.clone())),
                "lookup {offset}"
            );
        }
    }
}

fn is_half_a_pair(item: &Item<'_>) -> bool {
    let unpaired = |obstacle: &Obstacle| matches!(obstacle, Obstacle::Unpaired { .. });
    matches!(item, Item::Obstacle { obstacle, .. } if unpaired(obstacle))
}

/// Offset and value of a record; nothing else may come.
fn of_item(item: &Item<'_>) -> Result<(u64, Vec<u8>), Error> {
    let Item::Record(record) = item else {
        panic!("in the way: {item:?}");
    };
    let mut value = Vec::new();
    record.value.pieces(|piece| {
        value.extend_from_slice(piece);
        Ok::<_, Error>(())
    })?;
    Ok((record.offset.0, value))
}
