//! Systems that withhold something: threads, files without a name, moves that replace
//! nothing, links, leases, locks, /proc. Every command does what it does elsewhere, or says with
//! status 2 that it cannot, and has changed nothing then. Filters of system calls withhold
//! the calls; a mount of an empty directory hides /proc.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use proglog_testkit::{LogBuilder, Sandbox};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Bits, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, apply_filter,
};

use crate::security::shell::in_mounts;

/// A system call that fails, if one of its arguments is such.
struct Denied {
    call: i64,
    argument: Option<(u8, SeccompCmpOp, u64)>,
    errno: i32,
}

impl Denied {
    fn all(call: i64, errno: i32) -> Self {
        Self {
            call,
            argument: None,
            errno,
        }
    }

    /// Where these bits of an argument are set.
    fn with(call: i64, argument: u8, bits: i32, errno: i32) -> Self {
        let bits = bits.unsigned_abs().into();
        Self {
            call,
            argument: Some((argument, SeccompCmpOp::MaskedEq(bits), bits)),
            errno,
        }
    }

    fn filter(&self) -> BpfProgram {
        let rules = self.argument.iter().map(|(argument, compare, value)| {
            let condition =
                SeccompCondition::new(*argument, Bits::Dword, compare.clone(), *value).unwrap();
            SeccompRule::new(vec![condition]).unwrap()
        });
        let errno = SeccompAction::Errno(self.errno.unsigned_abs());
        let target = std::env::consts::ARCH.try_into().unwrap();
        let rules = BTreeMap::from([(self.call, rules.collect())]);
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, errno, target);
        filter.unwrap().try_into().unwrap()
    }
}

/// What a system withholds.
pub(crate) struct System {
    name: String,
    denied: Vec<Denied>,
    hides_proc: bool,
    /// Whether commands that write are told that nobody else does.
    assumes_unused: bool,
}

impl System {
    /// One that withholds nothing.
    pub(crate) fn plain() -> Self {
        Self {
            name: "all there".to_owned(),
            denied: Vec::new(),
            hides_proc: false,
            assumes_unused: false,
        }
    }

    pub(crate) fn assuming_unused() -> Self {
        Self {
            assumes_unused: true,
            ..Self::plain()
        }
    }

    fn has_threads(&self) -> bool {
        self.denied.iter().all(|it| it.call != libc::SYS_clone)
    }
}

/// The commands that write into a log.
const WRITING: [&str; 5] = ["append", "repair", "trim", "truncate-index", "undo"];

/// `O_TMPFILE` without `O_DIRECTORY`, which others give too.
const UNNAMED: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;

fn threads(errno: i32) -> Vec<Denied> {
    vec![
        // Its flags are behind a pointer; libc takes the older call then.
        Denied::all(libc::SYS_clone3, libc::ENOSYS),
        Denied::with(libc::SYS_clone, 0, libc::CLONE_THREAD, errno),
    ]
}

fn unnamed(errno: i32) -> Vec<Denied> {
    vec![
        Denied::all(libc::SYS_openat2, libc::ENOSYS),
        Denied::with(libc::SYS_openat, 2, UNNAMED, errno),
    ]
}

fn moves(errno: i32) -> Vec<Denied> {
    let no_replace = libc::RENAME_NOREPLACE.cast_signed();
    vec![Denied::with(libc::SYS_renameat2, 4, no_replace, errno)]
}

fn links(errno: i32) -> Vec<Denied> {
    vec![Denied::all(libc::SYS_linkat, errno)]
}

fn leases(errno: i32) -> Vec<Denied> {
    let command = libc::F_SETLEASE.unsigned_abs().into();
    vec![Denied {
        call: libc::SYS_fcntl,
        argument: Some((1, SeccompCmpOp::Eq, command)),
        errno,
    }]
}

fn systems() -> Vec<System> {
    let system = |name: String, denied| System {
        name,
        denied,
        ..System::plain()
    };
    let mut systems = vec![System {
        name: "no /proc".to_owned(),
        hides_proc: true,
        ..System::plain()
    }];
    systems.push(system("no threads".to_owned(), threads(libc::EAGAIN)));
    for errno in [libc::EPERM, libc::ENOSYS, libc::EOPNOTSUPP, libc::EINVAL] {
        let name = |what| format!("no {what}: error {errno}");
        if [libc::EPERM, libc::EOPNOTSUPP].contains(&errno) {
            systems.push(system(name("files without a name"), unnamed(errno)));
            systems.push(system(name("moves that replace nothing"), moves(errno)));
            systems.push(system(name("links"), links(errno)));
            systems.push(system(name("leases"), leases(errno)));
        }
        let all = || {
            let two = [threads(errno), unnamed(errno)];
            two.into_iter()
                .chain([moves(errno), links(errno)])
                .flatten()
                .collect()
        };
        systems.push(system(name("threads, unnamed files, moves, links"), all()));
        systems.push(System {
            name: name("threads, unnamed files, moves, links, /proc"),
            denied: all(),
            hides_proc: true,
            ..System::plain()
        });
    }
    systems
}

/// The binary as that system runs it; `None` where nothing hides /proc here.
fn under(system: &System, directory: &Path, arguments: &[&str]) -> Option<Command> {
    let binary = assert_cmd::cargo::cargo_bin("proglog");
    let mut command = if system.hides_proc {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let script = "mount -t tmpfs none /proc && exec \"$@\"";
        in_mounts(script, binary)
    } else {
        Command::new(binary)
    };
    command.args(arguments).current_dir(directory);
    let filters: Vec<BpfProgram> = system.denied.iter().map(Denied::filter).collect();
    let install = move || {
        for filter in &filters {
            apply_filter(filter).map_err(std::io::Error::other)?;
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "a filter is installed between fork and exec")]
    // SAFETY: it makes system calls only, and allocates nothing but where it fails.
    unsafe {
        command.pre_exec(install);
    }
    Some(command)
}

fn run(command: Command, input: &[u8]) -> Output {
    let mut command = assert_cmd::Command::from_std(command);
    command.env("LC_ALL", "C").timeout(Duration::from_secs(60));
    command.write_stdin(input).output().unwrap()
}

/// A command, the log it is run on, and what was run there before.
pub(crate) struct Case {
    log: fn() -> Sandbox,
    before: &'static [&'static str],
    arguments: &'static [&'static str],
    input: fn() -> Vec<u8>,
    /// Whether it is there for its threads.
    is_large: bool,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} behind {}",
            self.arguments.join(" "),
            self.before.join(" ")
        )
    }
}

fn none() -> Vec<u8> {
    Vec::new()
}

fn a_record() -> Vec<u8> {
    b"one more\n".to_vec()
}

/// More than the buffers, so that it is written beside the writer.
fn many_records() -> Vec<u8> {
    b"a record of some forty bytes, and no more\n".repeat(80_000)
}

/// As many segments as several threads look at.
fn segments() -> Sandbox {
    let log = |log: LogBuilder, base: u64| log.segment(base, ["a", "b", "c"]);
    Sandbox::built(&(0..40).map(|n| n * 3).fold(LogBuilder::raw(), log))
}

/// One store without its index, which is looked at in pieces.
fn large() -> Sandbox {
    let value = vec![b'v'; 1000];
    let sandbox = Sandbox::built(&LogBuilder::raw().segment(0, vec![value; 12_000]));
    sandbox.remove("0.index");
    sandbox
}

/// More entries than one thread looks at.
fn long() -> Sandbox {
    Sandbox::built(&LogBuilder::raw().segment(0, vec!["v"; 250_000]))
}

/// A store that another copy has whole.
fn beside_a_copy() -> Sandbox {
    let mut values: Vec<String> = (0..12).map(|n| format!("value {n}")).collect();
    let log = |values: &[String]| LogBuilder::raw().segment(0, values);
    let sandbox = Sandbox::built(&log(&values));
    std::fs::rename(sandbox.log(), sandbox.path().join("copy")).unwrap();
    values[4].push_str(" and more");
    let damaged = Sandbox::built(&log(&values));
    std::fs::rename(damaged.log(), sandbox.log()).unwrap();
    sandbox.put("0.store", 0, &[0xff; 8]);
    sandbox
}

fn case(log: fn() -> Sandbox, arguments: &'static [&'static str]) -> Case {
    Case {
        log,
        before: &[],
        arguments,
        input: none,
        is_large: false,
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let padded = || Sandbox::of("killed-padding-only");
    let torn = || Sandbox::of("gap-torn");
    let unindexed = || Sandbox::of("index-missing");
    let three = || Sandbox::of("clean-three-segments");
    let with = |case: Case, input| Case { input, ..case };
    let behind = |case: Case, before| Case { before, ..case };
    let large_one = |case: Case| Case {
        is_large: true,
        ..case
    };
    let append: &[&str] = &["append", "log", "--codec=raw"];
    let rolling: &[&str] = &["append", "log", "--codec=raw", "--max-store-bytes=1M"];
    let mut cases = vec![
        with(case(Sandbox::bare, append), a_record),
        large_one(with(case(Sandbox::bare, append), many_records)),
        large_one(with(case(Sandbox::bare, rolling), many_records)),
        with(case(padded, &["append", "log"]), a_record),
        with(case(torn, &["append", "log"]), a_record),
        case(three, &["read", "log"]),
        case(three, &["read", "log", "-r"]),
        case(three, &["read", "log", "--cursor-file", "cursor"]),
        case(three, &["read", "log", "-f", "--until-idle=0.1"]),
        case(three, &["read", "log", "--cursor-file=cursor", "--", "cat"]),
        case(torn, &["verify", "log"]),
        case(segments, &["verify", "log"]),
        large_one(case(large, &["verify", "log"])),
        large_one(case(long, &["verify", "log"])),
        case(segments, &["info", "log"]),
        case(padded, &["dump-index", "log"]),
        case(padded, &["dump-store", "log"]),
        case(segments, &["manifest", "log"]),
        case(segments, &["diff", "log", "log"]),
        large_one(case(large, &["diff", "log", "log"])),
        case(torn, &["salvage", "log", "new"]),
        case(torn, &["repair", "log", "--dry-run"]),
        case(beside_a_copy, &["repair", "log", "--replica", "copy"]),
        case(three, &["trim", "log", "--keep-segments=1"]),
        case(three, &["trim", "log", "--after=5"]),
        case(padded, &["truncate-index", "log"]),
        case(three, &["explain", "index-padded"]),
        case(three, &["completions", "bash"]),
        case(three, &["man", "--out", "pages"]),
    ];
    cases.push(large_one(case(large, &["repair", "log"])));
    for log in [padded, torn, unindexed] {
        cases.push(case(log, &["repair", "log"]));
        cases.push(case(log, &["repair", "log", "--no-save"]));
        cases.push(behind(case(log, &["undo", "log"]), &["repair", "log"]));
        let into = case(log, &["undo", "log", "--into", "was"]);
        cases.push(behind(into, &["repair", "log"]));
    }
    let trimmed = &["trim", "log", "--keep-segments=1"];
    cases.push(behind(case(three, &["undo", "log"]), trimmed));
    cases
}

/// All files below a directory but those that hold times.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![directory.to_path_buf()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                found.insert(path.strip_prefix(directory).unwrap().to_path_buf(), bytes);
            }
        }
    }
    found
}

fn logs(files: &BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<&PathBuf, &Vec<u8>> {
    let is_saved = |path: &Path| path.starts_with("log.proglog-saved");
    files.iter().filter(|(path, _)| !is_saved(path)).collect()
}

/// What a run did.
pub(crate) struct Done {
    pub(crate) status: Option<i32>,
    before: BTreeMap<PathBuf, Vec<u8>>,
    after: BTreeMap<PathBuf, Vec<u8>>,
    pub(crate) stderr: String,
}

impl Done {
    pub(crate) fn changed_nothing(&self) -> bool {
        self.after == self.before
    }

    /// Whether it ended as another did, and left the same.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        self.status == other.status && logs(&self.after) == logs(&other.after)
    }
}

/// Runs a case: in the sandbox, or in a copy of it elsewhere.
pub(crate) fn done(case: &Case, system: &System, place: Option<&Path>) -> Option<Done> {
    let sandbox = (case.log)();
    let copied = place.map(|place| {
        let copied = tempfile::tempdir_in(place).unwrap();
        // Not by std's copy, which sets a mode: some file systems have none.
        for (name, bytes) in files(sandbox.path()) {
            let file = copied.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
        copied
    });
    let directory = copied.as_ref().map_or(sandbox.path(), |it| it.path());
    let with = |system: &System, arguments: &[&'static str]| {
        let writes = WRITING.iter().any(|name| arguments.starts_with(&[name]));
        let assumed = (writes && system.assumes_unused).then_some("--assume-unused");
        let arguments: Vec<&str> = arguments.iter().copied().chain(assumed).collect();
        Some(run(under(system, directory, &arguments)?, &(case.input)()))
    };
    if !case.before.is_empty() {
        with(&System::assuming_unused(), case.before)?;
    }
    let before = files(directory);
    let output = with(system, case.arguments)?;
    Some(Done {
        status: output.status.code(),
        before,
        after: files(directory),
        stderr: String::from_utf8(output.stderr).unwrap(),
    })
}

#[test]
fn every_command_works_or_refuses_before_a_change() {
    let (mut same, mut refused, mut skipped) = (0, 0, 0);
    let mut wrong = Vec::new();
    let systems = systems();
    for case in cases() {
        let expected = done(&case, &System::plain(), None).unwrap();
        assert_ne!(expected.status, Some(2), "{case}: {}", expected.stderr);
        for system in &systems {
            if case.is_large && system.has_threads() {
                continue;
            }
            let Some(done) = done(&case, system, None) else {
                skipped += 1;
                continue;
            };
            let may_refuse = match done.status {
                Some(2) => true,
                // Nobody tells whether the log is in use.
                Some(4) => system.name.starts_with("no leases"),
                _ => false,
            };
            if may_refuse && done.changed_nothing() {
                refused += 1;
            } else if done.is_as(&expected) && !done.stderr.contains("panicked") {
                same += 1;
            } else {
                let (name, status, stderr) = (&system.name, done.status, &done.stderr);
                wrong.push(format!("{name}: {case}: status {status:?}: {stderr}"));
            }
        }
    }
    let skipped = match skipped {
        0 => String::new(),
        runs => format!("; SKIPPED, {runs} runs without /proc: not root"),
    };
    eprintln!("lacking: {same} runs did the same, {refused} refused before a change{skipped}");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
