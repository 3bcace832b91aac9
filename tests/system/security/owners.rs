//! Whose new files are, and who may use them: nobody who might not before.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;

use proglog_testkit::LogBuilder;
use rustix::fs::{XattrFlags, getxattr, setxattr};
use serde_json::json;

use crate::security::saved::manifest;
use crate::security::world::{
    BOB, EVE, ROOT, World, binary, entries, give, is_root, link, owned, set_mode, tree, write,
};

const ACCESS: &str = "system.posix_acl_access";

const DEFAULT: &str = "system.posix_acl_default";

/// An access control list: owner rw, EVE as given, group as given, others nothing.
fn acl(eve: u16, group: u16) -> Vec<u8> {
    let entries = [
        (0x01, 6, u32::MAX),
        (0x02, eve, EVE),
        (0x04, group, u32::MAX),
        (0x10, eve | group, u32::MAX),
        (0x20, 0, u32::MAX),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        bytes.extend(u16::to_le_bytes(tag));
        bytes.extend(u16::to_le_bytes(rights));
        bytes.extend(u32::to_le_bytes(id));
    }
    bytes
}

/// Sets a list; says so where the file system has none.
fn set_acl(path: &Path, name: &str, acl: &[u8]) -> bool {
    let set = setxattr(path, name, acl, XattrFlags::empty());
    if let Err(error) = &set {
        eprintln!("SKIPPED: security: no access control lists here: {error}");
    }
    set.is_ok()
}

fn acl_of(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 1024];
    let count = getxattr(path, name, bytes.as_mut_slice()).ok()?;
    bytes.truncate(count);
    Some(bytes)
}

/// The owner finds everything as if he had repaired the log himself.
#[test]
fn root_repairs_and_the_owner_goes_on() {
    if !is_root() {
        return;
    }
    let world = World::damaged();
    let damaged = tree(&world.log());
    world
        .run(ROOT, &["repair", "log"])
        .ended(0, "undo with: proglog undo log");
    for path in [world.parent(), world.saved()] {
        assert_eq!(owned(&path), (BOB, BOB, 0o700), "{}", path.display());
    }
    let names = entries(&world.saved());
    assert!(names.len() >= 3, "{names:?}");
    for path in names {
        assert_eq!(owned(&path), (BOB, BOB, 0o600), "{}", path.display());
    }
    for name in ["0.store", "0.index"] {
        assert_eq!(owned(&world.log().join(name)), (BOB, BOB, 0o644), "{name}");
    }
    // A crash, and an append that saves what it cuts.
    let repaired = tree(&world.log());
    let crash = |world: &World| {
        let store = world.log().join("0.store");
        let mut bytes = fs::read(&store).unwrap();
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 9, b'x']);
        write(&store, &bytes, BOB);
    };
    crash(&world);
    world
        .append(BOB, "four\n", &[])
        .ended(0, "the removed bytes are saved in");
    assert_eq!(entries(&world.parent()).len(), 2);
    world
        .run(BOB, &["trim", "log", "--after", "2"])
        .ended(0, "saved in");
    world.run(BOB, &["undo", "log"]).ended(0, "undone: trim");
    world
        .run(BOB, &["trim", "log", "--after", "2", "--no-save"])
        .ended(0, "");
    assert_eq!(tree(&world.log()), repaired);
    // Root does the same, and the owner takes it back.
    crash(&world);
    world
        .append(ROOT, "four\n", &[])
        .ended(0, "the removed bytes are saved in");
    assert_eq!(owned(&world.saved()), (BOB, BOB, 0o700));
    world
        .run(BOB, &["trim", "log", "--after", "2", "--no-save"])
        .ended(0, "");
    assert_eq!(tree(&world.log()), repaired);
    let first = world.parent().join(
        fs::read_dir(world.parent())
            .unwrap()
            .map(|it| it.unwrap().file_name())
            .min()
            .unwrap(),
    );
    world
        .run(BOB, &["undo", first.to_str().unwrap()])
        .ended(0, "undone: repair");
    assert_eq!(tree(&world.log()), damaged);
    world.run(BOB, &["repair", "log"]).ended(0, "saved in");
    assert_eq!(tree(&world.log()), repaired);
    // What root takes back is marked as the owner's, too.
    world.run(ROOT, &["undo", "log"]).ended(0, "undone");
    assert_eq!(owned(&world.saved().join("undone")), (BOB, BOB, 0o600));
    assert_eq!(tree(&world.log()), damaged);
}

/// Bytes of a file of root's do not become the log owner's, though they stand in his log.
#[test]
fn bytes_of_another_owner_are_saved_for_root_alone() {
    if !is_root() {
        return;
    }
    let world = World::damaged();
    let store = world.log().join("0.store");
    give(&store, ROOT);
    set_mode(&store, 0o600);
    world.run(ROOT, &["repair", "log"]).ended(0, "saved in");
    assert_eq!(owned(&world.saved()), (ROOT, ROOT, 0o700));
    for path in entries(&world.saved()) {
        assert_eq!(owned(&path), (ROOT, ROOT, 0o600), "{}", path.display());
    }
    world.run(ROOT, &["undo", "log"]).ended(0, "undone");
    // A file of anybody's that is moved there as a whole, too.
    let world = World::whole();
    let roll = ["--max-store-bytes", "1"];
    world.append(BOB, "four\n", &roll).ended(0, "");
    give(&world.log().join("0.store"), EVE);
    let before = tree(&world.log());
    world
        .run(ROOT, &["trim", "log", "--before", "3"])
        .ended(0, "saved in");
    assert_eq!(owned(&world.saved()), (ROOT, ROOT, 0o700));
    world.run(ROOT, &["undo", "log"]).ended(0, "undone");
    assert_eq!(tree(&world.log()), before);
}

/// The owner of a log cannot have a file copied that he may not read: a link in his log, or
/// in a copy of it, leads to his own files only.
#[test]
fn a_link_of_the_logs_owner_leads_to_no_file_of_another_user() {
    if !is_root() {
        return;
    }
    let world = World::whole();
    let (log, copy) = (world.log(), world.home().join("copy"));
    let (store, index) = (log.join("0.store"), log.join("0.index"));
    write(&copy.join("0.index"), &fs::read(&index).unwrap(), BOB);
    let elsewhere = world.path().join("elsewhere.store");
    fs::rename(&store, &elsewhere).unwrap();
    link(&elsewhere, &copy.join("0.store"), BOB);
    let refused = "a symbolic link to a file that is not of the directory's owner";
    for owner in [ROOT, EVE] {
        give(&elsewhere, owner);
        set_mode(&elsewhere, 0o600);
        let before = tree(&log);
        world
            .run(ROOT, &["repair", "log", "--replica", "copy"])
            .ended(2, refused);
        assert_eq!(tree(&log), before);
        link(&elsewhere, &store, BOB);
        world.run(ROOT, &["read", "log"]).ended(2, refused);
        world
            .run(ROOT, &["salvage", "log", "new"])
            .ended(2, refused);
        assert!(!world.home().join("new").exists());
        fs::remove_file(&store).unwrap();
    }
    // His own, and any link of root's in a directory of root's.
    give(&elsewhere, BOB);
    world
        .run(ROOT, &["repair", "log", "--replica", "copy"])
        .ended(0, "restored");
    give(&elsewhere, EVE);
    give(&copy, ROOT);
    world.run(ROOT, &["read", "copy"]).ended(0, "");
}

#[test]
fn a_set_user_id_bit_is_never_copied() {
    if !is_root() {
        return;
    }
    // The twin of a file that is missing has it, or is a link to a file that has it.
    for twin_is_link in [false, true] {
        let world = World::damaged();
        let store = world.log().join("0.store");
        let place = world.path().join("program");
        if twin_is_link {
            fs::rename(&store, &place).unwrap();
            give(&place, ROOT);
            link(&place, &store, BOB);
        }
        set_mode(&store, 0o6755);
        let run = world.run(ROOT, &["repair", "log"]);
        let index = world.log().join("0.index");
        if index.exists() {
            let (uid, _, mode) = owned(&index);
            assert_eq!(mode & 0o7000, 0, "{run:?}");
            assert_eq!(uid, if twin_is_link { ROOT } else { BOB });
        }
        for arguments in [["salvage", "log", "new"], ["undo", "log", "--into=old"]] {
            world.run(ROOT, &arguments);
        }
        for (path, (_, _, mode), _) in tree(&world.home()) {
            let was_there = path == store;
            assert!(
                was_there || mode & 0o7000 == 0 || path.is_symlink(),
                "{}",
                path.display()
            );
        }
    }
}

/// What was saved in another file system is copied back: the new file is like its twin, and
/// never like what a link leads to.
#[test]
fn a_file_that_is_made_again_is_nobodys_program() {
    if !is_root() {
        return;
    }
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else {
        eprintln!("SKIPPED: security: no second file system at /dev/shm");
        return;
    };
    set_mode(elsewhere.path(), 0o755);
    for (twin_is_link, expected) in [(true, (BOB, BOB, 0o644)), (false, (EVE, EVE, 0o640))] {
        let world = World::whole();
        let device = |path| fs::metadata(path).unwrap().dev();
        if device(elsewhere.path()) == device(world.path()) {
            eprintln!("SKIPPED: security: /dev/shm is no file system of its own");
            return;
        }
        let program = world.path().join("program");
        write(&program, b"#!/bin/sh\n", ROOT);
        set_mode(&program, 0o4755);
        let [store, index] = ["0.store", "0.index"].map(|name| world.log().join(name));
        fs::remove_file(&store).unwrap();
        if twin_is_link {
            fs::remove_file(&index).unwrap();
            link(&program, &index, BOB);
        } else {
            give(&index, EVE);
            set_mode(&index, 0o640);
        }
        let change = json!({"kind": "replace", "file": "0.store", "bytes": 4, "size_after": 9});
        let saved = elsewhere.path().join("000001-2026-01-02T030405Z");
        let text = manifest(&world.log(), &[change]);
        write(&saved.join("manifest.json"), text.as_bytes(), BOB);
        write(&saved.join("0.moved"), b"evil", BOB);
        let place = elsewhere.path().to_str().unwrap();
        let run = world.run(ROOT, &["undo", "log", "--save-to", place]);
        run.ended(0, "undone");
        assert_eq!(owned(&store), expected);
        assert_eq!(owned(&program), (ROOT, ROOT, 0o4755));
        assert_eq!(fs::read(&program).unwrap(), b"#!/bin/sh\n");
        fs::remove_dir_all(saved).unwrap();
    }
}

#[test]
fn a_directory_that_is_there_keeps_its_owner() {
    if !is_root() {
        return;
    }
    let world = World::damaged();
    let mine = world.path().join("mine");
    fs::create_dir(&mine).unwrap();
    let before = owned(&mine);
    // Through a link of BOB's nothing is made in it.
    link(&mine, &world.home().join("new"), BOB);
    for arguments in [
        &["salvage", "log", "new"][..],
        &["undo", "log", "--into", "new"],
    ] {
        if arguments[0] == "undo" {
            let _ = fs::remove_file(world.home().join("new.salvage.ndjson"));
            world.run(ROOT, &["repair", "log"]).ended(0, "");
        }
        let run = world.run(ROOT, arguments);
        run.ended(2, "new: not trusted: is a symbolic link of user 54401");
        assert_eq!(entries(&mine), [] as [std::path::PathBuf; 0]);
        assert_eq!(owned(&mine), before);
    }
    // Named by root it is filled, and stays root's.
    let run = world.run(ROOT, &["salvage", "log", mine.to_str().unwrap()]);
    assert!([0, 3].contains(&run.status), "{run:?}");
    assert_eq!(owned(&mine), before);
    assert_eq!(owned(&mine.join("0.store")).0, BOB);
}

#[test]
fn a_copy_is_no_wider_than_the_log() {
    if !is_root() {
        return;
    }
    for mode in [0o700, 0o750, 0o2770, 0o755] {
        let world = World::damaged();
        set_mode(&world.log(), mode);
        set_mode(&world.log().join("0.store"), 0o600);
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!(
            "umask 0; exec {} salvage log new",
            binary().display()
        ));
        let run = world.run_by(shell, ROOT, &[]);
        assert!([0, 3].contains(&run.status), "{run:?}");
        world.run(ROOT, &["repair", "log"]).ended(0, "");
        world
            .run(ROOT, &["undo", "log", "--into", "old"])
            .ended(0, "");
        for copy in ["new", "old"] {
            let copy = world.home().join(copy);
            assert_eq!(owned(&copy), (BOB, BOB, mode & 0o777), "{mode:o}");
            for file in entries(&copy) {
                assert_eq!(owned(&file), (BOB, BOB, 0o600), "{}", file.display());
            }
        }
        let note = world.home().join("new.salvage.ndjson");
        assert_eq!(owned(&note), (BOB, BOB, 0o600));
        // Its owner may put it in place.
        write(&world.home().join("input"), b"more\n", BOB);
        world.run(BOB, &["append", "new", "input"]).ended(0, "");
    }
}

#[test]
fn an_access_control_list_is_copied_whole() {
    if !is_root() {
        return;
    }
    let world = World::damaged();
    let store = world.log().join("0.store");
    if !set_acl(&store, ACCESS, &acl(4, 0)) {
        return;
    }
    let expected = acl_of(&store, ACCESS);
    assert!(expected.is_some());
    world.run(ROOT, &["repair", "log"]).ended(0, "");
    world.run(ROOT, &["salvage", "log", "new"]).ended(0, "");
    for path in ["log/0.index", "new/0.store", "new/0.index"] {
        let path = world.home().join(path);
        assert_eq!(acl_of(&path, ACCESS), expected, "{}", path.display());
        assert_eq!(owned(&path), owned(&store));
    }
    // What was saved lets nobody else in.
    for path in entries(&world.saved()) {
        assert_eq!((owned(&path).2, acl_of(&path, ACCESS)), (0o600, None));
    }
    // Segments that an append begins are the same.
    for user in [BOB, ROOT] {
        let roll = ["--max-store-bytes", "1"];
        world.append(user, "four\nfive\n", &roll).ended(0, "");
    }
    assert!(entries(&world.log()).len() > 4);
    for path in entries(&world.log()) {
        assert_eq!(acl_of(&path, ACCESS), expected, "{}", path.display());
    }
}

/// A directory that hands rights on to new files does not give more than the twin has.
#[test]
fn rights_that_a_directory_hands_on_are_taken_away() {
    if !is_root() {
        return;
    }
    let world = World::damaged();
    let store = world.log().join("0.store");
    set_mode(&store, 0o640);
    for directory in [world.log(), world.home()] {
        if !set_acl(&directory, DEFAULT, &acl(6, 6)) {
            return;
        }
    }
    world.run(ROOT, &["repair", "log"]).ended(0, "");
    world.run(ROOT, &["salvage", "log", "new"]).ended(0, "");
    for path in ["log/0.index", "new/0.store", "new/0.index"] {
        let path = world.home().join(path);
        assert_eq!(acl_of(&path, ACCESS), None, "{}", path.display());
        assert_eq!(owned(&path).2, 0o640);
    }
    let (log, new) = (world.log(), world.home().join("new"));
    assert_eq!(acl_of(&new, DEFAULT), acl_of(&log, DEFAULT));
    for path in entries(&world.saved()) {
        assert_eq!(owned(&path).2 & 0o077, 0, "{}", path.display());
    }
}

/// A group that cannot be kept gives its rights to nobody.
#[test]
fn a_file_that_cannot_be_given_away_is_narrower() {
    if !is_root() {
        return;
    }
    for (mode, expected) in [
        (0o660, 0o600),
        (0o664, 0o644),
        (0o666, 0o666),
        (0o606, 0o600),
    ] {
        let world = World::new();
        for (name, bytes) in LogBuilder::raw().segment(0, ["one"]).files() {
            let path = world.log().join(name);
            write(&path, &bytes, BOB);
            chown(&path, Some(EVE), Some(BOB)).unwrap();
            set_mode(&path, mode);
        }
        set_mode(&world.log(), 0o777);
        let run = world.append(EVE, "two\nthree\n", &["--max-store-bytes", "1"]);
        run.ended(0, "");
        let made = world.log().join("1.store");
        assert_eq!(owned(&made), (EVE, EVE, expected), "{mode:o} {run:?}");
    }
}

/// The user of a container without the log's owner: it works, and says what it could not do.
#[test]
fn where_the_owner_is_not_known_it_works_and_says_so() {
    if !is_root() {
        return;
    }
    let world = World::damaged();
    // Its root may do with the files of others what everybody may.
    set_mode(&world.home(), 0o777);
    set_mode(&world.log(), 0o777);
    set_mode(&world.log().join("0.store"), 0o666);
    let container = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user"]).arg(binary());
        world.run_by(command, ROOT, arguments)
    };
    if container(&["--version"]).status != 0 {
        eprintln!("SKIPPED: security: no user namespace can be made here");
        return;
    }
    let damaged = tree(&world.log());
    let run = container(&["repair", "log", "--assume-unused"]);
    run.ended(3, "note: cannot make user 65534 the owner of ");
    run.ended(3, "0.index: belongs to user 0, the log to 65534");
    assert_eq!(owned(&world.log().join("0.index")).0, ROOT);
    container(&["undo", "log", "--assume-unused"]).ended(0, "undone");
    assert_eq!(tree(&world.log()), damaged);
    let run = container(&["salvage", "log", "new"]);
    run.ended(0, "note: cannot make user 65534 the owner of ");
    container(&["-q", "repair", "log", "--assume-unused"]).ended(3, "");
    // Whom the container does not know is nobody whom it trusts.
    let saved = world.saved();
    give(&saved, BOB);
    set_mode(&saved, 0o755);
    let run = container(&["undo", "log", "--assume-unused"]);
    run.ended(2, "belongs to user 65534");
}
