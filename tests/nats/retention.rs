//! Streams that remove messages: by age, as work queues, or because somebody erased one.

use proglog_testkit::Sandbox;
use serde_json::json;

use crate::server::{Server, eventually, installed};
use crate::{append, client, ends, is_untouched, numbered, records, refused, spawn};

/// A log with the records 0..99, in a stream with these settings.
fn pushed(settings: &serde_json::Value) -> (Server, Sandbox, String) {
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, 100);
    server.client().create("LOG", settings);
    let url = server.url("LOG");
    ends(&sandbox, &["push", "log", &url], 0);
    (server, sandbox, url)
}

#[test]
fn a_stream_that_is_empty_again_continues_where_from_says() {
    if !installed() {
        return;
    }
    let (server, sandbox, url) = pushed(&json!({}));
    server.client().purge("LOG", 101);
    assert_eq!(client::state(server.port, "LOG"), (0, 100));
    append(&sandbox, "log", &[], "more\nand more\n");
    let words = ["empty after 100 messages", "proglog push log", "--from 100"];
    refused(&sandbox, &["push", "log", &url], 1, &words);
    refused(&sandbox, &["pull", &url, "copy"], 1, &["empty after 100"]);
    // Not even if all the log comes after so many records.
    append(&sandbox, "later", &["--initial-offset=200"], "x\n");
    refused(&sandbox, &["push", "later", &url], 1, &words[..1]);
    // Sequence 101 cannot be offset 0.
    refused(&sandbox, &["push", "log", &url, "--from=0"], 1, &["--from"]);
    refused(
        &sandbox,
        &["push", "log", &url, "--from=103"],
        1,
        &["not in the log yet"],
    );
    // It says so for the first message only.
    let push = spawn(&sandbox, &["push", "log", &url, "--from", "101", "-f"]);
    eventually("one", 20, || client::state(server.port, "LOG").1 == 101);
    append(&sandbox, "log", &[], "last\n");
    eventually("the next", 20, || {
        client::state(server.port, "LOG").1 == 102
    });
    server.client().purge("LOG", 103);
    append(&sandbox, "log", &[], "very last\n");
    eventually("the last", 20, || {
        client::state(server.port, "LOG") == (1, 103)
    });
    crate::signal(&push, rustix::process::Signal::INT);
    push.wait_with_output().unwrap();
    // From there on without it; pull gives a log that begins there.
    ends(&sandbox, &["push", "log", &url], 0);
    ends(&sandbox, &["pull", &url, "copy"], 0);
    let copy = records(&sandbox, "copy");
    assert_eq!(copy[..], records(&sandbox, "log")[103..]);
}

#[test]
fn a_work_queue_that_is_drained_while_push_follows() {
    if !installed() {
        return;
    }
    let (server, sandbox, url) = pushed(&json!({"retention": "workqueue"}));
    let mut client = server.client();
    client.delete("LOG", 100);
    // A part of it is taken, the last one too.
    append(&sandbox, "log", &[], "a\nb\n");
    ends(&sandbox, &["push", "log", &url], 0);
    assert_eq!(client::state(server.port, "LOG"), (101, 102));
    // pull would be a worker: the server refuses it, at once and without a trace.
    refused(&sandbox, &["pull", &url, "copy"], 2, &["error code 10084"]);
    assert!(is_untouched(&sandbox.path().join("copy")));
    assert!(!sandbox.path().join("copy").exists());
    // A push that follows knows how far it is, also of an empty queue.
    let push = spawn(&sandbox, &["push", "log", &url, "-f", "--json"]);
    append(&sandbox, "log", &[], "c\n");
    eventually("c", 20, || client::state(server.port, "LOG").1 == 103);
    client.purge("LOG", 104);
    append(&sandbox, "log", &[], "d\n");
    eventually("d", 20, || client::state(server.port, "LOG") == (1, 104));
    // Also if another push has sent what was taken since.
    crate::signal(&push, rustix::process::Signal::STOP);
    append(&sandbox, "log", &[], "e\nf\n");
    ends(&sandbox, &["push", "log", &url], 0);
    client.purge("LOG", 107);
    crate::signal(&push, rustix::process::Signal::CONT);
    append(&sandbox, "log", &[], "g\n");
    eventually("g", 20, || client::state(server.port, "LOG") == (1, 107));
    crate::signal(&push, rustix::process::Signal::INT);
    let output = push.wait_with_output().unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["last_offset"], 106, "{summary}");
    let (headers, value) = client.get("LOG", 107);
    assert!(headers.contains("Proglog-Offset: 106\r\n"), "{headers}");
    assert_eq!(value, b"g");
}

#[test]
fn pull_passes_erased_messages_if_told_so() {
    if !installed() {
        return;
    }
    let (server, sandbox, url) = pushed(&json!({}));
    ends(&sandbox, &["pull", &url, "copy"], 0);
    append(&sandbox, "log", &[], "a\nb\nc\nd\ne\n");
    ends(&sandbox, &["push", "log", &url], 0);
    let mut client = server.client();
    for sequence in [42, 102, 103] {
        client.delete("LOG", sequence);
    }
    let words = ["gap", "message 102", "offsets 101..102", "--on-hole gap"];
    let (_, said) = ends(&sandbox, &["pull", &url, "copy"], 3);
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    // An old copy has them up to there, a new one has another gap.
    for (copy, lost) in [("copy", &[101, 102][..]), ("new", &[41, 101, 102])] {
        let (_, said) = ends(&sandbox, &["pull", &url, copy, "--on-hole=gap"], 0);
        assert!(
            said.contains("message 102 is missing, offsets 101..102"),
            "{said}"
        );
        let mut expected = records(&sandbox, "log");
        expected.retain(|record| !lost.contains(&record.0));
        let (out, _) = ends(&sandbox, &["read", copy, "--json", "--on-error=skip"], 3);
        assert_eq!(out.lines().count(), expected.len());
        for (line, (offset, value, ..)) in out.lines().zip(&expected) {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(
                (&line["offset"], &line["value"]),
                (&json!(offset), &json!(value))
            );
        }
        ends(&sandbox, &["verify", copy, "-q", "--allow=segment-gap"], 0);
        assert!(sandbox.path().join(copy).join("103.store").exists());
    }
    // Both go on, without the option.
    append(&sandbox, "log", &[], "f\n");
    ends(&sandbox, &["push", "log", &url], 0);
    for copy in ["copy", "new"] {
        let (_, said) = ends(&sandbox, &["pull", &url, copy], 0);
        assert_eq!(said, "pulled 1 record, offset 105\n");
    }
    // One that is erased at the end is a gap once the next one is there.
    client.delete("LOG", 106);
    let (_, said) = ends(&sandbox, &["pull", &url, "third", "--on-hole=gap"], 0);
    assert!(said.contains("pulled 102 records"), "{said}");
}
