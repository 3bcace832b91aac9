//! `info --next-offset`, and `info --cursor-file`: how far the readers of a log are.

use proglog_testkit::{LogBuilder, Sandbox, Snapshot, cases};
use serde_json::Value;

fn info(sandbox: &Sandbox, options: &[&str]) -> String {
    let arguments = [&["info", "log"], options].concat();
    let output = sandbox.proglog().args(&arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*stderr), (Some(0), ""));
    String::from_utf8(output.stdout).unwrap()
}

/// Compares the next offset with what an append gets, where there can be one; `info --json`
/// and `verify --json` agree.
fn is_of_the_next_append(sandbox: &Sandbox, case: &str) -> bool {
    let run = |arguments: &[&str]| {
        let output = sandbox.proglog().args(arguments).write_stdin("x").output();
        let output = output.unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (status, next) = run(&["info", "log", "--next-offset"]);
    if status == Some(3) {
        return false; // a log of another program
    }
    assert_eq!(status, Some(0), "{case}");
    for command in ["info", "verify"] {
        let (_, lines) = run(&[command, "log", "--json"]);
        let summary: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(
            format!("{}\n", summary["next_offset"]),
            next,
            "{case}: {command}"
        );
    }
    let (status, offset) = run(&["append", "log", "--print-offsets"]);
    if status == Some(0) {
        assert_eq!(offset, next, "{case}");
    }
    status == Some(0)
}

#[test]
fn the_next_offset_is_that_of_the_next_append() {
    let appended = cases().into_iter().filter(|case| {
        let sandbox = Sandbox::of(case);
        is_of_the_next_append(&sandbox, case)
    });
    assert!(appended.count() > 5);
    let values: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    for builder in [LogBuilder::raw(), LogBuilder::protobuf()] {
        let built = || Sandbox::built(&builder.clone().segment(0, &values));
        let sandbox = built();
        sandbox.write("0.index", &[]);
        assert!(is_of_the_next_append(&sandbox, "no entries"));
        let sandbox = built();
        let index = sandbox.read("0.index");
        sandbox.write("0.index", &index[..60]);
        assert!(is_of_the_next_append(&sandbox, "five entries"));
        // These are for a repair: the commands agree.
        let sandbox = built();
        let mut index = sandbox.read("0.index");
        index[8 * 12..8 * 12 + 4].fill(0xff);
        index[9 * 12..9 * 12 + 4].fill(0xff);
        sandbox.write("0.index", &index);
        is_of_the_next_append(&sandbox, "wrong entries at the end");
        let sandbox = built();
        std::fs::remove_file(sandbox.file("0.index")).unwrap();
        is_of_the_next_append(&sandbox, "no index");
        let sandbox = built();
        let mut store = sandbox.read("0.store");
        let bytes = store.len();
        store[bytes - 30..].fill(0);
        sandbox.write("0.store", &store);
        is_of_the_next_append(&sandbox, "zeros at the end");
    }
}

#[test]
fn the_next_offset_alone() {
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(7, ["a", "b"]));
    assert_eq!(info(&sandbox, &["--next-offset"]), "9\n");
    assert_eq!(
        info(&sandbox, &["log", "--next-offset"]),
        "log: 9\nlog: 9\n"
    );
    for other in ["--all", "--sizes", "--json"] {
        let mut command = sandbox.proglog();
        command
            .args(["info", "log", "--next-offset", other])
            .assert()
            .code(2);
    }
}

#[test]
fn how_far_readers_are() {
    let sandbox = Sandbox::built(
        &LogBuilder::raw()
            .segment(0, ["a", "b", "c"])
            .segment(3, ["d"]),
    );
    for (count, cursor) in [("1", "one"), ("2", "two"), ("4", "four")] {
        let mut read = sandbox.proglog();
        read.args(["read", "log", "-q", "-c", count, "--cursor-file", cursor]);
        read.assert().success();
    }
    let table =
        "POSITION  LAG  CURSOR\n       1    3  one\n       2    2  two\n       4    0  four\n";
    assert_eq!(
        info(&sandbox, &["--cursor-file", "one", "two", "four"]),
        table
    );
    let again = ["--cursor-file", "one", "--cursor-file", "two", "four"];
    assert_eq!(info(&sandbox, &again), table);
    let line = info(&sandbox, &["--json", "--cursor-file", "two"]);
    let expected = serde_json::json!({
        "kind": "cursor", "log": "log", "file": "two", "next_offset": 2, "lag": 2
    });
    assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), expected);
    // Cursors of another log, and what is no cursor: each is named, the others follow.
    let path = |name: &str| sandbox.path().join(name);
    let two = std::fs::read_to_string(path("two")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).unwrap();
    write("other", &two.replace("length=1", "length=2"));
    write("past", "9\n");
    write("not", "x\n");
    let run = |cursors: &[&str]| {
        let before = Snapshot::of(sandbox.path());
        let mut command = sandbox.proglog();
        command.args(["info", "log", "--cursor-file"]).args(cursors);
        let output = command.output().unwrap();
        assert!(before == Snapshot::of(sandbox.path()));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    for (cursor, status, words) in [
        ("other", 1, "offset 1 is not the record that was read there"),
        (
            "past",
            1,
            "past the end of the log: offsets 4..8 were removed",
        ),
        (
            "not",
            2,
            "cursor file not: it holds \"x\\n\", not an offset",
        ),
        ("missing", 2, "cursor file missing: does not exist"),
        ("log", 2, "log"),
    ] {
        let (ended, out, err) = run(&[cursor, "one"]);
        assert_eq!(ended, Some(status), "{err}");
        assert_eq!(out, "POSITION  LAG  CURSOR\n       1    3  one\n");
        assert!(err.contains(words), "{err}");
        let (ended, out, _) = run(&[cursor]);
        assert_eq!((ended, &*out), (Some(status), ""));
    }
    let mut several = sandbox.proglog();
    several.args(["info", "log", "log", "--cursor-file", "one"]);
    several.assert().code(2);
}
