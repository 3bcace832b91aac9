//! Saved directories that somebody else has made, or filled.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::security::world::{
    BOB, EVE, ROOT, Tree, World, fifo, give, is_root, link, owned, set_mode, tree, write,
};

/// Bytes that nobody wants in a file of theirs.
const EVIL: &[u8] = b"evil bytes\n";

/// The lines of a manifest.
pub fn manifest(log: &Path, lines: &[serde_json::Value]) -> String {
    let inode = fs::metadata(log).map_or(0, |it| it.ino());
    let head = json!({
        "kind": "log", "version": 1, "path": log, "inode": inode, "command": "repair",
        "number": 1, "time": "2026-01-02T03:04:05Z",
    });
    let end = json!({"kind": "end"});
    let mut files = Vec::new();
    for name in ["0.store", "0.index"] {
        if let Ok(it) = fs::metadata(log.join(name)) {
            files.push(json!({"kind": "file", "name": name, "bytes": it.len()}));
        }
    }
    let lines = [&[head], files.as_slice(), lines, &[end]].concat();
    let lines: Vec<String> = lines.iter().map(serde_json::Value::to_string).collect();
    lines.join("\n") + "\n"
}

/// A change that adds EVIL at the end of the store, if it is undone.
pub fn longer_store(world: &World) -> serde_json::Value {
    let bytes = fs::metadata(world.log().join("0.store")).unwrap().len();
    json!({
        "kind": "cut", "file": "0.store", "size_before": bytes + EVIL.len() as u64,
        "size_after": bytes, "stored_bytes": EVIL.len(),
    })
}

/// Puts a saved directory beside BOB's log: what it holds is this user's.
pub fn forge(world: &World, manifest: &str, owner: u32) -> PathBuf {
    let saved = world.parent().join("000007-2026-01-02T030405Z");
    write(&saved.join("manifest.json"), manifest.as_bytes(), owner);
    write(&saved.join("0.before"), EVIL, owner);
    give(&world.parent(), BOB);
    saved
}

#[test]
fn what_we_save_is_trusted() {
    if !is_root() {
        return;
    }
    for (repairs, undoes) in [(BOB, BOB), (BOB, ROOT), (ROOT, BOB), (ROOT, ROOT)] {
        let world = World::damaged();
        let before = tree(&world.log());
        world.run(repairs, &["repair", "log"]).ended(0, "saved in");
        assert_ne!(tree(&world.log()), before);
        let saved = world.saved();
        assert_eq!(owned(&saved).2 | owned(&world.parent()).2, 0o700);
        let dry = world.run(undoes, &["undo", "log", "--dry-run"]);
        dry.ended(0, "would be changed in log:\n  0.store: 9 bytes restored");
        dry.ended(0, " at the end\n  0.index: removed\n");
        let named = world.run(undoes, &["undo", saved.to_str().unwrap()]);
        named.ended(0, &format!("the log is {}", world.log().display()));
        assert_eq!(tree(&world.log()), before);
        // A file that was moved there as a whole.
        world.run(BOB, &["repair", "log", "--no-save"]).ended(0, "");
        world.append(BOB, "four\n", &["--max-store-bytes", "1"]);
        let before = tree(&world.log());
        let trim = ["trim", "log", "--before", "3"];
        world.run(repairs, &trim).ended(0, "saved in");
        assert_ne!(tree(&world.log()), before);
        world.run(undoes, &["undo", "log"]).ended(0, "undone: trim");
        assert_eq!(tree(&world.log()), before);
    }
}

/// What is not used is not removed either, nor what a link leads to.
#[test]
fn only_what_is_trusted_is_pruned() {
    if !is_root() {
        return;
    }
    let world = World::whole();
    forge(
        &world,
        &manifest(&world.log(), &[longer_store(&world)]),
        EVE,
    );
    let before = tree(world.path());
    for user in [ROOT, BOB] {
        world
            .run(user, &["undo", "log", "--prune"])
            .ended(0, "skipped: ");
        assert_eq!(tree(world.path()), before);
    }
    let victim = world.path().join("root/profile");
    write(&victim, b"mine", ROOT);
    let saved = forge(
        &world,
        &manifest(&world.log(), &[longer_store(&world)]),
        BOB,
    );
    for name in ["manifest.json", "0.before"] {
        give(&saved.join(name), BOB);
    }
    give(&saved, BOB);
    link(&victim, &saved.join("1.before"), BOB);
    world
        .run(ROOT, &["undo", "log", "--prune"])
        .ended(0, "freed ");
    assert!(!saved.exists());
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
}

#[test]
fn a_manifest_in_the_directory_of_the_log_is_a_stray_file() {
    if !is_root() {
        return;
    }
    let world = World::whole();
    let victim = world.path().join("root/profile");
    write(&victim, b"mine", ROOT);
    let lines = [json!({
        "kind": "cut", "file": "profile", "size_before": 15, "size_after": 4,
        "stored_bytes": 11,
    })];
    let text = manifest(victim.parent().unwrap(), &lines);
    write(&world.log().join("manifest.json"), text.as_bytes(), BOB);
    write(&world.log().join("0.before"), EVIL, BOB);
    let before = tree(world.path());
    for user in [ROOT, BOB] {
        for arguments in [&["undo", "log"][..], &["undo", "log", "--dry-run"]] {
            let run = world.run(user, arguments);
            run.ended(2, "log/manifest.json: not trusted: ");
            assert_eq!(tree(world.path()), before);
        }
    }
    // A log without a segment is none, and no saved directory either.
    for name in ["0.store", "0.index"] {
        fs::remove_file(world.log().join(name)).unwrap();
    }
    let before = tree(world.path());
    world.run(ROOT, &["undo", "log"]).ended(2, "not trusted");
    assert_eq!(tree(world.path()), before);
    let run = world.run(ROOT, &["verify", "log"]);
    assert!(run.status != 0, "{run:?}");
}

#[test]
fn only_files_of_segments_are_named() {
    if !is_root() {
        return;
    }
    let world = World::whole();
    let victim = world.home().join("profile");
    write(&victim, b"mine", BOB);
    write(&world.log().join("profile"), b"mine", BOB);
    for name in [
        "profile",
        "../profile",
        "log/../../profile",
        "0.store/",
        "",
        ".",
        "0.store\0",
    ] {
        for kind in ["cut", "create"] {
            let line = json!({
                "kind": kind, "file": name, "bytes": 4, "size_before": 15, "size_after": 4,
                "stored_bytes": 11,
            });
            forge(&world, &manifest(&world.log(), &[line]), BOB);
            let before = tree(world.path());
            for user in [BOB, ROOT] {
                world
                    .run(user, &["undo", "log"])
                    .ended(2, "is not the name of a segment's file");
                assert_eq!(tree(world.path()), before, "{name:?} {kind}");
            }
        }
    }
    let line = json!({"kind": "file", "name": "../profile", "bytes": 4});
    forge(&world, &manifest(&world.log(), &[line]), BOB);
    let run = world.run(ROOT, &["undo", "log", "--into", "new"]);
    run.ended(2, "is not the name of a segment's file");
    assert!(!world.home().join("new").exists());
}

#[test]
fn the_log_is_the_one_that_was_named() {
    if !is_root() {
        return;
    }
    // The manifest says another log, which is there.
    let world = World::whole();
    let other = world.path().join("other");
    fs::create_dir(&other).unwrap();
    for name in ["0.store", "0.index"] {
        let bytes = fs::read(world.log().join(name)).unwrap();
        write(&other.join(name), &bytes, ROOT);
    }
    let saved = forge(&world, &manifest(&other, &[longer_store(&world)]), BOB);
    let before = tree(world.path());
    let run = world.run(ROOT, &["undo", saved.to_str().unwrap()]);
    run.ended(2, "it is not a saved change of");
    world
        .run(ROOT, &["undo", "log"])
        .ended(1, "nothing to undo");
    assert_eq!(tree(world.path()), before);
    // The log is gone.
    let away = world.home().join("away");
    fs::rename(world.log(), &away).unwrap();
    let run = world.run(ROOT, &["undo", saved.to_str().unwrap()]);
    run.ended(2, "--save-to");
    fs::rename(away, world.log()).unwrap();
    // It is beside no log.
    let elsewhere = world.home().join("unpacked");
    fs::rename(&saved, &elsewhere).unwrap();
    let before = tree(world.path());
    let run = world.run(ROOT, &["undo", "unpacked"]);
    run.ended(2, "it is not beside the log that it belongs to");
    run.ended(2, "--save-to");
    assert_eq!(tree(world.path()), before);
}

#[test]
fn what_another_user_has_made_is_refused() {
    if !is_root() {
        return;
    }
    let world = World::whole();
    let text = manifest(&world.log(), &[longer_store(&world)]);
    // The directory is another user's, or lets him write.
    for (owner, mode, why) in [
        (EVE, 0o755, "belongs to user 54402"),
        (BOB, 0o777, "other users may write to it"),
        (BOB, 0o775, "other users may write to it"),
        (ROOT, 0o1757, "other users may write to it"),
    ] {
        let saved = forge(&world, &text, owner);
        give(&saved, owner);
        set_mode(&saved, mode);
        let before = tree(world.path());
        for user in [ROOT, BOB] {
            for named in ["log", saved.to_str().unwrap()] {
                let run = world.run(user, &["undo", named]);
                run.ended(2, &format!("{}: not trusted: {why}", saved.display()));
                assert_eq!(tree(world.path()), before);
            }
        }
        fs::remove_dir_all(&saved).unwrap();
    }
    // Whoever may replace the files of the log anyway gains nothing.
    let saved = forge(&world, &text, BOB);
    set_mode(&saved, 0o777);
    for (mode, status) in [(0o777, 0), (0o1777, 2), (0o755, 2)] {
        set_mode(&world.log(), mode);
        let run = world.run(ROOT, &["undo", "log", "--dry-run"]);
        assert_eq!(run.status, status, "{mode:o} {run:?}");
    }
    set_mode(&saved, 0o755);
    // To a user who is not root the owner of the log is another user, too.
    let saved = forge(&world, &text, BOB);
    world
        .run(EVE, &["undo", "log"])
        .ended(2, "belongs to user 54401");
    // A file in it is another user's, or he may write to it.
    for name in ["manifest.json", "0.before"] {
        let path = saved.join(name);
        for (owner, mode, refuse) in [
            (EVE, 0o644, &[ROOT, BOB][..]),
            // Root can do nothing for BOB that BOB does not trust.
            (ROOT, 0o644, &[ROOT]),
            (BOB, 0o666, &[ROOT, BOB]),
            (BOB, 0o664, &[ROOT, BOB]),
        ] {
            give(&path, owner);
            set_mode(&path, mode);
            let before = tree(world.path());
            for user in [ROOT, BOB] {
                let run = world.run(user, &["undo", "log", "--dry-run"]);
                if refuse.contains(&user) {
                    run.ended(2, &format!("{}: not trusted: ", path.display()));
                } else {
                    run.ended(0, "0.store: 11 bytes restored");
                }
                assert_eq!(tree(world.path()), before);
            }
        }
        give(&path, BOB);
        set_mode(&path, 0o666);
        // The group gets there, or everybody else.
        for mode in [0o710, 0o701] {
            set_mode(&saved, mode);
            let run = world.run(ROOT, &["undo", "log", "--dry-run"]);
            run.ended(2, &format!("{}: not trusted: ", path.display()));
        }
        // Nobody else does.
        set_mode(&saved, 0o700);
        world
            .run(ROOT, &["undo", "log", "--dry-run"])
            .ended(0, "0.store: 11 bytes restored");
        set_mode(&saved, 0o755);
        set_mode(&path, 0o644);
    }
    world.run(ROOT, &["undo", "log"]).ended(0, "undone");
}

#[test]
fn nothing_is_read_for_whoever_may_not_read_it() {
    if !is_root() {
        return;
    }
    let world = World::whole();
    let secret = world.secret();
    let bytes = fs::metadata(&secret).unwrap().len();
    let end = fs::metadata(world.log().join("0.store")).unwrap().len();
    let cut = json!({
        "kind": "cut", "file": "0.store", "size_before": end + bytes, "size_after": end,
        "stored_bytes": bytes,
    });
    let saved = forge(&world, &manifest(&world.log(), &[cut]), BOB);
    let before = saved.join("0.before");
    for kind in ["link", "hard link", "fifo", "moved here", "directory"] {
        fs::remove_file(&before).unwrap();
        match kind {
            "link" => link(&secret, &before, BOB),
            "hard link" => fs::hard_link(&secret, &before).unwrap(),
            "fifo" => fifo(&before, BOB),
            "directory" => fs::create_dir(&before).unwrap(),
            _ => {
                fs::copy(&secret, &before).unwrap();
            }
        }
        let then = tree(world.path());
        for arguments in [
            &["undo", "log", "--dry-run"][..],
            &["undo", "log"],
            &["undo", "log", "--into", "new"],
        ] {
            let run = world.run(ROOT, arguments);
            run.ended(2, &format!("{}: not trusted: ", before.display()));
            assert_eq!(tree(&world.log()), then_of(&then, &world.log()), "{kind}");
            let _ = fs::remove_dir_all(world.home().join("new"));
        }
        if kind == "directory" {
            fs::remove_dir(&before).unwrap();
            write(&before, b"", BOB);
        }
    }
    // A hard link of his own file is none that we made.
    fs::remove_file(&before).unwrap();
    let own = world.home().join("own");
    write(&own, &vec![7; usize::try_from(bytes).unwrap()], BOB);
    fs::hard_link(&own, &before).unwrap();
    world
        .run(ROOT, &["undo", "log"])
        .ended(2, "has a second name (a hard link)");
    fs::remove_file(&own).unwrap();
    world.run(ROOT, &["undo", "log"]).ended(0, "undone");
}

fn then_of(all: &Tree, below: &Path) -> Tree {
    let within = all.iter().filter(|(path, ..)| path.starts_with(below));
    within.cloned().collect()
}

#[test]
fn figures_that_no_change_has_are_refused_before_anything_is_changed() {
    if !is_root() {
        return;
    }
    let world = World::whole();
    let end = fs::metadata(world.log().join("0.store")).unwrap().len();
    let max = u64::MAX;
    let write = |position: u64, bytes: u64, before_bytes: u64, size_before: u64| {
        json!({
            "kind": "write", "file": "0.store", "position": position, "bytes": bytes,
            "before_bytes": before_bytes, "size_before": size_before,
        })
    };
    let cut = |size_before: u64, size_after: u64, stored_bytes: u64| {
        json!({
            "kind": "cut", "file": "0.store", "size_before": size_before,
            "size_after": size_after, "stored_bytes": stored_bytes,
        })
    };
    let (impossible, no_number) = ("impossible figures", "no number");
    let other_bytes = "has 11 bytes, and 1";
    for (line, why) in [
        (write(max, 1, 1, 1), no_number),
        (write(max >> 1, 1, 0, 1), impossible),
        (write(1, max >> 1, 0, 1), impossible),
        (write(0, 4, 5, end), impossible),
        (write(end, 4, 4, end), impossible),
        (cut(max, end, 11), no_number),
        (cut(end, end + 1, 0), impossible),
        (cut(end + 10, end, 11), impossible),
        (
            json!({"kind": "create", "file": "0.store", "bytes": -1}),
            no_number,
        ),
        (json!({"kind": "chmod", "file": "0.store"}), "unknown kind"),
        (
            json!({"kind": "log", "path": "/", "command": "again"}),
            "the first line",
        ),
        // More is there than was saved, and less.
        (cut(end + 11, end, 10), other_bytes),
        (cut(end + 12, end, 12), other_bytes),
    ] {
        forge(
            &world,
            &manifest(&world.log(), std::slice::from_ref(&line)),
            BOB,
        );
        let before = tree(world.path());
        for user in [ROOT, BOB] {
            let run = world.run(user, &["undo", "log"]);
            run.ended(2, why);
            assert_eq!(tree(world.path()), before, "{line}");
        }
    }
    // A line without an end, and a file of holes.
    let saved = forge(&world, &"x".repeat(300_000), BOB);
    world
        .run(ROOT, &["undo", "log"])
        .ended(2, "manifest.json: line 1: ");
    let file = fs::File::options()
        .write(true)
        .open(saved.join("manifest.json"));
    file.unwrap().set_len(1 << 40).unwrap();
    world
        .run(ROOT, &["undo", "log"])
        .ended(2, "manifest.json: line 1: ");
    // What was cut short changed nothing.
    let text = manifest(&world.log(), &[longer_store(&world)]);
    forge(&world, &text[..text.len() - 5], BOB);
    world
        .run(ROOT, &["undo", "log"])
        .ended(1, "nothing to undo");
}

#[test]
fn what_was_saved_of_another_log_is_not_given_to_the_owner_of_this_one() {
    if !is_root() {
        return;
    }
    // Root keeps a log of his own in BOB's home, and its saved changes are beside it.
    let world = World::whole();
    let (other, others) = (
        world.home().join("root"),
        world.home().join("root.proglog-saved"),
    );
    fs::create_dir(&other).unwrap();
    for name in ["0.store", "0.index"] {
        let bytes = fs::read(world.log().join(name)).unwrap();
        write(&other.join(name), &bytes, ROOT);
        set_mode(&other.join(name), 0o600);
    }
    set_mode(&other, 0o700);
    world
        .run(ROOT, &["trim", "root", "--after", "0"])
        .ended(0, "saved in");
    // BOB may rename what is in his home.
    let kept = world.home().join("kept");
    fs::rename(&other, &kept).unwrap();
    world
        .run(ROOT, &["trim", "log", "--after", "0", "--no-save"])
        .ended(0, "");
    link(&others, &world.parent(), BOB);
    let before = tree(world.path());
    let run = world.run(ROOT, &["undo", "log"]);
    run.ended(2, "is a symbolic link of user 54401");
    let run = world.run(ROOT, &["trim", "log", "--before", "0"]);
    assert!([0, 2].contains(&run.status), "{run:?}");
    assert_eq!(tree(world.path()), before);
    fs::remove_file(world.parent()).unwrap();
    fs::rename(&others, world.parent()).unwrap();
    let before = tree(world.path());
    let run = world.run(ROOT, &["undo", "log"]);
    run.ended(2, "it does not name this log");
    assert_eq!(tree(world.path()), before);
    // Put back, it is the one that root has made.
    fs::rename(world.parent(), &others).unwrap();
    fs::rename(&kept, &other).unwrap();
    world.run(ROOT, &["undo", "root"]).ended(0, "undone");
}
