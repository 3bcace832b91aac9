//! A follower beside appends: each record once, whatever becomes of the writer.

use std::io::Write;
use std::process::{Command, Stdio};

use proglog_testkit::{Sandbox, frames, proglog};

use crate::follow::running::Reading;
use crate::follow::{append, lines};

/// The offset that the next append gives: behind the frames that are whole, for it adopts
/// those that no entry names yet.
fn next_offset(sandbox: &Sandbox) -> u64 {
    let names = sandbox.names();
    let bases = names
        .iter()
        .filter_map(|name| name.strip_suffix(".store")?.parse().ok());
    let last: u64 = bases.max().unwrap();
    last + frames(&sandbox.read(&format!("{last}.store"))).len() as u64
}

#[test]
fn a_hundred_thousand_records_with_rolls_and_a_kill_come_once_each() {
    const RECORDS: u64 = 100_000;
    let sandbox = Sandbox::bare();
    let reading = Reading::start(&sandbox, &["-F", "-c", "100000"]);
    let mut writer = Command::new(proglog().get_program())
        .current_dir(sandbox.path())
        .args(["append", "log", "-q", "--max-store-bytes=64KiB"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        // It gets neither all nor an end, so that it is killed in the middle however slow the
        // reader is.
        for start in (0..RECORDS - 500).step_by(500) {
            if input
                .write_all(lines(start..start + 500).as_bytes())
                .is_err()
            {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(12));
        }
        input
    });
    reading.prints_bytes(lines(0..30_000).len());
    writer.kill().unwrap();
    writer.wait().unwrap();
    feeder.join().unwrap();
    // The next append recovers what the kill left in the middle.
    let next = next_offset(&sandbox);
    assert!((30_000..RECORDS).contains(&next), "{next}");
    for start in (next..RECORDS).step_by(10_000) {
        let end = RECORDS.min(start + 10_000);
        append(&sandbox, start..end, &["-q", "--max-store-bytes=64KiB"]);
    }
    let ended = reading.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    assert!(ended.out == lines(0..RECORDS), "{} bytes", ended.out.len());
    assert!(sandbox.names().len() > 20, "{:?}", sandbox.names());
}

#[test]
fn a_trickle_comes_record_by_record() {
    let sandbox = crate::follow::numbered(5);
    let reading = Reading::start(&sandbox, &["-n", "2", "-f"]);
    reading.prints(&lines(3..5));
    for number in 5..40 {
        append(&sandbox, number..number + 1, &["-q"]);
        reading.prints(&lines(3..number + 1));
    }
}

#[test]
fn large_records_and_empty_ones() {
    let sandbox = Sandbox::bare();
    let reading = Reading::start(&sandbox, &["-F", "-c", "4"]);
    let large = "x".repeat(9 * 1024 * 1024);
    for value in ["", "y", large.as_str(), ""] {
        let mut command = sandbox.proglog();
        command.args(["append", "log", "-q", "--input=whole", "--codec=protobuf"]);
        command.write_stdin(value).assert().success();
    }
    let ended = reading.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
    assert!(
        ended.out == format!("\ny\n{large}\n\n"),
        "{} bytes",
        ended.out.len()
    );
}
