//! `proglog undo`: lists, restores elsewhere, takes back, refuses a log that went on,
//! and completes what was cut short.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]

use std::fs;
use std::path::PathBuf;

use proglog_testkit::{LogBuilder, Sandbox, Snapshot, cases, run};

/// The only saved directory.
fn saved(sandbox: &Sandbox) -> PathBuf {
    let parent = sandbox.path().join("log.proglog-saved");
    let mut entries = fs::read_dir(parent).unwrap();
    entries.next().unwrap().unwrap().path()
}

#[test]
fn a_file_is_not_called_missing() {
    let sandbox = Sandbox::of("clean-one-segment");
    for (file, hint) in [("log/0.store", true), ("notes", false)] {
        sandbox.write("../notes", b"text");
        for options in [
            &[][..],
            &["--list"],
            &["--prune", "--keep", "1"],
            &["--dry-run"],
        ] {
            let arguments = [&["undo", file][..], options].concat();
            let (status, _, stderr) = run(&sandbox, &arguments);
            assert_eq!(status, 2, "{stderr}");
            let told = format!("error: {file}: is not a directory\n");
            assert!(stderr.starts_with(&told), "{stderr}");
            assert_eq!(
                stderr.contains("hint: name the log's directory, log;"),
                hint,
                "{stderr}"
            );
        }
    }
    let (_, _, stderr) = run(&sandbox, &["undo", "nothing"]);
    assert_eq!(stderr, "error: nothing: no such directory\n");
}

#[test]
fn the_damaged_original_comes_back_byte_for_byte() {
    for case in cases() {
        let sandbox = Sandbox::of(&case);
        let before = sandbox.snapshot();
        let (_, stdout, _) = run(&sandbox, &["repair", "log"]);
        if stdout.starts_with("nothing to change") {
            let (status, _, stderr) = run(&sandbox, &["undo", "log"]);
            assert_eq!(status, 1, "{case}: {stderr}");
            continue;
        }
        let repaired = sandbox.snapshot();
        let (status, _, stderr) = run(&sandbox, &["undo", "log", "--into", "old"]);
        assert_eq!(status, 0, "{case}: {stderr}");
        let old = Snapshot::of(&sandbox.path().join("old"));
        for (name, bytes) in old.contents() {
            assert_eq!(before.contents().get(name), Some(&bytes), "{case}");
        }
        let (status, _, _) = run(&sandbox, &["undo", "log", "--dry-run"]);
        assert_eq!(
            (status, sandbox.snapshot() == repaired),
            (0, true),
            "{case}"
        );
        let (status, _, stderr) = run(&sandbox, &["undo", "log"]);
        assert_eq!(status, 0, "{case}: {stderr}");
        assert_eq!(sandbox.snapshot().contents(), before.contents(), "{case}");
        assert_eq!(run(&sandbox, &["undo", "log"]).0, 1, "{case}");
    }
}

#[test]
fn by_the_saved_directory_and_in_a_list() {
    let sandbox = Sandbox::of("killed-index-ahead");
    let before = sandbox.snapshot();
    run(&sandbox, &["repair", "log"]);
    let place = saved(&sandbox);
    let (_, list, _) = run(&sandbox, &["undo", "log", "--list"]);
    assert!(list.contains(place.to_str().unwrap()), "{list}");
    let (_, list, _) = run(&sandbox, &["undo", "log", "--list", "--json"]);
    let line: serde_json::Value = serde_json::from_str(list.trim()).unwrap();
    assert_eq!(line.get("undone").unwrap(), false);
    let (status, _, stderr) = run(&sandbox, &["undo", place.to_str().unwrap()]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(sandbox.snapshot().contents(), before.contents());
    let (status, _, stderr) = run(&sandbox, &["undo", place.to_str().unwrap()]);
    assert_eq!(status, 1, "{stderr}");
    let (_, list, _) = run(&sandbox, &["undo", "log", "--list"]);
    assert!(list.contains("undone"), "{list}");
}

#[test]
fn it_refuses_after_the_log_went_on() {
    let sandbox = Sandbox::of("killed-index-ahead");
    let damaged = sandbox.snapshot();
    run(&sandbox, &["repair", "log"]);
    let mut append = sandbox.proglog();
    append
        .args(["append", "log"])
        .write_stdin("more\n")
        .assert()
        .success();
    let went_on = sandbox.snapshot();
    for dry_run in [&["undo", "log", "--dry-run"][..], &["undo", "log"]] {
        let (status, stdout, stderr) = run(&sandbox, dry_run);
        assert_eq!((status, stdout.as_str()), (1, ""), "{stderr}");
        assert!(stderr.contains(" --into log.undone\n"), "{stderr}");
        assert_eq!(sandbox.snapshot(), went_on);
    }
    let (status, _, stderr) = run(&sandbox, &["undo", "log", "--into", "old"]);
    assert_eq!(status, 0, "{stderr}");
    let old = Snapshot::of(&sandbox.path().join("old"));
    assert_eq!(old.contents(), damaged.contents());
    let (status, _, _) = run(&sandbox, &["undo", "log", "--into", "log/inside"]);
    assert_eq!(status, 2);
    let (status, _, _) = run(&sandbox, &["undo", "log", "--into", "old"]);
    assert_eq!(status, 2, "not empty");
}

/// Each file is, independently, as before or as after, or as a cut-short write of the
/// one over the other leaves it.
#[test]
fn an_undo_cut_short_is_run_again() {
    for case in [
        "killed-three-segments",
        "index-bit-flipped",
        "index-shrunk",
        "raw-torn",
    ] {
        let sandbox = Sandbox::of(case);
        let before: Vec<(String, Vec<u8>)> = sandbox
            .names()
            .into_iter()
            .map(|name| (name.clone(), sandbox.read(&name)))
            .collect();
        run(&sandbox, &["repair", "log"]);
        let after: Vec<Vec<u8>> = before.iter().map(|(name, _)| sandbox.read(name)).collect();
        for round in 0..16_usize {
            for (number, ((name, was), is)) in before.iter().zip(&after).enumerate() {
                let mixed = match (round >> (number % 4)) & 1 {
                    0 => is.clone(),
                    _ if round % 3 == 0 => was.clone(),
                    // Half of what goes back is back.
                    _ => {
                        let back = usize::midpoint(is.len(), was.len());
                        let kept = was.get(..back.min(was.len())).unwrap();
                        if kept.len() < is.len() {
                            is.clone()
                        } else {
                            kept.to_vec()
                        }
                    }
                };
                fs::write(sandbox.file(name), mixed).unwrap();
            }
            let (status, _, stderr) = run(&sandbox, &["undo", "log"]);
            assert_eq!(status, 0, "{case} {round}: {stderr}");
            for (name, was) in &before {
                assert_eq!(&sandbox.read(name), was, "{case} {round} {name}");
            }
            fs::remove_file(saved(&sandbox).join("undone")).unwrap();
        }
    }
}

/// Five records in one segment.
fn five() -> Sandbox {
    Sandbox::built(&LogBuilder::raw().segment(0, ["a", "b", "c", "d", "e"]))
}

/// Drops the records above `last`, and gives the directory in which they are saved.
fn trim(sandbox: &Sandbox, last: u64, more: &[&str]) -> PathBuf {
    let last = last.to_string();
    let arguments = [&["trim", "log", "--json", "--after", &last], more].concat();
    let (status, stdout, stderr) = run(sandbox, &arguments);
    assert_eq!(status, 0, "{stderr}");
    let summary: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    summary["saved"].as_str().unwrap().into()
}

/// Makes a change look as if another clock, or another version, had named it.
fn rename(saved: &PathBuf, name: &str, edit: impl Fn(&str) -> String) {
    let manifest = saved.join("manifest.json");
    fs::write(&manifest, edit(&fs::read_to_string(&manifest).unwrap())).unwrap();
    fs::rename(saved, saved.with_file_name(name)).unwrap();
}

#[test]
fn the_newest_change_comes_first_whatever_the_clock_said() {
    let sandbox = five();
    let first = trim(&sandbox, 3, &[]);
    let between = sandbox.snapshot();
    let name = first.file_name().unwrap().to_str().unwrap();
    let (number, time) = name.split_once('-').unwrap();
    assert_eq!(number, "000001");
    // The clock stood far ahead, and was set back before the next change.
    let ahead = format!("2999{}", &time[4..]);
    rename(&first, &format!("{number}-{ahead}"), |manifest| {
        manifest.replacen("\"time\":\"20", "\"time\":\"29", 1)
    });
    let second = trim(&sandbox, 1, &[]);
    assert!(second.display().to_string().contains("/000002-"));
    let (_, list, _) = run(&sandbox, &["undo", "log", "--list"]);
    assert!(list.lines().last().unwrap().contains("000002-"), "{list}");
    assert!(list.contains("29"), "{list}");
    let (status, _, stderr) = run(&sandbox, &["undo", "log"]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(sandbox.snapshot().contents(), between.contents());
    assert_eq!(run(&sandbox, &["undo", "log"]).0, 0);
    assert_eq!(sandbox.bytes("0.index"), 60);
}

/// A copy of the log and of what was saved has other times, and a mark that was cut short
/// names no file.
#[test]
fn what_the_change_made_is_known_by_its_bytes() {
    for mark_is_whole in [true, false] {
        let sandbox = five();
        let whole = sandbox.snapshot();
        sandbox.remove("0.index");
        let before = sandbox.snapshot();
        assert_eq!(run(&sandbox, &["repair", "log"]).0, 0);
        assert_eq!(sandbox.snapshot().contents(), whole.contents());
        if !mark_is_whole {
            fs::write(saved(&sandbox).join("done"), []).unwrap();
        }
        let index = fs::File::options()
            .append(true)
            .open(sandbox.log().join("0.index"));
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
        index.unwrap().set_modified(later).unwrap();
        let (status, _, stderr) = run(&sandbox, &["undo", "log"]);
        assert_eq!(status, 0, "{stderr}");
        assert_eq!(sandbox.snapshot().contents(), before.contents());
    }
}

#[test]
fn changes_of_an_older_version_are_taken_back_after_the_new_ones() {
    let sandbox = five();
    for (last, name) in [(3, "2026-01-02T030405Z-9"), (2, "2026-01-02T030405Z-10")] {
        let saved = trim(&sandbox, last, &[]);
        rename(&saved, name, |manifest| {
            let (head, rest) = manifest.split_once('\n').unwrap();
            let mut head: serde_json::Value = serde_json::from_str(head).unwrap();
            head.as_object_mut().unwrap().remove("number").unwrap();
            head["time"] = "2026-01-02T03:04:05Z".into();
            format!("{head}\n{rest}")
        });
    }
    trim(&sandbox, 1, &[]);
    for entries in [3, 4, 5] {
        let (status, _, stderr) = run(&sandbox, &["undo", "log"]);
        assert_eq!(status, 0, "{stderr}");
        assert_eq!(sandbox.bytes("0.index"), entries * 12);
    }
}

#[test]
fn a_place_that_several_logs_share_gives_each_its_own_changes() {
    let sandbox = five();
    trim(&sandbox, 3, &["--save-to", "saved"]);
    let other = sandbox.path().join("other");
    fs::create_dir(&other).unwrap();
    for name in sandbox.names() {
        fs::copy(sandbox.file(&name), other.join(&name)).unwrap();
    }
    let (status, _, stderr) = run(
        &sandbox,
        &["trim", "other", "--after", "1", "--save-to", "saved"],
    );
    assert_eq!(status, 0, "{stderr}");
    let (status, _, stderr) = run(&sandbox, &["undo", "log", "--save-to", "saved"]);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(sandbox.bytes("0.index"), 60);
    assert_eq!(fs::read(other.join("0.index")).unwrap().len(), 24);
    // Moved, it is still this log.
    fs::rename(&other, sandbox.path().join("moved")).unwrap();
    let (status, _, stderr) = run(&sandbox, &["undo", "moved", "--save-to", "saved"]);
    assert_eq!(status, 0, "{stderr}");
}

/// What was written with the clock set back is older than the change, by the clock.
#[test]
fn a_file_that_was_made_and_written_to_later_is_kept_whatever_the_clock_said() {
    for written in [false, true] {
        let sandbox = five();
        sandbox.remove("0.index");
        assert_eq!(run(&sandbox, &["repair", "log"]).0, 0);
        if written {
            sandbox.put("0.index", 59, &[7]);
            let index = fs::File::options()
                .write(true)
                .open(sandbox.file("0.index"));
            index.unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        let (status, _, stderr) = run(&sandbox, &["undo", "log"]);
        assert_eq!(status, i32::from(written), "{stderr}");
        assert_eq!(sandbox.file("0.index").exists(), written);
    }
}
