//! Cut short on all sides: the pusher, the puller, the server, the leader of a cluster.
//! At the end no record is missing, none is there twice, and the order is kept.

use std::path::Path;
use std::time::{Duration, Instant};

use proglog_testkit::Sandbox;
use rustix::process::Signal;

use crate::client::{self, Client};
use crate::server::{Server, eventually, free_port, installed, is_since, many};
use crate::{append, assert_same, ends, lines, numbered, signal, spawn};

/// Records for the cluster, which is slower.
const CLUSTERED: u64 = 8_000;

#[test]
fn killed_pushers_and_servers_lose_and_double_nothing() {
    if !installed() {
        return;
    }
    let all = many();
    let mut server = Server::start("");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, all);
    let url = server.url("LOG");
    let words = ["push", "log", &url, "--create", "--timeout=60"];
    let reaches = |port: u16, part: u64| {
        eventually("the next part", 60, || client::state(port, "LOG").1 >= part);
    };
    for kill in 1..=5 {
        let mut push = spawn(&sandbox, &words);
        reaches(server.port, kill * all / 8);
        if kill == 2 || kill == 4 {
            server.kill();
            std::thread::sleep(Duration::from_millis(200));
            server.run();
            reaches(server.port, kill * all / 8 + 1);
        }
        signal(&push, Signal::KILL);
        assert!(!push.wait().unwrap().success());
    }
    let (_, last) = client::state(server.port, "LOG");
    assert!(last < all, "it was too fast");
    ends(&sandbox, &words, 0);
    assert_eq!(client::state(server.port, "LOG"), (all, all));
    // And back, with the puller killed and the server restarted on the way.
    let words = ["pull", &url, "copy", "--timeout=60"];
    let store = sandbox.path().join("copy/0.store");
    for part in 1..=3 {
        let mut pull = spawn(&sandbox, &words);
        eventually("the next part", 60, || bytes(&store) > part * all * 3);
        if part == 2 {
            server.kill();
            server.run();
        }
        signal(&pull, Signal::KILL);
        pull.wait().unwrap();
    }
    ends(&sandbox, &words, 0);
    assert_same(&sandbox, "log", "copy");
    ends(&sandbox, &["verify", "copy", "-q"], 0);
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |it| it.len())
}

/// Two pushers of one log at a time: both end well, and every record is there once.
#[test]
fn two_pushers_at_a_time() {
    if !installed() {
        return;
    }
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, 5_000);
    let url = server.url("LOG");
    let words = ["push", "log", &url, "--create"];
    let pushers = [spawn(&sandbox, &words), spawn(&sandbox, &words)];
    for push in pushers {
        let output = push.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
    }
    assert_eq!(client::state(server.port, "LOG"), (5_000, 5_000));
    ends(&sandbox, &["pull", &url, "copy"], 0);
    assert_same(&sandbox, "log", "copy");
}

/// Two histories of one log at a time: the stream is one of them, whole, and the push of
/// the other one does not take the other's messages for its own.
#[test]
fn pushers_of_two_histories_at_a_time() {
    if !installed() {
        return;
    }
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    let same = lines(5000);
    let (same, rest) = same.split_at(same.find("record 70\n").unwrap());
    let fork = format!("{same}{}", rest.replace("record", "other"));
    append(&sandbox, "fork", &[], &fork);
    numbered(&sandbox, 5000);
    server.client().create("LOG", &serde_json::json!({}));
    let url = server.url("LOG");
    let pushers = ["log", "fork"].map(|log| (log, spawn(&sandbox, &["push", log, &url])));
    let mut ended = Vec::new();
    for (log, push) in pushers {
        let output = push.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ended.push((output.status.code(), log, said));
    }
    ended.sort();
    assert_eq!((ended[0].0, ended[1].0), (Some(0), Some(1)), "{ended:?}");
    assert!(ended[1].2.contains("diverged"), "{ended:?}");
    assert_eq!(client::state(server.port, "LOG"), (5000, 5000));
    ends(&sandbox, &["pull", &url, "copy"], 0);
    assert_same(&sandbox, ended[0].1, "copy");
}

/// A server that stands still for a while: what it was sent is asked after, not sent
/// twice.
#[test]
fn acknowledgements_that_do_not_come() {
    if !installed() {
        return;
    }
    let all = many();
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, all);
    let url = server.url("LOG");
    let push = spawn(&sandbox, &["push", "log", &url, "--create", "--json"]);
    eventually("a part", 60, || {
        client::state(server.port, "LOG").1 > all / 20
    });
    server.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(7));
    server.signal(Signal::CONT);
    let output = push.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("timed out"), "{said}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["records"], all);
    assert!(summary["retries"].as_u64().unwrap() > 0);
    assert_eq!(client::state(server.port, "LOG"), (all, all));
}

#[test]
fn a_server_that_is_gone_for_good() {
    if !installed() {
        return;
    }
    let mut server = Server::start("");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, 1000);
    let url = server.url("LOG");
    ends(&sandbox, &["push", "log", &url, "--create"], 0);
    append(&sandbox, "log", &[], "more\n");
    let words = ["push", "log", &url, "-f", "--timeout=1", "--json"];
    let push = spawn(&sandbox, &words);
    let pull = spawn(
        &sandbox,
        &["pull", &url, "copy", "-f", "--timeout=1", "--json"],
    );
    eventually("all", 60, || client::state(server.port, "LOG").1 > 1000);
    eventually("all", 60, || {
        bytes(&sandbox.path().join("copy/0.index")) > 12_000
    });
    server.kill();
    for child in [push, pull] {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("connection") && said.contains("for 1 s"),
            "{said}"
        );
        assert!(said.contains("up to offset 1000"), "{said}");
    }
    assert_same(&sandbox, "log", "copy");
}

/// Somebody else publishes into the stream while many records are in flight: none of
/// ours comes to stand behind that message, where one would be missing.
#[test]
fn a_stranger_between_what_is_in_flight() {
    if !installed() {
        return;
    }
    let all = many();
    let server = Server::start("");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, all);
    let url = server.url("LOG");
    let push = spawn(&sandbox, &["push", "log", &url, "--create"]);
    eventually("a part", 60, || {
        client::state(server.port, "LOG").1 > all / 20
    });
    let answer = server.client().request("LOG", b"hello").unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    let at = answer["seq"].as_u64().unwrap();
    let output = push.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let (word, last) = if is_since([2, 10, 14]) {
        (format!("message {at} has no valid Proglog-"), at)
    } else {
        // Only the message in flight comes behind it.
        (format!("not {at} of LOG: another client publishes"), at + 1)
    };
    assert!(said.contains(&word), "{said}");
    assert!(said.contains(&format!("up to offset {}", at - 2)), "{said}");
    assert_eq!(client::state(server.port, "LOG"), (last, last));
}

/// Three servers that form a cluster.
fn cluster(dir: &Path) -> Vec<Server> {
    let ports: Vec<(u16, u16)> = (0..3).map(|_| (free_port(), free_port())).collect();
    let routes: Vec<String> = ports
        .iter()
        .map(|(_, route)| format!("nats://127.0.0.1:{route}"))
        .collect();
    let routes = routes.join(", ");
    let mut servers: Vec<Server> = ports
        .iter()
        .map(|(port, route)| {
            let dir = dir.join(format!("n{port}"));
            make(&dir);
            let more = format!(
                "server_name: n{port}\n\
                 cluster {{ name: C, listen: \"127.0.0.1:{route}\", routes: [{routes}] }}"
            );
            Server::configured(&dir, *port, &more)
        })
        .collect();
    servers.iter_mut().for_each(Server::begin);
    servers.iter().for_each(Server::listens);
    servers
}

#[expect(clippy::disallowed_methods, reason = "a directory of the test's own")]
fn make(dir: &Path) {
    std::fs::create_dir(dir).unwrap();
}

fn leader(port: u16) -> Option<String> {
    let info = Client::connect(port).and_then(|mut client| client.info("LOG"));
    Some(info.ok()?["cluster"]["leader"].as_str()?.to_owned())
}

#[test]
fn a_cluster_whose_leader_is_killed() {
    if !installed() {
        return;
    }
    let begun = Instant::now();
    let dir = tempfile::tempdir().unwrap();
    let mut servers = cluster(dir.path());
    let sandbox = Sandbox::bare();
    numbered(&sandbox, CLUSTERED);
    let hosts: Vec<String> = servers
        .iter()
        .map(|server| format!("127.0.0.1:{}", server.port))
        .collect();
    let url = format!("nats://{}/LOG", hosts.join(","));
    let words = [
        "push",
        "log",
        &url,
        "--create",
        "--replicas=3",
        "--timeout=60",
    ];
    let push = spawn(&sandbox, &words);
    let any = servers[0].port;
    eventually("a part", 60, || {
        client::state(any, "LOG").1 > CLUSTERED / 10
    });
    let leading = leader(any).unwrap();
    let at = servers
        .iter()
        .position(|server| format!("n{}", server.port) == leading)
        .unwrap();
    servers[at].kill();
    let output = push.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    servers[at].run();
    ends(&sandbox, &["pull", &url, "copy", "--timeout=60"], 0);
    assert_same(&sandbox, "log", "copy");
    let other = servers[(at + 1) % 3].port;
    // The server that was killed may answer before it has caught up.
    eventually("all messages", 30, || {
        client::state(other, "LOG") == (CLUSTERED, CLUSTERED)
    });
    assert!(
        begun.elapsed() < Duration::from_secs(180),
        "{:?}",
        begun.elapsed()
    );
}
