//! Every system call that changes the disk fails once, by `strace` on the real binary:
//! with EIO, ENOSPC or EDQUOT. The run ends with 2, names the file, and loses nothing.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use proglog_testkit::{memory_directory, report};

use crate::kills::cases::{self, Case, Reference};

/// The calls that change the disk, or make it last.
const CALLS: &str =
    "openat,pwrite64,ftruncate,fdatasync,fsync,linkat,renameat,renameat2,unlinkat,mkdirat";

/// One call of a run.
struct Call {
    name: String,
    /// Its number among the calls of this name by the same thread.
    number: usize,
    /// The names of the files that it is about.
    files: Vec<String>,
}

#[test]
fn a_call_that_fails_costs_nothing_acknowledged() {
    let probe = std::process::Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status();
    if !probe.is_ok_and(|status| status.success()) {
        return report("faults: SKIPPED, 0 calls of the binary: no strace, or it may not trace");
    }
    let (injected, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let cases = cases::all();
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for (took_place, it_failed) in fail_all(case) {
                        injected.fetch_add(usize::from(took_place), Ordering::Relaxed);
                        failed.fetch_add(usize::from(it_failed), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let (injected, failed) = (injected.into_inner(), failed.into_inner());
    report(&format!(
        "faults: {injected} system calls of the binary made to fail by strace in {} commands, {failed} runs ended with 2",
        cases.len()
    ));
    assert!(injected > 100, "{injected} calls");
}

/// Each call of a command fails once.
fn fail_all(case: &Case) -> Vec<(bool, bool)> {
    let room = memory_directory();
    case.prepare(room.path());
    let calls = calls(case, room.path());
    let room = memory_directory();
    case.prepare(room.path());
    let reference = case.reference(room.path());
    let results = calls.iter().map(|call| fail_once(case, call, &reference));
    results.collect()
}

/// The calls of a run that is left alone.
fn calls(case: &Case, root: &Path) -> Vec<Call> {
    let trace = root.join("trace");
    let _ = case.run(root, &strace(&trace, &[]));
    let trace = fs::read_to_string(trace).unwrap();
    let mut counts = std::collections::BTreeMap::new();
    let mut calls: Vec<Call> = Vec::new();
    let mut elsewhere = Vec::new();
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let Some((name, arguments)) = rest.trim_start().split_once('(') else {
            continue;
        };
        if !CALLS.split(',').any(|call| call == name) {
            continue;
        }
        let number: &mut usize = counts
            .entry((thread.to_owned(), name.to_owned()))
            .or_default();
        *number += 1;
        let changes = name != "openat"
            || ["O_CREAT", "O_RDWR", "O_TMPFILE"]
                .iter()
                .any(|flag| arguments.contains(flag));
        if changes && !arguments.contains(root.to_str().unwrap()) {
            elsewhere.push((name.to_owned(), *number));
        } else if changes {
            let files = files_of(name, arguments, root);
            // strace counts in each thread for itself: the call of this number fails in all.
            match calls
                .iter_mut()
                .find(|it| it.name == name && it.number == *number)
            {
                Some(call) => call.files.extend(files),
                None => calls.push(Call {
                    name: name.to_owned(),
                    number: *number,
                    files,
                }),
            }
        }
    }
    let is_elsewhere = |call: &Call| {
        let mut others = elsewhere.iter();
        others.any(|(name, number)| *name == call.name && *number == call.number)
    };
    calls.retain(|call| !is_elsewhere(call));
    calls
}

/// The names of all files below `root` in a line of strace.
fn files_of(call: &str, arguments: &str, root: &Path) -> Vec<String> {
    let name = |part: &str| Some(Path::new(part).file_name()?.to_str()?.to_owned());
    let quoted = arguments.split('"').skip(1).step_by(2);
    let quoted = quoted.filter(|it| !it.starts_with('/') || Path::new(it).starts_with(root));
    // What is quoted for pwrite are bytes.
    let quoted = quoted.filter(|_| call != "pwrite64");
    let mut names: Vec<String> = quoted.filter_map(name).collect();
    if names.is_empty() {
        // Of a call without a name, what stands behind its descriptor.
        let parts = arguments.split(['<', '>']);
        names.extend(
            parts
                .filter(|part| Path::new(part).starts_with(root))
                .filter_map(name),
        );
    }
    // A file without a name is named by its directory, or by the name that it gets.
    if arguments.contains("(deleted)") || arguments.contains("O_TMPFILE") {
        names.push("log".to_owned());
    }
    if names.iter().any(|name| root.ends_with(name)) {
        names.push("proglog-test".to_owned()); // another one in each run
    }
    // The directories of saved bytes are named by number and second.
    if names.iter().any(|name| name.starts_with("00")) {
        names.push("proglog-saved".to_owned());
    }
    names
}

/// Runs the command with this call failing; whether that took place, and whether the
/// command failed for it.
fn fail_once(case: &Case, call: &Call, reference: &Reference) -> (bool, bool) {
    let place = memory_directory();
    let root = place.path();
    case.prepare(root);
    let error = match (call.name.as_str(), call.number % 3) {
        ("fdatasync" | "fsync", _) | (_, 0) => "EIO",
        (_, 1) => "ENOSPC",
        _ => "EDQUOT",
    };
    let inject = format!("inject={}:error={error}:when={}", call.name, call.number);
    let trace = root.join("trace");
    let output = case.run(root, &strace(&trace, &["-e", &inject]));
    let took_place = fs::read_to_string(&trace).unwrap().contains("(INJECTED)");
    let names: Vec<&str> = call.files.iter().map(String::as_str).collect();
    let failed = case.check(root, &output, reference, &names, &inject);
    (took_place, failed)
}

fn strace(trace: &Path, more: &[&str]) -> Vec<String> {
    let trace = trace.to_str().unwrap();
    let calls = format!("trace={CALLS}");
    let options = ["strace", "-f", "-y", "-qq", "-o", trace, "-e", &calls];
    [&options[..], more]
        .concat()
        .iter()
        .map(ToString::to_string)
        .collect()
}
