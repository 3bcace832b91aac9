//! Records that arrive while both sides follow, and the end by Ctrl-C.

use std::process::Command;
use std::time::Duration;

use proglog_testkit::Sandbox;
use rustix::process::Signal;
use serde_json::json;

use crate::server::{Server, eventually, installed, many};
use crate::{append, assert_same, client, ends, records, signal, spawn};

#[test]
fn both_sides_follow_until_they_are_told_to_end() {
    if !installed() {
        return;
    }
    let mut server = Server::start("");
    let sandbox = Sandbox::bare();
    append(&sandbox, "log", &[], "first\n");
    server.client().create("LOG", &json!({}));
    let url = server.url("LOG");
    // The stream is empty, and the copy is not there yet.
    let pull = spawn(&sandbox, &["pull", &url, "copy", "-f", "--json"]);
    let push = spawn(&sandbox, &["push", "log", &url, "--follow", "--json"]);
    let arrives = |records: usize| {
        eventually("the records", 30, || {
            let index = sandbox.path().join("copy/0.index");
            std::fs::metadata(index).is_ok_and(|it| it.len() == records as u64 * 12)
        });
    };
    arrives(1);
    append(&sandbox, "log", &[], "second\nthird\n");
    arrives(3);
    // While nothing arrives the copy can be read, and the log appended to.
    assert_eq!(records(&sandbox, "copy").len(), 3);
    server.kill();
    append(&sandbox, "log", &[], "fourth\n");
    std::thread::sleep(Duration::from_millis(300));
    server.run();
    arrives(4);
    for (child, word) in [(push, "ended by SIGINT"), (pull, "ended by SIGINT")] {
        signal(&child, Signal::INT);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), None, "{said}");
        assert!(
            said.contains(word) && said.contains("up to offset 3"),
            "{said}"
        );
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["records"], 4);
    }
    assert_same(&sandbox, "log", "copy");
}

/// A slow writer: what is in flight when Ctrl-C comes is acknowledged or not there.
#[test]
fn an_interrupted_push_ends_after_what_is_in_flight() {
    if !installed() {
        return;
    }
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    let all = many();
    crate::numbered(&sandbox, all);
    let url = server.url("LOG");
    let push = spawn(&sandbox, &["push", "log", &url, "--create", "--json"]);
    eventually("a part", 30, || client::state(server.port, "LOG").1 > 1000);
    signal(&push, Signal::TERM);
    let output = push.wait_with_output().unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let (messages, last) = client::state(server.port, "LOG");
    assert_eq!(
        (messages, last),
        (last, summary["last_sequence"].as_u64().unwrap())
    );
    assert!(last < all, "it was too fast");
    ends(&sandbox, &["push", "log", &url], 0);
    assert_eq!(client::state(server.port, "LOG"), (all, all));
}

#[test]
fn progress_is_for_terminals() {
    if !installed() {
        return;
    }
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    append(&sandbox, "log", &[], "one\n");
    let url = server.url("LOG");
    let follow = format!("$proglog push log {url} --create -f & sleep 1.8; kill -TERM $!; wait");
    let run = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(sandbox.path());
        command.env("proglog", proglog_testkit::proglog().get_program());
        let output = command.env("TERM", "xterm").output().unwrap();
        (output.status.code(), output.stdout, output.stderr)
    };
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let (_, _, piped) = run(&follow);
    let piped = text(piped);
    assert!(
        piped.contains("ended by SIGTERM") && !piped.contains("push 1"),
        "{piped}"
    );
    let line = format!(
        "script -qec '{}' /dev/null </dev/null",
        follow.replace("--create ", "")
    );
    let (code, seen, _) = run(&line);
    if code == Some(127) {
        eprintln!("SKIPPED, script is not here");
        return;
    }
    let seen = text(seen);
    // The second run finds the record there already.
    assert!(seen.contains("push 0 records"), "{seen:?}");
    assert!(seen.contains("ended by SIGTERM"), "{seen:?}");
}
