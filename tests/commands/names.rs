//! Names that the Go service of the book does not write: a fork's with 20 digits, which
//! are kept, and Kafka's, which are none of a log.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proglog_testkit::{LogBuilder, Sandbox};

const COMMANDS: &[&[&str]] = &[
    &["verify"],
    &["info"],
    &["read"],
    &["manifest"],
    &["dump-index"],
    &["dump-store"],
    &["append"],
    &["append", "--codec", "raw"],
    &["repair"],
    &["repair", "--dry-run"],
    &["trim", "--keep-segments", "1"],
    &["trim", "--after", "1", "--dry-run"],
    &["truncate-index"],
];

fn padded(base: u64, extension: &str) -> String {
    format!("{base:020}.{extension}")
}

/// A log of two segments with names of 20 digits.
fn log() -> Sandbox {
    let values = |from: u64| (from..from + 10).map(|it| format!("record number {it}"));
    let builder = LogBuilder::raw()
        .segment(0, values(0))
        .segment(10, values(10));
    let sandbox = Sandbox::empty();
    for (name, bytes) in builder.files() {
        let (base, extension) = name.split_once('.').unwrap();
        sandbox.write(&padded(base.parse().unwrap(), extension), &bytes);
    }
    sandbox
}

fn run(sandbox: &Sandbox, arguments: &[&str], status: i32) -> String {
    let (command, options) = arguments.split_first().unwrap();
    let ran = sandbox
        .proglog()
        .arg(command)
        .arg(sandbox.log())
        .args(options)
        .write_stdin("a line\n")
        .assert()
        .code(status);
    let output = ran.get_output();
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

fn are_padded(sandbox: &Sandbox) {
    for name in sandbox.names() {
        let stem = name.split_once('.').unwrap().0;
        assert_eq!(stem.len(), 20, "{name}");
    }
}

#[test]
fn a_log_with_padded_names_throughout_is_clean() {
    let sandbox = log();
    let before = sandbox.snapshot();
    let said = run(&sandbox, &["verify"], 0);
    assert_eq!(said.matches("note     padded-name").count(), 1, "{said}");
    assert!(
        !said.contains("warning") && said.contains("0.store"),
        "{said}"
    );
    let said = run(&sandbox, &["repair"], 0);
    assert!(said.contains("nothing to change"), "{said}");
    run(&sandbox, &["repair", "--dry-run"], 0);
    assert_eq!(sandbox.snapshot(), before);
}

#[test]
fn new_segments_are_named_in_the_same_style() {
    let sandbox = log();
    for _ in 0..3 {
        run(&sandbox, &["append", "--max-store-bytes", "200"], 0);
    }
    assert!(sandbox.names().len() > 4);
    are_padded(&sandbox);
    run(&sandbox, &["trim", "--after", "14"], 0);
    run(&sandbox, &["append"], 0);
    are_padded(&sandbox);
    run(&sandbox, &["verify"], 0);
}

#[test]
fn a_rebuilt_index_is_named_like_its_store() {
    let sandbox = log();
    let name = padded(10, "index");
    let index = sandbox.read(&name);
    sandbox.remove(&name);
    let said = run(&sandbox, &["repair", "--dry-run"], 0);
    assert!(said.contains(&name), "{said}");
    run(&sandbox, &["repair"], 0);
    assert_eq!(sandbox.read(&name), index);
    assert_eq!(sandbox.names().len(), 4);
    run(&sandbox, &["verify"], 0);
}

#[test]
fn a_salvaged_log_keeps_the_style() {
    let sandbox = log();
    let new = sandbox.path().join("new");
    let ran = sandbox
        .proglog()
        .arg("salvage")
        .arg(sandbox.log())
        .arg(&new)
        .assert();
    ran.success();
    assert!(new.join(padded(0, "store")).is_file());
}

#[test]
fn mixed_styles_keep_the_warning() {
    let sandbox = log();
    sandbox.rename(&padded(10, "store"), "10.store");
    sandbox.rename(&padded(10, "index"), "10.index");
    let said = run(&sandbox, &["verify"], 3);
    assert!(said.contains("warning  padded-name"), "{said}");
}

#[test]
fn a_kafka_partition_is_named_and_left_alone() {
    let sandbox = Sandbox::empty();
    for base in [0, 12] {
        sandbox.write(&padded(base, "log"), &[0; 61]);
        sandbox.write(&padded(base, "index"), &[0, 0, 0, 5, 0, 0, 1, 144]);
        sandbox.write(&padded(base, "timeindex"), &[]);
    }
    let before = sandbox.snapshot();
    for arguments in COMMANDS {
        let said = run(&sandbox, arguments, 2);
        assert!(said.contains("Kafka partition"), "{arguments:?}: {said}");
        assert_eq!(sandbox.snapshot(), before, "{arguments:?}");
    }
    // Such a name beside a log is a name that the service would trip on.
    let log = log();
    log.write(&padded(0, "log"), &[]);
    assert!(run(&log, &["verify"], 3).contains("stray-name"));
}
