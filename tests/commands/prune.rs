//! `proglog undo --prune`: which saved changes go, what that frees, and what stays.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]

use std::fs;

use proglog_testkit::{LogBuilder, Sandbox, run};

/// A log with three saved changes.
fn changed(more: &[&str]) -> Sandbox {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, ["a", "b", "c", "d", "e"]));
    for last in ["3", "2", "1"] {
        let trim = [&["trim", "log", "--after", last], more].concat();
        assert_eq!(run(&sandbox, &trim).0, 0);
    }
    sandbox
}

/// The numbers of the saved changes, in their order.
fn numbers(sandbox: &Sandbox, place: &str) -> Vec<String> {
    let names = fs::read_dir(sandbox.path().join(place)).unwrap();
    let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
    let mut numbers: Vec<_> = names.map(|name| name[..6].to_owned()).collect();
    numbers.sort();
    numbers
}

fn prune(sandbox: &Sandbox, more: &[&str]) -> (i32, String, String) {
    run(sandbox, &[&["undo", "log", "--prune"], more].concat())
}

const SAVED: &str = "log.proglog-saved";

#[test]
fn the_newest_are_kept_and_a_dry_run_says_the_same() {
    let sandbox = changed(&[]);
    let before = sandbox.snapshot();
    let (status, would, stderr) = prune(&sandbox, &["--keep", "1", "--dry-run"]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(numbers(&sandbox, SAVED), ["000001", "000002", "000003"]);
    let (status, freed, stderr) = prune(&sandbox, &["--keep", "1"]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert_eq!(numbers(&sandbox, SAVED), ["000003"]);
    let said = would.replace("would be removed", "removed");
    assert_eq!(said.replace("would free", "freed"), freed);
    assert_eq!(freed.lines().count(), 3, "{freed}");
    assert!(freed.contains(" bytes of 2 saved changes\n"), "{freed}");
    assert!(!freed.contains("freed 0 bytes"), "{freed}");
    assert_eq!(sandbox.snapshot(), before);
    // The one that is kept can be undone.
    assert_eq!(run(&sandbox, &["undo", "log"]).0, 0);
    assert_eq!(sandbox.bytes("0.index"), 36);
    assert_eq!(prune(&sandbox, &[]).0, 0);
    assert!(numbers(&sandbox, SAVED).is_empty());
    let (status, stdout, _) = prune(&sandbox, &[]);
    assert_eq!((status, stdout.as_str()), (0, "nothing to remove\n"));
}

#[test]
fn by_age_and_a_time_that_is_not_known_is_not_old() {
    let sandbox = changed(&[]);
    for (number, time) in [("000001", "2020-01-02"), ("000002", "2999-01-02")] {
        let names = fs::read_dir(sandbox.path().join(SAVED)).unwrap();
        let mut saved = names.map(|it| it.unwrap().path());
        let saved = saved.find(|it| it.display().to_string().contains(number));
        let manifest = saved.unwrap().join("manifest.json");
        let text = fs::read_to_string(&manifest).unwrap();
        let at = text.find("\"time\":\"").unwrap() + 8;
        let text = format!("{}{time}{}", &text[..at], &text[at + 10..]);
        fs::write(&manifest, text).unwrap();
    }
    assert_eq!(prune(&sandbox, &["--older-than", "30d"]).0, 0);
    assert_eq!(numbers(&sandbox, SAVED), ["000002", "000003"]);
    let both = ["--older-than", "0", "--keep", "5"];
    assert_eq!(prune(&sandbox, &both).0, 0);
    assert_eq!(numbers(&sandbox, SAVED), ["000002", "000003"]);
}

#[test]
fn what_interrupted_commands_left_goes_too() {
    let sandbox = changed(&[]);
    let saved = sandbox.path().join(SAVED);
    let cut_short = saved.join("000009-2026-01-02T030405Z");
    fs::create_dir(&cut_short).unwrap();
    fs::write(cut_short.join("0.before"), [7; 5000]).unwrap();
    // A prune that was interrupted behind the manifest.
    let pruned = saved.join("000010-2026-01-02T030405Z");
    fs::create_dir(&pruned).unwrap();
    fs::write(pruned.join("undone"), []).unwrap();
    // Not ours: it may be the only copy.
    let other = saved.join("000011-2026-01-02T030405Z");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("0.moved"), [7; 5000]).unwrap();
    let (status, stdout, stderr) = prune(&sandbox, &["--keep", "3"]);
    assert_eq!(status, 0, "{stderr}");
    assert!(stdout.contains("of 0 saved changes and of 2 interrupted"));
    let left = ["000001", "000002", "000003", "000011"];
    assert_eq!(numbers(&sandbox, SAVED), left);
}

#[test]
fn a_prune_that_was_cut_short_is_run_again() {
    let sandbox = changed(&[]);
    let names = fs::read_dir(sandbox.path().join(SAVED)).unwrap();
    for saved in names.map(|it| it.unwrap().path()) {
        fs::remove_file(saved.join("0.before")).unwrap();
    }
    assert_ne!(run(&sandbox, &["undo", "log"]).0, 0);
    assert_eq!(prune(&sandbox, &[]).0, 0);
    assert!(numbers(&sandbox, SAVED).is_empty());
}

#[test]
fn a_command_that_saves_is_not_disturbed() {
    let sandbox = changed(&[]);
    let held = fs::File::open(sandbox.log()).unwrap();
    held.lock().unwrap();
    let (status, stdout, stderr) = prune(&sandbox, &["--wait=0"]);
    assert_eq!((status, stdout.as_str()), (4, ""), "{stderr}");
    drop(held);
    // One that saves for another log that had this name.
    let names = fs::read_dir(sandbox.path().join(SAVED)).unwrap();
    let newest = names.map(|it| it.unwrap().path()).max().unwrap();
    let held = fs::File::open(&newest).unwrap();
    held.lock().unwrap();
    let (status, _, stderr) = prune(&sandbox, &["--wait=0"]);
    assert_eq!(status, 4, "{stderr}");
    assert_eq!(numbers(&sandbox, SAVED), ["000003"]);
    assert!(newest.join("0.before").exists());
}

#[test]
fn a_place_that_several_logs_share_loses_only_those_of_this_one() {
    let sandbox = changed(&["--save-to", "saved"]);
    let other = sandbox.path().join("other");
    fs::create_dir(&other).unwrap();
    for name in sandbox.names() {
        fs::copy(sandbox.file(&name), other.join(&name)).unwrap();
    }
    let trim = ["trim", "other", "--after", "0", "--save-to", "saved"];
    assert_eq!(run(&sandbox, &trim).0, 0);
    // Gone, and so it may be any log that was moved.
    fs::rename(&other, sandbox.path().join("moved")).unwrap();
    assert_eq!(prune(&sandbox, &["--save-to", "saved"]).0, 0);
    assert_eq!(numbers(&sandbox, "saved"), ["000004"]);
    let (status, _, stderr) = run(&sandbox, &["undo", "moved", "--save-to", "saved"]);
    assert_eq!(status, 0, "{stderr}");
}

#[test]
fn bad_input() {
    let sandbox = changed(&[]);
    let saved = fs::read_dir(sandbox.path().join(SAVED)).unwrap();
    let saved = saved.map(|it| it.unwrap().path()).max().unwrap();
    for arguments in [
        &["undo", "log", "--keep", "1"][..],
        &["undo", "log", "--older-than", "1d"],
        &["undo", "log", "--prune", "--list"],
        &["undo", "log", "--prune", "--into", "new"],
        &["undo", "log", "--prune", "--keep", "-1"],
        &["undo", "log", "--prune", "--older-than", "x"],
        &["undo", "nothing", "--prune"],
        &["undo", saved.to_str().unwrap(), "--prune"],
    ] {
        let (status, stdout, stderr) = run(&sandbox, arguments);
        assert_eq!((status, stdout.as_str()), (2, ""), "{arguments:?} {stderr}");
    }
    assert_eq!(numbers(&sandbox, SAVED).len(), 3);
}
