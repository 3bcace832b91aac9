//! The cursor file: the position of a reader. Its first line is the offset of the next
//! record, in decimal; an optional second line is the fingerprint of the last record
//! read. It is replaced atomically, and only after the records before it are durable, so
//! that it never points past the end that a power cut leaves.

use std::fmt::Write as _;
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proglog::log::dir::{Dir, FilePath, FileStatus, Links};
use proglog::log::disk::{self, Disk, RealDisk};
use proglog::log::error::{Error, reason};
use proglog::log::follow::sync_read;
use proglog::log::lock::DirectoryLock;
use proglog::log::processes::Process;
use proglog::log::units::Offset;

use super::fingerprint::Fingerprint;
use crate::commands::{Failure, Status, quote};

/// More bytes than a cursor file has.
const BYTES_MAX: u64 = 256;

/// How long the cursor of a busy log may lag.
const LAG: Duration = Duration::from_millis(250);

/// How long to wait for a cursor file that is in use: a killed reader that was just
/// starting may hold it for an instant longer.
const LOCK_WAIT: Duration = Duration::from_millis(500);

/// The bit of a directory in which every user may make files.
const WRITABLE_BY_ALL: u32 = 0o002;

/// How often it is tried.
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// The content of a cursor file.
pub struct Held {
    pub next: Offset,
    pub fingerprint: Option<Fingerprint>,
    /// All of it.
    text: String,
}

/// A cursor file, locked.
pub struct Cursor {
    path: PathBuf,
    /// The path as it was given.
    given: PathBuf,
    /// The content; `None` while the file does not exist.
    held: Option<Held>,
    /// The offset up to which the records read are durable.
    synced: Option<Offset>,
    saved_at: Option<Instant>,
    lock: Option<(File, FilePath)>,
}

impl Cursor {
    /// Takes the cursor file over, and reads it.
    pub fn open(path: &Path, log: &Path) -> anyhow::Result<Self> {
        let given = path.to_path_buf();
        let path = real_path(path, log)?;
        let lock = lock(&path, &given)?;
        Ok(Self {
            held: load(&path, &given)?,
            given,
            synced: None,
            saved_at: None,
            path,
            lock,
        })
    }

    /// The offset that the file holds.
    pub fn saved(&self) -> Option<Offset> {
        self.held.as_ref().map(|held| held.next)
    }

    /// The content of the file, if it exists.
    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// Whether the file is due to be written, if there is something new.
    pub fn is_due(&self) -> bool {
        self.saved_at.is_none_or(|at| at.elapsed() >= LAG)
    }

    /// Writes the current content again: a file that cannot be replaced is detected
    /// before a record is delivered, not after it was handled. If the file does not exist
    /// yet, a name beside it is tried.
    pub fn rehearse(&self) -> anyhow::Result<()> {
        match &self.held {
            Some(held) => self.replace(&held.text),
            None => FilePath::of(&self.path)
                .and_then(|path| disk::try_beside(&path))
                .map_err(|error| unwritable(&self.given, &error).into()),
        }
    }

    /// Writes the offset down, after what lies before it: read from `from` on.
    pub fn save(
        &mut self,
        log: &Dir,
        from: Offset,
        next: Offset,
        fingerprint: Option<Fingerprint>,
    ) -> anyhow::Result<()> {
        sync_read(log, self.synced.unwrap_or(from), next)?;
        self.synced = Some(next);
        let mut text = format!("{next}\n");
        if let Some(fingerprint) = &fingerprint {
            let _ = writeln!(text, "{fingerprint}");
        }
        self.replace(&text)?;
        self.held = Some(Held {
            next,
            fingerprint,
            text,
        });
        self.saved_at = Some(Instant::now());
        Ok(())
    }

    /// Writes the offset down at which another log is read.
    pub fn restart(&mut self, next: Offset) -> anyhow::Result<()> {
        let text = format!("{next}\n");
        self.replace(&text)?;
        self.synced = None;
        self.held = Some(Held {
            next,
            fingerprint: None,
            text,
        });
        Ok(())
    }

    fn replace(&self, text: &str) -> anyhow::Result<()> {
        FilePath::of(&self.path)
            .and_then(|path| disk::replace(&path, text.as_bytes()))
            .map_err(|error| unwritable(&self.given, &error).into())
    }
}

/// The content of a cursor file that another process may be using.
pub fn inspect(path: &Path) -> anyhow::Result<Held> {
    let held = match path.canonicalize() {
        Ok(real) => load(&real, path)?,
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(Error::io("access", path)(error).into()),
    };
    held.ok_or_else(|| {
        let message = format!("cursor file {}: does not exist", path.display());
        Failure::new(Status::Failed, message).into()
    })
}

/// The hint if the file cannot be written.
fn unwritable(given: &Path, error: &io::Error) -> Failure {
    let message = format!(
        "cursor file {}: cannot write it: {}",
        given.display(),
        reason(&error)
    );
    let failure = Failure::new(Status::Failed, message);
    match error.kind() {
        ErrorKind::ResourceBusy => failure.hint(
            "it is a mount point, which cannot be replaced: mount its directory instead, or \
             name a file in a directory",
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => failure.hint(
            "the file is replaced, not rewritten: its directory must be writable too, and \
             neither may be immutable (lsattr)",
        ),
        _ => failure,
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        // While it is held, so that no other process has just taken it.
        if let Some((_held, path)) = self.lock.take() {
            let _ = RealDisk.remove(&path);
        }
    }
}

/// The file itself, if it is a link to one; never in the log's directory, nor below.
fn real_path(path: &Path, log: &Path) -> anyhow::Result<PathBuf> {
    let refused = |what: &str| {
        Failure::new(
            Status::Failed,
            format!("cursor file {}: {what}", path.display()),
        )
    };
    let Some(name) = path.file_name() else {
        return Err(refused("not a file name").into());
    };
    if let Ok(link) = path.symlink_metadata()
        && link.is_symlink()
        && !disk::is_own(link.uid())
    {
        return Err(refused("is a symbolic link of another user").into());
    }
    let real = match path.canonicalize() {
        Ok(real) => real,
        // A link to what does not exist yet: the file is made there. A chain that has no
        // end is not a `NotFound`.
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
            let target = std::fs::read_link(path).map_err(Error::io("access", path))?;
            let parent = path.parent().unwrap_or(Path::new("."));
            return real_path(&parent.join(target), log);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            let parent = parent.canonicalize().map_err(Error::io("open", parent))?;
            parent.join(name)
        }
        Err(error) => return Err(Error::io("access", path)(error).into()),
    };
    if let Ok(log) = std::fs::metadata(log) {
        let identity = |it: &Path| std::fs::metadata(it).map(|it| (it.dev(), it.ino())).ok();
        let here = Some((log.dev(), log.ino()));
        if real
            .ancestors()
            .skip(1)
            .any(|above| identity(above) == here)
        {
            return Err(
                refused("it is in the log's directory, which holds only segments")
                    .hint("name a file outside of it: --cursor-file log.cursor")
                    .into(),
            );
        }
    }
    Ok(real)
}

/// The content of the file, if any.
fn load(path: &Path, given: &Path) -> anyhow::Result<Option<Held>> {
    let named = FilePath::of(path).map_err(Error::io("open", path))?;
    let (file, status) = match named.open(Links::Refused) {
        Ok(opened) => opened,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == ErrorKind::InvalidInput => {
            return Err(Error::not_a_file(path, path.is_dir()).into());
        }
        Err(error) => return Err(Error::io("open", path)(error).into()),
    };
    let parent = named.dir().metadata().map_err(Error::io("access", path))?;
    check_owner([status, parent], given)?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(Error::io("read", path))?;
    let is_whole = (bytes.len() as u64) < BYTES_MAX;
    let text = String::from_utf8(bytes).ok().filter(|_| is_whole);
    let refused = |what: String| {
        let message = format!("cursor file {}: {what}", given.display());
        Err(Failure::new(Status::Failed, message)
            .hint("name another file; the first line of a cursor is the next offset")
            .into())
    };
    let Some(text) = text else {
        return refused("it is not a cursor file".to_owned());
    };
    let (first, second) = match text.trim_ascii().split_once('\n') {
        Some((first, second)) => (first.trim_ascii_end(), Some(second)),
        None => (text.trim_ascii(), None),
    };
    let is_number = first.bytes().all(|byte| byte.is_ascii_digit());
    let Some(next) = first.parse().ok().filter(|_| is_number).map(Offset) else {
        return refused(format!("it holds {text:?}, not an offset"));
    };
    let fingerprint = second.map(Fingerprint::parse);
    if let Some(None) = fingerprint {
        return refused("its second line is not a fingerprint".to_owned());
    }
    Ok(Some(Held {
        next,
        fingerprint: fingerprint.flatten(),
        text,
    }))
}

/// Refuses a file that any user may have created: in a shared directory, another user's
/// cursor would choose the next record.
fn check_owner([file, parent]: [FileStatus; 2], given: &Path) -> anyhow::Result<()> {
    let owner = file.uid();
    let is_shared = parent.mode() & WRITABLE_BY_ALL != 0;
    if !is_shared || disk::is_own(owner) || owner == parent.uid() {
        return Ok(());
    }
    let message = format!(
        "cursor file {}: belongs to user {owner}, in a directory where every user may create \
         files",
        given.display()
    );
    Err(Failure::new(Status::Failed, message).hint(ELSEWHERE).into())
}

/// The hint for a shared directory.
const ELSEWHERE: &str = "name a file in a directory of your own";

/// Keeps others from using the same cursor file. The lock is on a file beside it,
/// since the cursor file itself is replaced; a file that a killed process left there
/// is not locked any more.
fn lock(path: &Path, given: &Path) -> anyhow::Result<Option<(File, FilePath)>> {
    let named = FilePath::of(path).map_err(Error::io("open", path))?;
    let name = disk::hidden(path.file_name().unwrap_or_default(), "lock");
    let beside = named.dir().at(name);
    let end = Instant::now() + LOCK_WAIT;
    loop {
        let file = match disk::open_lock(&beside) {
            Ok(file) => file,
            // Removed by its holder between two calls.
            Err(error) if error.kind() == ErrorKind::NotFound && Instant::now() < end => continue,
            Err(error) => return Err(in_the_way(&beside, &error, given).into()),
        };
        let held = FileStatus::of(&file).map_err(Error::io("access", &beside))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::sleep(LOCK_RETRY);
                continue;
            }
            Err(TryLockError::WouldBlock) => return Err(in_use(held, &beside, given).into()),
            // A file system without locks.
            Err(TryLockError::Error(_)) => return Ok(None),
        }
        // Its previous holder may have removed it.
        let there = beside.link_metadata();
        if there.is_ok_and(|there| there.identity() == held.identity()) {
            return Ok(Some((file, beside)));
        }
        if Instant::now() >= end {
            return Err(in_use(held, &beside, given).into());
        }
    }
}

fn in_use(lock: FileStatus, beside: &Path, given: &Path) -> Failure {
    let holder = DirectoryLock::holder_of(lock.identity());
    let holder = holder.map_or("another process".to_owned(), |pid| {
        Process::describe(pid, None)
    });
    let message = format!("cursor file {}: in use by {holder}", given.display());
    let owner = lock.uid();
    Failure::new(Status::InUse, message).hint(if disk::is_own(owner) {
        "each reader needs a cursor file of its own".to_owned()
    } else {
        format!("{} belongs to user {owner}: {ELSEWHERE}", quote(beside))
    })
}

/// The hint if the lock file cannot be created.
fn in_the_way(beside: &FilePath, error: &io::Error, given: &Path) -> Failure {
    if error.kind() != ErrorKind::InvalidInput && !beside.is_taken() {
        return unwritable(given, error);
    }
    let what = match error.kind() {
        ErrorKind::InvalidInput => "it is not a regular file".to_owned(),
        _ => error.to_string(),
    };
    let message = format!(
        "cursor file {}: {} is in the way: {what}",
        given.display(),
        beside.display()
    );
    Failure::new(Status::Failed, message).hint(format!("move it away, or {ELSEWHERE}"))
}
