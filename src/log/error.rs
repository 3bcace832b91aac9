//! What stops the engine, as one enum that carries path, position and both figures
//! of each comparison. Damage that verify reports is no error; where a reader meets
//! it in what it was asked for, it is [`Error::Damage`].

use std::io;
use std::path::{Path, PathBuf};

use super::codec::Codec;
use super::damage::Damage;
use super::processes::{Process, Unseen};
use super::units::Offset;

/// What stopped the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk gives an error for these bytes.
    #[error("{}: bytes {position}+{bytes} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Where the bytes begin.
        position: u64,
        /// How many were asked for.
        bytes: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A file became shorter while it was read.
    #[error("{}: ends at byte {file_bytes} now, {expected} bytes were there when it was opened", path.display())]
    Shrunk {
        /// The file.
        path: PathBuf,
        /// Its size when it was opened.
        expected: u64,
        /// Where it ends now.
        file_bytes: u64,
    },
    /// There is no such directory.
    #[error("{}: no such directory", path.display())]
    NoDirectory {
        /// The path that was named.
        path: PathBuf,
    },
    /// The path names a file.
    #[error("{}: is no directory", path.display())]
    NotADirectory {
        /// The path that was named.
        path: PathBuf,
    },
    /// The directory holds no segment.
    #[error("{} is no log: it has no .store or .index file", path.display())]
    NotALog {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is a partition of Kafka.
    #[error("{}: is a Kafka partition (.log, .index and .timeindex files), which has another format", path.display())]
    KafkaPartition {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds other things, and a log is not made among them.
    #[error("{} is not empty and no log: {} is in it", path.display(), name.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// One of the names in it.
        name: PathBuf,
    },
    /// A segment's name belongs to something that is no regular file.
    #[error("{}: is no regular file{}", path.display(), if *is_directory { " but a directory" } else { "" })]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// Whether it is a directory.
        is_directory: bool,
    },
    /// A segment's file is a symbolic link: it is read, and never changed.
    #[error("{}: is a symbolic link, which is read and never changed", path.display())]
    SymbolicLink {
        /// The path.
        path: PathBuf,
    },
    /// Somebody else can have put it there.
    #[error("{}: not trusted: {why}", path.display())]
    Untrusted {
        /// The file or directory.
        path: PathBuf,
        /// Why, as the end of a sentence about it.
        why: String,
    },
    /// Two of the log's names are one file: what is written to the one is in the other.
    #[error("{}: is the same file as {}", path.display(), other.display())]
    SharedFile {
        /// One of them.
        path: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// The file that should be there is not.
    #[error("{}: is missing", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The log's path leads to another directory now, or to none: somebody moved the log.
    #[error("{}: was moved or replaced while it was open{}", path.display(), is_now(now.as_deref()))]
    Moved {
        /// Where the directory was.
        path: PathBuf,
        /// Where it is now, as far as the system tells.
        now: Option<PathBuf>,
    },
    /// Another process has the log.
    #[error("{}: in use by {}", path.display(), named(processes))]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who, where that can be known.
        processes: Vec<u32>,
    },
    /// It cannot be known whether another process writes.
    #[error("{}: cannot tell whether another process writes here: {why}", path.display())]
    UseUnknown {
        /// The directory.
        path: PathBuf,
        /// Why not.
        why: Unseen,
    },
    /// The log ends as a crash leaves it; recovering comes before appending.
    #[error("{}: needs recovery: {why}", path.display())]
    NeedsRecovery {
        /// The directory.
        path: PathBuf,
        /// The first thing that is not as a clean end leaves it.
        why: String,
    },
    /// Appending would be wrong here, and recovery does not mend it.
    #[error("{}: damaged: {why}", path.display())]
    CannotAppend {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A segment has another program's layout: it is neither read nor changed.
    #[error("{}: another program's layout: {layout}", path.display())]
    ForeignLayout {
        /// The file.
        path: PathBuf,
        /// The layout.
        layout: String,
    },
    /// The log has another codec than the one asked for.
    #[error("{}: the log's codec is {found}, not {asked}", path.display())]
    CodecContradicts {
        /// The directory.
        path: PathBuf,
        /// What the log's records show.
        found: Codec,
        /// What was asked for.
        asked: Codec,
    },
    /// A log without a record does not show its codec.
    #[error("{}: the log has no record that would show its codec", path.display())]
    CodecUnknown {
        /// The directory.
        path: PathBuf,
    },
    /// A setting that cannot be.
    #[error("{0}")]
    Config(String),
    /// The log is full to the last offset.
    #[error("offset {last} is the last there is: no record fits behind it")]
    OffsetsExhausted {
        /// The last offset that was used.
        last: Offset,
    },
    /// A raw log has no place for a term or a type.
    #[error("a raw log holds no term and no type")]
    RawHoldsValuesOnly,
    /// Damage in what was asked for.
    #[error("{}: {damage}", path.display())]
    Damage {
        /// The directory.
        path: PathBuf,
        /// What is damaged, and where.
        damage: Damage,
    },
}

fn is_now(now: Option<&Path>) -> String {
    now.map_or_else(String::new, |now| {
        format!(": the log is {} now", now.display())
    })
}

/// The processes by name and number: `tail (PID 812)`.
fn named(processes: &[u32]) -> String {
    let processes = processes.iter().map(|&pid| Process::describe(pid, None));
    let named: Vec<String> = processes.collect();
    match named.as_slice() {
        [] => "another process".to_owned(),
        named => named.join(", "),
    }
}

/// The engine's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An `Io` error; made for `map_err(Error::io("open", path))`.
    pub fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// The same, but `Missing` for what is not there.
    pub fn missing_or<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::Missing {
                path: path.to_path_buf(),
            },
            _ => Self::io(action, path)(source),
        }
    }

    /// A `NotAFile` error.
    #[must_use]
    pub fn not_a_file(path: &Path, is_directory: bool) -> Self {
        Self::NotAFile {
            path: path.to_path_buf(),
            is_directory,
        }
    }
}

/// Whether no descriptor was left, of this process or of the system.
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
