//! The recording is honest: what the recorder notes of a scenario is what strace sees
//! the real binary do to the same files, call by call, and both leave the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use proglog::log::config::Limits;
use proglog::log::dir::{Dir, FilePath};
use proglog::log::record::Codec;
use proglog_testkit::{frame, report};

use crate::crash::appending::Script;
use crate::crash::mending::{COPY, LOG, Mending};
use crate::crash::recorder::{FileId, Op, Recorder, Recording};
use crate::crash::scenarios::{self, Patient, WIDE, as_it_is};
use crate::crash::tree::{Tree, timeless};

/// Whatever changes a file, a name or what is durable. What a machine does not have is
/// left out.
const CALLS: &str = "?open,?openat,?creat,?write,?writev,?pwrite64,?pwritev,?pwritev2,\
    ?ftruncate,?truncate,?fallocate,?fsync,?fdatasync,?sync,?syncfs,?sync_file_range,?msync,\
    ?mkdir,?mkdirat,?unlink,?unlinkat,?rmdir,?rename,?renameat,?renameat2,?link,?linkat,\
    ?symlink,?symlinkat,?copy_file_range,?sendfile,?splice";

/// A busy machine makes an append commit early, once in a while.
const TRIES: usize = 3;

/// One scenario, done both ways.
struct Case {
    name: String,
    /// What stands there before.
    initial: Tree,
    work: Work,
}

enum Work {
    Append(Script),
    Mend(Patient),
}

/// A path from `root`, as both sides write it; `None` for what does not concern the log.
fn place(path: &Path, root: &Path) -> Option<String> {
    if root.parent() == Some(path) {
        return Some("..".to_owned());
    }
    let inside = if path.is_absolute() {
        path.strip_prefix(root).ok()?
    } else {
        path
    };
    // A file that has no name yet.
    let name = inside
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    if name.is_some_and(|name| name.starts_with('#')) {
        return Some("unnamed".to_owned());
    }
    Some(timeless(inside).display().to_string())
}

fn written(place: &str, position: &str, bytes: &str) -> String {
    // It holds the time, the command and the path.
    if place.ends_with("manifest.json") {
        return format!("write {place}");
    }
    format!("write {place} {position}+{bytes}")
}

/// The operations of a recording.
fn recorded(recording: &Recording, root: &Path) -> Vec<String> {
    let files = recording.initial_files.iter();
    let mut names: BTreeMap<FileId, String> = files
        .map(|(path, file)| (*file, place(path, root).unwrap()))
        .collect();
    let mut told = Vec::new();
    for op in &recording.ops {
        let at = |path: &Path| place(path, root).unwrap_or_default();
        let name_of = |file: &FileId| {
            let name = names.get(file);
            name.map_or("unnamed", String::as_str).to_owned()
        };
        told.push(match op {
            Op::Create { path, file } => {
                names.insert(*file, at(path));
                format!("create {}", at(path))
            }
            Op::CreateUnnamed => "create unnamed".to_owned(),
            Op::Link { path, file } => {
                names.insert(*file, at(path));
                format!("link {}", at(path))
            }
            Op::CreateDir { path } => format!("mkdir {}", at(path)),
            Op::Write {
                file,
                position,
                bytes,
            } => written(
                &name_of(file),
                &position.to_string(),
                &bytes.len().to_string(),
            ),
            Op::SetLen { file, bytes } => format!("ftruncate {} {bytes}", name_of(file)),
            Op::SyncData { file } => format!("fdatasync {}", name_of(file)),
            Op::SyncDir { path } => format!("fsync {}", at(path)),
            Op::Remove { path } => format!("unlink {}", at(path)),
            Op::RemoveDir { path } => format!("rmdir {}", at(path)),
            Op::Rename { from, to, file } => {
                names.insert(*file, at(to));
                format!("rename {} {}", at(from), at(to))
            }
        });
    }
    told
}

/// The lines of a trace with each call in one piece, where it ended.
fn whole_lines(trace: &str) -> Vec<String> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut whole = Vec::new();
    for line in trace.lines() {
        let Some((process, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if let Some((first, _)) = call.split_once(" <unfinished ...>") {
            begun.insert(process, first);
        } else if let Some((_, rest)) = call.split_once(" resumed>") {
            whole.push(format!(
                "{}{rest}",
                begun.remove(process).unwrap_or_default()
            ));
        } else {
            whole.push(call.to_owned());
        }
    }
    whole
}

/// What is quoted in the arguments, in the directory before it, and what stands behind the
/// first descriptor.
fn paths(arguments: &str) -> (Vec<PathBuf>, Option<PathBuf>) {
    let (mut quoted, mut first) = (Vec::new(), None);
    let mut directory = PathBuf::new();
    for argument in arguments.split(", ") {
        if let Some(name) = argument.strip_prefix('"') {
            quoted.push(directory.join(name.split('"').next().unwrap_or_default()));
        } else if let Some((_, path)) = argument.split_once('<') {
            directory = PathBuf::from(path.split('>').next().unwrap_or_default());
            first.get_or_insert_with(|| directory.clone());
        }
    }
    (quoted, first)
}

/// All files below `root`, but for what a manifest says.
fn bytes(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = Tree::read(root).files.into_iter();
    files
        .filter(|(path, _)| !path.ends_with("manifest.json"))
        .map(|(path, bytes)| (timeless(&path), bytes))
        .collect()
}

/// One call of a trace, as [`recorded`] tells it; `None` if it changes nothing below
/// `root`.
fn seen(line: &str, root: &Path) -> Option<String> {
    let (call, rest) = line.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let result = result.split(['<', ' ']).next().unwrap_or_default();
    if result.starts_with('-') || result == "?" {
        return None;
    }
    let (quoted, descriptor) = paths(arguments);
    let quoted = |at: usize| quoted.get(at).and_then(|path| place(path, root));
    let open = || descriptor.as_ref().and_then(|path| place(path, root));
    let number = |from_behind: usize| {
        let mut numbers = arguments.trim_end_matches(')').rsplit(", ");
        numbers.nth(from_behind).unwrap_or_default().to_owned()
    };
    Some(match call {
        "open" | "openat" if arguments.contains("O_TMPFILE") => {
            quoted(0)?;
            "create unnamed".to_owned()
        }
        "open" | "openat" if arguments.contains("O_CREAT") => format!("create {}", quoted(0)?),
        "open" | "openat" if arguments.contains("O_TRUNC") => format!("truncate {}", quoted(0)?),
        "open" | "openat" => return None,
        "pwrite64" => written(&open()?, &number(0), result),
        "ftruncate" => format!("ftruncate {} {}", open()?, number(0)),
        "fdatasync" | "fsync" => format!("{call} {}", open()?),
        "mkdir" | "mkdirat" => format!("mkdir {}", quoted(0)?),
        "unlinkat" if arguments.contains("AT_REMOVEDIR") => format!("rmdir {}", quoted(0)?),
        "unlink" | "unlinkat" => format!("unlink {}", quoted(0)?),
        "rmdir" => format!("rmdir {}", quoted(0)?),
        "linkat" => format!("link {}", quoted(1)?),
        "rename" | "renameat" | "renameat2" => format!("rename {} {}", quoted(0)?, quoted(1)?),
        "sync" => "sync".to_owned(),
        // Nothing of ours: told, if it is about the log, and so a difference.
        other if descriptor.is_some() => format!("{other} {}", open()?),
        other => format!("{other} {}", quoted(0)?),
    })
}

/// Runs the binary under strace; gives what it did below `root`.
fn traced(arguments: &[String], root: &Path, trace: &Path) -> Vec<String> {
    let status = Command::new("strace")
        .args(["-f", "-y", "-qq", "-s", "0", "-e", "signal=none", "-o"])
        .arg(trace)
        .arg("-e")
        .arg(format!("trace={CALLS}"))
        .arg(env!("CARGO_BIN_EXE_proglog"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().code().is_some(), "{arguments:?}");
    let trace = fs::read_to_string(trace).unwrap();
    let lines = whole_lines(&trace);
    lines.iter().filter_map(|line| seen(line, root)).collect()
}

/// Why strace cannot be used here, if it cannot.
fn strace_is_missing() -> Option<String> {
    let tried = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .output();
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

impl Case {
    /// Does it in this process; gives the recording, and the binary's arguments for the
    /// same in `other`.
    fn record(&self, root: &Path, other: &Path) -> (Recording, Vec<Vec<String>>) {
        let log = |script: &Script| other.join(script.log).display().to_string();
        match &self.work {
            Work::Append(script) => {
                let (story, failed) = script.record(root, &as_it_is);
                assert_eq!(failed, None, "{}", self.name);
                let mut found = 0;
                let runs = story.histories.iter().enumerate().map(|(number, history)| {
                    let input = other.with_extension(format!("input-{number}"));
                    let frames = history[found..].iter().flat_map(|value| frame(value));
                    fs::write(&input, frames.collect::<Vec<u8>>()).unwrap();
                    found = history.len();
                    let mut arguments = vec![
                        "append".to_owned(),
                        log(script),
                        input.display().to_string(),
                        "--input=frames".to_owned(),
                        format!("--codec={}", script.codec),
                        format!("--max-store-bytes={}", script.limits.max_store_bytes),
                        format!("--max-index-bytes={}", script.limits.max_index_bytes),
                    ];
                    if number == 0 && self.initial.files.is_empty() {
                        arguments.push(format!("--initial-offset={}", script.base));
                    }
                    if script.no_sync {
                        arguments.push("--no-sync".to_owned());
                    }
                    arguments
                });
                let runs = runs.collect();
                (story.recording, runs)
            }
            Work::Mend(patient) => {
                let mending = Mending::record(
                    root,
                    patient.mender,
                    patient.codec,
                    patient.keeps,
                    &as_it_is,
                );
                let replica = format!("--replica={}", other.join(COPY).display());
                let (command, option) = match patient.name.split('/').next() {
                    Some("truncate-index") => ("truncate-index", Some("--leave-tail")),
                    Some("trim-before") => ("trim", Some("--before=9")),
                    Some("trim-after") => ("trim", Some("--after=6")),
                    Some("trim-after-edge") => ("trim", Some("--after=3")),
                    Some("replica-entries" | "replica-one-entry") => ("repair", Some(&*replica)),
                    _ => ("repair", None),
                };
                let log = other.join(LOG).display().to_string();
                let mut mend = vec![command.to_owned(), log.clone()];
                mend.extend(option.map(str::to_owned));
                let undo = vec!["undo".to_owned(), log];
                (mending.unwrap().recording, vec![mend, undo])
            }
        }
    }

    /// Does it both ways; gives how many operations that were, or the difference.
    fn compare(&self) -> Result<usize, String> {
        let directory = crate::crash::lab::temporary();
        let base = directory.path().canonicalize().unwrap();
        let (ours, theirs) = (base.join("ours"), base.join("theirs"));
        for root in [&ours, &theirs] {
            fs::create_dir(root).unwrap();
            self.initial.write(root);
        }
        let (recording, runs) = self.record(&ours, &theirs);
        let recorded = without_order_of_syncs(recorded(&recording, &ours));
        let trace = base.join("trace");
        let seen: Vec<String> = runs
            .iter()
            .flat_map(|arguments| traced(arguments, &theirs, &trace))
            .collect();
        let seen = without_order_of_syncs(seen);
        if recorded != seen {
            let same = recorded.iter().zip(&seen).take_while(|(a, b)| a == b);
            let at = same.count();
            return Err(format!(
                "operation {at} of {} recorded and {} seen: {:?} recorded, {:?} seen",
                recorded.len(),
                seen.len(),
                recorded.get(at),
                seen.get(at)
            ));
        }
        if bytes(&ours) != bytes(&theirs) {
            return Err("the same operations leave other bytes".to_owned());
        }
        Ok(recorded.len())
    }
}

/// Syncs with no change between them happen at the same time: their order means nothing.
fn without_order_of_syncs(mut operations: Vec<String>) -> Vec<String> {
    let is_sync = |it: &String| it.starts_with("fsync") || it.starts_with("fdatasync");
    for together in operations.chunk_by_mut(|a, b| is_sync(a) && is_sync(b)) {
        if together.len() > 1 {
            together.sort();
        }
    }
    operations
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let rolling = Limits {
        max_store_bytes: 120,
        ..WIDE
    };
    for codec in [Codec::Raw, Codec::Protobuf] {
        for (name, mut script) in scenarios::scripts(codec) {
            // The command commits where its input ends.
            for run in &mut script.runs {
                run.batches = vec![run.batches.concat()];
            }
            cases.push(Case {
                name: format!("append/{codec}/{name}"),
                initial: Tree::default(),
                work: Work::Append(script),
            });
        }
        // What a killed append left is recovered, and gone on with.
        let first = scenarios::killed(codec, rolling, &[&[30, 40], &[60, 9]]);
        for killed_after in 0..scenarios::operations(&first) {
            let mut first = first.clone();
            let mut second = first.clone();
            second.runs.remove(0);
            second.runs[0].batches = vec![second.runs[0].batches.concat()];
            first.runs.truncate(1);
            first.runs[0].killed_after = Some(killed_after);
            let root = crate::crash::lab::temporary();
            first.record(root.path(), &as_it_is);
            cases.push(Case {
                name: format!("killed/{codec}/killed-{killed_after}"),
                initial: Tree::read(root.path()),
                work: Work::Append(second),
            });
        }
    }
    cases.extend(scenarios::patients().into_iter().map(|patient| Case {
        name: patient.name.clone(),
        initial: Tree::read(patient.sandbox.path()),
        work: Work::Mend(patient),
    }));
    cases
}

#[test]
fn the_recording_is_what_strace_sees() {
    let _forks = crate::FORKS.write();
    if let Some(why) = strace_is_missing() {
        return report(&format!("honest recording: SKIPPED, no strace: {why}"));
    }
    let mut wrong = Vec::new();
    let (mut scenarios, mut operations) = (0, 0);
    for case in cases() {
        let mut result = Err(String::new());
        for _ in 0..TRIES {
            result = case.compare();
            if result.is_ok() {
                break;
            }
        }
        match result {
            Ok(count) => {
                scenarios += 1;
                operations += count;
            }
            Err(difference) => wrong.push(format!("{}: {difference}", case.name)),
        }
    }
    report(&format!(
        "honest recording: {scenarios} scenarios, {operations} operations as strace sees them"
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A recorder that is wrong by one operation is found out.
#[test]
fn a_recording_that_leaves_something_out_is_noticed() {
    let directory = crate::crash::lab::temporary();
    let root = directory.path().canonicalize().unwrap();
    let recorder = Arc::new(Recorder::new(&root));
    let disk: Arc<dyn proglog::log::disk::Disk> = recorder.clone();
    let log = root.join(LOG);
    disk.create_dir(&FilePath::of(&log).unwrap(), 0o755)
        .unwrap();
    disk.sync_dir(&Dir::open(&root).unwrap()).unwrap();
    let told = recorded(&recorder.recording(), &root);
    assert_eq!(told, ["mkdir log", "fsync "]);
    let base = root.display();
    for (line, wanted) in [
        (
            format!("mkdirat(3<{base}>, \"log\", 0755) = 0"),
            Some("mkdir log"),
        ),
        (
            format!("mkdirat(3<{base}>, \"log\", 0755) = -1 EEXIST (File exists)"),
            None,
        ),
        (format!("fsync(3<{base}>) = 0"), Some("fsync ")),
        (
            format!(
                "linkat(AT_FDCWD</>, \"/proc/self/fd/5\", 3<{base}/log>, \"0.index\", AT_SYMLINK_FOLLOW) = 0"
            ),
            Some("link log/0.index"),
        ),
        (
            format!(
                "renameat2(3<{base}/log>, \"0.index\", 4<{base}/saved>, \"0.moved\", RENAME_NOREPLACE) = 0"
            ),
            Some("rename log/0.index saved/0.moved"),
        ),
        (
            format!("pwrite64(5<{base}/log/0.store>, \"\"..., 38, 12) = 7"),
            Some("write log/0.store 12+7"),
        ),
        (
            format!(
                "openat(3<{base}/log>, \"0.store\", O_RDWR|O_NOFOLLOW|O_CLOEXEC) = 4<{base}/log/0.store>"
            ),
            None,
        ),
        (
            format!(
                "openat(3<{base}/log>, \".\", O_RDWR|O_CLOEXEC|O_TMPFILE, 0644) = 4<{base}/log/#12 (deleted)>"
            ),
            Some("create unnamed"),
        ),
        (
            format!("ftruncate(5<{base}/log/0.index>, 24) = 0"),
            Some("ftruncate log/0.index 24"),
        ),
        ("write(2</dev/null>, \"\"..., 5) = 5".to_owned(), None),
        (
            format!("fallocate(5<{base}/log/0.index>, 0, 0, 24) = 0"),
            Some("fallocate log/0.index"),
        ),
        ("fsync(3</elsewhere>) = 0".to_owned(), None),
    ] {
        assert_eq!(seen(&line, &root).as_deref(), wanted, "{line}");
    }
}
