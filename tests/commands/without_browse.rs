//! `browse` in a proglog without the feature `browse`: it names the feature.

#![cfg(not(feature = "browse"))]

use predicates::str::contains;
use proglog_testkit::proglog;

#[test]
fn the_feature_is_named() {
    for words in [
        &["browse", "log"][..],
        &["browse"],
        &["browse", "--codec=raw"],
    ] {
        proglog()
            .args(words)
            .assert()
            .code(2)
            .stdout("")
            .stderr(contains("error: browse needs the cargo feature browse"))
            .stderr(contains("hint: cargo install --path .\n"));
    }
}
