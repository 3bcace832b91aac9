//! The other processes that have the files of a log open: `lease` asks the kernel, and if
//! it does not answer, or for the names, `procfs` searches `/proc`.
//!
//! Not seen: descriptors on their way through a socket, and what other machines have
//! open.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};

use super::reason::reason;

use super::lease::{self, Probe};
use super::platform::process_name;
use super::procfs::{
    Access, Look, Targets, has_vanished, process_ids, sees_every_process, started, stat,
};

/// How often a process without a name is searched for again, and after what time.
const LOOKS: usize = 5;
const PAUSE: Duration = Duration::from_millis(10);

/// A process that has one of the files open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number, as this process's `/proc` has it.
    pub pid: u32,
    /// The command's name, at most 15 bytes: the process chose it, so it may hold
    /// anything.
    pub name: String,
    /// Whether it has a file open for writing, if only through a mapping; else it reads.
    pub writes: bool,
    /// When it started, to about 20 ms, by today's idea of the time.
    pub started: Option<SystemTime>,
}

impl Process {
    /// The name and number in every message: `tail (PID 812)`. Without a given name, the
    /// name of the running process is used.
    #[must_use]
    pub fn describe(pid: u32, name: Option<&str>) -> String {
        let asked = || process_name(pid);
        let name = name.map(str::to_owned).or_else(asked).unwrap_or_default();
        match name.trim_end() {
            "" => format!("PID {pid}"),
            name => format!("{name} (PID {pid})"),
        }
    }
}

/// The other processes that have any of some files open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Users {
    /// Those that were seen, by ascending number.
    pub processes: Vec<Process>,
    /// Whether every process of this machine could be inspected. Without root it hardly
    /// ever is so, in a container never; and some hide from root too.
    pub complete: bool,
}

impl Users {
    /// Only those that write.
    #[must_use]
    pub fn into_writers(mut self) -> Vec<Process> {
        self.processes.retain(|process| process.writes);
        self.processes
    }
}

/// Whether other processes write to a log's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Use {
    /// No process. Readers were not searched for: a refused write lease reveals them, and
    /// [`users_of`] names them.
    NoWriter,
    /// Some do: those that `/proc` shows, so the list may be empty.
    Writers(Vec<Process>),
    /// It cannot be known: none was seen, but not everything could be inspected.
    Unknown {
        /// The readers that were seen.
        readers: Vec<Process>,
        /// Why a writer may be there all the same.
        why: Unseen,
    },
}

/// Why a writer may go unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(not(feature = "cli"), non_exhaustive)]
pub enum Unseen {
    /// Files of this file system can be written on other machines, or below the mount.
    Elsewhere(String),
    /// The kernel answers only the owner, and some processes cannot be inspected.
    NotTheOwner,
    /// The kernel does not answer, for the given reason, and some processes cannot be
    /// inspected.
    NotTold(String),
}

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere(name) => {
                write!(
                    f,
                    "the log is on {name}, where other hosts may write undetected"
                )
            }
            Self::NotTheOwner => f.write_str("only the log's owner and root can tell"),
            Self::NotTold(why) => write!(f, "the kernel cannot tell ({why})"),
        }
    }
}

impl From<io::Error> for Unseen {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EACCES) => Self::NotTheOwner,
            _ => Self::NotTold(reason(&error)),
        }
    }
}

/// Whether other processes write to any of `files`: the first and the active
/// segment's pair are enough to know it of a log.
///
/// This process must not have them open for writing or hold a lease on them, which would
/// count. What is not there, or is not a regular file, is passed over, and never opened.
/// A holder of a write lease counts as a writer, and learns that we came.
#[must_use]
pub fn in_use(files: &[PathBuf]) -> Use {
    look_again(
        || look(files),
        |found| matches!(found, Use::Writers(writers) if writers.is_empty()),
    )
}

/// Searches again, a few times, while a process is there without a name: a process that
/// is there for an instant only (it opens and closes, or is a child that holds copies of
/// its parent's descriptors until it runs its program) is gone by then.
pub fn look_again<T>(mut look: impl FnMut() -> T, nameless: impl Fn(&T) -> bool) -> T {
    for _ in 1..LOOKS {
        let found = look();
        if !nameless(&found) {
            return found;
        }
        thread::sleep(PAUSE);
    }
    look()
}

fn look(files: &[PathBuf]) -> Use {
    let mut left_open = None;
    let mut mapped = false;
    for file in files {
        match probe(file) {
            Probe::Free => {}
            Probe::FreeButForMappings => mapped = true,
            Probe::FreeHere(name) => left_open = Some(Unseen::Elsewhere(name)),
            Probe::Writer => return Use::Writers(users_of(files).into_writers()),
            Probe::Unknown(error) => left_open = left_open.or(Some(error.into())),
        }
    }
    if left_open.is_none() && !mapped {
        return Use::NoWriter;
    }
    judge(users_of(files), left_open)
}

/// The result of `/proc` where the kernel left a question. If the question is only a
/// mapping without a descriptor, which a service does not have, the kernel's answer is
/// trusted for hidden processes.
fn judge(users: Users, left_open: Option<Unseen>) -> Use {
    if users.processes.iter().any(|process| process.writes) {
        return Use::Writers(users.into_writers());
    }
    match left_open {
        // No process of this machine writes, and there are no others.
        Some(Unseen::NotTheOwner | Unseen::NotTold(_)) if users.complete => Use::NoWriter,
        Some(why) => Use::Unknown {
            readers: users.processes,
            why,
        },
        None => Use::NoWriter,
    }
}

/// Asks the kernel about the file of this name.
fn probe(path: &Path) -> Probe {
    match open_to_probe(path) {
        Ok(Some(file)) => lease::probe_writer(&file),
        Ok(None) => Probe::Free,
        // A process holds a write lease, as every proglog that changes a log does.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Probe::Writer,
        Err(error) => Probe::Unknown(error),
    }
}

/// Opens a regular file for reading, and nothing else: opening a FIFO or a device affects
/// the process at its other end. It never waits.
fn open_to_probe(path: &Path) -> io::Result<Option<File>> {
    let flags =
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = || {
        let path = fs::canonicalize(path)?;
        if !fs::symlink_metadata(&path)?.is_file() {
            return Ok(None);
        }
        let file = File::from(rustix::fs::open(&path, flags, Mode::empty())?);
        Ok(file.metadata()?.is_file().then_some(file))
    };
    open().or_else(|error: io::Error| match error.kind() {
        ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    })
}

/// Searches `/proc` for the other processes that have any of `paths` open.
///
/// Files are compared by device and inode, so other names of them count. A process that
/// ends meanwhile is left out. It takes a few milliseconds for a hundred processes.
#[must_use]
pub fn users_of(paths: &[PathBuf]) -> Users {
    let mut complete = sees_every_process();
    let mut targets = Targets::default();
    for path in paths {
        if let Err(error) = targets.add(path) {
            complete &= has_vanished(&error);
        }
    }
    let mut users = Users::default();
    for pid in process_ids() {
        let look = Look::at(pid, &targets);
        if look.access.is_none() && !look.hidden {
            continue;
        }
        let Some(stat) = stat(pid) else {
            continue; // gone
        };
        complete &= !look.hidden || stat.has_no_files;
        if let Some(access) = look.access {
            users.processes.push(Process {
                pid,
                name: stat.name,
                writes: access == Access::Writes,
                started: started(stat.start_ticks),
            });
        }
    }
    users.complete = complete;
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, writes: bool) -> Process {
        Process {
            pid,
            name: "proglogd".to_owned(),
            writes,
            started: None,
        }
    }

    #[test]
    fn proc_alone_says_no_only_when_all_was_seen() {
        let users = |writers: &[bool], complete| Users {
            processes: (1..)
                .zip(writers)
                .map(|(pid, writes)| process(pid, *writes))
                .collect(),
            complete,
        };
        let unknown = |readers: &[Process], why: &Unseen| Use::Unknown {
            readers: readers.to_vec(),
            why: why.clone(),
        };
        let (owner, told) = (Unseen::NotTheOwner, Unseen::NotTold("EINVAL".to_owned()));
        for why in [&owner, &told] {
            let judge = |writers, complete| judge(users(writers, complete), Some(why.clone()));
            assert_eq!(judge(&[], true), Use::NoWriter);
            assert_eq!(judge(&[false], true), Use::NoWriter);
            assert_eq!(judge(&[], false), unknown(&[], why));
            assert_eq!(judge(&[false], false), unknown(&[process(1, false)], why));
        }
        let elsewhere = Unseen::Elsewhere("NFS".to_owned());
        for complete in [true, false] {
            // Processes of another machine are not in this /proc.
            let judged = judge(users(&[], complete), Some(elsewhere.clone()));
            assert_eq!(judged, unknown(&[], &elsewhere));
            assert_eq!(judge(users(&[false], complete), None), Use::NoWriter);
            for left_open in [None, Some(owner.clone()), Some(elsewhere.clone())] {
                assert_eq!(
                    judge(users(&[false, true], complete), left_open),
                    Use::Writers(vec![process(2, true)])
                );
            }
        }
    }

    #[test]
    fn who_has_no_name_is_looked_for_again() {
        for (gone_at, expected) in [(1, 1), (3, 3), (LOOKS, LOOKS), (LOOKS + 1, LOOKS)] {
            let mut looks = 0;
            let found = look_again(
                || {
                    looks += 1;
                    looks
                },
                |look| *look < gone_at,
            );
            assert_eq!((found, looks), (expected, expected));
        }
    }

    // rustix makes no FIFO on Apple's systems.
    #[cfg(not(target_vendor = "apple"))]
    #[test]
    fn what_is_not_there_or_no_file_is_not_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("0.store");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        let files = [
            fifo,
            directory.path().to_path_buf(),
            directory.path().join("0.index"),
        ];
        assert_eq!(in_use(&files), Use::NoWriter);
        assert!(users_of(&files[2..]).processes.is_empty());
    }
}
