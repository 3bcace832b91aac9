//! Other processes, real ones: shells that hold a file open.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proglog::forward_to_disk;
use proglog::log::disk::{Disk, DiskFile, RealDisk};
use proglog_testkit::{Sandbox, proglog};

use crate::mending::{library, run};

/// A shell that does something with the log, says so, and waits; dropping it ends it.
struct Other(Child);

impl Other {
    fn start(directory: &Path, script: &str) -> Self {
        let mut child = Command::new("sh")
            .current_dir(directory)
            .args(["-c", &format!("{script}; echo ready; read end")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const MENDING: &[&[&str]] = &[
    &["repair", "log"],
    &["repair", "log", "--dry-run"],
    &["trim", "log", "--after", "5"],
    &["trim", "log", "--after", "5", "--dry-run"],
    &["truncate-index", "log"],
    &["truncate-index", "log", "--dry-run"],
];

#[test]
fn a_writer_or_a_reader_keeps_mending_off() {
    for (script, reader) in [("exec 3<>log/0.index", false), ("exec 3<log/0.index", true)] {
        let sandbox = Sandbox::of("killed-padding-only");
        let before = sandbox.snapshot();
        let other = Other::start(sandbox.path(), script);
        for command in MENDING {
            let (status, stdout, stderr) = run(sandbox.path(), command);
            assert_eq!(status, 4, "{script} {command:?}: {stdout}{stderr}");
            assert!(
                stderr.contains(&format!("PID {}", other.0.id())),
                "{stderr}"
            );
            // Nobody's padding is damage while somebody writes.
            let plan_shown = reader && command.contains(&"--dry-run");
            assert_eq!(!stdout.is_empty(), plan_shown, "{command:?}: {stdout}");
            assert_eq!(sandbox.snapshot(), before, "{command:?}");
        }
        assert!(!sandbox.path().join("log.proglog-saved").exists());
        if reader {
            drop(other);
            run(sandbox.path(), &["repair", "log"]);
            let _reader = Other::start(sandbox.path(), script);
            let mut append = proglog();
            append.current_dir(sandbox.path()).args(["append", "log"]);
            append.write_stdin("beside a reader\n").assert().success();
        }
    }
}

#[test]
fn undo_is_kept_off_too_and_waits() {
    let sandbox = Sandbox::of("killed-padding-only");
    run(sandbox.path(), &["repair", "log"]);
    let repaired = sandbox.snapshot();
    let reader = Other::start(sandbox.path(), "exec 3<log/0.index");
    for dry_run in [&["undo", "log", "--dry-run"][..], &["undo", "log"]] {
        let (status, _, stderr) = run(sandbox.path(), dry_run);
        assert_eq!(status, 4, "{stderr}");
        assert_eq!(sandbox.snapshot(), repaired);
    }
    let started = Instant::now();
    let (status, _, _) = run(sandbox.path(), &["undo", "log", "--wait=0.3"]);
    assert_eq!(status, 4);
    assert!(started.elapsed() >= Duration::from_millis(300));
    let ends = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        drop(reader);
    });
    let (status, _, stderr) = run(sandbox.path(), &["undo", "log", "--wait"]);
    assert_eq!(status, 0, "{stderr}");
    ends.join().unwrap();
}

#[test]
fn repair_waits_for_a_writer_and_looks_only_then() {
    let sandbox = Sandbox::of("killed-padding-only");
    let script = "exec 3<>log/0.index";
    let mut writer = Other::start(sandbox.path(), script);
    let log = sandbox.path().to_path_buf();
    let repair = std::thread::spawn(move || run(&log, &["repair", "log", "--wait=20"]));
    std::thread::sleep(Duration::from_millis(300));
    // A service that closes cuts its padding itself.
    sandbox.cut("0.index", 480);
    let _ = writer.0.kill();
    let _ = writer.0.wait();
    let (status, stdout, stderr) = repair.join().unwrap();
    assert_eq!(status, 0, "{stdout}{stderr}");
    assert!(stdout.starts_with("nothing to change"), "{stdout}");
}

/// A disk at whose first cut another process opens all files: it waits for us.
struct Visited {
    directory: PathBuf,
    visitor: Mutex<Option<Child>>,
}

impl Disk for Visited {
    forward_to_disk! { |self| RealDisk =>
        open create create_unnamed link create_dir write_at sync_data sync_dir remove remove_dir rename
    }
    fn set_len(&self, file: &DiskFile, bytes: u64) -> io::Result<()> {
        let mut visitor = self.visitor.lock().unwrap();
        if visitor.is_none() {
            let cat = "for f in log/*; do exec 3<>$f; wc -c <&3; done";
            let mut shell = Command::new("sh");
            shell.current_dir(&self.directory).args(["-c", cat]);
            *visitor = Some(shell.stdout(Stdio::piped()).spawn()?);
            std::thread::sleep(Duration::from_millis(300));
        }
        RealDisk.set_len(file, bytes)
    }
}

#[test]
fn whoever_comes_during_a_repair_waits_and_finds_a_sound_log() {
    let sandbox = Sandbox::of("killed-three-segments");
    let disk = Arc::new(Visited {
        directory: sandbox.path().to_path_buf(),
        visitor: Mutex::new(None),
    });
    let as_disk: Arc<dyn Disk> = disk.clone();
    library::repair_on(&sandbox.log(), &as_disk);
    let visitor = disk.visitor.lock().unwrap().take().unwrap();
    let seen = visitor.wait_with_output().unwrap().stdout;
    // In the order of their names: 0, 235, 465, index before store.
    let sizes = "1920\n8139\n1860\n8148\n1908\n8158\n";
    assert_eq!(String::from_utf8(seen).unwrap(), sizes);
}

#[test]
fn cat_beside_an_idle_append_returns_at_once() {
    let sandbox = Sandbox::bare();
    let mut append = Command::new(assert_cmd::cargo::cargo_bin("proglog"))
        .current_dir(sandbox.path())
        .args(["append", "log", "--print-offsets"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut words = append.stdin.take().unwrap();
    std::io::Write::write_all(&mut words, b"a\n").unwrap();
    let mut line = String::new();
    BufReader::new(append.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "0\n");
    let started = Instant::now();
    let cat = Command::new("cat")
        .arg(sandbox.file("0.store"))
        .output()
        .unwrap();
    assert!(started.elapsed() < Duration::from_secs(2));
    assert_eq!(cat.stdout.len(), 9);
    drop(words);
    assert!(append.wait().unwrap().success());
}
