//! Each rule of what is trusted in a saved directory, where no other rule would refuse the
//! same; and a directory that is held open, whatever has its name.

use std::fs;
use std::io::ErrorKind;
use std::process::Command;

use proglog::log::dir::{Dir, FilePath, Links};
use proglog::log::disk::{self, Disk, RealDisk};
use proglog::mend::undo;
use serde_json::json;

use crate::security::saved::{forge, manifest};
use crate::security::world::{
    BOB, EVE, ROOT, World, binary, fifo, give, is_root, link, tree, write,
};

/// BOB may rename root's file to here; root would make it a file of BOB's log.
#[test]
fn a_moved_file_of_another_owner_is_refused() {
    if !is_root() {
        return;
    }
    let world = World::whole();
    let bytes = fs::metadata(world.secret()).unwrap().len();
    for change in [
        json!({"kind": "move", "file": "5.store", "bytes": bytes}),
        json!({"kind": "replace", "file": "0.store", "bytes": bytes, "size_after": 39}),
    ] {
        let text = manifest(&world.log(), std::slice::from_ref(&change));
        let saved = forge(&world, &text, BOB);
        fs::rename(world.secret(), saved.join("0.moved")).unwrap();
        let before = tree(world.path());
        for arguments in [&["undo", "log"][..], &["undo", "log", "--dry-run"]] {
            let run = world.run(ROOT, arguments);
            run.ended(2, "0.moved: not trusted: belongs to user 0");
            assert_eq!(tree(world.path()), before);
        }
        let name = change["file"].as_str().unwrap();
        let line = json!({"kind": "file", "name": name, "bytes": bytes});
        forge(
            &world,
            &manifest(&world.log(), &[line, change.clone()]),
            BOB,
        );
        let run = world.run(ROOT, &["undo", "log", "--into", "new"]);
        run.ended(2, "0.moved: not trusted: belongs to user 0");
        fs::remove_dir_all(world.home().join("new")).unwrap();
        fs::remove_dir_all(saved).unwrap();
    }
}

#[test]
fn a_link_in_the_place_of_what_was_saved_is_refused_though_it_leads_to_his_own_file() {
    if !is_root() {
        return;
    }
    let world = World::whole();
    let store = world.log().join("0.store");
    let end = fs::metadata(&store).unwrap().len();
    let own = world.home().join("own");
    write(&own, &[7; 11], BOB);
    for (change, name) in [
        (
            json!({"kind": "replace", "file": "0.store", "bytes": 11, "size_after": end}),
            "0.moved",
        ),
        (
            json!({
                "kind": "cut", "file": "0.store", "size_before": end + 11,
                "size_after": end, "stored_bytes": 11,
            }),
            "0.before",
        ),
    ] {
        let saved = forge(&world, &manifest(&world.log(), &[change]), BOB);
        let _ = fs::remove_file(saved.join(name));
        link(&own, &saved.join(name), BOB);
        let before = tree(world.path());
        for user in [ROOT, BOB] {
            let run = world.run(user, &["undo", "log"]);
            run.ended(2, &format!("{name}: not trusted: is a symbolic link"));
            assert_eq!(tree(world.path()), before);
        }
        fs::remove_dir_all(saved).unwrap();
    }
}

#[test]
fn a_manifest_is_read_with_little_memory_and_names_an_absolute_path() {
    if !is_root() {
        return;
    }
    let world = World::whole();
    let text = manifest("log".as_ref(), &[]);
    forge(&world, &text, BOB);
    world.run(ROOT, &["undo", "log"]).ended(2, "line 1: ");
    // A terabyte of one line.
    let saved = forge(&world, &"x".repeat(70_000), BOB);
    let file = fs::File::options()
        .append(true)
        .open(saved.join("manifest.json"));
    file.unwrap().set_len(1 << 40).unwrap();
    let mut bash = Command::new("bash");
    let line = format!("ulimit -v 150000; exec {} \"$@\"", binary().display());
    bash.args(["-c", &line, "bash"]);
    let run = world.run_by(bash, ROOT, &["undo", "log"]);
    run.ended(2, "manifest.json: line 1: ");
}

/// It could be a mount of hers that never answers.
#[cfg(target_os = "linux")]
#[test]
fn the_path_in_a_manifest_is_looked_at_only_if_the_manifest_is_trusted() {
    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
    if !is_root() {
        return;
    }
    let world = World::whole();
    let elsewhere = world.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let looks = init(CreateFlags::NONBLOCK).unwrap();
    add_watch(&looks, &elsewhere, WatchFlags::OPEN).unwrap();
    let saved = forge(&world, &manifest(&elsewhere, &[]), BOB);
    let (log, at) = (Dir::open(&world.log()), FilePath::of(&saved).unwrap());
    let log = log.unwrap();
    for (owner, is_trusted) in [(EVE, false), (BOB, true)] {
        give(&saved, owner);
        assert_eq!(undo::load_of(&at, &log).is_ok(), is_trusted);
        let looked = rustix::io::read(&looks, &mut [0_u8; 256]).is_ok();
        assert_eq!(looked, is_trusted);
    }
}

#[test]
fn a_directory_that_is_held_is_known_by_its_inode() {
    let room = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| room.path().join(name));
    fs::create_dir(&one).unwrap();
    let held = Dir::open(&one).unwrap();
    assert!(held.is_at_its_path());
    assert_eq!(
        held.in_parent().unwrap().unwrap().path(),
        held.real_path().unwrap()
    );
    fs::rename(&one, &other).unwrap();
    fs::create_dir(&one).unwrap();
    assert!(!held.is_at_its_path());
    assert_eq!(held.real_path().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(held.in_parent().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(held.moved_to(), Some(other.canonicalize().unwrap()));
    // As the kernel calls what is gone.
    fs::remove_dir(&other).unwrap();
    fs::create_dir(room.path().join("other (deleted)")).unwrap();
    assert_eq!(held.moved_to(), None);
}

#[test]
fn a_name_stays_in_its_directory_and_a_file_is_a_regular_one() {
    let room = tempfile::tempdir().unwrap();
    let held = Dir::open(room.path()).unwrap();
    fs::create_dir(room.path().join("dir")).unwrap();
    fs::write(room.path().join("dir/file"), "").unwrap();
    for name in ["", ".", "..", "dir/file", "../file", "dir/", "/etc/passwd"] {
        let kind = |error: std::io::Error| error.kind();
        let refused = ErrorKind::InvalidInput;
        let at = held.at(name);
        assert_eq!(
            at.open(Links::Followed).map_err(kind).err(),
            Some(refused),
            "{name}"
        );
        assert_eq!(at.metadata().map_err(kind).err(), Some(refused), "{name}");
        assert_eq!(at.open_dir().map_err(kind).err(), Some(refused), "{name}");
    }
    let uid = rustix::process::geteuid().as_raw();
    fifo(&room.path().join("fifo"), uid);
    link("fifo", &room.path().join("to-fifo"), uid);
    for (name, links) in [
        ("dir", Links::Refused),
        ("fifo", Links::Refused),
        ("to-fifo", Links::Followed),
    ] {
        let opened = held.at(name).open(links);
        assert_eq!(
            opened.unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{name}"
        );
    }
    link("dir", &room.path().join("to-dir"), uid);
    assert!(held.at("dir").open_dir().is_ok());
    assert!(held.at("to-dir").open_dir().is_err());
    let linked = held.at("to-fifo").open(Links::Refused).unwrap_err();
    assert_eq!(linked.raw_os_error(), Some(40), "ELOOP");
}

#[test]
fn nothing_that_is_there_is_created_again_or_replaced_by_a_move() {
    let room = tempfile::tempdir().unwrap();
    let held = Dir::open(room.path()).unwrap();
    for name in ["file", "other"] {
        fs::write(room.path().join(name), name).unwrap();
    }
    let uid = rustix::process::geteuid().as_raw();
    link("file", &room.path().join("link"), uid);
    link("nothing", &room.path().join("dangling"), uid);
    for name in ["file", "link", "dangling"] {
        let at = held.at(name);
        let created = RealDisk.create(&at, None).map(drop);
        let moved = RealDisk.rename(&held.at("other"), &at);
        for done in [created, moved] {
            let kind = done.map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::AlreadyExists), "{name}");
        }
    }
    // What is no file of ours has the name of what is to be created.
    fs::create_dir(room.path().join(".cursor.proglog-new")).unwrap();
    disk::try_beside(&held.at("cursor")).unwrap();
    assert_eq!(fs::read(room.path().join("file")).unwrap(), b"file");
    assert!(!room.path().join("nothing").exists());
}
