//! Cursor files in directories where everybody may make files.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use crate::security::world::{
    BOB, EVE, ROOT, World, fifo, give, is_root, link, owned, set_mode, tree, write,
};

/// A log of three records, and a directory as /tmp is one.
fn world() -> (World, PathBuf) {
    let world = World::whole();
    let shared = world.path().join("shared");
    fs::create_dir(&shared).unwrap();
    set_mode(&shared, 0o1777);
    (world, shared)
}

fn read(world: &World, user: u32, cursor: &std::path::Path) -> crate::security::world::Run {
    let cursor = cursor.to_str().unwrap();
    world.run(user, &["read", "log", "--cursor-file", cursor, "-c", "1"])
}

/// What stands under the temporary name of another user is left alone.
#[test]
fn temporary_names_that_are_taken_stop_nobody() {
    if !is_root() {
        return;
    }
    for kind in ["fifo", "file", "link", "own"] {
        let (world, shared) = world();
        let secret = world.secret();
        let cursor = shared.join("cursor");
        let names = [".cursor.proglog-new", ".cursor.proglog-try"].map(|name| shared.join(name));
        for name in &names {
            match kind {
                "fifo" => fifo(name, EVE),
                "link" => link(&secret, name, EVE),
                "file" => write(name, b"eve's", EVE),
                _ => write(name, b"left by a killed process", BOB),
            }
        }
        let taken = names.each_ref().map(|name| owned(name));
        for user in [BOB, ROOT] {
            read(&world, user, &cursor).ended(0, "one");
            assert_eq!(owned(&cursor).0, user);
            assert!(fs::read_to_string(&cursor).unwrap().starts_with("1\n"));
            read(&world, user, &cursor).ended(0, "two");
            fs::remove_file(&cursor).unwrap();
        }
        assert_eq!(fs::read(&secret).unwrap(), b"only root may read this");
        assert_eq!(owned(&secret), (ROOT, ROOT, 0o600));
        if kind == "own" {
            assert!(!names[0].exists());
        } else {
            assert_eq!(names.each_ref().map(|name| owned(name)), taken, "{kind}");
        }
    }
}

#[test]
fn a_lock_that_is_no_file_is_refused() {
    if !is_root() {
        return;
    }
    for kind in ["fifo", "link", "directory"] {
        let (world, shared) = world();
        let secret = world.secret();
        let lock = shared.join(".cursor.proglog-lock");
        match kind {
            "fifo" => fifo(&lock, EVE),
            "link" => link(&secret, &lock, EVE),
            _ => fs::create_dir(&lock).unwrap(),
        }
        let before = tree(world.path());
        for user in [BOB, ROOT] {
            let run = read(&world, user, &shared.join("cursor"));
            run.ended(
                2,
                ".cursor.proglog-lock is in the way: it is not a regular file",
            );
            assert_eq!(run.out, "");
            assert_eq!(tree(world.path()), before, "{kind}");
        }
    }
}

#[test]
fn a_lock_of_another_user_is_told_of() {
    if !is_root() {
        return;
    }
    let (world, shared) = world();
    let lock = shared.join(".cursor.proglog-lock");
    write(&lock, b"", EVE);
    let held = fs::File::open(&lock).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    let run = read(&world, BOB, &shared.join("cursor"));
    run.ended(4, ": in use by ");
    run.ended(4, "belongs to user 54402");
    drop(held);
    read(&world, BOB, &shared.join("cursor")).ended(0, "one");
}

#[test]
fn a_cursor_of_another_user_says_nothing() {
    if !is_root() {
        return;
    }
    let (world, shared) = world();
    let cursor = shared.join("cursor");
    write(&cursor, b"2\n", EVE);
    for user in [BOB, ROOT] {
        let run = read(&world, user, &cursor);
        run.ended(
            2,
            "belongs to user 54402, in a directory where every user may create files",
        );
        assert_eq!(
            (run.out.as_str(), fs::read(&cursor).unwrap()),
            ("", b"2\n".to_vec())
        );
    }
    read(&world, EVE, &cursor).ended(0, "three");
    // In a directory of the owner's own it is his.
    let own = world.home().join("cursor");
    write(&own, b"1\n", BOB);
    set_mode(&own, 0o4755);
    read(&world, ROOT, &own).ended(0, "two");
    assert_eq!(owned(&own), (BOB, BOB, 0o755));
    // A link of another user's leads to a file of the victim's.
    let victim = world.home().join("victim");
    write(&victim, b"0\n", BOB);
    fs::remove_file(&cursor).unwrap();
    for target in [victim.clone(), world.home().join("missing")] {
        link(&target, &cursor, EVE);
        let run = read(&world, BOB, &cursor);
        assert_eq!(run.status, 2, "{run:?}");
        assert_eq!(fs::read(&victim).unwrap(), b"0\n");
        assert!(!world.home().join("missing").exists());
        fs::remove_file(&cursor).unwrap();
    }
    // One's own is followed.
    link(&victim, &cursor, BOB);
    give(&victim, BOB);
    read(&world, BOB, &cursor).ended(0, "one");
    assert_eq!(fs::metadata(&victim).unwrap().uid(), BOB);
}
