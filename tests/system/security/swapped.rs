//! A directory is put in the place of one that was just created, at the worst moment: a
//! disk that does it right after the system call stands for the owner of the parent, who
//! may rename everything in it at any time.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;

use proglog::forward_to_disk;
use proglog::inspect::report::Options;
use proglog::log::dir::FilePath;
use proglog::log::disk::{Disk, RealDisk};
use proglog::log::lock::{DirectoryLock, Wait};
use proglog::mend::apply::{ApplyOptions, Save, apply};
use proglog::mend::exclusive::Others;
use proglog::mend::repair;
use proglog::mend::salvage::write::{self, Targets};
use proglog::mend::{salvage, undo};

use crate::security::world::{
    BOB, ROOT, Tree, World, entries, give, is_root, owned, set_mode, tree, write,
};

/// What is done after a directory was created.
type Moment = Box<dyn FnMut(&FilePath) + Send>;

/// The disk, and what somebody else does meanwhile.
struct Beside {
    moment: Mutex<Moment>,
}

impl Beside {
    fn after_each_directory(moment: impl FnMut(&FilePath) + Send + 'static) -> Arc<dyn Disk> {
        Arc::new(Self {
            moment: Mutex::new(Box::new(moment)),
        })
    }
}

impl Disk for Beside {
    forward_to_disk! { |self| RealDisk =>
        open create create_unnamed link write_at set_len sync_data sync_dir remove remove_dir rename
        own_dir replace
    }
    fn create_dir(&self, path: &FilePath, mode: u32) -> io::Result<()> {
        RealDisk.create_dir(path, mode)?;
        (self.moment.lock().unwrap())(path);
        Ok(())
    }
}

/// A directory of root's in BOB's home, with something in it or without.
fn of_root(world: &World, is_empty: bool) -> PathBuf {
    let path = world.home().join("of-root");
    fs::create_dir(&path).unwrap();
    if !is_empty {
        write(&path.join("key"), b"secret", ROOT);
    }
    give(&path, ROOT);
    set_mode(&path, 0o700);
    path
}

/// Moves what was just created away, and puts a link or the directory itself in its place.
fn swap(made: &FilePath, with: &PathBuf, by_link: bool) {
    let made: &std::path::Path = made;
    fs::rename(made, made.with_extension("away")).unwrap();
    if by_link {
        std::os::unix::fs::symlink(with, made).unwrap();
    } else {
        fs::rename(with, made).unwrap();
    }
}

#[test]
fn the_target_of_a_salvage_is_swapped() {
    if !is_root() {
        return;
    }
    for by_link in [true, false] {
        let world = World::damaged();
        let root = of_root(&world, false);
        let before = tree(&root);
        let with = root.clone();
        let disk = Beside::after_each_directory(move |made| {
            if made.ends_with("new") {
                swap(made, &with, by_link);
            }
        });
        let salvaged = salvage::plan(&world.log(), None, &Options::default()).unwrap();
        let new = world.home().join("new");
        let targets = Targets::beside(&new);
        let ended = write::write(&salvaged, &targets, &*disk, std::iter::empty(), "{}");
        assert!(ended.is_err());
        let root = if by_link { root } else { new };
        assert_eq!(owned(&root), (ROOT, ROOT, 0o700));
        assert_eq!(names(&tree(&root)), names(&before));
        assert_eq!(fs::read(root.join("key")).unwrap(), b"secret");
    }
}

/// What is written goes to one directory, and the command says that it is elsewhere now.
#[test]
fn the_parent_of_a_target_is_swapped() {
    if !is_root() {
        return;
    }
    for salvages in [true, false] {
        let world = World::damaged();
        let root = of_root(&world, false);
        world.run(BOB, &["repair", "log"]).ended(0, "saved in");
        let (dir, away) = (world.home().join("dir"), world.home().join("away"));
        let (from, to) = (dir.clone(), away.clone());
        let disk = Beside::after_each_directory(move |made| {
            if made.ends_with("new") {
                fs::rename(&from, &to).unwrap();
                fs::rename(&root, &from).unwrap();
            }
        });
        let new = dir.join("new");
        let ended = if salvages {
            let salvaged = salvage::plan(&world.log(), None, &Options::default()).unwrap();
            let targets = Targets::beside(&new);
            write::write(&salvaged, &targets, &*disk, std::iter::empty(), "{}")
        } else {
            let change = undo::list(&world.parent()).unwrap().pop().unwrap();
            undo::into(&change, &world.log(), &new, &*disk)
        };
        let error = ended.unwrap_err().to_string();
        assert!(error.contains("was moved or replaced"), "{error}");
        assert!(error.contains("away"), "{error}");
        assert_eq!(entries(&dir), [dir.join("key")], "{salvages}");
        assert_eq!(owned(&dir), (ROOT, ROOT, 0o700));
        assert!(away.join("new/0.store").exists());
    }
}

fn names(tree: &Tree) -> Vec<Option<std::ffi::OsString>> {
    let skipped = tree.iter().skip(1);
    skipped
        .map(|(path, ..)| path.file_name().map(Into::into))
        .collect()
}

#[test]
fn the_place_for_what_is_saved_is_swapped() {
    if !is_root() {
        return;
    }
    for by_link in [true, false] {
        for below in [false, true] {
            let world = World::damaged();
            let root = of_root(&world, false);
            let damaged = tree(&world.log());
            let with = root.clone();
            let mut place = None;
            let disk = Beside::after_each_directory(move |made| {
                let is_parent = made.ends_with("log.proglog-saved");
                if is_parent != below && place.is_none() {
                    swap(made, &with, by_link);
                    place = Some(made.to_path_buf());
                }
            });
            let report = proglog::inspect::report::Report::of(&world.log(), &Options::default());
            let plan = repair::plan(&report.unwrap());
            let lock = DirectoryLock::take(&world.log(), Wait::Forever, &|| false).unwrap();
            let others = Others {
                wait: Wait::Forever,
                assume_unused: false,
                interrupted: &|| false,
            };
            let options = ApplyOptions {
                disk: &disk,
                save: Save::Beside,
                others,
                command: "repair",
            };
            assert!(apply(&plan, &lock, &options).is_err(), "{by_link} {below}");
            assert_eq!(tree(&world.log()), damaged);
            let is_of_root = |path: &PathBuf| path.join("key").exists();
            let everywhere = tree(&world.home());
            let mut root = everywhere.iter().map(|(path, ..)| path.clone());
            let root = root
                .find(|path| !path.is_symlink() && is_of_root(path))
                .unwrap();
            assert_eq!(owned(&root), (ROOT, ROOT, 0o700));
            assert_eq!(entries(&root).len(), 1);
        }
    }
}

/// The manifest is another one when the undo begins than when it was shown.
#[test]
fn what_was_saved_is_exchanged_between_two_looks() {
    if !is_root() {
        return;
    }
    let world = World::damaged();
    world.run(BOB, &["repair", "log"]).ended(0, "saved in");
    let change = undo::list(&world.parent()).unwrap().pop().unwrap();
    let manifest = world.saved().join("manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        text.replace("\"bytes\":", "\"bytes\": ")
            .replace("repair", "change"),
    )
    .unwrap();
    let repaired = tree(&world.log());
    let lock = DirectoryLock::take(&world.log(), Wait::Forever, &|| false).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let others = Others {
        wait: Wait::Forever,
        assume_unused: false,
        interrupted: &|| false,
    };
    let refused = undo::undo(&change, &lock, &disk, &others).unwrap_err();
    assert!(
        refused.to_string().contains("changed while it was read"),
        "{refused}"
    );
    assert_eq!(tree(&world.log()), repaired);
}
