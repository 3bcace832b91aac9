//! What the commands do, through the library and in this process: ten thousand cases
//! with the binary would take minutes. All that these tests use of the library.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use proglog::inspect::finding::{Finding, Severity};
use proglog::inspect::report::{Options, Report};
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::lock::{DirectoryLock, Wait};
use proglog::log::reader::Content;
use proglog::log::reader::{Item, LogReader};
use proglog::log::record::Codec as ItsCodec;
use proglog::log::writer::NewRecord;
use proglog::mend::apply::{ApplyOptions, Save, apply};
use proglog::mend::exclusive::Others;
use proglog::mend::lost;
use proglog::mend::repair;
use proglog::mend::session::{OpenOptions, Session};
use proglog::mend::{saved, undo};
use proglog::{Error, Offset};
use proglog_testkit::Codec;

/// What verify says of a log.
pub struct Verified {
    pub codec: Option<Codec>,
    /// Ids of findings that are no notes, sorted.
    pub ids: Vec<String>,
    /// Offsets that these findings are about.
    pub offsets: Vec<(u64, u64)>,
}

/// What a repair did.
pub struct Repaired {
    /// Ids of what it said would remain, sorted.
    pub foretold: Vec<String>,
    /// Whether it has to change anything.
    pub changes: bool,
    pub steps: String,
    /// Its exit status.
    pub status: i32,
    /// What is found before and afterwards.
    pub before: Verified,
    pub after: Verified,
    /// Offsets that it said are lost.
    pub lost: Vec<(u64, u64)>,
    /// Readable records that it cost, which the command takes back.
    pub cost: u64,
}

/// A record as it is given to a reader.
#[derive(Debug, Clone)]
pub struct Given {
    pub offset: u64,
    pub base: u64,
    pub position: usize,
    /// Of its payload.
    pub length: usize,
    pub value: Vec<u8>,
}

fn others() -> Others<'static> {
    Others {
        wait: Wait::AtMost(std::time::Duration::from_secs(10)),
        assume_unused: true,
        interrupted: &|| false,
    }
}

fn lock(log: &Path) -> Result<DirectoryLock, Error> {
    DirectoryLock::take(
        log,
        Wait::AtMost(std::time::Duration::from_secs(10)),
        &|| false,
    )
}

fn report(log: &Path) -> Result<Report, Error> {
    let options = Options {
        threads: 1,
        ask_usage: false,
        ..Options::default()
    };
    Report::of(log, &options)
}

fn ids<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<String> {
    let problems = findings
        .into_iter()
        .filter(|finding| finding.severity != Severity::Note);
    let mut ids: Vec<String> = problems.map(|finding| finding.id.to_string()).collect();
    ids.sort();
    ids.dedup();
    ids
}

fn verified(report: &Report) -> Verified {
    Verified {
        codec: report.codec.map(|codec| match codec {
            ItsCodec::Raw => Codec::Raw,
            ItsCodec::Protobuf => Codec::Protobuf,
        }),
        ids: ids(&report.findings),
        offsets: report.findings.iter().filter_map(offsets).collect(),
    }
}

/// The offsets of a finding that is no note.
fn offsets(finding: &Finding) -> Option<(u64, u64)> {
    let range = finding.offsets?;
    (finding.severity != Severity::Note).then_some((range.first.0, range.last.0))
}

/// Inspects a log.
pub fn verify(log: &Path) -> Result<Verified, Error> {
    let _no_forks = crate::FORKS.read();
    Ok(verified(&report(log)?))
}

/// Repairs a log.
pub fn repair(log: &Path) -> Result<Repaired, Error> {
    let _no_forks = crate::FORKS.read();
    let before = report(log)?;
    let plan = repair::plan(&before);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = ApplyOptions {
        disk: &disk,
        save: Save::Beside,
        others: others(),
        command: "repair",
    };
    apply(&plan, &lock(log)?, &options)?;
    let after = report(log)?;
    Ok(Repaired {
        foretold: ids(&plan.left),
        changes: !plan.steps.is_empty(),
        steps: format!("{:?}", plan.steps),
        status: if after.is_clean() { 0 } else { 3 },
        lost: lost::of(&plan, &before)
            .iter()
            .map(|lost| (lost.range.first.0, lost.range.last.0))
            .collect(),
        cost: before.records_lost_in(&after),
        before: verified(&before),
        after: verified(&after),
    })
}

/// Takes the newest change back.
pub fn undo(log: &Path) -> Result<(), Error> {
    let _no_forks = crate::FORKS.read();
    let parent = saved::parent_for(&log.canonicalize().map_err(Error::io("access", log))?, None)?;
    let mut changes = undo::list(&parent)?;
    changes.retain(|change| !change.undone);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    match changes.pop() {
        Some(change) => undo::undo(&change, &lock(log)?, &disk, &others()),
        None => Ok(()),
    }
}

/// Appends one record; gives its offset.
pub fn append(log: &Path, codec: Option<Codec>, value: &[u8]) -> Result<u64, Error> {
    let _no_forks = crate::FORKS.read();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut options = OpenOptions {
        assume_unused: true,
        ..OpenOptions::default()
    };
    options.config.codec = codec.map(own);
    let mut session = Session::open(log, &options, &disk, &|| false)?;
    let offset = session.append(NewRecord {
        value,
        ..NewRecord::default()
    })?;
    session.commit()?;
    Ok(offset.0)
}

fn own(codec: Codec) -> ItsCodec {
    match codec {
        Codec::Raw => ItsCodec::Raw,
        Codec::Protobuf => ItsCodec::Protobuf,
    }
}

/// Reads all records that can be read.
pub fn read(log: &Path, codec: Option<Codec>) -> Result<Vec<Given>, Error> {
    let _no_forks = crate::FORKS.read();
    let mut reader = LogReader::open(log)?;
    if let Some(codec) = codec {
        reader.set_codec(own(codec));
    }
    let mut records = Vec::new();
    let _ = reader.read::<Error>(Offset(0), Offset::MAX, |item| {
        if let Item::Record(record) = item {
            records.push(Given {
                offset: record.offset.0,
                base: record.segment.0,
                position: usize::try_from(record.position.0).unwrap(),
                length: usize::try_from(Content::len(&record.payload)).unwrap(),
                value: record.value.to_vec()?,
            });
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(records)
}
