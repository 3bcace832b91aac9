//! Repair and undo through the library, in this process: a thousand runs of the binary
//! would take minutes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proglog::inspect::report::{Options, Report};
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::Error;
use proglog::log::lock::{DirectoryLock, Wait};
use proglog::log::record::Codec;
use proglog::mend::apply::{ApplyOptions, Save, apply};
use proglog::mend::exclusive::Others;
use proglog::mend::plan::Plan;
use proglog::mend::repair;
use proglog::mend::{saved, undo};

fn others() -> Others<'static> {
    Others {
        wait: Wait::AtMost(Duration::from_secs(10)),
        assume_unused: true,
        interrupted: &|| false,
    }
}

fn lock(log: &Path) -> DirectoryLock {
    DirectoryLock::take(log, Wait::AtMost(Duration::from_secs(10)), &|| false).unwrap()
}

pub fn report(log: &Path) -> Report {
    Report::of(log, &Options::default()).unwrap()
}

/// The same where the codec is known.
pub fn report_as(log: &Path, codec: Option<Codec>) -> Report {
    let options = Options {
        codec,
        ..Options::default()
    };
    Report::of(log, &options).unwrap()
}

/// Repairs as the command does, and gives the plan that it carried out.
pub fn repair(log: &Path) -> Plan {
    repair_on(log, &(Arc::new(RealDisk) as Arc<dyn Disk>))
}

/// The same on a disk that does more than change.
pub fn repair_on(log: &Path, disk: &Arc<dyn Disk>) -> Plan {
    let plan = repair::plan(&report(log));
    carry_out_on(log, &plan, disk);
    plan
}

/// Carries a plan out.
pub fn carry_out(log: &Path, plan: &Plan) {
    carry_out_on(log, plan, &(Arc::new(RealDisk) as Arc<dyn Disk>));
}

fn carry_out_on(log: &Path, plan: &Plan, disk: &Arc<dyn Disk>) {
    if let Err(error) = try_on(log, plan, disk) {
        panic!("{error}\n{:?}", plan.steps);
    }
}

/// Carries a plan out as far as the disk lets it.
pub fn try_on(log: &Path, plan: &Plan, disk: &Arc<dyn Disk>) -> Result<(), Error> {
    try_saving(log, plan, disk, Save::Beside)
}

/// The same, with the bytes that go saved here or there.
pub fn try_saving(log: &Path, plan: &Plan, disk: &Arc<dyn Disk>, save: Save) -> Result<(), Error> {
    let options = ApplyOptions {
        disk,
        save,
        others: others(),
        command: "repair",
    };
    apply(plan, &lock(log), &options).map(|_| ())
}

/// Takes the newest change back that is not undone yet.
pub fn undo(log: &Path) {
    undo_on(log, &(Arc::new(RealDisk) as Arc<dyn Disk>));
}

/// The same on a disk that does less.
pub fn undo_on(log: &Path, disk: &Arc<dyn Disk>) {
    try_undo_on(log, disk).unwrap();
}

/// The same as far as the disk lets it.
pub fn try_undo_on(log: &Path, disk: &Arc<dyn Disk>) -> Result<(), Error> {
    let parent = saved::parent_for(&log.canonicalize().unwrap(), None).unwrap();
    let mut changes = undo::list(&parent).unwrap();
    changes.retain(|change| !change.undone);
    let change = changes.pop().unwrap();
    undo::undo(&change, &lock(log), disk, &others())
}
