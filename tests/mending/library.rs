//! Repair and undo through the library, in this process: a thousand runs of the binary
//! would take minutes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proglog::inspect::report::{Options, Report};
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::lock::{DirectoryLock, Wait};
use proglog::mend::apply::{ApplyOptions, Save, apply};
use proglog::mend::exclusive::Others;
use proglog::mend::plan::{self, Plan, RepairOptions};
use proglog::mend::{saved, undo};

fn others() -> Others<'static> {
    Others {
        wait: Wait::AtMost(Duration::from_secs(10)),
        assume_unused: false,
        interrupted: &|| false,
    }
}

fn lock(log: &Path) -> DirectoryLock {
    DirectoryLock::take(log, Wait::AtMost(Duration::from_secs(10)), &|| false).unwrap()
}

pub fn report(log: &Path) -> Report {
    Report::of(log, &Options::default()).unwrap()
}

/// Repairs as the command does, and gives the plan that it carried out.
pub fn repair(log: &Path) -> Plan {
    repair_on(log, &(Arc::new(RealDisk) as Arc<dyn Disk>))
}

/// The same on a disk that does more than change.
pub fn repair_on(log: &Path, disk: &Arc<dyn Disk>) -> Plan {
    let lock = lock(log);
    let plan = plan::repair(&report(log), RepairOptions::default());
    let options = ApplyOptions {
        disk,
        save: Save::Beside,
        others: others(),
        command: "repair",
    };
    if let Err(error) = apply(&plan, &lock, &options) {
        panic!("{error}\n{:?}", plan.steps);
    }
    plan
}

/// Takes the newest change back.
pub fn undo(log: &Path) {
    let parent = saved::parent_for(&log.canonicalize().unwrap(), None).unwrap();
    let change = undo::list(&parent).unwrap().pop().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    undo::undo(&change, &lock(log), &disk, &others()).unwrap();
}
