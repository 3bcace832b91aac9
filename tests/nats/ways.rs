//! Both ways without trouble: what goes over is the same log, with its offsets.

use std::collections::BTreeSet;

use proglog_testkit::{LogBuilder, Sandbox};
use serde_json::{Value, json};

use crate::server::{Server, installed, many};
use crate::{append, assert_same, client, ends, memory, numbered, records, refused, spawn};

/// What push and pull may use at most. Units: bytes.
const MEMORY_MAX: u64 = 64 << 20;

#[test]
fn all_records_go_there_and_back_in_bounded_memory() {
    if !installed() {
        return;
    }
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    let all = many();
    numbered(&sandbox, all);
    let url = server.url("LOG");
    for words in [
        &["push", "log", &url, "--create", "--json"][..],
        &["pull", &url, "copy", "--json"],
    ] {
        let mut child = spawn(&sandbox, words);
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            most = memory(&child).unwrap_or(0).max(most);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains(&format!("{all} records, offsets 0..{}", all - 1)),
            "{said}"
        );
        assert!(most > 0 && most < MEMORY_MAX, "{most} bytes");
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["records"], all);
        assert_eq!(summary["next_offset"], all);
        assert_eq!(summary["last_sequence"], all);
        is_documented(&summary);
    }
    assert_same(&sandbox, "log", "copy");
    // Again is nothing, on both sides.
    let (out, said) = ends(&sandbox, &["push", "log", &url, "--create", "--json"], 0);
    assert_eq!(said, "pushed 0 records\n");
    is_documented(&serde_json::from_str(&out).unwrap());
    let (out, said) = ends(&sandbox, &["pull", &url, "copy", "--json"], 0);
    assert_eq!(said, "pulled 0 records\n");
    is_documented(&serde_json::from_str(&out).unwrap());
    // And more is more.
    append(&sandbox, "log", &[], "one\ntwo\n");
    let (_, said) = ends(&sandbox, &["push", "log", &url, "--in-flight=1"], 0);
    assert_eq!(
        said,
        format!("pushed 2 records, offsets {all}..{}\n", all + 1)
    );
    let (_, said) = ends(&sandbox, &["pull", &url, "copy"], 0);
    assert_eq!(
        said,
        format!("pulled 2 records, offsets {all}..{}\n", all + 1)
    );
    assert_eq!(client::state(server.port, "LOG"), (all + 2, all + 2));
}

/// Every field of the summary stands in docs/json.md, and those that are never left out
/// are there.
fn is_documented(summary: &Value) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rest = text.split("### push, pull: summary\n").nth(1).unwrap();
    let rows = rest.lines().take_while(|line| !line.starts_with('#'));
    let (mut fields, mut always) = (BTreeSet::new(), BTreeSet::new());
    for row in rows.filter_map(|line| line.strip_prefix("| `")) {
        let (field, row) = row.split_once('`').unwrap();
        fields.insert(field);
        if row.ends_with("| - |") {
            always.insert(field);
        }
    }
    let seen: BTreeSet<&str> = summary
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert!(seen.is_subset(&fields), "{seen:?} {fields:?}");
    assert!(always.is_subset(&seen), "{seen:?} {always:?}");
    assert!(!always.is_empty());
}

/// What the server sends is limited by bytes too: the end of such a batch is no error.
#[test]
fn more_bytes_than_are_sent_at_once() {
    if !installed() {
        return;
    }
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    let value = "x".repeat(10_000);
    let lines = (0..2000).fold(String::new(), |lines, n| lines + &format!("{n}{value}\n"));
    append(&sandbox, "log", &[], &lines);
    let url = server.url("LOG");
    ends(&sandbox, &["push", "log", &url, "--create"], 0);
    let (_, said) = ends(&sandbox, &["pull", &url, "copy"], 0);
    assert_eq!(
        said,
        "created copy (raw)\npulled 2000 records, offsets 0..1999\n"
    );
    assert_same(&sandbox, "log", "copy");
}

#[test]
fn terms_types_and_any_bytes_go_over() {
    if !installed() {
        return;
    }
    let server = Server::start("");
    let any: Vec<Vec<u8>> = vec![
        Vec::new(),
        vec![0xff, 0, b'\r', b'\n'],
        b"NATS/1.0\r\n\r\n".to_vec(),
        vec![7; 900_000],
        Vec::new(),
    ];
    let log = LogBuilder::protobuf()
        .segment(7, &any)
        .raft(3, 1)
        .segment(12, ["a", "b"]);
    let sandbox = Sandbox::built(&log);
    let url = server.url("RAFT");
    ends(
        &sandbox,
        &["push", "log", &url, "--create", "--subject=a.b"],
        0,
    );
    let (_, said) = ends(&sandbox, &["pull", &url, "copy"], 0);
    assert!(said.starts_with("created copy (protobuf)\n"), "{said}");
    assert_same(&sandbox, "log", "copy");
    let last = records(&sandbox, "copy").pop().unwrap();
    assert_eq!(last, (13, "b".to_owned(), 3, 1));
    assert_eq!(client::state(server.port, "RAFT"), (7, 7));
    // A stream that begins later in the log.
    let url = server.url("LATER");
    ends(&sandbox, &["push", "log", &url, "--create", "--from=12"], 0);
    ends(&sandbox, &["push", "log", &url, "--from=12"], 0);
    refused(
        &sandbox,
        &["push", "log", &url, "--from=11"],
        2,
        &["begins with offset 12"],
    );
    ends(&sandbox, &["pull", &url, "later"], 0);
    let later: Vec<u64> = records(&sandbox, "later").iter().map(|it| it.0).collect();
    assert_eq!(later, [12, 13]);
    for (from, word) in [("6", "no longer"), ("15", "not in the log yet")] {
        let from = format!("--from={from}");
        let url = server.url("NEVER");
        refused(
            &sandbox,
            &["push", "log", &url, "--create", &from],
            1,
            &[word],
        );
    }
    assert_eq!(client::state(server.port, "NEVER"), (0, 0));
}

#[test]
fn what_the_stream_has_dropped_is_where_a_new_log_begins() {
    if !installed() {
        return;
    }
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, 100);
    let url = server.url("LOG");
    ends(&sandbox, &["push", "log", &url, "--create"], 0);
    ends(&sandbox, &["pull", &url, "early"], 0);
    server.client().purge("LOG", 61);
    ends(&sandbox, &["pull", &url, "late"], 0);
    let late = records(&sandbox, "late");
    assert_eq!((late.len(), late[0].0), (40, 60));
    assert_eq!(late[..], records(&sandbox, "log")[60..]);
    // Both go on; the one whose records were dropped behind it does not.
    append(&sandbox, "log", &[], "more\n");
    ends(&sandbox, &["push", "log", &url], 0);
    ends(&sandbox, &["pull", &url, "early"], 0);
    ends(&sandbox, &["pull", &url, "late"], 0);
    assert_same(&sandbox, "log", "early");
    append(&sandbox, "log", &[], "a\nb\nc\n");
    ends(&sandbox, &["push", "log", &url], 0);
    server.client().purge("LOG", 104);
    refused(&sandbox, &["pull", &url, "late"], 1, &["are gone", "103"]);
    assert_eq!(records(&sandbox, "late").len(), 41);
    // Unless a gap is wanted, where it is certain that it is the same log.
    refused(
        &sandbox,
        &["pull", &url, "late", "--on-hole=gap"],
        1,
        &["no record in common"],
    );
    let (_, said) = ends(&sandbox, &["pull", &url, "early", "--on-hole=gap"], 0);
    assert!(said.contains("offsets 101..102"), "{said}");
    ends(
        &sandbox,
        &["verify", "early", "-q", "--allow=segment-gap"],
        0,
    );
    let (out, _) = ends(&sandbox, &["read", "early", "-1..", "--json"], 0);
    assert!(out.contains("\"offset\":103"), "{out}");
    // The log may be trimmed too: what the two have in common is enough.
    ends(&sandbox, &["push", "log", &url], 0);
    server.client().purge("LOG", 105);
    refused(
        &sandbox,
        &["push", "log", &url],
        1,
        &["is empty after 104 messages", "--from"],
    );
}

#[test]
fn an_empty_log_makes_an_empty_stream() {
    if !installed() {
        return;
    }
    let server = Server::start("");
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(5, [""; 0]));
    let url = server.url("LOG");
    ends(&sandbox, &["push", "log", &url, "--create"], 0);
    let (_, said) = ends(&sandbox, &["pull", &url, "copy"], 0);
    assert_eq!(said, "pulled 0 records\n");
    assert!(crate::is_untouched(&sandbox.path().join("copy")));
    // A log that a killed pull left without a record goes on.
    append(&sandbox, "log", &["--codec=protobuf"], "x\n");
    ends(&sandbox, &["push", "log", &url], 0);
    let copy = Sandbox::built(&LogBuilder::raw().segment(5, [""; 0]));
    ends(&copy, &["pull", &url, "log"], 0);
    assert_eq!(records(&copy, "log"), records(&sandbox, "log"));
    server
        .client()
        .create("MANY", &json!({"subjects": ["x.*", "y"]}));
    let many = server.url("MANY");
    refused(
        &sandbox,
        &["push", "log", &many],
        2,
        &["several subjects", "--subject"],
    );
    ends(&sandbox, &["push", "log", &many, "--subject=x.z"], 0);
    for (subject, words) in [
        ("x.*", "a wildcard"),
        (">", "a wildcard"),
        ("z", "does not take messages on z"),
        ("x", "does not take messages on x"),
        ("x.y.z", "does not take messages on x.y.z"),
    ] {
        let subject = format!("--subject={subject}");
        refused(&sandbox, &["push", "log", &many, &subject], 2, &[words]);
    }
    server.client().create("ANY", &json!({"subjects": ["v.*"]}));
    let any = server.url("ANY");
    refused(&sandbox, &["push", "log", &any], 2, &["--subject"]);
}
