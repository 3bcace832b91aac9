//! Every command that reads, beside a live Go service: a log that loses nothing is never
//! called damaged, and what is printed of it is right.
//!
//! `PROGLOG_LIVE_SECONDS=30 cargo test --test system live::` runs each command for so long, over
//! all kinds of logs together.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed, and writes as a service does"
)]

mod moments;
mod writing;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use self::writing::{User, beside, value};

/// Checks the records that `read` printed: each with its own value, in order, and
/// without a gap but for those that it said were trimmed.
fn check_records<'a>(lines: impl Iterator<Item = &'a str>, err: &str) {
    let mut next = None;
    for line in lines {
        let (offset, rest) = line.split_once(' ').unwrap();
        let offset: u64 = offset.parse().unwrap();
        assert_eq!(rest, value(offset), "offset {offset}");
        let missing = next.map_or(offset..offset, |next| next..offset);
        let told = missing.clone().all(|offset| {
            let mut gone = gone(err);
            gone.any(|(first, last)| (first..=last).contains(&offset))
        });
        assert!(told, "{missing:?} is missing; {err}");
        next = Some(offset + 1);
    }
}

/// The offsets that were trimmed before they were read, by what was said of them.
fn gone(err: &str) -> impl Iterator<Item = (u64, u64)> {
    err.lines().filter_map(|line| {
        let range = line.strip_prefix("note: offsets ")?;
        let (first, last) = range.strip_suffix(GONE)?.split_once("..")?;
        Some((first.parse().ok()?, last.parse().ok()?))
    })
}

const GONE: &str = " are gone: they were trimmed before they were read";

/// What a finding may be where nobody can tell whether a writer lives.
fn is_a_writers(id: &str) -> bool {
    matches!(
        id,
        "index-padded" | "index-dangling" | "store-torn-tail" | "needs-decision"
    )
}

#[track_caller]
fn ends_with(output: &Output, statuses: &[i32]) -> (String, String) {
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let status = output.status.code().unwrap();
    let end = out.lines().rev().take(12).collect::<Vec<_>>();
    assert!(
        statuses.contains(&status) && !err.contains("error: index") && !err.contains("error: st"),
        "status {status}\nstderr: {err}\nstdout, from its end: {end:#?}"
    );
    (out, err)
}

#[test]
fn read_prints_what_is_there() {
    beside("read", |log, _| {
        let mut command = command("read", log);
        command.args(["--format", "%o %s\\n"]);
        command
    })
    .each(|output, _| {
        let (out, err) = ends_with(output, &[0]);
        check_records(out.lines(), &err);
    });
}

#[test]
fn read_of_the_last_records_in_reverse() {
    beside("read -r", |log, _| {
        let mut command = command("read", log);
        command.args(["-r", "-n", "200", "--format", "%o %s\\n"]);
        command
    })
    .each(|output, _| {
        let (out, err) = ends_with(output, &[0]);
        check_records(out.lines().rev(), &err);
    });
}

#[test]
fn a_follower_prints_each_record_once() {
    beside("read -f", |log, next| {
        let mut command = command("read", log);
        command.args(["-f", "-c", "300", "--until-idle=20", "--format", "%o %s\\n"]);
        command.arg(format!("--from={next}"));
        command
    })
    .each(|output, _| {
        // A service that trims may overtake it, and what waits in a buffer may stay there.
        let (out, err) = ends_with(output, &[0, 1]);
        let expected = ["are gone", "did not come"];
        let said = expected.iter().any(|it| err.contains(it));
        assert!(output.status.success() || said, "{err}");
        check_records(out.lines(), &err);
    });
}

#[test]
fn verify_finds_nothing() {
    beside("verify", |log, _| {
        let mut command = command("verify", log);
        command.args(["-q"]);
        command
    })
    .each(|output, user| {
        if user == User::Owner {
            let (out, err) = ends_with(output, &[0]);
            assert_eq!((out.as_str(), err.as_str()), ("", ""));
            return;
        }
        // To another user it says in each line that it may be nothing.
        let out = String::from_utf8_lossy(&output.stdout);
        // The last line of very many counts the others.
        let is_told = |line: &&str| !line.ends_with("(--json lists all)");
        for line in out.lines().filter(is_told) {
            let id = line.split_whitespace().nth(2).unwrap();
            let id = id.trim_end_matches(':');
            assert!(is_a_writers(id), "{out}");
            assert!(line.contains("cannot tell"), "{out}");
        }
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    });
}

#[test]
fn verify_in_json_has_notes_only() {
    beside("verify --json", |log, _| {
        let mut command = command("verify", log);
        command.arg("--json");
        command
    })
    .each(|output, user| {
        let out = String::from_utf8_lossy(&output.stdout);
        for line in out.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            if line["kind"] == "finding" && line["severity"] != "note" {
                let id = line["id"].as_str().unwrap();
                let may = user == User::Other
                    && is_a_writers(id)
                    && line["message"].as_str().unwrap().contains("cannot tell");
                assert!(may, "{line}");
            }
        }
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    });
}

#[test]
fn diff_compares_what_both_hold() {
    beside("diff", |log, _| {
        let mut command = command("diff", log);
        command.arg(log);
        command
    })
    .each(|output, _| {
        // The second look may see more records, or fewer at the front.
        let (out, _) = ends_with(output, &[0, 1]);
        assert!(!out.contains("damaged") && !out.contains("differ"), "{out}");
    });
}

#[test]
fn a_manifest_holds_for_the_log_that_grew() {
    beside("manifest", |log, _| {
        let manifest = log.parent().unwrap().join("manifest");
        let mut command = Command::new("sh");
        let script = format!(
            "{0} manifest {1} > {2} && {0} verify -q {1} --manifest {2} \
             --allow index-padded --allow index-dangling --allow store-torn-tail",
            writing::program(log).display(),
            log.display(),
            manifest.display()
        );
        command.arg("-c").arg(script);
        command
    })
    .each(|output, _| {
        let (out, _) = ends_with(output, &[0]);
        assert_eq!(out, "");
    });
}

#[test]
fn info_shows_no_damage() {
    beside("info", |log, _| {
        let mut command = command("info", log);
        command.args(["--json", "--sizes"]);
        command
    })
    .each(|output, user| {
        let (out, _) = ends_with(output, &[0]);
        for line in out.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let open = match user {
                User::Owner => "open",
                User::Other => "perhaps open",
            };
            if line["kind"] == "segment" {
                let states = line["state"].as_str().unwrap().split(", ");
                let mut odd = states.filter(|it| ![open, "empty", "clean"].contains(it));
                assert_eq!(odd.next(), None, "{line}");
            } else if line["kind"] == "summary" {
                assert_eq!(
                    (&line["lost"], &line["gaps"]),
                    (&0.into(), &0.into()),
                    "{line}"
                );
            }
        }
    });
}

#[test]
fn dumps_mark_nothing() {
    for (name, mark) in [("dump-index", "\"damage\""), ("dump-store", "no-frame")] {
        beside(name, |log, _| {
            let mut command = command(name, log);
            command.arg("--json");
            command
        })
        .each(|output, user| {
            let (out, _) = ends_with(output, &[0]);
            let mut marked = out.lines().filter(|line| line.contains(mark));
            let marked = marked.find(|line| !line.contains("\"why\":\"buffered\""));
            assert!(marked.is_none() || user == User::Other, "{marked:?}");
        });
    }
}

fn command(name: &str, log: &Path) -> Command {
    let mut command = Command::new(writing::program(log));
    command.arg(name).arg(log);
    command
}
