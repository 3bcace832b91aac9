//! The places of saved directories: what is beside them, and where a place is not one's own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::security::saved::{forge, longer_store, manifest};
use crate::security::world::{
    BOB, EVE, ROOT, Run, World, binary, entries, give, is_root, link, owned, set_mode, tree, write,
};

/// What is no saved directory, or an incomplete one, says nothing of the others.
#[test]
fn what_is_beside_saved_directories_is_passed_over() {
    if !is_root() {
        return;
    }
    let world = World::whole();
    let saved = forge(
        &world,
        &manifest(&world.log(), &[longer_store(&world)]),
        BOB,
    );
    write(&world.parent().join("notes"), b"mine", BOB);
    link(
        &saved,
        &world.parent().join("000008-2026-01-02T030405Z"),
        BOB,
    );
    let incomplete = world.parent().join("000009-2026-01-02T030405Z");
    write(&incomplete.join("0.before"), b"bytes", EVE);
    let run = world.run(ROOT, &["undo", "log", "--dry-run"]);
    run.ended(0, "0.store: 11 bytes restored");
    assert_eq!(run.err, "");
    // A power cut left zeros in the place of a line.
    let text = manifest(&world.log(), &[longer_store(&world)]);
    let (head, end) = text.split_at(text.rfind("{\"kind\":\"end\"}").unwrap());
    forge(&world, &format!("{head}{}\n", "\0".repeat(end.len())), BOB);
    let run = world.run(ROOT, &["undo", "log"]);
    run.ended(1, "nothing to undo");
    assert!(!run.err.contains("skipped"), "{run:?}");
}

/// Nothing that is not certain to be left by a command that ended is removed.
#[test]
fn remains_are_removed_only_where_they_can_be_ours() {
    if !is_root() {
        return;
    }
    let world = World::damaged();
    let elsewhere = world.path().join("elsewhere");
    write(&elsewhere.join("0.before"), b"bytes", ROOT);
    let [linked, of_eve, ours] = [7, 8, 9].map(|it| {
        let name = format!("00000{it}-2026-01-02T030405Z");
        world.parent().join(name)
    });
    write(&ours.join("0.before"), b"bytes", BOB);
    write(&of_eve.join("0.before"), b"bytes", EVE);
    link(&elsewhere, &linked, BOB);
    give(&world.parent(), BOB);
    world.run(ROOT, &["repair", "log"]).ended(0, "saved in");
    assert!(elsewhere.join("0.before").exists());
    assert!(of_eve.join("0.before").exists());
    assert!(!ours.exists());
    // Where other logs are saved too, one of theirs may be filled now.
    world.run(ROOT, &["undo", "log"]).ended(0, "undone");
    write(&ours.join("0.before"), b"bytes", BOB);
    let parent = world.parent();
    let save_to = ["repair", "log", "--save-to", parent.to_str().unwrap()];
    world.run(ROOT, &save_to).ended(0, "saved in");
    assert!(ours.exists());
}

/// A log that was copied with its saved changes has another inode.
#[test]
fn what_the_owner_of_the_log_saved_is_his_in_a_copy_too() {
    if !is_root() {
        return;
    }
    // Who is known to no container is a user like others outside of one.
    let nobody = 65_534;
    for owner in [BOB, ROOT, nobody] {
        let world = World::damaged();
        world.run(ROOT, &["repair", "log"]).ended(0, "saved in");
        let copy = "cp -r log copy && cp -r log.proglog-saved copy.proglog-saved && rm -r log";
        let mut shell = Command::new("sh");
        shell.args(["-c", copy]);
        world.run_by(shell, ROOT, &[]).ended(0, "");
        for (path, ..) in tree(&world.home()) {
            give(&path, owner);
        }
        let run = world.run(ROOT, &["undo", "copy", "--dry-run"]);
        run.ended(0, "0.store: 9 bytes restored");
    }
}

/// Where a change was saved that is not saved beside the log.
fn place_of(run: &Run) -> String {
    let place = run.err.split("--save-to ").nth(1);
    place.unwrap().trim().to_owned()
}

#[test]
fn a_place_that_another_user_has_made_is_not_saved_in() {
    if !is_root() {
        return;
    }
    let target = |world: &World| {
        let target = world.path().join("target");
        fs::create_dir(&target).unwrap();
        target
    };
    let world = World::damaged();
    let to = target(&world);
    link(&to, &world.parent(), BOB);
    let run = world.run(ROOT, &["repair", "log"]);
    run.ended(0, "saved in /var/tmp/proglog-saved-");
    assert_eq!(entries(&to), [] as [PathBuf; 0]);
    let place = place_of(&run);
    world
        .run(ROOT, &["undo", "log", "--save-to", &place])
        .ended(0, "undone");
    assert_eq!(owned(place.as_ref()), (BOB, BOB, 0o700));
    fs::remove_dir_all(place).unwrap();
    // Nor is what the environment names, if it is another user's, relative, or in the log.
    // In the log it is a stray name.
    for (state, owner, status) in [
        ("state", BOB, 0),
        ("state", ROOT, 0),
        ("log/state", ROOT, 3),
    ] {
        let path = world.home().join(state);
        fs::create_dir(&path).unwrap();
        give(&path, owner);
        let mut env = Command::new("env");
        let is_relative = state == "state" && owner == ROOT;
        let value = if is_relative {
            state.as_ref()
        } else {
            path.as_path()
        };
        env.arg(format!("XDG_STATE_HOME={}", value.display()));
        env.arg(binary());
        let run = world.run_by(env, ROOT, &["repair", "log"]);
        run.ended(status, "saved in /var/tmp/proglog-saved-");
        assert_eq!(entries(&path), [] as [PathBuf; 0]);
        fs::remove_dir(&path).unwrap();
        let place = place_of(&run);
        let undo = ["undo", "log", "--save-to", &place];
        world.run(ROOT, &undo).ended(0, "undone");
        fs::remove_dir_all(place).unwrap();
    }
    // A link of root's own is followed.
    fs::remove_file(world.parent()).unwrap();
    link(&to, &world.parent(), ROOT);
    world.run(ROOT, &["repair", "log"]).ended(0, "saved in");
    assert_eq!(entries(&to).len(), 1);
    world.run(ROOT, &["undo", "log"]).ended(0, "undone");
    // The directory is somebody else's.
    let world = World::damaged();
    fs::create_dir(world.parent()).unwrap();
    give(&world.parent(), EVE);
    // BOB could write to it.
    set_mode(&world.parent(), 0o777);
    let run = world.run(BOB, &["repair", "log"]);
    run.ended(0, "saved in /var/tmp/proglog-saved-");
    assert_eq!(entries(&world.parent()), [] as [PathBuf; 0]);
    let place = place_of(&run);
    assert_eq!(owned(place.as_ref()), (BOB, BOB, 0o700));
    fs::remove_dir_all(place).unwrap();
}
