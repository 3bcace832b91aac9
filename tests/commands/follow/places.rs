//! Cursor files that cannot be written where they are: found before a record is handed
//! out.

use std::fs;
use std::process::{Command, Output};

use proglog_testkit::{Sandbox, proglog};

use crate::follow::running::Reading;
use crate::follow::{held, lines, numbered};

/// Runs a script in the sandbox, in a mount namespace of its own; `None` where nobody may
/// have one.
fn in_own_namespace(sandbox: &Sandbox, script: &str) -> Option<Output> {
    let unshare = |option: &str, script: &str| {
        let mut command = Command::new("unshare");
        command.current_dir(sandbox.path());
        command.env("PROGLOG", proglog().get_program());
        command.args([option, "sh", "-c", script]);
        command.output().ok()
    };
    let mount = "mkdir -p tried && mount --bind tried tried";
    let works = |option: &str| unshare(option, mount).is_some_and(|it| it.status.success());
    let option = ["-m", "-rm"].into_iter().find(|option| works(option));
    if option.is_none() {
        eprintln!("NOT TESTED: a mount namespace of its own");
    }
    unshare(option?, script)
}

#[test]
fn a_file_that_cannot_be_replaced_is_found_before_the_command_runs() {
    let sandbox = numbered(5);
    fs::create_dir(sandbox.path().join("in")).unwrap();
    let cases = [
        (
            "a mount of its own",
            "mount --bind in/cursor in/cursor",
            "mount its directory",
        ),
        (
            "a link to a mount",
            "mv in/cursor real; mount --bind real real; ln -s ../real in/cursor",
            "mount its directory",
        ),
        (
            "a read-only directory",
            "mount --bind in in; mount -o remount,ro,bind in",
            "its directory must be writable",
        ),
        ("an immutable file", "chattr +i in/cursor", "immutable"),
        ("an immutable directory", "chattr +i in", "immutable"),
        ("a directory that only grows", "chattr +a in", "immutable"),
    ];
    for (what, make, hint) in cases {
        for cursor in ["2\n", ""] {
            if cursor.is_empty() && make.contains("in/cursor") {
                continue;
            }
            let begin = if cursor.is_empty() {
                "rm -f in/cursor"
            } else {
                "echo 2 > in/cursor"
            };
            let script = format!(
                "{begin}; {{ {make}; }} >&2 || exit 77; \
                 for command in cat 'cat; touch ran'; do \
                 $PROGLOG read log --cursor-file in/cursor -- sh -c \"$command\"; \
                 echo status $?; done; \
                 $PROGLOG read log --cursor-file in/cursor; echo status $?; \
                 cat in/cursor; chattr -i in/cursor; chattr -ia in; rm -rf in real; mkdir in"
            );
            let Some(output) = in_own_namespace(&sandbox, &script) else {
                return;
            };
            let said = String::from_utf8(output.stderr).unwrap();
            if output.status.code() == Some(77) {
                eprintln!("NOT TESTED: {what}: {said}");
                continue;
            }
            let out = String::from_utf8(output.stdout).unwrap();
            let expected = format!("{}{cursor}", "status 2\n".repeat(3));
            assert_eq!(out, expected, "{what}: {said}");
            assert!(said.contains(hint), "{what}: {said}");
            assert!(!sandbox.path().join("ran").exists(), "{what}");
        }
    }
}

/// Somebody else may have put something under the names that are used beside the file.
#[test]
fn a_pipe_under_a_name_beside_it_holds_nobody_up() {
    for (name, status) in [("lock", 2), ("new", 0), ("try", 0)] {
        let sandbox = numbered(5);
        let fifo = sandbox.path().join(format!(".cursor.proglog-{name}"));
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
        let ended = Reading::start(&sandbox, &["--cursor-file", "cursor"]).end();
        assert_eq!(ended.status.code(), Some(status), "{name}: {}", ended.err);
        let read = if status == 0 {
            lines(0..5)
        } else {
            String::new()
        };
        assert_eq!(ended.out, read, "{name}");
        assert_eq!(held(&sandbox).is_some(), status == 0, "{name}");
    }
}

/// What somebody else put under the temporary name is not written to.
#[test]
fn a_file_under_the_temporary_name_does_not_become_the_cursor() {
    let sandbox = numbered(5);
    let theirs = sandbox.path().join("theirs");
    fs::write(&theirs, "theirs").unwrap();
    let name = sandbox.path().join(".cursor.proglog-new");
    fs::hard_link(&theirs, &name).unwrap();
    let ended = Reading::start(&sandbox, &["--cursor-file", "cursor"]).end();
    ended.told(0, &[]);
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    assert_eq!(held(&sandbox).as_deref(), Some("5\n"));
}

/// A read without records to hand out leaves the file alone, and so does one that fails.
#[test]
fn nothing_is_left_beside_it() {
    let sandbox = numbered(5);
    for arguments in [
        &["--cursor-file", "cursor", "--", "false"][..],
        &["--cursor-file", "cursor"],
        &["--cursor-file", "cursor"],
    ] {
        Reading::start(&sandbox, arguments).end();
        let entries = fs::read_dir(sandbox.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "cursor").collect();
        names.sort();
        assert_eq!(names, ["log"], "{arguments:?}");
    }
}
