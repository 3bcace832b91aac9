//! `push` and `pull` in a proglog without the feature `nats`: they say which one they
//! need and how it is had.

#![cfg(not(feature = "nats"))]

use predicates::str::contains;
use proglog_testkit::proglog;

#[test]
fn the_feature_is_named_whatever_was_asked_for() {
    for words in [
        &["push", "log", "nats://localhost/LOG", "--create", "-f"][..],
        &["push"],
        &["push", "--in-flight=1"],
        &["pull", "nats://localhost/LOG", "copy", "--json", "-q"],
        &["pull"],
    ] {
        proglog()
            .args(words)
            .assert()
            .code(2)
            .stdout("")
            .stderr(contains(format!(
                "error: {} needs the cargo feature nats",
                words[0]
            )))
            .stderr(contains(
                "hint: in a clone of proglog:\nhint: cargo install --path . --features nats\n",
            ));
    }
    for command in ["push", "pull"] {
        proglog()
            .args([command, "--help"])
            .assert()
            .success()
            .stdout(contains("without the feature nats"));
    }
}
