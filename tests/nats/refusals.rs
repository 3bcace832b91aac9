//! What is refused, with its status and words, and that nothing is written then.

use proglog_testkit::{LogBuilder, Sandbox};
use serde_json::json;

use crate::server::{Server, free_port, installed};
use crate::{append, client, ends, is_untouched, lines, numbered, records, refused};

/// A stream LOG with the records 0..99 of a log.
fn pushed() -> (Server, Sandbox, String) {
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, 100);
    let url = server.url("LOG");
    ends(&sandbox, &["push", "log", &url, "--create"], 0);
    ends(&sandbox, &["pull", &url, "copy"], 0);
    (server, sandbox, url)
}

#[test]
fn two_histories() {
    if !installed() {
        return;
    }
    let (server, sandbox, url) = pushed();
    // The same up to 69, then another one, as long or longer.
    for (fork, records_there) in [("fork", 100), ("long", 120)] {
        let same = lines(records_there);
        let (same, rest) = same.split_at(same.find("record 70\n").unwrap());
        let forked = format!("{same}{}", rest.replace("record", "other"));
        append(&sandbox, fork, &[], &forked);
        let words = ["have diverged", "offset 70"];
        refused(&sandbox, &["push", fork, &url], 1, &words);
        refused(&sandbox, &["pull", &url, fork], 1, &words);
        assert_eq!(records(&sandbox, fork).len() as u64, records_there);
    }
    // Shorter and the same so far: the stream is ahead; pull goes on.
    append(&sandbox, "short", &[], &lines(50));
    refused(&sandbox, &["push", "short", &url], 1, &["ahead", "100"]);
    // Longer and the same so far: the other way round.
    append(&sandbox, "copy", &[], "more\n");
    refused(&sandbox, &["pull", &url, "copy"], 1, &["ahead", "101"]);
    assert_eq!(client::state(server.port, "LOG"), (100, 100));
    ends(&sandbox, &["pull", &url, "short"], 0);
    assert_eq!(records(&sandbox, "short"), records(&sandbox, "log"));
}

#[test]
fn another_log() {
    if !installed() {
        return;
    }
    let (server, sandbox, url) = pushed();
    // The last record is the same one; the first is not.
    let other = lines(100).replacen("record 0", "another", 1);
    append(&sandbox, "other", &[], &other);
    refused(&sandbox, &["push", "other", &url], 1, &["another log"]);
    refused(&sandbox, &["pull", &url, "other"], 1, &["another log"]);
    // The same records under other offsets.
    append(&sandbox, "moved", &["--initial-offset=100"], &lines(100));
    refused(
        &sandbox,
        &["push", "moved", &url],
        1,
        &["no record in common"],
    );
    refused(&sandbox, &["pull", &url, "moved"], 1, &["ahead"]);
    // A stream of strangers.
    server.client().create("THEIRS", &json!({}));
    server.client().request("THEIRS", b"hello").unwrap();
    let theirs = server.url("THEIRS");
    refused(
        &sandbox,
        &["push", "log", &theirs],
        1,
        &["message 1", "did not send it"],
    );
    refused(
        &sandbox,
        &["pull", &theirs, "none"],
        1,
        &["message 1", "did not send it"],
    );
    assert!(is_untouched(&sandbox.path().join("none")));
    assert_eq!(client::state(server.port, "THEIRS"), (1, 1));
    // A stranger's message behind ours.
    server.client().request("LOG", b"hello").unwrap();
    refused(
        &sandbox,
        &["push", "log", &url],
        1,
        &["message 101", "did not send it"],
    );
    refused(
        &sandbox,
        &["pull", &url, "copy"],
        1,
        &["message 101", "did not send it"],
    );
    assert_eq!(client::state(server.port, "LOG"), (101, 101));
}

#[test]
fn a_stranger_between() {
    if !installed() {
        return;
    }
    // Two strange messages where ours are then put behind by their sequence alone.
    let (server, sandbox, url) = pushed();
    server.client().request("LOG", b"hello").unwrap();
    server.client().request("LOG", b"hello").unwrap();
    append(&sandbox, "log", &[], "a\nb\nc\nd\n");
    refused(&sandbox, &["push", "log", &url], 1, &["message 102"]);
    server.client().delete("LOG", 102);
    refused(&sandbox, &["push", "log", &url], 1, &["message 101"]);
    // Without it, the stream does not tell whether its last messages were ours.
    server.client().delete("LOG", 101);
    let words = ["gap", "message 101", "offsets 100..101", "--from 102"];
    refused(&sandbox, &["push", "log", &url], 3, &words);
    assert_eq!(client::state(server.port, "LOG"), (100, 102));
    ends(&sandbox, &["push", "log", &url, "--from", "102"], 0);
    assert_eq!(client::state(server.port, "LOG"), (102, 104));
}

#[test]
fn a_hole() {
    if !installed() {
        return;
    }
    let (server, sandbox, url) = pushed();
    append(&sandbox, "log", &[], "more\n");
    server.client().delete("LOG", 42);
    let (_, said) = ends(&sandbox, &["pull", &url, "new"], 3);
    let words = ["gap", "message 42", "offset 41", "up to offset 40"];
    assert!(words.iter().all(|word| said.contains(word)), "{said}");
    assert_eq!(records(&sandbox, "new"), records(&sandbox, "log")[..41]);
    // What is before the end of the copy is not needed any more; nor does push need it.
    ends(&sandbox, &["push", "log", &url], 0);
    ends(&sandbox, &["pull", &url, "copy"], 0);
    assert_eq!(client::state(server.port, "LOG"), (100, 101));
    assert_eq!(records(&sandbox, "copy"), records(&sandbox, "log"));
}

#[test]
fn records_that_are_too_large() {
    if !installed() {
        return;
    }
    let server = Server::start("max_payload: 100000");
    let sandbox = Sandbox::bare();
    let large = "x".repeat(99_900);
    append(&sandbox, "log", &[], &format!("one\n{large}\n"));
    let url = server.url("LOG");
    let words = ["offset 1 has 99900 bytes", "max_payload"];
    let push = |log: &str, url: &str, words: &[&str]| {
        let (_, said) = ends(&sandbox, &["push", log, url, "--create"], 2);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert!(said.contains("has the records up to offset 0"), "{said}");
    };
    push("log", &url, &words);
    // Everything before it is there.
    assert_eq!(client::state(server.port, "LOG"), (1, 1));
    server
        .client()
        .create("SMALL", &json!({"max_msg_size": 1000}));
    append(
        &sandbox,
        "small",
        &[],
        &format!("one\n{}\n", "x".repeat(900)),
    );
    let words = ["offset 1 has 900 bytes", "max_msg_size"];
    push("small", &server.url("SMALL"), &words);
    assert_eq!(client::state(server.port, "SMALL"), (1, 1));
}

#[test]
fn credentials_streams_and_servers_that_are_none() {
    if !installed() {
        return;
    }
    let server = Server::start("authorization { user: me, password: \"a:b@c\" }");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, 3);
    let at = format!("127.0.0.1:{}", server.port);
    for login in ["", "me:wrong@", "you:a%3Ab%40c@", "token@"] {
        let url = format!("nats://{login}{at}/LOG");
        let words = ["authorization violation", "--creds"];
        refused(&sandbox, &["push", "log", &url, "--create"], 2, &words);
        refused(&sandbox, &["pull", &url, "none"], 2, &words);
    }
    let url = format!("nats://me:a%3Ab%40c@{at}/LOG");
    let words = ["stream LOG does not exist", "hint: "];
    refused(&sandbox, &["push", "log", &url], 2, &words);
    refused(
        &sandbox,
        &["pull", &url, "none"],
        2,
        &["stream LOG does not exist"],
    );
    ends(&sandbox, &["push", "log", &url, "--create"], 0);
    refused(
        &sandbox,
        &["push", "log", &url, "--creds=none"],
        2,
        &["none", "no credentials"],
    );
    let three = [
        "push",
        "log",
        &format!("{url}3"),
        "--create",
        "--replicas=3",
    ];
    refused(&sandbox, &three, 2, &["replicas"]);
    assert!(is_untouched(&sandbox.path().join("none")));
    // Nobody is there.
    let nobody = format!("nats://127.0.0.1:{}/LOG", free_port());
    let (_, said) = ends(&sandbox, &["push", "log", &nobody, "--timeout=1"], 2);
    assert!(
        said.contains("note: ") && said.contains("cannot connect"),
        "{said}"
    );
    assert!(said.contains("no progress for 1 s"), "{said}");
    // No waiting makes this a subject.
    let subject = [
        "push",
        "log",
        &format!("{url}4"),
        "--create",
        "--subject=a b",
    ];
    refused(&sandbox, &subject, 2, &["invalid subject"]);
    let subject = ["push", "log", &url, "--subject=a b"];
    append(&sandbox, "log", &[], "more\n");
    refused(&sandbox, &subject, 2, &["invalid subject"]);
    // And what is no log is said first.
    refused(
        &sandbox,
        &["push", "none", &nobody],
        2,
        &["no such directory"],
    );
}

#[test]
fn streams_that_cannot_take_records() {
    if !installed() {
        return;
    }
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, 100);
    let mut client = server.client();
    client.create("SILENT", &json!({"no_ack": true}));
    refused(
        &sandbox,
        &["push", "log", &server.url("SILENT")],
        2,
        &["no_ack"],
    );
    // A stream that is full takes what it can.
    client.create("FULL", &json!({"max_msgs": 60, "discard": "new"}));
    let (out, said) = ends(
        &sandbox,
        &["push", "log", &server.url("FULL"), "--timeout=1", "--json"],
        2,
    );
    assert!(said.contains("maximum messages exceeded"), "{said}");
    assert!(said.contains("no progress for 1 s"), "{said}");
    assert!(
        said.contains("stream FULL has the records up to offset 59"),
        "{said}"
    );
    let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&summary["records"], &summary["next_offset"]),
        (&json!(60), &json!(60))
    );
    assert_eq!(client::state(server.port, "FULL"), (60, 60));
    // Damage in the log: everything before it goes over.
    let damaged = Sandbox::built(&LogBuilder::raw().segment(0, ["a", "b", "c", "d"]));
    damaged.put("0.index", 28, &9_u32.to_be_bytes());
    let (_, said) = ends(
        &damaged,
        &["push", "log", &server.url("DAMAGED"), "--create"],
        3,
    );
    assert!(said.contains("offset 2 cannot be read"), "{said}");
    assert_eq!(client::state(server.port, "DAMAGED"), (2, 2));
}
