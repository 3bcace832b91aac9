//! Removing saved changes, and what every crash state of it must satisfy: the log is as it
//! was, and the same command completes it.

use std::path::Path;
use std::sync::Arc;

use proglog::log::disk::{Disk, RealDisk};
use proglog::log::error::Error;
use proglog::log::units::Offset;
use proglog::mend::saved::Parent;
use proglog::mend::trim::{self, Keep};
use proglog::mend::undo;
use proglog::mend::undo::prune::Leftovers;
use proglog_testkit::{LogBuilder, Sandbox};

use crate::crash::appending::words;
use crate::crash::lab::{Bench, Job};
use crate::crash::mending::{LOG, carry_out, files, lock, same, undo_all};
use crate::crash::recorder::Recorder;
use crate::crash::tree::Tree;

fn prune(log: &Path, disk: &dyn Disk) -> Result<(), Error> {
    let lock = lock(log)?;
    let Some(parent) = Parent::of(lock.dir(), None)?.open(lock.dir())? else {
        return Ok(());
    };
    for place in undo::places(&parent)? {
        if let Some(change) = undo::load_of(&place, lock.dir())? {
            change.remove(&place, &lock, disk)?;
        }
    }
    Leftovers::of(&parent, lock.dir()).remove(disk, &lock);
    Ok(())
}

fn explore(bench: &Bench<'_>) {
    let builder = LogBuilder::raw()
        .segment(0, ["a", "b"])
        .segment(2, ["c", "d"]);
    let sandbox = Sandbox::built(&builder);
    let root = bench.put(&Tree::read(sandbox.path()));
    let log = root.join(LOG);
    let real: Arc<dyn Disk> = Arc::new(RealDisk);
    let made = (|| {
        // One that is undone, one with a file that was moved there, one with copies.
        carry_out(&log, |it| trim::plan(it, Keep::UpTo(Offset(0))), &real)?;
        undo_all(&log, &real)?;
        carry_out(&log, |it| trim::plan(it, Keep::From(Offset(2))), &real)?;
        carry_out(&log, |it| trim::plan(it, Keep::UpTo(Offset(2))), &real)
    })();
    let recorder = Arc::new(Recorder::new(&root));
    let done = made.and_then(|_| prune(&log, &*recorder));
    let after = files(&root);
    Bench::clear(&root);
    if let Err(error) = done {
        return bench.violation(&error.to_string());
    }
    bench.explore(&recorder.recording(), 0, &[], &|bench, state| {
        let root = bench.put(state.tree);
        prune(&root.join(LOG), &RealDisk).map_err(words("done again"))?;
        same(&files(&root), &after, "the log")?;
        let left = Tree::read(&root);
        let saved = |path: &&std::path::PathBuf| path.components().count() > 1;
        let left = left.dirs.iter().chain(left.files.keys()).filter(saved);
        let left: Vec<_> = left.filter(|path| !path.starts_with(LOG)).collect();
        Bench::clear(&root);
        match left.as_slice() {
            [] => Ok(()),
            left => Err(format!("done again: {left:?} stay")),
        }
    });
}

/// One of all kinds of saved change.
pub fn job() -> Job<'static> {
    Job {
        part: "pruning",
        name: "prune".to_owned(),
        run: Box::new(explore),
    }
}
