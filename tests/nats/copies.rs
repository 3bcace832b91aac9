//! Streams that copy those of `push` on the server: a mirror, a source, a source of two.
//! They are complete and in order while the pushers are killed.

use proglog_testkit::Sandbox;
use rustix::process::Signal;
use serde_json::json;

use crate::client::{self, Client};
use crate::server::{Server, eventually, installed, many};
use crate::{append, assert_same, ends, lines, numbered, signal, spawn};

/// The name of the log that a stream begins with.
fn log_of(client: &mut Client, stream: &str) -> String {
    let (headers, _) = client.get(stream, 1);
    let (_, rest) = headers.split_once("Proglog-Log: ").unwrap();
    rest.split_once("\r\n").unwrap().0.to_owned()
}

#[test]
fn copies_are_complete_and_in_order_while_pushers_are_killed() {
    if !installed() {
        return;
    }
    let all = many() / 2;
    let mut server = Server::start("");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, all);
    // The other log begins with the same records.
    append(
        &sandbox,
        "other",
        &[],
        &(lines(all / 2) + &lines(all / 2).replace("record", "other")),
    );
    let mut client = server.client();
    client.create("LOG", &json!({}));
    client.create("OTHER", &json!({}));
    let of = |name: &str| json!({"name": name});
    client.create("MIRROR", &json!({"subjects": [], "mirror": of("LOG")}));
    client.create("ONE", &json!({"subjects": [], "sources": [of("LOG")]}));
    client.create(
        "BOTH",
        &json!({"subjects": [], "sources": [of("LOG"), of("OTHER")]}),
    );
    drop(client);
    let (url, other) = (server.url("LOG"), server.url("OTHER"));
    let push = |log: &str, url: &str| spawn(&sandbox, &["push", log, url, "--timeout=60"]);
    for kill in 1..=5 {
        let mut pushers = [push("log", &url), push("other", &other)];
        eventually("the next part", 120, || {
            client::state(server.port, "LOG").1 >= kill * all / 8
                && client::state(server.port, "OTHER").1 >= kill * all / 8
        });
        if kill == 3 {
            server.kill();
            server.run();
        }
        for push in &mut pushers {
            signal(push, Signal::KILL);
            assert!(!push.wait().unwrap().success());
        }
    }
    for (log, url) in [("log", &url), ("other", &other)] {
        ends(&sandbox, &["push", log, url], 0);
    }
    for (copy, messages) in [("MIRROR", all), ("ONE", all), ("BOTH", 2 * all)] {
        eventually(copy, 60, || {
            client::state(server.port, copy) == (messages, messages)
        });
    }
    // Both orders are kept where the two logs are mixed.
    let mut client = server.client();
    let (log, of_other) = (log_of(&mut client, "LOG"), log_of(&mut client, "OTHER"));
    assert_eq!(log, of_other);
    let mut seen = [0, 0];
    let expected: [Vec<String>; 2] = ["log", "other"].map(|log| {
        let (out, _) = ends(&sandbox, &["read", log], 0);
        out.lines().map(str::to_owned).collect()
    });
    for sequence in 1..=2 * all {
        let (headers, value) = client.get("BOTH", sequence);
        let side = usize::from(headers.contains("Nats-Msg-Id: OTHER-"));
        assert_eq!(value, expected[side][seen[side]].as_bytes(), "{headers}");
        seen[side] += 1;
    }
    for copy in ["MIRROR", "ONE"] {
        ends(&sandbox, &["pull", &server.url(copy), copy], 0);
        assert_same(&sandbox, "log", copy);
    }
}

/// Where a copy of a copy on another server would check them again, no expectations are
/// stored.
#[test]
fn an_old_server_stores_no_expectations() {
    if !installed() {
        return;
    }
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, 10);
    let url = server.url("LOG");
    ends(&sandbox, &["push", "log", &url, "--create"], 0);
    let (headers, _) = server.client().get("LOG", 10);
    let expects = headers.contains("Nats-Expected-");
    assert_eq!(expects, crate::server::is_since([2, 10, 14]), "{headers}");
    // A duplicate window that is too short is refused there.
    server
        .client()
        .create("SHORT", &json!({"duplicate_window": 1_000_000_000_u64}));
    let push = ["push", "log", &server.url("SHORT")];
    if expects {
        ends(&sandbox, &push, 0);
    } else {
        crate::refused(&sandbox, &push, 2, &["duplicates for 1 s", "30 s"]);
    }
}

/// A pusher that stands still for longer than the server remembers ids, while another one
/// goes on: nothing is stored twice. Slow, because the window is long.
#[test]
fn a_pusher_that_stands_still_beyond_the_duplicate_window() {
    if !installed() {
        return;
    }
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    let all = many() / 2;
    numbered(&sandbox, all);
    server
        .client()
        .create("LOG", &json!({"duplicate_window": 30_000_000_000_u64}));
    let url = server.url("LOG");
    let push = spawn(&sandbox, &["push", "log", &url]);
    eventually("a part", 60, || {
        client::state(server.port, "LOG").1 > all / 20
    });
    signal(&push, Signal::STOP);
    ends(&sandbox, &["push", "log", &url], 0);
    std::thread::sleep(std::time::Duration::from_secs(32));
    signal(&push, Signal::CONT);
    let output = push.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if !crate::server::is_since([2, 10, 14]) && said.contains("was stored as message") {
        // It stood still between the last check and the write, which nothing can exclude:
        // one message too many, and told.
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_eq!(client::state(server.port, "LOG").1, all + 1);
        return;
    }
    assert!(output.status.success(), "{said}");
    assert_eq!(client::state(server.port, "LOG"), (all, all));
    ends(&sandbox, &["pull", &url, "copy"], 0);
    assert_same(&sandbox, "log", "copy");
}
