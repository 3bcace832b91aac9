//! The programs in `examples/`, each run once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Where cargo puts them, beside the program.
fn example(name: &str) -> Command {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_proglog"));
    Command::new(program.with_file_name("examples").join(name))
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn write(dir: &str, lines: &[u8]) -> Output {
    let mut write = example("write");
    let piped = write.arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines).unwrap();
    child.wait_with_output().unwrap()
}

/// One binary of the tests alone would run what an earlier build left. The profile is theirs, so
/// that nothing is built twice.
fn build() {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    let built = cargo
        .args(["build", "--quiet", "--examples", "--profile=test"])
        .status();
    assert!(built.unwrap().success());
}

#[test]
fn each_example_does_what_it_says() {
    build();
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("log");
    let log = dir.to_str().unwrap();
    assert_eq!(text(&write(log, b"a\nb\nc\n")), "next offset: 3\n");

    let read = example("read").args([log, "1"]).output().unwrap();
    assert_eq!(text(&read), "1 b\n2 c\n");

    let mut follow = example("follow");
    let piped = follow
        .args([log, "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut follow = piped.spawn().unwrap();
    let mut from = std::io::BufReader::new(follow.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut from, &mut line).unwrap();
    assert_eq!(line, "from offset 3\n");
    assert!(write(log, b"d\ne\n").status.success());
    assert_eq!(text(&follow.wait_with_output().unwrap()), "3 d\n4 e\n");

    let store = std::fs::OpenOptions::new()
        .append(true)
        .open(dir.join("0.store"));
    store.unwrap().write_all(b"\0\0\0").unwrap();
    let repair = example("check_and_repair").arg(log).output().unwrap();
    assert_eq!(repair.status.code(), Some(0));
    let text = text(&repair);
    assert!(text.starts_with("warning store-"), "{text}");
    assert!(
        text.contains("0.store: cut from 48 to 45 bytes\n"),
        "{text}"
    );
    assert!(text.ends_with("5 records, 0 findings remain\n"), "{text}");
}
