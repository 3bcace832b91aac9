//! What is done to a log that nobody has open: a crash's remains, repair, trim, undo.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use proglog::inspect::report::{Options, Report};
use proglog::log::error::Error;
use proglog::log::lock::{DirectoryLock, Wait};
use proglog::log::units::Offset;
use proglog::mend::apply::{ApplyOptions, Save, apply};
use proglog::mend::plan::Plan;
use proglog::mend::repair;
use proglog::mend::trim::{self, Keep};
use proglog::mend::undo::SavedChange;
use proglog::mend::{saved, undo};
use proglog_testkit::{frame, pb};

use crate::model::mortal::Fuse;
use crate::model::system::{Before, Junk, System, Trim, count_mended};

impl System {
    pub fn report(&self, quick: bool) -> Report {
        let options = Options {
            quick,
            codec: Some(self.codec()),
            threads: 1,
            ..Options::default()
        };
        Report::of(&self.log(), &options).unwrap()
    }

    fn lock(&self) -> DirectoryLock {
        DirectoryLock::take(&self.log(), Wait::AtMost(Duration::ZERO), &|| false).unwrap()
    }

    /// The bases of the segments, in order.
    fn bases(&self) -> Vec<u64> {
        let report = self.report(true);
        let bases = report.segments.iter();
        bases.map(|segment| segment.listing.base().0).collect()
    }

    /// Leaves at the end what a crash leaves.
    pub fn leave(&mut self, junk: Junk) {
        self.close();
        // Behind frames that may be adopted nothing is sure to be.
        if !self.is_there() || !self.is_clean {
            return;
        }
        let active = *self.bases().last().unwrap();
        let next = self.lowest + self.records.len() as u64;
        let add = |kind: &str, bytes: &[u8]| {
            let path = self.log().join(format!("{active}.{kind}"));
            let mut file = File::options().append(true).open(path).unwrap();
            file.write_all(bytes).unwrap();
        };
        let frames = |values: &[Vec<u8>]| -> Vec<u8> {
            let numbered = (next..).zip(values);
            numbered
                .flat_map(|(offset, value)| {
                    if self.setup.protobuf {
                        frame(&pb(value, offset, 0, 0))
                    } else {
                        frame(value)
                    }
                })
                .collect()
        };
        match junk {
            Junk::Padding(entries) => add("index", &vec![0; 12 * entries]),
            Junk::PartialEntry(bytes) => add("index", &vec![1; bytes.min(11)]),
            Junk::TornFrame(bytes) => {
                let mut frame = frame(&[b'x'; 100]);
                frame.truncate(bytes);
                add("store", &frame);
            }
            Junk::WholeFrames(values) => {
                add("store", &frames(&values));
                self.maybe = values;
            }
            Junk::Marked(values) => {
                let batch = frames(&values);
                add("store", &[&[0xff], batch.get(1..).unwrap()].concat());
            }
        }
        self.is_clean = false;
        self.undoable = None;
        self.check();
    }

    /// Carries out what `make` plans, on a disk that fails meanwhile or not; what was
    /// cut short is begun again.
    fn mend(&mut self, command: &str, fuse: Option<Fuse>, make: impl Fn(&Self) -> Plan) {
        let before = Before {
            changes: self.changes().len(),
            lowest: self.lowest,
            records: self.records.clone(),
            maybe: self.maybe.clone(),
            is_clean: self.is_clean,
        };
        let lock = self.lock();
        let disk = self.disk();
        let options = || ApplyOptions {
            disk: &disk,
            save: Save::Beside,
            others: crate::others(),
            command,
        };
        let mut changed = false;
        self.disk.set(fuse);
        if fuse.is_some() {
            let plan = make(self);
            changed = !plan.steps.is_empty();
            match apply(&plan, &lock, &options()) {
                Ok(_) | Err(Error::Io { .. }) => {}
                Err(error) => panic!("{command}: {error}"),
            }
        }
        self.disk.set(None);
        let plan = make(self);
        changed |= !plan.steps.is_empty();
        apply(&plan, &lock, &options()).unwrap();
        assert!(
            make(self).steps.is_empty(),
            "{command}: a second run changes more"
        );
        if changed {
            count_mended(false);
            self.undoable = Some(before);
        }
    }

    pub fn repair(&mut self, fuse: Option<Fuse>) {
        self.close();
        if !self.is_there() {
            return;
        }
        self.mend("repair", fuse, |system| repair::plan(&system.report(false)));
        self.is_clean = true;
        self.check();
        // What it did not adopt it cut.
        self.maybe.clear();
    }

    pub fn trim(&mut self, trim: Trim, fuse: Option<Fuse>) {
        self.close();
        if !self.is_there() || !self.is_clean {
            return;
        }
        let bases = self.bases();
        let next = self.lowest + self.records.len() as u64;
        let (keep, lowest, next) = match trim {
            Trim::Before(part) => {
                let from = self.lowest + self.part(part);
                let lowest = bases.iter().rfind(|base| **base <= from);
                (Keep::From(Offset(from)), *lowest.unwrap(), next)
            }
            Trim::After(_) if self.records.is_empty() => return,
            Trim::After(part) => {
                let last = (self.lowest + self.part(part)).min(next - 1);
                (Keep::UpTo(Offset(last)), self.lowest, last + 1)
            }
            Trim::KeepSegments(count) => {
                let kept = usize::try_from(count).unwrap().min(bases.len());
                let lowest = bases.iter().rev().nth(kept - 1);
                (Keep::Segments(count), *lowest.unwrap(), next)
            }
        };
        self.mend("trim", fuse, |system| {
            trim::plan(&system.report(true), keep).unwrap()
        });
        let records = |from: u64, to: u64| usize::try_from(to - from).unwrap();
        self.records.truncate(records(self.lowest, next));
        self.records.drain(..records(self.lowest, lowest));
        self.lowest = lowest;
        self.check();
    }

    pub fn undo(&mut self, fuse: Option<Fuse>) {
        self.close();
        let Some(before) = self.undoable.take() else {
            return;
        };
        let lock = self.lock();
        // A change that was cut short and begun again is two.
        while let changes = self.changes()
            && changes.len() > before.changes
        {
            let last = changes.last().unwrap();
            self.disk.set(fuse);
            if fuse.is_some() {
                match undo::undo(last, &lock, &self.disk(), &crate::others()) {
                    Ok(()) | Err(Error::Io { .. }) => {}
                    Err(error) => panic!("undo: {error}"),
                }
            }
            self.disk.set(None);
            if self.changes().len() == changes.len() {
                undo::undo(last, &lock, &self.disk(), &crate::others()).unwrap();
            }
        }
        drop(lock);
        count_mended(true);
        self.lowest = before.lowest;
        self.records = before.records;
        self.maybe = before.maybe;
        self.is_clean = before.is_clean;
        self.check();
    }

    /// The saved changes that are not undone.
    fn changes(&self) -> Vec<SavedChange> {
        let parent = saved::parent_for(&self.log().canonicalize().unwrap(), None).unwrap();
        let mut changes = undo::list(&parent).unwrap();
        changes.retain(|change| !change.undone);
        changes
    }
}
