//! A disk that passes every operation on to the real one and keeps it in order, with
//! marks between: what was promised to the caller by then.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use proglog::log::dir::{Dir, FilePath};
use proglog::log::disk::{Disk, DiskFile, Ownership, RealDisk};

use crate::crash::tree::Tree;

/// A file, whatever its names.
pub type FileId = usize;

/// One operation that was carried out. Paths are from the recorder's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A new empty file under a name.
    Create { path: PathBuf, file: FileId },
    /// A new empty file without a name.
    CreateUnnamed,
    /// A name for a file that had none.
    Link { path: PathBuf, file: FileId },
    /// A new directory.
    CreateDir { path: PathBuf },
    /// Bytes at a position.
    Write {
        file: FileId,
        position: usize,
        bytes: Vec<u8>,
    },
    /// A file's new size.
    SetLen { file: FileId, bytes: usize },
    /// A file's bytes and size are durable.
    SyncData { file: FileId },
    /// A directory's names are durable.
    SyncDir { path: PathBuf },
    /// A name goes.
    Remove { path: PathBuf },
    /// An empty directory goes.
    RemoveDir { path: PathBuf },
    /// A file gets another name.
    Rename {
        from: PathBuf,
        to: PathBuf,
        file: FileId,
    },
}

/// What was promised between two operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// So many records of this history are acknowledged.
    Acked { history: usize, records: usize },
    /// The command of this number has ended well.
    Done(usize),
}

/// What passed over a disk.
#[derive(Debug, Clone)]
pub struct Recording {
    /// What was there before, all of it durable.
    pub initial: Tree,
    /// Which file had which name then.
    pub initial_files: BTreeMap<PathBuf, FileId>,
    /// What was done.
    pub ops: Vec<Op>,
    /// Marks, each with the number of operations before it.
    pub marks: Vec<(usize, Mark)>,
}

/// A disk that records.
pub struct Recorder {
    root: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    recording: Recording,
    /// Device and inode of each file.
    files: HashMap<(u64, u64), FileId>,
    next: FileId,
    /// From this number of operations on, the process is dead.
    dead_from: usize,
}

impl Recorder {
    /// Records what happens below `root` from now on.
    pub fn new(root: &Path) -> Self {
        let initial = Tree::read(root);
        let mut files = HashMap::new();
        let mut initial_files = BTreeMap::new();
        for (id, path) in initial.files.keys().enumerate() {
            let metadata = std::fs::metadata(root.join(path)).unwrap();
            files.insert((metadata.dev(), metadata.ino()), id);
            initial_files.insert(path.clone(), id);
        }
        Self {
            root: root.to_owned(),
            inner: Mutex::new(Inner {
                next: files.len(),
                recording: Recording {
                    initial,
                    initial_files,
                    ops: Vec::new(),
                    marks: Vec::new(),
                },
                files,
                dead_from: usize::MAX,
            }),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Notes a promise.
    pub fn mark(&self, mark: Mark) {
        let mut inner = self.inner();
        let at = inner.recording.ops.len();
        inner.recording.marks.push((at, mark));
    }

    /// After `more` further operations nothing passes any more, as if the process had
    /// been killed; `None` brings up a new process.
    pub fn kill_after(&self, more: Option<usize>) {
        let mut inner = self.inner();
        inner.dead_from = more.map_or(usize::MAX, |more| inner.recording.ops.len() + more);
    }

    /// Which file this is.
    pub fn id(&self, file: &DiskFile) -> io::Result<FileId> {
        self.inner().file(file)
    }

    /// Syncs a file without a descriptor of it at hand.
    pub fn sync_id(&self, file: FileId) -> io::Result<()> {
        self.alive()?.push(Op::SyncData { file });
        Ok(())
    }

    /// What was recorded.
    pub fn recording(&self) -> Recording {
        self.inner().recording.clone()
    }

    fn path(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).unwrap_or(path).to_owned()
    }

    /// Whether the process still lives.
    fn alive(&self) -> io::Result<MutexGuard<'_, Inner>> {
        let inner = self.inner();
        if inner.recording.ops.len() >= inner.dead_from {
            return Err(io::Error::other("killed"));
        }
        Ok(inner)
    }
}

impl Inner {
    fn file(&self, file: &DiskFile) -> io::Result<FileId> {
        let metadata = file.file().metadata()?;
        let id = self.files.get(&(metadata.dev(), metadata.ino()));
        id.copied()
            .ok_or_else(|| io::Error::other("a file that nobody knows"))
    }

    fn add(&mut self, file: &DiskFile) -> io::Result<FileId> {
        let metadata = file.file().metadata()?;
        let id = self.next;
        self.next += 1;
        self.files.insert((metadata.dev(), metadata.ino()), id);
        Ok(id)
    }

    fn push(&mut self, op: Op) {
        self.recording.ops.push(op);
    }
}

impl Disk for Recorder {
    fn open(&self, path: &FilePath) -> io::Result<DiskFile> {
        let _inner = self.alive()?;
        RealDisk.open(path)
    }

    fn create(&self, path: &FilePath, like: Option<Ownership>) -> io::Result<DiskFile> {
        let mut inner = self.alive()?;
        let made = RealDisk.create(path, like)?;
        let file = inner.add(&made)?;
        let path = self.path(path);
        inner.push(Op::Create { path, file });
        Ok(made)
    }

    fn create_unnamed(&self, dir: &Dir, like: Option<Ownership>) -> io::Result<DiskFile> {
        let mut inner = self.alive()?;
        let made = RealDisk.create_unnamed(dir, like)?;
        inner.add(&made)?;
        inner.push(Op::CreateUnnamed);
        Ok(made)
    }

    fn link(&self, file: &DiskFile, path: &FilePath) -> io::Result<()> {
        let mut inner = self.alive()?;
        RealDisk.link(file, path)?;
        let (path, file) = (self.path(path), inner.file(file)?);
        inner.push(Op::Link { path, file });
        Ok(())
    }

    fn create_dir(&self, path: &FilePath, mode: u32) -> io::Result<()> {
        let mut inner = self.alive()?;
        RealDisk.create_dir(path, mode)?;
        let path = self.path(path);
        inner.push(Op::CreateDir { path });
        Ok(())
    }

    fn write_at(&self, file: &DiskFile, bytes: &[u8], position: u64) -> io::Result<usize> {
        let mut inner = self.alive()?;
        let written = RealDisk.write_at(file, bytes, position)?;
        let op = Op::Write {
            file: inner.file(file)?,
            position: usize::try_from(position).map_err(io::Error::other)?,
            bytes: bytes[..written].to_vec(),
        };
        inner.push(op);
        Ok(written)
    }

    fn set_len(&self, file: &DiskFile, bytes: u64) -> io::Result<()> {
        let mut inner = self.alive()?;
        RealDisk.set_len(file, bytes)?;
        let op = Op::SetLen {
            file: inner.file(file)?,
            bytes: usize::try_from(bytes).map_err(io::Error::other)?,
        };
        inner.push(op);
        Ok(())
    }

    fn sync_data(&self, file: &DiskFile) -> io::Result<()> {
        let mut inner = self.alive()?;
        let file = inner.file(file)?;
        inner.push(Op::SyncData { file });
        Ok(())
    }

    fn sync_dir(&self, path: &Dir) -> io::Result<()> {
        let mut inner = self.alive()?;
        let path = self.path(path.path());
        inner.push(Op::SyncDir { path });
        Ok(())
    }

    fn remove(&self, path: &FilePath) -> io::Result<()> {
        let mut inner = self.alive()?;
        RealDisk.remove(path)?;
        let path = self.path(path);
        inner.push(Op::Remove { path });
        Ok(())
    }

    fn remove_dir(&self, path: &FilePath) -> io::Result<()> {
        let mut inner = self.alive()?;
        RealDisk.remove_dir(path)?;
        let path = self.path(path);
        inner.push(Op::RemoveDir { path });
        Ok(())
    }

    fn rename(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        let mut inner = self.alive()?;
        let metadata = std::fs::metadata(from)?;
        RealDisk.rename(from, to)?;
        let file = inner.files.get(&(metadata.dev(), metadata.ino())).copied();
        let op = Op::Rename {
            from: self.path(from),
            to: self.path(to),
            file: file.ok_or_else(|| io::Error::other("a file that nobody knows"))?,
        };
        inner.push(op);
        Ok(())
    }
}
