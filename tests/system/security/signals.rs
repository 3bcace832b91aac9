//! SIGTERM and SIGINT end every command within a second, whatever it is at: here in files
//! that are terabytes of holes with data strewn in them, and at pipes that nobody reads.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use proglog_testkit::{Sandbox, heed_signals};

use crate::security::shell::{logs, status};

/// A second, and as much again three times for a machine that has much else to do.
const LIMIT: Duration = Duration::from_secs(4);

/// How long a command is left alone first; what is begun here takes many times as long.
const BEGUN: Duration = Duration::from_millis(400);

/// Pieces of data, and how far from each other they are. Units: bytes.
const DOTS: u64 = 20_000;
const APART: u64 = 512 << 20;

/// Strews data into a file behind its end; whether the file system has such files.
fn strew(path: &Path) -> bool {
    let mut file = File::options().write(true).open(path).unwrap();
    if file.set_len(DOTS * APART + 4096).is_err() {
        eprintln!("SKIPPED: no sparse files of terabytes here");
        return false;
    }
    for dot in 1..=DOTS {
        file.seek(SeekFrom::Start(dot * APART)).unwrap();
        file.write_all(b"\0\0\0\0\0\0\0\x05hel").unwrap();
    }
    true
}

/// The log of [`logs`], with data strewn into its store (`stores`) and its index (`indexes`).
fn strewn() -> Option<Sandbox> {
    let sandbox = logs();
    assert_eq!(
        status(sandbox.path(), "cp -r log stores && cp -r log indexes"),
        0
    );
    let files = ["stores/0.store", "indexes/0.index"];
    files
        .iter()
        .all(|file| strew(&sandbox.path().join(file)))
        .then_some(sandbox)
}

fn started(dir: &Path, line: &str) -> Child {
    heed_signals();
    Command::new(env!("CARGO_BIN_EXE_proglog"))
        .args(line.split(' '))
        .current_dir(dir)
        .stdin(File::open(dir.join("input")).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Whether the child ends by itself while it is left alone.
fn ends_by_itself(child: &mut Child) -> bool {
    let end = Instant::now() + BEGUN;
    while Instant::now() < end {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        sleep(Duration::from_millis(10));
    }
    false
}

/// Sends a signal, by which the child ends in time.
fn end(child: &mut Child, signal: i32, line: &str) {
    let sent = Instant::now();
    let pid = rustix::process::Pid::from_child(child);
    let number = rustix::process::Signal::from_named_raw(signal).unwrap();
    rustix::process::kill_process(pid, number).unwrap();
    while child.try_wait().unwrap().is_none() {
        if sent.elapsed() >= LIMIT {
            child.kill().unwrap();
            panic!("{line}: still there {:?} after the signal", sent.elapsed());
        }
        sleep(Duration::from_millis(10));
    }
    let ended = child.wait().unwrap();
    // It may have come to its own end at that moment.
    let by_itself = matches!(ended.code(), Some(0..=4));
    assert!(
        ended.signal() == Some(signal) || by_itself,
        "{line}: {ended:?}"
    );
}

#[test]
fn a_signal_ends_every_phase() {
    let Some(sandbox) = strewn() else { return };
    let dir = sandbox.path();
    fs::write(dir.join("input"), "a record\n").unwrap();
    let mut long = 0;
    for log in ["stores", "indexes"] {
        for command in [
            "append LOG",
            "append LOG --expect-offset 4",
            "read LOG --cursor-file cursor",
            "read LOG --cursor-file cursor -- cat",
            "read LOG -f",
            "read LOG -n 1 -f",
            "read LOG",
            "read -r LOG",
            "verify LOG",
            "verify LOG --json",
            "info LOG",
            "dump-index LOG",
            "dump-store LOG",
            "diff LOG log",
            "diff --files LOG log",
            "manifest LOG",
            "salvage LOG new",
            "repair LOG --dry-run",
            "repair LOG --replica log --dry-run",
            "trim LOG --before 2 --dry-run",
            "trim LOG --after 2 --dry-run",
            "truncate-index LOG --dry-run",
        ] {
            for signal in [15, 2] {
                let line = command.replace("LOG", log);
                let mut child = started(dir, &line);
                if ends_by_itself(&mut child) {
                    // It need not look at what is strewn.
                    let _ = child.wait();
                } else {
                    long += 1;
                    end(&mut child, signal, &line);
                }
                assert!(!dir.join("cursor").exists(), "{line}");
                let _ = status(dir, "rm -rf new*");
            }
        }
    }
    assert!(long >= 20, "only {long} took long");
    assert_eq!(status(dir, "cmp -n 44 log/0.store stores/0.store"), 0);
}

#[test]
fn a_signal_ends_an_append_whose_offsets_nobody_reads() {
    let sandbox = logs();
    let dir = sandbox.path();
    fs::write(dir.join("input"), "x\n".repeat(500_000)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_proglog"))
        .args(["append", "new", "--print-offsets", "input"])
        .current_dir(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // A pipe holds a megabyte at most: it cannot end by itself.
    let stdout = child.stdout.take().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while rustix::io::ioctl_fionread(&stdout).unwrap() < 60_000 {
        assert!(Instant::now() < deadline, "it does not begin");
        sleep(Duration::from_millis(20));
    }
    assert!(!ends_by_itself(&mut child));
    end(&mut child, 15, "append");
    // It may have been at the next commit: that is recovered.
    let goes_on = "echo y | $proglog append -q new && $proglog verify -q new";
    assert_eq!(status(dir, goes_on), 0);
}
