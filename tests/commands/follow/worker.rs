//! The command that handles records: what it gets, and when the cursor moves.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use proglog_testkit::Sandbox;
use rustix::process::Signal;

use crate::follow::running::{Ended, Reading};
use crate::follow::{append, held, lines, numbered};

fn work(sandbox: &Sandbox, arguments: &[&str], command: &str) -> Ended {
    let mut all = vec!["--cursor-file", "cursor"];
    all.extend(arguments);
    all.extend(["--", "sh", "-c", command]);
    Reading::start(sandbox, &all).end()
}

#[test]
fn the_cursor_moves_when_the_command_ends_with_0() {
    let sandbox = numbered(25);
    let ended = work(&sandbox, &["-c", "10"], "cat").told(0, &[]);
    assert_eq!(ended.out, lines(0..10));
    assert_eq!(held(&sandbox).as_deref(), Some("10\n"));
    let ended = work(&sandbox, &["-c", "10"], "cat; exit 7");
    let ended = ended.told(7, &["sh ended with 7: the cursor stays at 10"]);
    assert_eq!(ended.out, lines(10..20));
    work(&sandbox, &["-c", "10"], "kill -9 $$").told(137, &["SIGKILL", "stays at 10"]);
    assert_eq!(held(&sandbox).as_deref(), Some("10\n"));
    let ended = work(&sandbox, &["--json", "--to", "12"], "cat").told(0, &[]);
    assert_eq!(ended.out.lines().count(), 3);
    assert!(ended.out.starts_with("{\"offset\":10,"), "{}", ended.out);
    let ended = work(&sandbox, &["--batch", "5"], "wc -l").told(0, &[]);
    assert_eq!(
        ended.out.split_whitespace().collect::<Vec<_>>(),
        ["5", "5", "2"]
    );
    assert_eq!(held(&sandbox).as_deref(), Some("25\n"));
    // No records, no run.
    work(&sandbox, &[], "echo ran; exit 3").told(0, &[]);
}

/// Whether the records are more than a pipe holds or fit into it, and whether the command
/// ends before they are written or after.
#[test]
fn a_command_that_leaves_records_unread_has_not_handled_them() {
    let words = ["before it had read all its records", "stays at 0"];
    let large = Sandbox::bare();
    append(&large, 0..300_000, &["-q"]);
    for sandbox in [&large, &numbered(5)] {
        for command in [
            "exit 0",
            "sleep 0.1",
            "exec 0<&-; sleep 0.1",
            "read line; exec 0<&-; sleep 0.1",
            // One that is left behind has the records, and nobody waits for it.
            "exec 3<&0; sleep 3 <&3 >/dev/null 2>&1 & exit 0",
        ] {
            work(sandbox, &[], command).told(1, &words);
            assert_eq!(held(sandbox), None, "{command}");
        }
    }
    let sandbox = numbered(25);
    work(&sandbox, &["-c", "3"], "cat >/dev/null").told(0, &[]);
    for follow in [&[][..], &["-f"]] {
        // The first batch is handled, the second is not, the third is not handed out.
        let script = "test -e handled && exit 0; touch handled; cat";
        let batches = [follow, &["--batch", "2"]].concat();
        let before: u64 = held(&sandbox).unwrap().trim().parse().unwrap();
        let ended = work(&sandbox, &batches, script);
        let stays = format!("stays at {}", before + 2);
        let ended = ended.told(1, &["before it had read all", &stays]);
        assert_eq!(ended.out, lines(before..before + 2));
        assert_eq!(held(&sandbox), Some(format!("{}\n", before + 2)));
        fs::remove_file(sandbox.path().join("handled")).unwrap();
    }
    // Said without a cursor file too.
    let ended = Reading::start(&sandbox, &["--", "true"]).end();
    ended.told(1, &["before it had read all its records"]);
}

#[test]
fn what_cannot_be_started() {
    let sandbox = numbered(3);
    for (program, hint) in [
        ("no-such-command", "$PATH"),
        ("./none", "no such file"),
        ("./log", "chmod"),
    ] {
        let ended = Reading::start(&sandbox, &["--cursor-file", "cursor", "--", program]).end();
        ended.told(2, &["cannot start it", hint]);
        assert_eq!(held(&sandbox), None);
    }
}

#[test]
fn a_follower_runs_it_for_each_batch() {
    let sandbox = numbered(5);
    let script = "sed s/^/got-/; echo end";
    let reading = Reading::start(
        &sandbox,
        &[
            "-f",
            "-c",
            "9",
            "--cursor-file",
            "cursor",
            "--batch",
            "3",
            "--",
            "sh",
            "-c",
            script,
        ],
    );
    reading.prints("got-0\ngot-1\ngot-2\nend\ngot-3\ngot-4\nend\n");
    append(&sandbox, 5..6, &[]);
    reading.prints("got-0\ngot-1\ngot-2\nend\ngot-3\ngot-4\nend\ngot-5\nend\n");
    append(&sandbox, 6..12, &[]);
    let ended = reading.end().told(0, &[]);
    assert!(
        ended
            .out
            .ends_with("got-5\nend\ngot-6\ngot-7\ngot-8\nend\n"),
        "{}",
        ended.out
    );
    assert_eq!(held(&sandbox).as_deref(), Some("9\n"));
}

#[test]
fn a_signal_lets_the_command_finish() {
    let sandbox = numbered(5);
    let script = "cat; sleep 1; echo done";
    let reading = Reading::start(
        &sandbox,
        &["-f", "--cursor-file", "cursor", "--", "sh", "-c", script],
    );
    reading.prints(&lines(0..5));
    std::thread::sleep(Duration::from_millis(100));
    reading.signal(Signal::TERM);
    let ended = reading.end();
    assert_eq!(ended.status.signal(), Some(Signal::TERM.as_raw()));
    assert_eq!(ended.out, lines(0..5) + "done\n");
    assert_eq!(held(&sandbox).as_deref(), Some("5\n"));
}
