//! Appending, as the command does it: what is appended over several runs, which of
//! them are killed, and what was acknowledged when.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use proglog::log::config::{Config, Limits};
use proglog::log::create::create_directories;
use proglog::log::directory::Directory;
use proglog::log::disk::Disk;
use proglog::log::error::{Error, Result};
use proglog::log::record::Codec;
use proglog::log::units::Offset;
use proglog::log::writer::NewRecord;
use proglog::mend::session::{OpenOptions, Session};

use crate::crash::recorder::{Mark, Recorder, Recording};
use crate::crash::states::Random;

/// A record to append: so many bytes, or so many zeros where it is negative.
pub type Size = i32;

/// One run of the command.
#[derive(Debug, Clone)]
pub struct Run {
    /// Records, in batches: after each one the input pauses.
    pub batches: Vec<Vec<Size>>,
    /// After so many operations on the disk the process is killed.
    pub killed_after: Option<usize>,
}

/// What is appended, and to what.
#[derive(Debug, Clone)]
pub struct Script {
    /// The log's codec.
    pub codec: Codec,
    /// The first record's offset.
    pub base: u64,
    /// The limits of a segment.
    pub limits: Limits,
    /// Whether syncs are left out.
    pub no_sync: bool,
    /// The log's directory below the root; it and those above it are made.
    pub log: &'static str,
    /// The runs, one after the other.
    pub runs: Vec<Run>,
}

/// What came of a script.
#[derive(Debug, Clone)]
pub struct Story {
    /// The script.
    pub script: Script,
    /// What passed over the disk.
    pub recording: Recording,
    /// What was sent: for each run the records that it found, then its own.
    pub histories: Vec<Vec<Vec<u8>>>,
}

/// The value that a run appends at an offset: no two are the same by chance.
pub fn value(run: usize, offset: u64, size: Size) -> Vec<u8> {
    let bytes = usize::try_from(size.unsigned_abs()).unwrap();
    if size < 0 {
        return vec![0; bytes];
    }
    let mut random = Random(offset * 1000 + run as u64);
    let mut value = format!("{run}.{offset}.").into_bytes();
    value.resize_with(value.len().max(bytes), || random.next().to_be_bytes()[0]);
    value.truncate(bytes);
    value
}

impl Script {
    /// How the command opens the log.
    pub fn options(&self) -> OpenOptions {
        OpenOptions {
            config: Config {
                max_store_bytes: Some(self.limits.max_store_bytes),
                max_index_bytes: Some(self.limits.max_index_bytes),
                initial_offset: Some(Offset(self.base)),
                codec: Some(self.codec),
                no_sync: self.no_sync,
            },
            assume_unused: true,
            ..OpenOptions::default()
        }
    }

    /// Opens the log as the command does, and makes what is missing.
    pub fn open(&self, log: &Path, disk: &Arc<dyn Disk>) -> Result<Session> {
        let found = Directory::list(log);
        if found.as_ref().map_or(true, Directory::is_empty) {
            create_directories(&**disk, log, 0o755)?;
        }
        let mut options = self.options();
        // The first records may have been trimmed away.
        if found.is_ok_and(|found| !found.is_empty()) {
            options.config.initial_offset = None;
        }
        Session::open(log, &options, disk, &|| false)
    }

    /// Runs it below `root`, and gives the last error of a run that was not killed.
    /// `disk` makes of the recorder what the product writes to.
    pub fn record(
        &self,
        root: &Path,
        disk: &dyn Fn(Arc<Recorder>) -> Arc<dyn Disk>,
    ) -> (Story, Option<String>) {
        let mut failed = None;
        let recorder = Arc::new(Recorder::new(root));
        let disk = disk(Arc::clone(&recorder));
        let log = root.join(self.log);
        let mut histories = vec![Vec::new(); self.runs.len()];
        for (number, run) in self.runs.iter().enumerate() {
            recorder.kill_after(run.killed_after);
            let found = number
                .checked_sub(1)
                .map(|before| histories[before].clone());
            let found: Vec<Vec<u8>> = found.unwrap_or_default();
            let mut teller = Teller {
                recorder: &recorder,
                number,
                found,
                history: &mut histories[number],
            };
            let result = self.run(&log, &disk, number, run, &mut teller);
            recorder.kill_after(None);
            match (result, run.killed_after) {
                (Ok(()), _) | (Err(_), Some(_)) => {}
                (Err(error), None) => failed = Some(format!("run {number}: {error}")),
            }
        }
        let story = Story {
            script: self.clone(),
            recording: recorder.recording(),
            histories,
        };
        (story, failed)
    }

    fn run(
        &self,
        log: &Path,
        disk: &Arc<dyn Disk>,
        number: usize,
        run: &Run,
        teller: &mut Teller<'_>,
    ) -> Result<()> {
        // What is killed before it knows the log's end has sent nothing.
        teller.history.clone_from(&teller.found);
        let mut session = self.open(log, disk)?;
        let result = self.append(&mut session, number, run, teller);
        // As the command does it; what somebody else wrote is not ours to cut.
        if result
            .as_ref()
            .is_err_and(|error| !matches!(error, Error::InUse { .. }))
        {
            let _ = session.roll_back();
        }
        result
    }

    fn append(
        &self,
        session: &mut Session,
        number: usize,
        run: &Run,
        teller: &mut Teller<'_>,
    ) -> Result<()> {
        let first = session.writer().next_offset().map_or(0, |next| next.0);
        let before = usize::try_from(first - self.base).unwrap();
        teller.history.truncate(before);
        for batch in &run.batches {
            for size in batch {
                let next = session.writer().next_offset().map_or(0, |next| next.0);
                let value = value(number, next, *size);
                teller.history.push(value.clone());
                let record = NewRecord {
                    value: &value,
                    ..NewRecord::default()
                };
                let committed = session.committed().records;
                let appended = session.append(record);
                if session.committed().records > committed {
                    teller.acknowledge(self, session, before);
                }
                appended?;
            }
            let committed = session.commit();
            teller.acknowledge(self, session, before);
            committed?;
        }
        Ok(())
    }
}

/// Tells the recorder what is acknowledged.
struct Teller<'t> {
    recorder: &'t Recorder,
    number: usize,
    /// What the run before sent; how much of it is left, opening the log tells.
    found: Vec<Vec<u8>>,
    history: &'t mut Vec<Vec<u8>>,
}

impl Teller<'_> {
    fn acknowledge(&self, script: &Script, session: &Session, before: usize) {
        let records = before + usize::try_from(session.committed().records).unwrap();
        // Without syncs only what a roll has closed is promised.
        let promised = if script.no_sync {
            let base = session.writer().active_files()[0].path().file_stem();
            let base = base.and_then(|base| base.to_str()?.parse::<u64>().ok());
            usize::try_from(base.unwrap_or(0).saturating_sub(script.base)).unwrap()
        } else {
            records
        };
        self.recorder.mark(Mark::Acked {
            history: self.number,
            records: promised,
        });
    }
}

impl Story {
    /// What was acknowledged when `at` operations were begun.
    pub fn acknowledged(&self, at: usize) -> &[Vec<u8>] {
        let marks = self.recording.marks.iter().rev();
        let mut before = marks.filter(|(begun, _)| *begun <= at);
        match before.next() {
            Some((_, Mark::Acked { history, records })) => &self.histories[*history][..*records],
            _ => &[],
        }
    }

    /// Whether these values are the beginning of something that was sent.
    pub fn was_sent(&self, values: &[Vec<u8>]) -> bool {
        self.histories
            .iter()
            .any(|history| history.starts_with(values))
    }

    /// Where the log is.
    pub fn log(&self, root: &Path) -> PathBuf {
        root.join(self.script.log)
    }
}

/// An error, in words.
pub fn words(what: &str) -> impl FnOnce(Error) -> String + '_ {
    move |error| format!("{what}: {error}")
}
