//! Disks that are full or read-only: status 2, the log as it was, and a second run
//! completes it. Real mounts, so it needs root; else it is skipped, loudly.

use std::path::{Path, PathBuf};
use std::process::Command;

use proglog_testkit::{LogBuilder, Sandbox, Snapshot, proglog, said};

use crate::mending::run;

/// A small tmpfs; dropping it unmounts it.
pub struct Mount(tempfile::TempDir);

impl Mount {
    pub fn tmpfs(options: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(directory.path())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(directory));
        }
        eprintln!("NOT TESTED: cannot mount a tmpfs");
        None
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all that is left of at most 64 KiB.
    fn fill(&self) -> PathBuf {
        let filler = self.path().join("filler");
        let mut bytes = 64 * 1024;
        while std::fs::write(&filler, vec![1; bytes]).is_err() {
            bytes -= 4096;
        }
        filler
    }

    fn remount(&self, options: &str) {
        let done = Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(self.path())
            .status();
        assert!(done.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn copy_log(case: &str, to: &Path) {
    let sandbox = Sandbox::of(case);
    std::fs::create_dir(to).unwrap();
    for name in sandbox.names() {
        std::fs::write(to.join(&name), sandbox.read(&name)).unwrap();
    }
}

#[test]
fn a_full_disk_stops_before_anything_is_changed() {
    let Some(mount) = Mount::tmpfs("size=64k") else {
        return;
    };
    let log = mount.path().join("log");
    copy_log("killed-index-ahead", &log);
    let before = Snapshot::of(&log);
    let filler = mount.fill();
    let (status, stdout, stderr) = run(mount.path(), &["repair", "log"]);
    assert_eq!((status, stdout.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains("hint: --save-to"), "{stderr}");
    assert!(stderr.contains("--no-save"), "{stderr}");
    assert_eq!(Snapshot::of(&log), before);
    std::fs::remove_file(filler).unwrap();
    let (status, _, stderr) = run(mount.path(), &["repair", "log"]);
    assert_eq!(status, 0, "{stderr}");
    let (status, _, stderr) = run(mount.path(), &["undo", "log"]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(Snapshot::of(&log).contents(), before.contents());
}

#[test]
fn no_place_to_save_beside_the_log() {
    let Some(outer) = Mount::tmpfs("size=64k") else {
        return;
    };
    let log = outer.path().join("log");
    std::fs::create_dir(&log).unwrap();
    let inner = Command::new("mount")
        .args(["-t", "tmpfs", "none"])
        .arg(&log)
        .status();
    assert!(inner.unwrap().success());
    let sandbox = Sandbox::of("killed-index-ahead");
    for name in sandbox.names() {
        std::fs::write(log.join(&name), sandbox.read(&name)).unwrap();
    }
    outer.remount("ro");
    let before = Snapshot::of(&log);
    // It is saved in the user's own place then, and the message says how to get it back.
    let state = tempfile::tempdir().unwrap();
    let with_state = |arguments: &[&str]| {
        let mut command = proglog();
        let command = command.current_dir(outer.path()).args(arguments);
        command.env("XDG_STATE_HOME", state.path());
        said(command.output().unwrap())
    };
    let dry_run = with_state(&["repair", "log", "--dry-run"]);
    assert_eq!(Snapshot::of(&log), before);
    let (status, _, stderr) = with_state(&["repair", "log"]);
    assert_eq!((status, dry_run.0), (0, 0), "{stderr}");
    let (_, undo) = stderr.split_once("undo with: proglog ").unwrap();
    assert!(undo.contains(state.path().to_str().unwrap()), "{undo}");
    let undo: Vec<&str> = undo.split_whitespace().collect();
    let (status, _, stderr) = run(outer.path(), &undo);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(Snapshot::of(&log).contents(), before.contents());
    let elsewhere = tempfile::tempdir().unwrap();
    let place = elsewhere.path().join("saved");
    let save_to = ["repair", "log", "--save-to", place.to_str().unwrap()];
    let (status, _, stderr) = run(outer.path(), &save_to);
    assert_eq!(status, 0, "{stderr}");
    // Whole files are moved, which ends at the file system's edge: the dry run says so.
    let before = Snapshot::of(&log);
    add_empty_segment(&log);
    let all = ["trim", "log", "--keep-segments", "1"];
    for dry_run in [&[][..], &["--dry-run"]] {
        let (status, _, stderr) = run(outer.path(), &[&all[..], dry_run].concat());
        assert_eq!(status, 2, "{stderr}");
        assert!(stderr.contains("--no-save"), "{stderr}");
    }
    let (status, _, stderr) = run(outer.path(), &[&all[..], &["--no-save"]].concat());
    assert_eq!(status, 0, "{stderr}");
    for half in ["243.store", "243.index"] {
        std::fs::remove_file(log.join(half)).unwrap();
    }
    for name in sandbox.names() {
        std::fs::write(log.join(&name), before.contents()[Path::new(&name)]).unwrap();
    }
    let trim = [
        "trim",
        "log",
        "--after",
        "100",
        "--save-to",
        place.to_str().unwrap(),
    ];
    assert_eq!(run(outer.path(), &trim).0, 0);
    assert!(Snapshot::of(&log) != before);
    let _ = Command::new("umount").arg(&log).status();
}

/// An empty segment behind the first.
fn add_empty_segment(log: &Path) {
    for half in ["243.store", "243.index"] {
        std::fs::write(log.join(half), []).unwrap();
    }
}

#[test]
fn a_trim_on_a_full_disk_says_what_frees_room() {
    let Some(mount) = Mount::tmpfs("size=64k") else {
        return;
    };
    let log = mount.path().join("log");
    copy_log("clean-three-segments", &log);
    let before = Snapshot::of(&log);
    mount.fill();
    for trim in [["--keep-segments", "1"], ["--after", "3"]] {
        let trim = [&["trim", "log"][..], &trim].concat();
        let (status, _, stderr) = run(mount.path(), &trim);
        assert_eq!(status, 2, "{stderr}");
        assert!(stderr.contains("hint: --no-save frees"), "{stderr}");
        assert_eq!(Snapshot::of(&log), before);
        // Nothing was changed: there is nothing to take back.
        assert!(!mount.path().join("log.proglog-saved").exists());
    }
    let trim = ["trim", "log", "--keep-segments", "1", "--no-save"];
    let (status, _, stderr) = run(mount.path(), &trim);
    assert_eq!(status, 0, "{stderr}");
}

#[test]
fn a_full_disk_ends_undo_and_salvage_with_a_way_out() {
    let Some(mount) = Mount::tmpfs("size=64k") else {
        return;
    };
    let log = mount.path().join("log");
    std::fs::create_dir(&log).unwrap();
    let large = "v".repeat(9000);
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["a", &large, &large]));
    for name in sandbox.names() {
        std::fs::write(log.join(&name), sandbox.read(&name)).unwrap();
    }
    let before = Snapshot::of(&log);
    let (status, _, stderr) = run(mount.path(), &["trim", "log", "--after", "0"]);
    assert_eq!(status, 0, "{stderr}");
    let filler = mount.fill();
    let (status, _, stderr) = run(mount.path(), &["undo", "log"]);
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("hint: free some space"), "{stderr}");
    let (status, _, stderr) = run(mount.path(), &["salvage", "log", "new"]);
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("more space"), "{stderr}");
    std::fs::remove_file(filler).unwrap();
    let (status, _, stderr) = run(mount.path(), &["undo", "log"]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(Snapshot::of(&log).contents(), before.contents());
}

#[test]
fn a_file_of_a_log_that_is_a_mount_is_replaced_only_where_it_was_saved() {
    // The damaged frame took more room than the record has.
    let of = |first: &str| LogBuilder::raw().segment(0, [first, "second", "third"]);
    let copy = Sandbox::built(&of("first"));
    let sandbox = Sandbox::built(&of("a longer first"));
    sandbox.put("0.store", 0, &[0xff; 8]);
    let Some(mount) = Mount::tmpfs("size=64k") else {
        return;
    };
    let log = mount.path();
    for name in sandbox.names() {
        std::fs::write(log.join(&name), sandbox.read(&name)).unwrap();
    }
    let before = Snapshot::of(log);
    let other = copy.log();
    let repair = [
        "repair",
        log.to_str().unwrap(),
        "--replica",
        other.to_str().unwrap(),
    ];
    let no_save = [&repair[..], &["--no-save"]].concat();
    let (status, stdout, stderr) = run(sandbox.path(), &no_save);
    assert_eq!(status, 2, "{stdout}{stderr}");
    assert!(stderr.contains("--save-to"), "{stderr}");
    assert_eq!(Snapshot::of(log).contents(), before.contents());
    let save_to = [&repair[..], &["--save-to", "saved"]].concat();
    let (status, stdout, stderr) = run(sandbox.path(), &save_to);
    assert_eq!(status, 0, "{stdout}{stderr}");
    let store = std::fs::read(log.join("0.store")).unwrap();
    assert_eq!(store, copy.read("0.store"));
}

#[test]
fn whole_files_are_not_moved_to_another_file_system() {
    let Some(mount) = Mount::tmpfs("size=256k") else {
        return;
    };
    let sandbox = Sandbox::of("clean-three-segments");
    let before = sandbox.snapshot();
    let place = mount.path().join("saved");
    let trim = [
        "trim",
        "log",
        "--keep-segments",
        "1",
        "--save-to",
        place.to_str().unwrap(),
    ];
    let (status, _, stderr) = run(sandbox.path(), &trim);
    assert_eq!(status, 2, "{stderr}");
    assert!(stderr.contains("--no-save"), "{stderr}");
    assert_eq!(sandbox.snapshot().contents(), before.contents());
}

#[test]
fn a_file_that_cannot_be_changed_half_way() {
    let sandbox = Sandbox::of("killed-index-ahead");
    let chattr = |flag: &str| {
        let status = Command::new("chattr")
            .arg(flag)
            .arg(sandbox.file("0.store"))
            .output();
        status.is_ok_and(|output| output.status.success())
    };
    if !chattr("+i") {
        eprintln!("NOT TESTED: no chattr +i here");
        return;
    }
    let before = sandbox.snapshot();
    let (status, _, stderr) = run(sandbox.path(), &["repair", "log"]);
    let same = sandbox.snapshot() == before;
    assert!(chattr("-i"));
    assert_eq!((status, same), (2, true), "{stderr}");
    assert_eq!(run(sandbox.path(), &["repair", "log"]).0, 0);
}

#[test]
fn what_cannot_be_written_is_said_by_the_dry_run_too() {
    let Some(mount) = Mount::tmpfs("size=1m") else {
        return;
    };
    let log = mount.path().join("log");
    copy_log("killed-index-ahead", &log);
    assert_eq!(run(mount.path(), &["trim", "log", "--after", "100"]).0, 0);
    std::fs::write(log.join("500.store"), []).unwrap();
    mount.remount("ro");
    for command in [
        &["repair", "log"][..],
        &["trim", "log", "--after", "1"],
        &["undo", "log"],
    ] {
        let (status, _, real) = run(mount.path(), command);
        let (foretold, _, dry) = run(mount.path(), &[command, &["--dry-run"]].concat());
        assert_eq!((status, foretold), (2, 2), "{command:?}: {real}{dry}");
        assert_eq!(real.lines().next(), dry.lines().next(), "{command:?}");
    }
}
