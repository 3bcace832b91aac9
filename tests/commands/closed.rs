//! Files that cannot be opened: what every command says of them, and of the rest of the log.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use proglog_testkit::{LogBuilder, Said, Sandbox, json, of_kind, report, said};

/// Closes files of the log, and gives a function that runs the binary as a user who cannot
/// open them; `None` where root cannot become another user.
pub fn closed<'a>(
    sandbox: &'a Sandbox,
    names: &[&str],
) -> Option<impl Fn(&[&str]) -> Said + use<'a>> {
    for name in names {
        fs::set_permissions(sandbox.file(name), Permissions::from_mode(0o000)).unwrap();
    }
    let is_root = File::open(sandbox.file(names.first()?)).is_ok();
    let copy = sandbox.path().join("proglog");
    if is_root {
        fs::copy(PathBuf::from(sandbox.proglog().get_program()), &copy).unwrap();
        let chown = Command::new("chown")
            .args(["-R", "65534:65534"])
            .arg(sandbox.path())
            .status();
        assert!(chown.unwrap().success());
    }
    let run = move |arguments: &[&str]| {
        let mut command = sandbox.proglog();
        if is_root {
            command = assert_cmd::Command::new("setpriv");
            command
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(&copy)
                .current_dir(sandbox.path());
        }
        said(command.args(arguments).output().unwrap())
    };
    if run(&["--version"]).2.contains("setpriv") {
        report("closed files: SKIPPED, root cannot become another user here");
        return None;
    }
    Some(run)
}

fn thirty() -> Sandbox {
    let values = |from: u64| (from..from + 10).map(|it| format!("value {it}"));
    let log = [0, 10, 20].into_iter();
    let log = log.fold(LogBuilder::raw(), |log, base| {
        log.segment(base, values(base))
    });
    Sandbox::built(&log)
}

fn values(offsets: impl Iterator<Item = u64>) -> String {
    offsets.fold(String::new(), |text, offset| {
        text + &format!("value {offset}\n")
    })
}

#[test]
fn the_rest_of_the_log_is_told() {
    for base in [0, 10, 20] {
        let sandbox = thirty();
        let (store, is_last) = (format!("{base}.store"), base == 20);
        let Some(run) = closed(&sandbox, &[&store]) else {
            return;
        };
        let others = || (0..30).filter(move |offset| offset / 10 != base / 10);
        let (status, out, err) = run(&["read", "log", "--on-error", "skip"]);
        assert_eq!((status, out), (3, values(others())), "{err}");
        let told = format!("not-a-file: {store} cannot be opened: Permission denied");
        assert!(err.contains(&told), "{err}");
        let (status, out, err) = run(&["read", "log", &(base + 3).to_string()]);
        assert_eq!((status, out.as_str()), (3, ""), "{err}");
        assert!(err.contains(&told), "{err}");
        let (status, out, err) = run(&["read", "log"]);
        assert_eq!((status, out), (3, values(0..base)), "{err}");
        let (status, out, err) = run(&["read", "log", "-r", "--on-error", "skip"]);
        let backwards: Vec<_> = others().collect();
        assert_eq!(
            (status, out),
            (3, values(backwards.into_iter().rev())),
            "{err}"
        );

        let (status, out, err) = run(&["verify", "log"]);
        assert_eq!(status, 3, "{err}");
        let told = format!("{store}: cannot be opened: permission denied");
        assert!(
            out.contains(&told) && !out.contains("no such file"),
            "{out}"
        );
        assert!(out.contains("20 intact records"), "{out}");
        let (status, out, err) = run(&["info", "log", "--json"]);
        assert_eq!(status, 0, "{err}");
        let lines = json(&out);
        assert_eq!(of_kind(&lines, "segment").len(), 3, "{out}");
        assert_eq!(lines.last().unwrap()["records"], 20, "{out}");
        let (status, out, err) = run(&["info", "log", "--next-offset"]);
        let next = if is_last { (2, "") } else { (0, "30\n") };
        assert_eq!((status, out.as_str()), next, "{err}");
        let (status, out, _) = run(&["manifest", "log"]);
        assert_eq!(status, 3);
        assert_eq!(of_kind(&json(&out), "segment").len(), 2, "{out}");

        let before = sandbox.names();
        for command in [
            "append log --no-save",
            "repair log",
            "repair log --dry-run",
            "trim log --keep-segments 1 --dry-run",
            "trim log --before 10",
            "truncate-index log",
            "redact log 3 --yes",
        ] {
            let words: Vec<&str> = command.split(' ').chain(["--assume-unused"]).collect();
            let (status, out, err) = run(&words);
            assert_eq!((status, out.as_str()), (2, ""), "{command}: {err}");
            let told = format!("{store}: cannot open: Permission denied");
            assert!(err.contains(&told), "{command}: {err}");
        }
        assert_eq!(sandbox.names(), before);
    }
}

/// The store holds the records.
#[test]
fn of_an_index_the_records_are_read() {
    let sandbox = thirty();
    let Some(run) = closed(&sandbox, &["10.index"]) else {
        return;
    };
    let (status, out, err) = run(&["read", "log", "--on-error", "skip"]);
    assert_eq!((status, out), (3, values(0..30)), "{err}");
    assert!(
        err.contains("10.index cannot be opened: Permission denied; the store holds the records"),
        "{err}"
    );
    let (status, out, _) = run(&["verify", "log"]);
    assert_eq!(status, 3);
    assert!(out.contains("10.index: cannot be opened: permission denied"));
    assert!(!out.contains("no such file"), "{out}");
}

#[test]
fn of_a_log_that_cannot_be_opened_nothing_is_told() {
    let sandbox = thirty();
    let names = sandbox.names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Some(run) = closed(&sandbox, &names) else {
        return;
    };
    for command in ["read", "verify", "info", "manifest"] {
        let (status, out, err) = run(&[command, "log"]);
        assert_eq!((status, out.as_str()), (2, ""), "{command}: {err}");
        assert!(err.contains("cannot open: Permission denied"), "{err}");
    }
}
