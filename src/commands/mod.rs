//! The common part of all commands: exit status, errors with a hint, stdout and stderr.
//! Each command has its own file.

pub mod append;
#[cfg(feature = "browse")]
pub mod browse;
#[cfg(not(feature = "browse"))]
#[path = "browse/absent.rs"]
pub mod browse;
pub mod completions;
pub mod diff;
mod dump;
pub mod dump_index;
pub mod dump_store;
pub mod explain;
pub mod info;
pub mod man;
pub mod manifest;
mod mending;
#[cfg(feature = "nats")]
pub mod nats;
#[cfg(not(feature = "nats"))]
#[path = "nats/absent.rs"]
pub mod nats;
pub mod offsets;
pub mod options;
mod progress;
pub mod read;
pub mod redact;
pub mod repair;
pub mod salvage;
mod signals;
mod stdout;
pub mod trim;
pub mod truncate_index;
pub mod undo;
pub mod verify;
mod waiting;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use clap::ColorChoice;
use proglog::log::disk::owner_not_kept;
use proglog::log::error::{Error, is_out_of_descriptors, reason};
use proglog::log::processes::Unseen;
use rustix::process::{Resource, Rlimit};

use crate::render::prose::{Paint, columns_of, escaped, fitted};
pub use crate::render::quote::{quote, quote_word};
pub use stdout::{
    OUTPUT_BYTES, raw_stdout, refuse_stdout_in, stdout, stdout_is_terminal, streamed_stdout,
};

/// How a command ended, as the shell sees it. The larger of 1, 3 and 2, in this
/// order, is what counts where several apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Done; nothing wrong found.
    Done = 0,
    /// A negative result.
    No = 1,
    /// Failure.
    Failed = 2,
    /// Damage.
    Damage = 3,
    /// In use by another process.
    InUse = 4,
}

impl Status {
    /// The status of two parts of a command: 2 outweighs 4, 3, 1 and 0, in this order.
    pub fn worst(self, other: Self) -> Self {
        let rank = |status| match status {
            Self::Done => 0,
            Self::No => 1,
            Self::Damage => 2,
            Self::InUse => 3,
            Self::Failed => 4,
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }
}

/// The global options.
#[derive(Debug, Clone, Copy)]
pub struct Globals {
    /// Nothing but errors and findings.
    pub quiet: bool,
    /// When to use color.
    pub color: ColorChoice,
}

impl Globals {
    /// Whether stdout gets color.
    pub fn color_on_stdout(self) -> bool {
        has_color(self.color, stdout_is_terminal())
    }
}

/// Whether output gets color: the rule of clig.dev, for results, help and errors alike.
pub fn has_color(choice: ColorChoice, is_terminal: bool) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = || std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => is_terminal && !set("NO_COLOR") && !dumb(),
    }
}

/// The value of `--color`, for messages printed where no options are known.
static COLOR: OnceLock<ColorChoice> = OnceLock::new();

/// Sets the color of messages.
pub fn choose_color(choice: ColorChoice) {
    let _ = COLOR.set(choice);
}

/// Whether stderr gets color.
pub fn color_on_stderr() -> bool {
    let choice = COLOR.get().copied().unwrap_or(ColorChoice::Auto);
    has_color(choice, io::stderr().is_terminal())
}

/// An error with a status and, perhaps, hints.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub message: String,
    pub hints: Vec<String>,
    pub status: Status,
}

impl Failure {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hints: Vec::new(),
            status,
        }
    }

    /// Adds a line of help: either a sentence, or a command that can be pasted as it is.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds several lines.
    pub fn hints(mut self, hints: impl IntoIterator<Item = String>) -> Self {
        self.hints.extend(hints);
        self
    }
}

/// Runs a command for each of some logs; its status is the worst. An error about one of
/// several logs is printed, and the others follow. The second argument of `run` is whether
/// something was printed about an earlier one.
pub fn for_each_log(
    dirs: &[PathBuf],
    mut run: impl FnMut(&Path, bool) -> anyhow::Result<Status>,
) -> anyhow::Result<Status> {
    let mut worst = Status::Done;
    let mut follows = false;
    for dir in dirs {
        let ended = run(dir, follows);
        follows |= ended.is_ok();
        if dirs.len() == 1 || ended.as_ref().is_err_and(is_closed_pipe) {
            return ended;
        }
        worst = worst.worst(conclude(ended));
    }
    Ok(worst)
}

/// Ends a command: prints its error on stderr.
pub fn conclude(result: anyhow::Result<Status>) -> Status {
    match result {
        Ok(status) => status,
        Err(error) => say_error(&error),
    }
}

/// Reports where a new file could not be given to the owner that it was to have.
pub fn tell_of_owners(globals: Globals) {
    if let Some((path, uid)) = owner_not_kept()
        && !globals.quiet
    {
        say(&format!(
            "note: cannot make user {uid} the owner of {}; other new files may be affected too",
            quote(path)
        ));
    }
}

/// Prints an error and its hint; returns its status.
fn say_error(error: &anyhow::Error) -> Status {
    if is_closed_pipe(error) {
        return Status::Done;
    }
    // In one line also where a name has several.
    say(&format!("error: {}", escaped(&in_one_line(error))));
    if let Some(failure) = error.downcast_ref::<Failure>() {
        say_hints(&failure.hints);
        return failure.status;
    }
    match error.downcast_ref::<Error>() {
        Some(error) => {
            say_hints(&hints_for(error));
            status_of(error)
        }
        None => Status::Failed,
    }
}

/// Prints hints, a line each.
pub fn say_hints(hints: &[String]) {
    for hint in hints {
        say(&format!("hint: {hint}"));
    }
}

/// An error and its causes, each said once: those of the engine quote the system's
/// words themselves. An error of the system alone is about stdout.
fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    let outermost: &(dyn std::error::Error + 'static) = error.as_ref();
    if outermost.is::<io::Error>() {
        line.push_str("cannot write to stdout");
    }
    for cause in error.chain() {
        let words = reason(cause);
        if !line.ends_with(&words) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&words);
        }
    }
    line
}

/// A file that may not grow (`ulimit -f`) is an error of the write: the signal that
/// comes with it would end the process half way through its work.
///
/// # Errors
///
/// The system's.
pub fn survive_limits_of_files() -> io::Result<()> {
    let noted = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, noted)?;
    Ok(())
}

/// Memory that the system refuses (`ulimit -v`) is a failure like any other: std says for how
/// many bytes there was none, and aborts.
///
/// # Errors
///
/// The system's.
pub fn fail_without_memory() -> io::Result<()> {
    use signal_hook::{consts::SIGABRT, flag::register_conditional_shutdown};
    let always = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    register_conditional_shutdown(SIGABRT, Status::Failed as i32, always)?;
    Ok(())
}

/// The soft limit of descriptors that this process was started with.
static DESCRIPTORS: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit of descriptors to the hard one: a change holds every file it
/// touches, and its lease, at once. The soft one is low for programs that use select.
pub fn raise_limit_of_descriptors() {
    let given = rustix::process::getrlimit(Resource::Nofile);
    let _ = DESCRIPTORS.set(given);
    let raised = Rlimit {
        current: given.maximum,
        maximum: given.maximum,
    };
    // If that is refused, the old limit remains in force and is reported when it is
    // reached.
    let _ = rustix::process::setrlimit(Resource::Nofile, raised);
}

/// Starts something with the limit that this process was started with.
pub fn with_given_descriptors<T>(start: impl FnOnce() -> T) -> T {
    let raised = rustix::process::getrlimit(Resource::Nofile);
    if let Some(given) = DESCRIPTORS.get() {
        let _ = rustix::process::setrlimit(Resource::Nofile, *given);
    }
    let started = start();
    let _ = rustix::process::setrlimit(Resource::Nofile, raised);
    started
}

/// The exit status that an error of the engine means.
pub fn status_of(error: &Error) -> Status {
    match error {
        Error::InUse { .. } | Error::UseUnknown { .. } => Status::InUse,
        Error::NeedsRecovery { .. }
        | Error::CannotAppend { .. }
        | Error::Reverted { .. }
        | Error::ForeignLayout { .. }
        | Error::OffsetsExhausted { .. } => Status::Damage,
        _ => Status::Failed,
    }
}

/// The hints for an error of the engine.
fn hints_for(error: &Error) -> Vec<String> {
    let one = |hint: &str| vec![hint.to_owned()];
    match error {
        Error::NotALog { path } => logs_below(path).into_iter().collect(),
        Error::NotADirectory { path } => {
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            let name = path.file_name().and_then(proglog::log::format::parse_name);
            let hint = name.map(|name| {
                format!(
                    "name the log's directory, {}; this file belongs to its segment {}",
                    quote(parent),
                    name.base
                )
            });
            hint.into_iter().collect()
        }
        Error::NeedsRecovery { path, .. } | Error::CannotAppend { path, .. } => vec![
            format!("proglog verify {}", quote(path)),
            format!("proglog repair {} --dry-run", quote(path)),
        ],
        Error::NoSegment { path, .. } => vec![format!("proglog info {}", quote(path))],
        Error::ForeignLayout { .. } => one("proglog explain foreign-dialect"),
        Error::InUse { .. } => vec![again("--wait")],
        Error::CodecUnknown { .. } => one("choose one: --codec raw or --codec protobuf"),
        Error::Untrusted { .. } => {
            one("only changes saved by this user, root or, for root, the log's owner are used")
        }
        Error::UseUnknown { why, .. } => {
            let who = match why {
                Unseen::NotTheOwner => "the log's owner and root can tell; ",
                Unseen::Elsewhere(_) | Unseen::NotTold(_) => "",
            };
            vec![
                format!("{who}if no process writes to it:"),
                again("--assume-unused"),
            ]
        }
        Error::Io { source, .. } | Error::Unreadable { source, .. } => {
            more_descriptors(source).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The arguments of this process, once they are read.
static COMMAND_LINE: OnceLock<Vec<OsString>> = OnceLock::new();

/// Keeps the arguments for [`again`].
pub fn keep_command_line(arguments: &[OsString]) {
    let _ = COMMAND_LINE.set(arguments.to_vec());
}

/// The command of this process with one more option, or with another value of it, to be
/// pasted. A line that is long or contains a password is described instead.
pub fn again(option: &str) -> String {
    const LONG: usize = 200;
    let name = option.split(' ').next().unwrap_or(option);
    let arguments = COMMAND_LINE.get().map_or(&[][..], Vec::as_slice);
    let is_end = |word: &OsString| word == "--";
    let end = arguments.iter().position(is_end).unwrap_or(arguments.len());
    let (options, operands) = arguments.split_at(end);
    let mut line = "proglog".to_owned();
    let mut words = options.iter().skip(1);
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if text == name {
            // Its value, if it is given one.
            option.contains(' ').then(|| words.next());
        } else if text
            .strip_prefix(name)
            .is_none_or(|it| !it.starts_with('='))
        {
            line = format!("{line} {}", quote_word(word));
        }
    }
    line = format!("{line} {option}");
    for word in operands {
        line = format!("{line} {}", quote_word(word));
    }
    if line.len() > LONG
        || arguments
            .iter()
            .any(|it| it.to_string_lossy().contains('@'))
    {
        return format!("the same command with {option}");
    }
    line
}

/// The hint if no descriptor is left.
fn more_descriptors(error: &io::Error) -> Option<String> {
    is_out_of_descriptors(error).then(|| {
        match rustix::process::getrlimit(Resource::Nofile).current {
            Some(limit) => format!(
                "each changed file needs two descriptors, and the limit is {limit}: raise \
                 `ulimit -Hn` and `ulimit -n`"
            ),
            None => "the system is out of file descriptors".to_owned(),
        }
    })
}

/// Which directories below one that is not a log are logs.
fn logs_below(path: &Path) -> Option<String> {
    let mut logs: Vec<String> = std::fs::read_dir(path)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|below| {
            below.is_dir()
                && proglog::log::directory::Directory::list(below)
                    .is_ok_and(|directory| !directory.segments.is_empty())
        })
        .map(|below| quote(&below))
        .collect();
    logs.sort();
    match logs.as_slice() {
        [] => None,
        [one] => Some(format!("the log is {one}")),
        [several @ .., last] => Some(format!("{} and {last} are logs", several.join(", "))),
    }
}

/// Whether the reader closed the pipe, which is not an error here.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    })
}

/// The result of writing, unless the pipe is closed: then the status is the other one.
pub fn unless_closed<E: Into<anyhow::Error>>(written: Result<(), E>) -> anyhow::Result<()> {
    match written.map_err(Into::into) {
        Err(error) if is_closed_pipe(&error) => Ok(()),
        written => written,
    }
}

/// Whether a line holds a command, which stays in one piece so that it can be pasted.
fn holds_command(line: &str) -> bool {
    const COMMANDS: &[&str] = &["proglog", "mv", "rm", "echo", "tail", "chmod", "cargo"];
    let command = line
        .strip_prefix("hint: ")
        .or(line.strip_prefix("undo with: "));
    let first = command.and_then(|it| it.split(' ').next());
    first.is_some_and(|first| COMMANDS.contains(&first))
}

/// Prints a line on stderr, with control characters escaped. A closed stderr is ignored.
pub fn say(text: &str) {
    let paint = Paint {
        color: color_on_stderr(),
    };
    let columns = columns_of(&io::stderr());
    let lines = || {
        for line in text.lines() {
            let line = escaped(line);
            let line = if holds_command(&line) {
                line
            } else {
                fitted(&line, columns, 2)
            };
            let _ = writeln!(io::stderr().lock(), "{}", paint.label(&line));
        }
    };
    // The reader may be gone.
    signals::interruptible(|| progress::suspended(lines));
}
