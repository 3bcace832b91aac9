//! Mending, as the commands do it, and what every crash state of it must satisfy: the
//! same command run again completes it, and undo gives the original back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proglog::inspect::report::{Options, Report};
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::Error;
use proglog::log::lock::{DirectoryLock, Wait};
use proglog::mend::apply::{ApplyOptions, Save, apply};
use proglog::mend::plan::Plan;
use proglog::mend::repair;
use proglog::mend::replica::{self, Verdict};
use proglog::mend::{saved, undo};

use crate::crash::appending::words;
use crate::crash::lab::{Bench, State};
use crate::crash::reading::{Numbered, whole};
use crate::crash::recorder::{Mark, Recorder, Recording};
use crate::crash::states::Rest;
use crate::crash::tree::Tree;

/// Makes a plan from a look at a log.
pub type Mender = fn(&Report) -> Result<Plan, Error>;

/// The log's directory in a sandbox.
pub const LOG: &str = "log";

/// The plan of `repair`.
#[expect(
    clippy::unnecessary_wraps,
    reason = "a mender may refuse, as trim does"
)]
pub fn repair(report: &Report) -> Result<Plan, Error> {
    Ok(repair::plan(report))
}

/// The copy of a log that `from_copy` takes records of, in a sandbox.
pub const COPY: &str = "copy";

/// The plan of `repair --replica`.
pub fn from_copy(report: &Report) -> Result<Plan, Error> {
    let log = &report.listing.directory.path;
    let here = Report::of(log, &report.options)?;
    let (here, there) = replica::look(here, &log.with_file_name(COPY), &report.options)?;
    match replica::plan(&here, &there)? {
        Verdict::Plan(plan) => Ok(plan.plan),
        other => Err(Error::Config(format!("not the same log: {other:?}"))),
    }
}

/// The plan of `truncate-index --leave-tail`.
#[expect(
    clippy::unnecessary_wraps,
    reason = "a mender may refuse, as trim does"
)]
pub fn truncate_index(report: &Report) -> Result<Plan, Error> {
    Ok(proglog::mend::truncate::plan(report).0)
}

/// The lock of a log that nobody else has.
pub fn lock(log: &Path) -> Result<DirectoryLock, Error> {
    DirectoryLock::take(log, Wait::AtMost(Duration::ZERO), &|| false)
}

/// Looks, plans and applies under the lock; gives the plan.
pub fn carry_out(log: &Path, mender: Mender, disk: &Arc<dyn Disk>) -> Result<Plan, Error> {
    let lock = lock(log)?;
    let options = Options {
        threads: 1,
        ..Options::default()
    };
    let plan = mender(&Report::of(log, &options)?)?;
    let options = ApplyOptions {
        disk,
        save: Save::Beside,
        others: crate::others(),
        command: "test",
    };
    apply(&plan, &lock, &options)?;
    Ok(plan)
}

/// Takes back, the newest first, whatever was saved and is not taken back yet; gives
/// how many changes that were.
pub fn undo_all(log: &Path, disk: &Arc<dyn Disk>) -> Result<usize, Error> {
    let lock = lock(log)?;
    let real = log.canonicalize().map_err(Error::io("access", log))?;
    let changes = undo::list(&saved::parent_for(&real, None)?)?;
    let waiting: Vec<_> = changes.iter().filter(|change| !change.undone).collect();
    for change in waiting.iter().rev() {
        undo::undo(change, &lock, disk, &crate::others())?;
    }
    Ok(waiting.len())
}

/// A mending that is recorded, and then taken back.
pub struct Mending {
    /// How it is planned.
    pub mender: Mender,
    /// What passed over the disk.
    pub recording: Recording,
    /// The log's files before, and after.
    pub original: BTreeMap<String, Vec<u8>>,
    /// See `original`.
    pub mended: BTreeMap<String, Vec<u8>>,
    /// The codec and the records that must be readable afterwards.
    pub kept: Vec<Numbered>,
    /// How the oracle reads them.
    pub codec: proglog::log::record::Codec,
    /// One state of so many is crashed again.
    pub second_crash_of: u64,
    /// Whether the first of two crashes left bytes that nobody wrote.
    pub junk: bool,
}

/// The commands of a recorded mending: it is done, and taken back.
const MENDED: usize = 1;
const UNDONE: usize = 2;

/// The log's files below `root`, by name.
pub fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    Tree::read(root).within(Path::new(LOG))
}

impl Mending {
    /// Mends the log below `root` and takes it back. `keeps` says which of the records
    /// that were readable must be so afterwards.
    pub fn record(
        root: &Path,
        mender: Mender,
        codec: proglog::log::record::Codec,
        keeps: impl Fn(u64) -> bool,
        disk: &dyn Fn(Arc<Recorder>) -> Arc<dyn Disk>,
    ) -> Result<Self, Error> {
        let log = root.join(LOG);
        let original = files(root);
        let mut kept = whole(&log, codec);
        kept.retain(|(offset, _)| keeps(*offset));
        let recorder = Arc::new(Recorder::new(root));
        let disk = disk(Arc::clone(&recorder));
        carry_out(&log, mender, &disk)?;
        recorder.mark(Mark::Done(MENDED));
        let after = files(root);
        undo_all(&log, &disk)?;
        recorder.mark(Mark::Done(UNDONE));
        Ok(Self {
            mender,
            recording: recorder.recording(),
            original,
            mended: after,
            kept,
            codec,
            second_crash_of: 100,
            junk: false,
        })
    }

    /// The numbers of operations at which another promise begins to hold.
    pub fn classes(&self) -> Vec<usize> {
        let marks = self.recording.marks.iter();
        marks.flat_map(|(at, _)| [*at, *at + 1]).collect()
    }

    fn done_by(&self, at: usize) -> Option<(usize, usize)> {
        let marks = self.recording.marks.iter().rev();
        let mut before = marks.filter(|(begun, _)| *begun <= at);
        before.next().and_then(|(begun, mark)| match mark {
            Mark::Done(command) => Some((*begun, *command)),
            Mark::Acked { .. } => None,
        })
    }

    /// Looks at one state.
    pub fn check(&self, bench: &Bench<'_>, state: &State<'_>) -> Result<(), String> {
        let here = state.tree.within(Path::new(LOG));
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let done = self.done_by(state.choice.at);
        if let Some((begun, command)) = done
            && (begun == state.choice.at || command == UNDONE)
        {
            let wanted = if command == UNDONE {
                &self.original
            } else {
                &self.mended
            };
            same(&here, wanted, "what was done does not last")?;
        }
        let known =
            |name: &String| self.original.contains_key(name) || self.mended.contains_key(name);
        if let Some(name) = here.keys().find(|name| !known(name)) {
            return Err(format!("a name that nobody expects: {name}"));
        }
        self.is_looked_at(bench, state)?;
        let junk = self.junk || matches!(state.choice.torn, Some((_, _, Rest::Junk)));
        // Done again, and taken back.
        if done.is_none() {
            let root = bench.put(state.tree);
            let log = root.join(LOG);
            carry_out(&log, self.mender, &disk).map_err(words("done again"))?;
            let again = same(&files(&root), &self.mended, "done again");
            // The zeros of a cut that is not durable may be empty records of a raw log.
            let zeroed = matches!(state.choice.torn, Some((.., Rest::Zeroed)));
            if again.is_err() && zeroed && self.codec == proglog::log::record::Codec::Raw {
                bench.lab.note("repair adopts zeros that its own cut left");
            } else {
                again?;
            }
            let records = whole(&log, self.codec);
            if let Some((offset, _)) = self.kept.iter().find(|record| !records.contains(record)) {
                return Err(format!("record {offset} is gone"));
            }
            let again = carry_out(&log, self.mender, &disk).map_err(words("done a third time"))?;
            if !again.steps.is_empty() {
                return Err(format!("a second time does more: {:?}", again.steps));
            }
            self.is_undone(bench, &root, "undo after it was done again", junk)?;
        }
        let root = bench.put(state.tree);
        self.is_undone(bench, &root, "undo", junk)?;
        if !bench.is_nested() && bench.lab.samples(state.digest, self.second_crash_of) {
            self.crash_again(bench, state, done.is_none(), junk);
        }
        Ok(())
    }

    /// Undo gives the original back. Over bytes that nobody wrote it may refuse: it
    /// cannot tell them from what somebody appended since.
    fn is_undone(
        &self,
        bench: &Bench<'_>,
        root: &Path,
        when: &str,
        junk: bool,
    ) -> Result<(), String> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        match undo_all(&root.join(LOG), &disk) {
            Err(Error::CannotAppend { .. }) if junk => {
                bench
                    .lab
                    .note("undo refuses what junk in a torn write left");
            }
            undone => {
                undone.map_err(words(when))?;
                same(&files(root), &self.original, when)?;
            }
        }
        Bench::clear(root);
        Ok(())
    }

    /// Verify ends well, whatever it finds.
    fn is_looked_at(&self, bench: &Bench<'_>, state: &State<'_>) -> Result<(), String> {
        let root = bench.put(state.tree);
        let looked = crate::crash::reading::report(&root.join(LOG), Some(self.codec));
        Bench::clear(&root);
        match looked {
            Ok(_) | Err(Error::NotALog { .. }) => Ok(()),
            Err(error) => Err(format!("verify: {error}")),
        }
    }

    /// Crashes while it is done again, and while it is taken back.
    fn crash_again(&self, bench: &Bench<'_>, state: &State<'_>, unfinished: bool, junk: bool) {
        let again = |name: &str, work: &dyn Fn(&PathBuf, &Arc<dyn Disk>) -> bool| {
            let root = bench.put(state.tree);
            let recorder = Arc::new(Recorder::new(&root));
            let disk: Arc<dyn Disk> = Arc::clone(&recorder) as Arc<dyn Disk>;
            let worked = work(&root.join(LOG), &disk);
            let mut recording = recorder.recording();
            Bench::clear(&root);
            if !worked {
                return;
            }
            let command = if name == "undo" { UNDONE } else { MENDED };
            recording.marks = vec![(recording.ops.len(), Mark::Done(command))];
            if name == "undo" {
                recording.marks.insert(0, (0, Mark::Done(0)));
            }
            let nested = Self {
                recording,
                original: self.original.clone(),
                mended: self.mended.clone(),
                kept: self.kept.clone(),
                junk,
                ..*self
            };
            bench.within(name, || {
                bench.explore(&nested.recording, 1, &nested.classes(), &|bench, state| {
                    nested.check(bench, state)
                });
            });
        };
        if unfinished {
            again("again", &|log, disk| {
                carry_out(log, self.mender, disk).is_ok()
            });
        }
        again("undo", &|log, disk| undo_all(log, disk).is_ok());
    }
}

/// Whether these files are those.
pub fn same(
    here: &BTreeMap<String, Vec<u8>>,
    wanted: &BTreeMap<String, Vec<u8>>,
    when: &str,
) -> Result<(), String> {
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    if names(here) != names(wanted) {
        return Err(format!(
            "{when}: {:?}, not {:?}",
            names(here),
            names(wanted)
        ));
    }
    let other = here.iter().find(|(name, bytes)| wanted[*name] != **bytes);
    match other {
        None => Ok(()),
        Some((name, bytes)) => Err(format!(
            "{when}: {name} has other bytes ({} of them, {} expected)",
            bytes.len(),
            wanted[name].len()
        )),
    }
}
