//! A disk that fails in places: `proglog salvage` gives what it holds elsewhere, and a
//! copy mends the rest. What fails is a library between the program and the kernel.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a test changes its own sandbox")]
#![expect(clippy::print_stderr, reason = "what is skipped is said")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use proglog_testkit::{Codec, LogBuilder, Sandbox, json, said, whole_records};
use serde_json::Value;

/// Findings of a log, but for the holes in it.
fn findings(sandbox: &Sandbox, log: &str) -> Vec<Value> {
    let verify = sandbox.proglog().args(["verify", log, "--json"]).output();
    let lines = json(&said(verify.unwrap()).1).into_iter();
    lines
        .filter(|it: &Value| it["kind"] == "finding" && it["id"] != "segment-gap")
        .collect()
}

/// A library that makes reads of one file fail from one byte to another.
fn failing_disk(sandbox: &Sandbox) -> Option<PathBuf> {
    const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
ssize_t pread64(int fd, void *buffer, size_t bytes, off64_t at) {
    static ssize_t (*real)(int, void *, size_t, off64_t);
    if (!real) real = dlsym(RTLD_NEXT, "pread64");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    const char *name = getenv("EIO_FILE");
    if (length > 0 && name && (size_t)length > strlen(name)) {
        path[length] = 0;
        off64_t from = atoll(getenv("EIO_FROM")), to = atoll(getenv("EIO_TO"));
        if (!strcmp(path + length - strlen(name), name) && at < to && at + (off64_t)bytes > from) {
            if (at >= from) { errno = EIO; return -1; }
            bytes = from - at;
        }
    }
    return real(fd, buffer, bytes, at);
}
"#;
    let (source, library) = (sandbox.path().join("eio.c"), sandbox.path().join("eio.so"));
    fs::write(&source, SOURCE).unwrap();
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    let made = made.is_ok_and(|status| status.success());
    if !made {
        eprintln!("SKIPPED: no C compiler, and so no disk that fails");
    }
    made.then_some(library)
}

/// Which records have a byte of their frame, or of their entry, in a range of a file.
fn touched(codec: Codec, values: &[String], file: &str, from: u64, to: u64) -> Vec<u64> {
    let mut touched = Vec::new();
    let mut at = 0;
    for (offset, value) in (0_u64..).zip(values) {
        let payload = match codec {
            Codec::Raw => value.as_bytes().to_vec(),
            Codec::Protobuf => proglog_testkit::pb(value.as_bytes(), offset, 0, 0),
        };
        let frame = at..at + 8 + payload.len() as u64;
        let range = if file == "0.store" {
            frame.clone()
        } else {
            offset * 12..offset * 12 + 12
        };
        if range.start < to && from < range.end {
            touched.push(offset);
        }
        at = frame.end;
    }
    touched
}

#[test]
fn what_the_disk_does_not_give_costs_its_records_only() {
    let tools = Sandbox::bare();
    let Some(library) = failing_disk(&tools) else {
        return;
    };
    let values: Vec<String> = (0..700)
        .map(|n| format!("{n:05} {}", "v".repeat(n % 40)))
        .collect();
    for codec in [Codec::Raw, Codec::Protobuf] {
        let sandbox = Sandbox::built(&LogBuilder::new(codec).segment(0, &values));
        for file in ["0.store", "0.index"] {
            let size = sandbox.bytes(file);
            for from in (0..size).step_by(4096) {
                let to = from + 4096;
                let output = sandbox
                    .proglog()
                    .args(["salvage", "log", "new", "--json"])
                    .env("LD_PRELOAD", &library)
                    .env("EIO_FILE", format!("log/{file}"))
                    .env("EIO_FROM", from.to_string())
                    .env("EIO_TO", to.to_string())
                    .output()
                    .unwrap();
                let about = format!("{codec:?} {file} {from}");
                let (status, stdout, stderr) = said(output);
                assert!([0, 3].contains(&status), "{about}: {stdout}{stderr}");
                let salvaged = whole_records(&sandbox.path().join("new"), codec);
                let lost = touched(codec, &values, file, from, to);
                for (offset, value) in (0_u64..).zip(&values) {
                    let there = salvaged.contains(&(offset, value.clone().into_bytes()));
                    let must = !lost.contains(&offset);
                    assert!(there || !must, "{about}: {offset} is not there");
                    assert!(!there || must || file == "0.index", "{about}: {offset}");
                }
                assert!(salvaged.len() <= values.len(), "{about}");
                assert!(findings(&sandbox, "new").is_empty(), "{about}");
                let mut removal = Command::new("sh");
                removal
                    .args(["-c", "rm -r new*"])
                    .current_dir(sandbox.path());
                assert!(removal.status().unwrap().success());
            }
        }
    }
}

/// One segment of which the disk gives nothing does not cost the others.
#[test]
fn a_segment_of_which_nothing_can_be_read_costs_itself_only() {
    let tools = Sandbox::bare();
    let Some(library) = failing_disk(&tools) else {
        return;
    };
    let values: Vec<String> = (0..30).map(|n| format!("value {n}")).collect();
    let empty = Vec::<String>::new;
    for codec in [Codec::Raw, Codec::Protobuf] {
        for (file, lone) in [
            ("0.store", false),
            ("10.store", false),
            ("20.store", false),
            ("10.store", true),
            ("20.index", true),
        ] {
            let builder = LogBuilder::new(codec)
                .segment(0, &values[..10])
                .segment(10, &values[10..20])
                .segment(20, &values[20..])
                .segment(30, empty());
            let sandbox = Sandbox::built(&builder);
            let base: usize = file.split_once('.').unwrap().0.parse().unwrap();
            if lone {
                let store = file.ends_with("store");
                sandbox.remove(&format!("{base}.{}", if store { "index" } else { "store" }));
            }
            for command in ["salvage log new", "verify log", "diff log log"] {
                let output = sandbox
                    .proglog()
                    .args(command.split(' '))
                    .env("LD_PRELOAD", &library)
                    .env("EIO_FILE", format!("log/{file}"))
                    .env("EIO_FROM", "0")
                    .env("EIO_TO", "1000000000")
                    .output()
                    .unwrap();
                let (status, stdout, stderr) = said(output);
                let expected = if command.starts_with("salvage") {
                    let mut verify = sandbox.proglog();
                    said(verify.args(["verify", "-q", "new"]).output().unwrap()).0
                } else {
                    3
                };
                let what = format!("{codec:?} {file} {command}: {stdout}{stderr}");
                assert_eq!(status, expected, "{what}");
            }
            let salvaged = whole_records(&sandbox.path().join("new"), codec);
            let kept = values.iter().enumerate();
            let kept = kept.filter(|(at, _)| !(base..base + 10).contains(at));
            let kept: Vec<_> = kept
                .map(|(at, value)| (at as u64, value.clone().into_bytes()))
                .collect();
            assert_eq!(salvaged, kept, "{codec:?} {file}");
        }
    }
}

/// Of a value that is too large for memory `diff` alone reads every byte.
#[test]
fn a_bad_sector_in_a_large_value_is_a_damaged_range() {
    let tools = Sandbox::bare();
    let Some(library) = failing_disk(&tools) else {
        return;
    };
    for codec in [Codec::Raw, Codec::Protobuf] {
        let values = [b"x".to_vec(), vec![b'v'; 9_000_000], b"y".to_vec()];
        let sandbox = Sandbox::built(&LogBuilder::new(codec).segment(0, values));
        let copied = Command::new("cp")
            .args(["-r", "log", "copy"])
            .current_dir(sandbox.path())
            .status();
        assert!(copied.unwrap().success());
        for (file, side) in [
            ("log/0.store", "a"),
            ("copy/0.store", "b"),
            ("/0.store", "both"),
        ] {
            let output = sandbox
                .proglog()
                .args(["diff", "log", "copy", "--json"])
                .env("LD_PRELOAD", &library)
                .env("EIO_FILE", file)
                .env("EIO_FROM", "4000000")
                .env("EIO_TO", "4004096")
                .output()
                .unwrap();
            let (status, stdout, stderr) = said(output);
            assert_eq!(status, 3, "{codec:?} {side}: {stdout}{stderr}");
            let lines = json(&stdout);
            let damaged: Vec<_> = lines.iter().filter(|it| it["kind"] == "damaged").collect();
            assert_eq!(damaged.len(), 1, "{stdout}");
            let found = ["side", "id"].map(|field| damaged[0][field].as_str().unwrap());
            assert_eq!(found, [side, "store-unreadable"], "{stdout}");
            assert_eq!(damaged[0]["first_offset"], 1, "{stdout}");
        }
    }
}

/// What cannot be read here is written over with what the copy holds.
#[test]
fn a_copy_mends_what_the_disk_does_not_give() {
    let tools = Sandbox::bare();
    let Some(library) = failing_disk(&tools) else {
        return;
    };
    let values: Vec<String> = (0..700)
        .map(|n| format!("{n:05} {}", "v".repeat(n % 40)))
        .collect();
    for codec in [Codec::Raw, Codec::Protobuf] {
        let sandbox = Sandbox::built(&LogBuilder::new(codec).segment(0, &values));
        let sound = sandbox.snapshot();
        let copied = Command::new("cp")
            .args(["-r", "log", "copy"])
            .current_dir(sandbox.path())
            .status();
        assert!(copied.unwrap().success());
        for (file, from) in [("0.store", 4096), ("0.store", 16384), ("0.index", 4096)] {
            // What the disk gave back as an error is not what was written there.
            sandbox.write(file, &{
                let mut bytes = sandbox.read(file);
                let end = (from + 4096).min(bytes.len());
                bytes[from..end].fill(0xee);
                bytes
            });
            let output = sandbox
                .proglog()
                .args(["repair", "log", "--replica", "copy"])
                .env("LD_PRELOAD", &library)
                .env("EIO_FILE", format!("/log/{file}"))
                .env("EIO_FROM", from.to_string())
                .env("EIO_TO", (from + 4096).to_string())
                .output()
                .unwrap();
            let (status, stdout, stderr) = said(output);
            // This disk does not give what was written either.
            assert!(
                [2, 3].contains(&status),
                "{codec:?} {file}: {stdout}{stderr}"
            );
            assert_eq!(
                sandbox.snapshot().contents(),
                sound.contents(),
                "{codec:?} {file} {from}"
            );
        }
    }
}
