//! The errors that stop the engine, as one enum with path, position and both figures of
//! each comparison. Damage that verify reports is not an error, nor is an obstacle that a
//! reader meets.

use std::io;
use std::path::{Path, PathBuf};

use super::codec::Codec;
use super::processes::{Process, Unseen};
pub use super::reason::reason;
use super::units::Offset;

/// An error that stopped the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused.
    #[error("{}: cannot {action}: {}", path.display(), reason(source))]
    Io {
        /// The attempted action, as a verb.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The disk reports an error for these bytes.
    #[error("{}: bytes {position}+{bytes} cannot be read: {}", path.display(), reason(source))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Position in the file.
        position: u64,
        /// Number of requested bytes.
        bytes: u64,
        /// The error of the system.
        source: io::Error,
    },
    /// A file became shorter while it was read.
    #[error("{}: has {file_bytes} bytes now; it had {expected} when it was opened", path.display())]
    Shrunk {
        /// The file.
        path: PathBuf,
        /// Its size when it was opened.
        expected: u64,
        /// Its current size.
        file_bytes: u64,
    },
    /// There is no such directory.
    #[error("{}: no such directory", path.display())]
    NoDirectory {
        /// The path that was named.
        path: PathBuf,
    },
    /// The path names a file.
    #[error("{}: is not a directory", path.display())]
    NotADirectory {
        /// The path that was named.
        path: PathBuf,
    },
    /// The directory holds no segment.
    #[error("{} is not a log: it has no .store or .index file", path.display())]
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
    #[error("{} is not empty and not a log: it contains {}", path.display(), name.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// One of the names in it.
        name: PathBuf,
    },
    /// A segment's name belongs to something that is not a regular file.
    #[error("{}: is not a regular file{}", path.display(), if *is_directory { " but a directory" } else { "" })]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// Whether it is a directory.
        is_directory: bool,
    },
    /// A segment's file is a symbolic link: it is read, and never changed.
    #[error("{}: is a symbolic link, which proglog reads but never changes", path.display())]
    SymbolicLink {
        /// The path.
        path: PathBuf,
    },
    /// Another process can have put it there.
    #[error("{}: not trusted: {why}", path.display())]
    Untrusted {
        /// The file or directory.
        path: PathBuf,
        /// Why, as the end of a sentence about it.
        why: String,
    },
    /// Two names of the log are one file: writes to one are in the other.
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
    /// The path of the log leads to another directory now, or to none: the log was moved.
    #[error("{}: was moved or replaced while it was open{}", path.display(), is_now(now.as_deref()))]
    Moved {
        /// The former path of the directory.
        path: PathBuf,
        /// Its current path, as far as the system knows.
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
    /// Appending would be wrong here, and recovery does not repair it.
    #[error("{}: damaged: {why}", path.display())]
    CannotAppend {
        /// The directory.
        path: PathBuf,
        /// The problem.
        why: String,
    },
    /// After a repair fewer records could be read, so it was undone.
    #[error(
        "this repair would have lost {records} readable records and was reverted: nothing is changed"
    )]
    Reverted {
        /// How many.
        records: u64,
    },
    /// After a repair fewer records can be read, and undoing it failed.
    #[error("this repair lost {records} readable records, and reverting it failed: {source}")]
    NotReverted {
        /// How many.
        records: u64,
        /// The directory of the bytes that undo it.
        saved: PathBuf,
        /// Why.
        source: Box<Error>,
    },
    /// A segment has another program's layout: it is neither read nor changed.
    #[error("{}: another program's layout: {layout}", path.display())]
    ForeignLayout {
        /// The file.
        path: PathBuf,
        /// The layout.
        layout: String,
    },
    /// The codec of the log differs from the requested one.
    #[error("{}: the log's codec is {found}, not {asked}", path.display())]
    CodecContradicts {
        /// The directory.
        path: PathBuf,
        /// The codec that the records show.
        found: Codec,
        /// The requested codec.
        asked: Codec,
    },
    /// A log without a record does not show its codec.
    #[error("{}: cannot detect the codec: the log has no records", path.display())]
    CodecUnknown {
        /// The directory.
        path: PathBuf,
    },
    /// The log has no such segment.
    #[error("{}: no segment begins at {base}", path.display())]
    NoSegment {
        /// The log.
        path: PathBuf,
        /// The base offset that was asked for.
        base: Offset,
    },
    /// A setting that cannot be.
    #[error("{0}")]
    Config(String),
    /// The log is full to the last offset.
    #[error("offset {last} is the largest possible offset: no record can follow it")]
    OffsetsExhausted {
        /// The last offset that was used.
        last: Offset,
    },
    /// A raw log has no place for a term or a type.
    #[error("a raw log has no terms and no types")]
    RawHoldsValuesOnly,
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

/// `None` where the disk reports an error for the bytes.
pub(crate) fn readable<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Unreadable { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[doc(hidden)]
impl Error {
    /// An `Io` error; made for `map_err(Error::io("open", path))`.
    pub fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    /// The same, but `Missing` if it does not exist.
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
