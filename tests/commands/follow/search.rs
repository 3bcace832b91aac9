//! A search in a read that continues.

use proglog_testkit::Sandbox;

use crate::follow::running::Reading;
use crate::follow::{append, held, numbered};

#[test]
fn records_that_match_are_printed_as_they_arrive() {
    let sandbox = numbered(25);
    let mut reading = Reading::start(&sandbox, &["-f", "-n", "1", "-g", "[37]$", "-A", "1"]);
    reading.prints("23\n24\n");
    append(&sandbox, 25..30, &[]);
    reading.prints("23\n24\n--\n27\n28\n");
    append(&sandbox, 30..34, &[]);
    // The context of the last one comes when it arrives.
    reading.prints("23\n24\n--\n27\n28\n--\n33\n");
    reading.waits();
    append(&sandbox, 34..35, &[]);
    reading.prints("23\n24\n--\n27\n28\n--\n33\n34\n");
}

#[test]
fn the_count_is_of_matches() {
    let sandbox = numbered(5);
    let reading = Reading::start(&sandbox, &["-f", "-g", "[37]", "-c", "2"]);
    reading.prints("3\n");
    append(&sandbox, 5..9, &[]);
    assert_eq!(reading.end().told(0, &[]).out, "3\n7\n");
    let idle = ["-f", "--until-idle", "0.1"];
    let ended = Reading::start(&sandbox, &[&idle[..], &["-g", "x"]].concat()).end();
    ended.told(1, &["no record matches x"]);
    let ended = Reading::start(&sandbox, &[&idle[..], &["-g", "3", "-c", "2"]].concat()).end();
    ended.told(1, &["1 of the requested records did not arrive"]);
}

fn search(sandbox: &Sandbox, arguments: &[&str]) -> (Option<i32>, String, Option<String>) {
    let all = [&["--cursor-file", "cursor", "-g", "[37]$"], arguments].concat();
    let ended = Reading::start(sandbox, &all).end();
    (ended.status.code(), ended.out, held(sandbox))
}

#[test]
fn the_cursor_moves_past_what_does_not_match() {
    let sandbox = numbered(25);
    let at = |offset: &str| Some(format!("{offset}\n"));
    let found = |text: &str| text.to_owned();
    assert_eq!(
        search(&sandbox, &["-c", "2"]),
        (Some(0), found("3\n7\n"), at("8"))
    );
    assert_eq!(
        search(&sandbox, &["--to", "16"]),
        (Some(0), found("13\n"), at("17"))
    );
    assert_eq!(
        search(&sandbox, &["--to", "16"]),
        (Some(1), String::new(), at("17"))
    );
    // A command gets what matches, and is not run for anything else.
    let each = ["--batch", "1", "--", "sed", "s/^/got /"];
    let got = found("got 17\ngot 23\n");
    assert_eq!(search(&sandbox, &each), (Some(0), got, at("25")));
    assert_eq!(
        search(&sandbox, &["--", "false"]),
        (Some(1), String::new(), at("25"))
    );
    append(&sandbox, 25..29, &[]);
    assert_eq!(search(&sandbox, &["--", "sh", "-c", "exit 7"]).0, Some(7));
    assert_eq!(held(&sandbox), at("27"));
    assert_eq!(
        search(&sandbox, &["--", "cat"]),
        (Some(0), found("27\n"), at("29"))
    );
}
