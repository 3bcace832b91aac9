//! What a recovery saves of what it cuts, and where: nothing where that holds nothing,
//! and elsewhere where nothing may be made beside the log.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::geteuid;

use crate::append::{Sandbox, raw};

/// A service's user, where root tests.
const SERVICE: u32 = 54_321;

/// A frame of nine bytes of which four are there.
const TORN: &[u8] = b"\0\0\0\0\0\0\0\x09torn";

/// Adds to a file what a killed append leaves.
fn add(sandbox: &Sandbox, name: &str, bytes: &[u8]) {
    let path = sandbox.log().join(name);
    let mut there = fs::read(&path).unwrap();
    there.extend_from_slice(bytes);
    fs::write(path, there).unwrap();
}

fn is_saved_beside(sandbox: &Sandbox) -> bool {
    sandbox.path("log.proglog-saved").exists()
}

#[test]
fn what_holds_nothing_is_not_saved() {
    let unfinished = [&[0xff, 0, 0, 0, 0, 0, 0, 9][..], b"nine byte"].concat();
    let cases: [(&str, &str, &[u8], bool); 6] = [
        ("padding", "0.index", &[0; 120], false),
        ("half an entry", "0.index", &[0, 0, 0, 3, 0], false),
        (
            "half an entry, padded",
            "0.index",
            &[0, 0, 0, 3, 0, 0, 0, 0, 0],
            false,
        ),
        ("zeros", "0.store", &[0; 700], false),
        (
            "a batch that was never completed",
            "0.store",
            &unfinished,
            false,
        ),
        ("half a frame", "0.store", TORN, true),
    ];
    for (about, name, bytes, saved) in cases {
        for codec in ["--codec=raw", "--codec=protobuf"] {
            let sandbox = Sandbox::new();
            sandbox.appended(&[codec], "a\nb\nc\n");
            let sound = fs::read(sandbox.log().join(name)).unwrap();
            add(&sandbox, name, bytes);
            sandbox.appended(&[], "d\n");
            assert!(
                fs::read(sandbox.log().join(name))
                    .unwrap()
                    .starts_with(&sound)
            );
            assert_eq!(sandbox.values().len(), 4, "{about} {codec}");
            assert_eq!(is_saved_beside(&sandbox), saved, "{about} {codec}");
        }
    }
}

/// Empty records without entries, after an empty one: they were not acknowledged, and the
/// log goes on.
#[test]
fn empty_records_of_an_interrupted_append_are_cut() {
    let sandbox = Sandbox::new();
    sandbox.appended(&["--codec=raw"], "one\n\n");
    let sound = fs::read(sandbox.log().join("0.store")).unwrap();
    add(&sandbox, "0.store", &[0; 16]);
    sandbox.appended(&[], "two\n");
    let added = b"\0\0\0\0\0\0\0\x03two";
    let store = fs::read(sandbox.log().join("0.store")).unwrap();
    assert_eq!(store, [&sound[..], added].concat());
    assert!(!is_saved_beside(&sandbox));
}

#[test]
fn adopting_saves_nothing() {
    // The last entries never arrived, or half of one did, or zeros in their place.
    let damages: [fn(&Sandbox); 3] = [
        |sandbox| cut(sandbox, "0.index", 24),
        |sandbox| cut(sandbox, "0.index", 31),
        |sandbox| {
            cut(sandbox, "0.index", 24);
            add(sandbox, "0.index", &[0; 36]);
        },
    ];
    for (number, damage) in damages.iter().enumerate() {
        let sandbox = Sandbox::new();
        sandbox.appended(&["--codec=protobuf"], "a\nb\nc\nd\n");
        let index = fs::read(sandbox.log().join("0.index")).unwrap();
        damage(&sandbox);
        sandbox.appended(&[], "e\n");
        assert!(
            fs::read(sandbox.log().join("0.index"))
                .unwrap()
                .starts_with(&index)
        );
        assert_eq!(sandbox.values().len(), 5, "{number}");
        assert!(!is_saved_beside(&sandbox), "{number}");
    }
}

fn cut(sandbox: &Sandbox, name: &str, bytes: u64) {
    let file = fs::File::options()
        .write(true)
        .open(sandbox.log().join(name));
    file.unwrap().set_len(bytes).unwrap();
}

/// A log with half a frame at its end, in a directory that its owner may not write to.
fn killed_service() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.appended(&[], "a\nb\n");
    add(&sandbox, "0.store", TORN);
    if geteuid().is_root() {
        give(&sandbox.log());
        for name in sandbox.names() {
            give(&sandbox.log().join(name));
        }
    }
    sandbox.file("more", "c\n");
    let mode = Permissions::from_mode(0o555);
    fs::set_permissions(sandbox.path(""), mode).unwrap();
    sandbox
}

fn give(path: &Path) {
    chown(path, Some(SERVICE), Some(SERVICE)).unwrap();
}

/// Runs a command as the log's owner.
fn as_service(sandbox: &Sandbox, arguments: &[&str], state: Option<&Path>) -> Output {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("proglog"));
    command.current_dir(sandbox.path("")).args(arguments);
    command.env_remove("XDG_STATE_HOME");
    if let Some(state) = state {
        command.env("XDG_STATE_HOME", state);
    }
    if geteuid().is_root() {
        command.uid(SERVICE).gid(SERVICE);
    }
    command.output().unwrap()
}

/// Goes on as the service; gives where was saved what was cut, and what was said.
fn goes_on(sandbox: &Sandbox, state: Option<&Path>) -> (PathBuf, String) {
    let output = as_service(sandbox, &["append", "log", "more"], state);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert_eq!(sandbox.values(), raw(&["a", "b", "c"]));
    let place = said
        .lines()
        .find_map(|line| line.split_once(" are saved in "));
    (PathBuf::from(place.unwrap().1), said)
}

/// Follows what was said: the log as it was is written elsewhere.
fn assert_saved(sandbox: &Sandbox, place: &Path, said: &str) {
    let parent = place.parent().unwrap().to_str().unwrap();
    let command = format!("hint: proglog undo log --save-to {parent} --into log.before\n");
    assert!(said.contains(&command), "{said}");
    let new = tempfile::tempdir().unwrap();
    let into = new.path().join("old");
    let mut binary = Command::new(assert_cmd::cargo::cargo_bin("proglog"));
    binary.current_dir(sandbox.path(""));
    binary.args(["undo", "log", "--save-to", parent, "--into"]);
    let output = binary.arg(&into).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(fs::read(into.join("0.store")).unwrap().ends_with(TORN));
    for directory in [place, place.parent().unwrap()] {
        let metadata = fs::metadata(directory).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o700);
        let log = fs::metadata(sandbox.log()).unwrap();
        assert_eq!(metadata.uid(), log.uid());
    }
    assert!(!is_saved_beside(sandbox));
}

#[test]
fn a_service_below_a_directory_of_others_goes_on() {
    let sandbox = killed_service();
    let (place, said) = goes_on(&sandbox, None);
    let parent = place.parent().unwrap();
    let name = parent.file_name().unwrap().to_str().unwrap();
    assert_eq!(parent.parent(), Some(Path::new("/var/tmp")));
    let random = name.strip_prefix("proglog-saved-").unwrap();
    assert!(random.len() == 32 && random != "0".repeat(32), "{random}");
    assert_saved(&sandbox, &place, &said);
    let list = [
        "undo",
        "log",
        "--list",
        "--save-to",
        parent.to_str().unwrap(),
    ];
    let list = as_service(&sandbox, &list, None).stdout;
    let list = String::from_utf8(list).unwrap();
    assert!(list.contains(place.to_str().unwrap()), "{list}");
    fs::remove_dir_all(parent).unwrap();
}

#[test]
fn the_users_own_place_is_taken_if_it_is_theirs() {
    let state = tempfile::tempdir().unwrap();
    let mode = |mode| fs::set_permissions(state.path(), Permissions::from_mode(mode)).unwrap();
    mode(0o755);
    if geteuid().is_root() {
        give(state.path());
    }
    let sandbox = killed_service();
    let (place, said) = goes_on(&sandbox, Some(state.path()));
    let parent = state.path().join("proglog/log.proglog-saved");
    assert_eq!(place.parent(), Some(parent.as_path()));
    assert_saved(&sandbox, &place, &said);
    // Others may write to it, or to what is in it: then it is nobody's own.
    for shared in [state.path(), &state.path().join("proglog"), &parent] {
        let before = fs::metadata(shared).unwrap().permissions();
        fs::set_permissions(shared, Permissions::from_mode(0o777)).unwrap();
        let sandbox = killed_service();
        let (place, _) = goes_on(&sandbox, Some(state.path()));
        assert!(place.starts_with("/var/tmp"), "{}", place.display());
        fs::remove_dir_all(place.parent().unwrap()).unwrap();
        fs::set_permissions(shared, before).unwrap();
    }
}

#[test]
fn a_place_that_was_asked_for_is_the_only_one() {
    let sandbox = killed_service();
    let before = fs::read(sandbox.log().join("0.store")).unwrap();
    let append = ["append", "log", "more", "--save-to", "saved"];
    let output = as_service(&sandbox, &append, None);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("hint: --save-to DIR"), "{said}");
    assert!(said.contains("--no-save"), "{said}");
    assert_eq!(fs::read(sandbox.log().join("0.store")).unwrap(), before);
    let append = ["append", "log", "more", "--no-save"];
    assert!(as_service(&sandbox, &append, None).status.success());
    assert_eq!(sandbox.values(), raw(&["a", "b", "c"]));
}
