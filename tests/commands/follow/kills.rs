//! Workers and followers killed at random miss nothing: what was handled before the
//! kill may come again, and every record comes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proglog_testkit::Sandbox;

use crate::follow::running::command;
use crate::follow::{append, held};

/// Kills of each kind in one run.
const KILLS: u64 = 50;

/// Kills reads with these arguments again and again while records are appended, lets
/// one come to an end, and gives the offsets that came to the file `out`.
fn survive(arguments: &[&str], seed: u64) -> (Vec<u64>, u64) {
    let sandbox = Sandbox::bare();
    append(&sandbox, 0..100, &["-q", "--max-index-bytes=1200"]);
    let over = AtomicBool::new(false);
    let out = || {
        let file = File::options()
            .create(true)
            .append(true)
            .open(sandbox.path().join("out"));
        file.unwrap()
    };
    let (mut kills, mut ended) = (0, Vec::new());
    let appended = std::thread::scope(|scope| {
        let appender = scope.spawn(|| {
            let mut next = 100;
            while !over.load(Ordering::SeqCst) {
                append(&sandbox, next..next + 37, &["-q"]);
                next += 37;
            }
            next
        });
        let mut random = seed;
        while kills < KILLS {
            let mut child = command(&sandbox, arguments)
                .stdin(Stdio::null())
                .stdout(out())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            std::thread::sleep(Duration::from_micros((random >> 33) % 60_000));
            child.kill().unwrap();
            ended.push(child.wait().unwrap().code());
            kills += 1;
        }
        over.store(true, Ordering::SeqCst);
        appender.join().unwrap()
    });
    // None of them ended by itself before it was killed.
    assert!(ended.iter().all(Option::is_none), "{ended:?}");
    let mut last = vec!["--until-idle", "0.5"];
    last.extend(arguments);
    let status = command(&sandbox, &last).stdout(out()).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(held(&sandbox), Some(format!("{appended}\n")));
    let text = fs::read_to_string(sandbox.path().join("out")).unwrap();
    let came = text.lines().filter_map(|line| line.parse().ok()).collect();
    (came, appended)
}

fn misses_nothing((came, appended): (Vec<u64>, u64)) {
    let all: BTreeSet<u64> = came.iter().copied().collect();
    let missing: Vec<u64> = (0..appended)
        .filter(|offset| !all.contains(offset))
        .collect();
    assert!(missing.is_empty(), "{missing:?} of {appended} are missing");
    // In order, but for where one that was killed is begun again.
    let back = came.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64;
    assert!(back <= KILLS, "{back} steps back");
}

#[test]
fn a_killed_follower_misses_nothing() {
    // A newline before each, so that a line cut short spoils no other.
    let format = ["-f", "--cursor-file", "cursor", "--format", "\\n%o\\n"];
    misses_nothing(survive(&format, 1));
}

#[test]
fn a_killed_worker_misses_nothing() {
    let handle = [
        "-f",
        "--cursor-file",
        "cursor",
        "--batch",
        "20",
        "--format",
        "\\n%o\\n",
        "--",
        "cat",
    ];
    misses_nothing(survive(&handle, 2));
}
