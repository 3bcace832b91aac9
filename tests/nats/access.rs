//! Logins and certificates: from files and the environment, and never in a message.

use std::path::Path;
use std::process::Command;

use proglog_testkit::Sandbox;

use crate::server::{Server, installed};
use crate::{append, ends, numbered, proglog, refused};

const SECRET: &str = "s3cr%23t";

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn put(sandbox: &Sandbox, name: &str, text: &str) {
    std::fs::write(sandbox.path().join(name), text).unwrap();
}

fn with_env(sandbox: &Sandbox, url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = proglog_testkit::proglog()
        .current_dir(sandbox.path())
        .args(arguments)
        .env("NATS_URL", url)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn logins_from_the_environment_and_files() {
    if !installed() {
        return;
    }
    let server = Server::start("authorization { user: me, password: \"s3cr#t\" }");
    let sandbox = Sandbox::bare();
    numbered(&sandbox, 3);
    let at = format!("127.0.0.1:{}", server.port);
    let (code, said) = with_env(
        &sandbox,
        &format!("nats://me:{SECRET}@{at}"),
        &["push", "log", "LOG", "--create"],
    );
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = with_env(
        &sandbox,
        &format!("me:{SECRET}@{at}"),
        &["pull", "LOG", "copy"],
    );
    assert_eq!(code, Some(0), "{said}");
    put(&sandbox, "password", "s3cr#t\n");
    put(&sandbox, "wrong", "secret");
    let url = format!("nats://me@{at}/LOG");
    ends(
        &sandbox,
        &["push", "log", &url, "--password-file=password"],
        0,
    );
    let words = ["authorization violation", "--password-file"];
    refused(
        &sandbox,
        &["push", "log", &url, "--password-file=wrong"],
        2,
        &words,
    );
    refused(
        &sandbox,
        &["push", "log", &url, "--password-file=none"],
        2,
        &["none: "],
    );
    refused(
        &sandbox,
        &["push", "log", "LOG"],
        2,
        &["NATS_URL is not set", "hint: "],
    );
    // Nothing is sent without TLS where it is required.
    let tls = format!("tls://me:{SECRET}@{at}/LOG");
    ends(&sandbox, &["push", "log", &tls, "--timeout=1"], 2);
    // A token, without a user.
    let server = Server::start("authorization { token: \"s3cr#t\" }");
    let url = server.url("LOG");
    let words = ["push", "log", &url, "--create", "--password-file=password"];
    ends(&sandbox, &words, 0);
}

/// The keys of an operator, two accounts and a user, made for this test: `operator.conf` is what
/// the server gets, `user.creds` the client. They do not expire.
#[test]
fn a_file_of_credentials() {
    if !installed() {
        return;
    }
    let server = Server::start_with(include_str!("operator.conf"));
    let sandbox = Sandbox::bare();
    numbered(&sandbox, 3);
    let url = server.url("LOG");
    put(&sandbox, "me.creds", include_str!("user.creds"));
    let push = ["push", "log", &url, "--create"];
    refused(&sandbox, &push, 2, &["authorization violation"]);
    let with = "--creds=me.creds";
    ends(&sandbox, &[&push[..], &[with]].concat(), 0);
    ends(&sandbox, &["pull", &url, "copy", with], 0);
}

/// What the server denies is not tried again.
#[test]
fn a_user_who_may_not_publish() {
    if !installed() {
        return;
    }
    let server = Server::start(
        "accounts { A { jetstream: enabled, users: [
            { user: all, password: p }
            { user: some, password: p, permissions: { publish: [\"$JS.API.>\"] } } ] } }
        no_auth_user: all",
    );
    let sandbox = Sandbox::bare();
    numbered(&sandbox, 3);
    server.client().create("LOG", &serde_json::json!({}));
    let url = format!("nats://some:p@127.0.0.1:{}/LOG", server.port);
    let (_, said) = ends(&sandbox, &["push", "log", &url], 2);
    assert!(said.contains("the server denies permission"), "{said}");
    assert!(!said.contains("retrying"), "{said}");
}

#[test]
fn no_password_is_printed() {
    let sandbox = Sandbox::bare();
    append(&sandbox, "log", &[], "one\n");
    for url in [
        "nats://me:s3cr3t@host:port/LOG",
        "nats://me:s3cr3t/LOG",
        "nats://me:s3cr/3t@host/LOG",
        "nats:/me:s3cr3t@host/LOG",
        "me:s3cr3t@host/LOG",
        "nats://me:s3cr3t@host",
        "nats://me:s3cr3t@host/A B",
        "nats://me:s3cr#3t@host/LOG",
        "nats://me:s3cr3t@127.0.0.1:1/LOG",
    ] {
        for words in [
            &["push", "log", url, "--timeout=0"][..],
            &["push", "log", url, "--timeout=0", "--creat"],
            &["pull", url, "copy", "--timeout=0"],
            &["pull", url],
        ] {
            let output = proglog(&sandbox, words);
            let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(!said.contains("s3cr") && !said.contains("3t@"), "{said}");
        }
        let (code, said) = with_env(&sandbox, url, &["push", "log", "LOG", "--timeout=0"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(!said.contains("s3cr") && !said.contains("3t@"), "{said}");
    }
}

/// Certificates of an authority of the test's own, for a server and a client.
fn certificates(dir: &Path) -> bool {
    let openssl = |words: &str| {
        let done = Command::new("openssl")
            .args(words.split(' '))
            .current_dir(dir)
            .output();
        done.is_ok_and(|it| it.status.success())
    };
    let key = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    let signed = "-x509 -CA ca.pem -CAkey ca.key -addext basicConstraints=CA:FALSE";
    openssl(&format!(
        "{key} -x509 -subj /CN=ca -keyout ca.key -out ca.pem"
    )) && openssl(&format!(
        "{key} {signed} -subj /CN=server -addext subjectAltName=IP:127.0.0.1 \
             -keyout server.key -out server.pem"
    )) && openssl(&format!(
        "{key} {signed} -subj /CN=client -keyout client.key -out client.pem"
    ))
}

#[test]
fn client_certificates() {
    if !installed() {
        return;
    }
    let sandbox = Sandbox::bare();
    numbered(&sandbox, 3);
    if !certificates(sandbox.path()) {
        eprintln!("SKIPPED: there is no openssl 3 here (Debian: apt install openssl)");
        return;
    }
    let file = |name: &str| sandbox.path().join(name).display().to_string();
    let server = Server::start_with(&format!(
        "tls {{ cert_file: \"{}\", key_file: \"{}\", ca_file: \"{}\", verify: true }}",
        file("server.pem"),
        file("server.key"),
        file("ca.pem")
    ));
    let url = format!("tls://127.0.0.1:{}/LOG", server.port);
    let push = ["push", "log", &url, "--create", "--timeout=1"];
    let with = |more: &[&'static str]| [&push[..], more].concat();
    refused(&sandbox, &push, 2, &["certificate", "--tls-ca"]);
    let known = "--tls-ca=ca.pem";
    ends(&sandbox, &with(&[known]), 2);
    let pair = ["--tls-cert=client.pem", "--tls-key=client.key"];
    ends(&sandbox, &with(&[known, pair[0], pair[1]]), 0);
    refused(&sandbox, &with(&["--tls-ca=none.pem"]), 2, &["none.pem: "]);
    ends(&sandbox, &with(&[known, pair[0]]), 2);
    ends(
        &sandbox,
        &["pull", &url, "copy", known, pair[0], pair[1]],
        0,
    );
}
