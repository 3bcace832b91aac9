//! `proglog redact`: only the values, in place and for good; where else they may be; and
//! what is refused without a change.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proglog_testkit::{Codec, LogBuilder, Sandbox, run};

const CODECS: [Codec; 2] = [Codec::Raw, Codec::Protobuf];

/// Two segments, offsets 0..7.
fn log(codec: Codec) -> Sandbox {
    let builder = LogBuilder::new(codec)
        .segment(0, ["a", "hidden one", "c", "", "e"])
        .segment(5, ["f", "hidden six", "h"]);
    Sandbox::built(&builder)
}

/// The files below a directory that contain these bytes.
fn grep(below: &Path, wanted: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(grep(&path, wanted));
        } else if fs::read(&path)
            .unwrap()
            .windows(wanted.len())
            .any(|it| it == wanted)
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The files of the log, by name.
fn files(sandbox: &Sandbox) -> Vec<(String, Vec<u8>)> {
    let names = sandbox.names().into_iter();
    names
        .map(|name| (name.clone(), sandbox.read(&name)))
        .collect()
}

#[test]
fn only_the_bytes_of_the_values_change() {
    for codec in CODECS {
        for (arguments, byte) in [
            (&["1", "6"][..], b'*'),
            (&["-2", "1"], b'*'),
            (&["6", "1..1", "1"], b'*'),
            (&["1", "6", "--fill", "\\0"], 0),
            (&["1", "6", "--fill", "-"], b'-'),
        ] {
            let sandbox = log(codec);
            let mut expected = files(&sandbox);
            for (name, bytes) in &mut expected {
                if name.contains("index") {
                    continue;
                }
                let at = bytes.windows(7).position(|it| it == b"hidden ").unwrap();
                bytes[at..at + 10].fill(byte);
            }
            let all = [&["redact", "log", "--yes"], arguments].concat();
            let (status, stdout, stderr) = run(&sandbox, &all);
            assert_eq!(status, 0, "{stderr}");
            assert!(stdout.contains("0.store: 1 value overwritten (10 bytes)"));
            assert_eq!(files(&sandbox), expected, "{arguments:?}");
            // Again, it is the same; and nothing was saved.
            let (status, again, stderr) = run(&sandbox, &all);
            assert_eq!((status, again), (0, stdout), "{stderr}");
            assert_eq!(files(&sandbox), expected);
            assert_eq!(run(&sandbox, &["verify", "-q", "log"]).0, 0);
            assert!(grep(sandbox.path(), b"hidden").is_empty());
            assert!(!sandbox.path().join("log.proglog-saved").exists());
        }
    }
}

#[test]
fn ranges_and_large_values() {
    for codec in CODECS {
        // More than is read, or written, at once; the second is read from the file.
        let values = [vec![b'x'; 700_000], vec![b'y'; 9_000_000], b"z".to_vec()];
        let sandbox = Sandbox::built(&LogBuilder::new(codec).segment(0, values));
        assert_eq!(run(&sandbox, &["redact", "log", "..", "--yes"]).0, 2);
        let (status, _, stderr) = run(&sandbox, &["redact", "log", "..1", "--yes"]);
        assert_eq!(status, 0, "{stderr}");
        let (_, values, _) = run(&sandbox, &["read", "log"]);
        let lengths: Vec<_> = values.lines().map(|line| line.trim_matches('*')).collect();
        assert_eq!(lengths, ["", "", "z"]);
        assert_eq!(values.len(), 9_700_004);
        let (status, _, stderr) = run(&sandbox, &["redact", "log", "2..", "--yes"]);
        assert_eq!(status, 0, "{stderr}");
        assert_eq!(run(&sandbox, &["read", "log", "2"]).1, "*\n");
    }
}

/// What a decoder passes over is overwritten too.
#[test]
fn a_value_that_is_there_twice() {
    let sandbox = log(Codec::Protobuf);
    let payload = b"\x0a\x06hidden\x0a\x06second";
    let mut store = (payload.len() as u64).to_be_bytes().to_vec();
    store.extend_from_slice(payload);
    for name in sandbox.names() {
        sandbox.remove(&name);
    }
    sandbox.write("0.store", &store);
    sandbox.write("0.index", &[0; 12]);
    let redact = ["redact", "log", "0", "--yes", "--codec", "protobuf"];
    let (status, _, stderr) = run(&sandbox, &redact);
    assert_eq!(status, 0, "{stderr}");
    assert_eq!(
        sandbox.read("0.store")[8..],
        *b"\x0a\x06******\x0a\x06******"
    );
}

#[test]
fn the_old_value_is_only_where_the_message_says() {
    for codec in CODECS {
        let sandbox = log(codec);
        let root = sandbox.path();
        let ok = |arguments: &[&str]| assert_eq!(run(&sandbox, arguments).0, 0, "{arguments:?}");
        // A copy, a saved change beside the log, one elsewhere, one of another name.
        fs::create_dir_all(root.join("backups/copy")).unwrap();
        for name in sandbox.names() {
            fs::copy(sandbox.file(&name), root.join("backups/copy").join(name)).unwrap();
        }
        let manifest = run(&sandbox, &["manifest", "log"]).1;
        fs::write(root.join("old-manifest"), manifest).unwrap();
        ok(&["trim", "log", "--after", "5"]);
        ok(&["undo", "log"]);
        ok(&["trim", "log", "--after", "0", "--save-to", "kept"]);
        ok(&["undo", "log", "--save-to", "kept"]);
        let before = sandbox.snapshot();
        let (status, would, said) = run(&sandbox, &["redact", "log", "1", "6", "--dry-run"]);
        assert_eq!(status, 0, "{said}");
        assert_eq!(sandbox.snapshot(), before);
        let (status, stdout, stderr) = run(&sandbox, &["redact", "log", "1", "6", "--yes"]);
        assert_eq!((status, &stderr), (0, &said));
        assert_eq!(would.replace("would be changed", "changed"), stdout);
        let found = grep(root, b"hidden");
        assert!(!found.is_empty());
        for file in found {
            let place = file.parent().unwrap().display().to_string();
            assert!(stderr.contains(&place), "{place}: {stderr}");
        }
        assert_eq!(stderr.matches("the saved change ").count(), 2, "{stderr}");
        assert!(stderr.contains("proglog manifest log > MANIFEST"));
        // So it is.
        let verify = ["verify", "log", "--manifest", "old-manifest"];
        let (status, stdout, _) = run(&sandbox, &verify);
        assert!(status == 3 && stdout.contains("record-changed"), "{stdout}");
        let manifest = run(&sandbox, &["manifest", "log"]).1;
        fs::write(root.join("new-manifest"), manifest).unwrap();
        ok(&["verify", "log", "--manifest", "new-manifest"]);
        // The way that the message shows.
        ok(&["undo", "log", "--prune"]);
        ok(&["undo", "log", "--prune", "--save-to", "kept"]);
        ok(&["redact", "backups/copy", "1", "6", "--yes"]);
        assert!(grep(root, b"hidden").is_empty());
        let (_, _, stderr) = run(&sandbox, &["redact", "log", "1", "6", "--yes"]);
        assert!(!stderr.contains("the saved change ") && !stderr.contains("backups"));
    }
}

#[test]
fn bytes_of_the_log_that_are_no_record_are_named() {
    let sandbox = log(Codec::Raw);
    sandbox.append_bytes("5.store", &sandbox.read("0.store")[9..27]);
    let json = ["redact", "log", "6", "--yes", "--json"];
    let (status, stdout, stderr) = run(&sandbox, &json);
    assert_eq!(status, 0, "{stderr}");
    assert!(
        stderr.contains("bytes in log that are no record"),
        "{stderr}"
    );
    assert!(stdout.contains("\"holder\":\"unreferenced\""), "{stdout}");
}

#[test]
fn nothing_changes_where_it_is_refused() {
    for codec in CODECS {
        let sandbox = log(codec);
        let store = sandbox.read("0.store");
        let at = store.windows(7).position(|it| it == b"hidden ").unwrap();
        for (arguments, status, words) in [
            (&["8"][..], 1, "no record at offset 8"),
            (&["1", "8"], 1, "no record at offset 8"),
            (&["6..8"], 1, "no record at offset 8"),
            (&["-9"], 1, "before the log"),
            (&["-9..2"], 1, "before the log"),
            (&["4..2"], 2, "above its last"),
            (&["x"], 2, "a range is"),
            (&[], 2, "required"),
            (&["1", "--fill", "ab"], 2, "not one byte"),
            (&["1", "--fill", ""], 2, "at least one byte"),
            (&["1", "--dry-run"], 2, "cannot be used with"),
        ] {
            let before = sandbox.snapshot();
            let all = [&["redact", "log", "--yes"], arguments].concat();
            let (is, _, stderr) = run(&sandbox, &all);
            assert_eq!(is, status, "{arguments:?}: {stderr}");
            assert!(stderr.contains(words), "{arguments:?}: {stderr}");
            assert_eq!(sandbox.snapshot(), before, "{arguments:?}");
        }
        let before = sandbox.snapshot();
        let (status, stdout, stderr) = run(&sandbox, &["redact", "log", "1"]);
        assert_eq!((status, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains("proglog redact log 1 --yes"), "{stderr}");
        assert_eq!(sandbox.snapshot(), before);
        // Damaged: the length of the record, and in a protobuf log its key.
        for (position, byte) in [
            (at - if codec == Codec::Raw { 8 } else { 10 }, 9),
            (at - 2, 0xff),
        ] {
            if codec == Codec::Raw && byte == 0xff {
                continue;
            }
            sandbox.put("0.store", position as u64, &[byte]);
            let before = sandbox.snapshot();
            for dry in ["--dry-run", "--yes"] {
                let (status, stdout, stderr) = run(&sandbox, &["redact", "log", "6", "1", dry]);
                assert_eq!((status, stdout.as_str()), (3, ""), "{stderr}");
                assert!(stderr.contains("offset 1: "), "{stderr}");
                assert_eq!(sandbox.snapshot(), before);
            }
            sandbox.write("0.store", &store);
        }
        // Trimmed.
        assert_eq!(run(&sandbox, &["trim", "log", "--before", "5"]).0, 0);
        let (status, _, stderr) = run(&sandbox, &["redact", "log", "1", "--yes"]);
        assert_eq!(status, 1, "{stderr}");
        assert!(stderr.contains("no record at offset 1"), "{stderr}");
    }
}

#[test]
fn a_log_in_use_is_left_alone() {
    let sandbox = log(Codec::Raw);
    let before = sandbox.snapshot();
    // A service, a reader, another proglog. They are another process to this one.
    let script = "exec 3>>log/5.store; sleep 60";
    for (open, waits) in [(script, true), ("exec 3<log/0.store; sleep 60", true)] {
        let mut other = std::process::Command::new("sh")
            .args(["-c", open])
            .current_dir(sandbox.path())
            .spawn()
            .unwrap();
        if waits {
            std::thread::sleep(Duration::from_millis(300));
        }
        let (status, stdout, stderr) = run(&sandbox, &["redact", "log", "1", "--yes"]);
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!((status, stdout.as_str()), (4, ""), "{open}: {stderr}");
        assert_eq!(sandbox.snapshot(), before);
    }
    let held = fs::File::open(sandbox.log()).unwrap();
    held.lock().unwrap();
    let (status, _, stderr) = run(&sandbox, &["redact", "log", "1", "--yes", "--wait=0"]);
    assert_eq!(status, 4, "{stderr}");
    assert_eq!(sandbox.snapshot(), before);
}
