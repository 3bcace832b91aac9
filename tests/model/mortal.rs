//! A disk that stops in the middle: after so many changes the next one fails, or all
//! that come, as after a kill; a write that fails may have done half of its work.

use std::io;
use std::sync::Mutex;

use proglog::log::dir::{Dir, FilePath};
use proglog::log::disk::{Disk, DiskFile, Ownership, RealDisk};

/// When a disk fails, and how.
#[derive(Debug, Clone, Copy)]
pub struct Fuse {
    /// So many operations go well before.
    pub after: usize,
    /// Whether all that come later fail too.
    pub forever: bool,
    /// Whether a write that fails writes half.
    pub torn: bool,
}

/// The disk.
#[derive(Default)]
pub struct Mortal {
    fuse: Mutex<Option<Fuse>>,
}

/// Whether an operation passes.
enum Fate {
    Passes,
    Fails { torn: bool },
}

impl Mortal {
    /// Fails from now on as the fuse says; `None`: not at all.
    pub fn set(&self, fuse: Option<Fuse>) {
        *self.fuse.lock().unwrap() = fuse;
    }

    fn fate(&self) -> Fate {
        let mut fuse = self.fuse.lock().unwrap();
        let Some(lit) = &mut *fuse else {
            return Fate::Passes;
        };
        if lit.after > 0 {
            lit.after -= 1;
            return Fate::Passes;
        }
        let torn = lit.torn;
        // Of a process that is gone nothing more comes to the disk.
        lit.torn = false;
        if !lit.forever {
            *fuse = None;
        }
        Fate::Fails { torn }
    }

    fn pass(&self) -> io::Result<()> {
        match self.fate() {
            Fate::Passes => Ok(()),
            Fate::Fails { .. } => Err(io::Error::other("the disk fails")),
        }
    }
}

impl Disk for Mortal {
    fn open(&self, path: &FilePath) -> io::Result<DiskFile> {
        self.pass()?;
        RealDisk.open(path)
    }

    fn create(&self, path: &FilePath, like: Option<Ownership>) -> io::Result<DiskFile> {
        self.pass()?;
        RealDisk.create(path, like)
    }

    fn create_unnamed(&self, dir: &Dir, like: Option<Ownership>) -> io::Result<DiskFile> {
        self.pass()?;
        RealDisk.create_unnamed(dir, like)
    }

    fn link(&self, file: &DiskFile, path: &FilePath) -> io::Result<()> {
        self.pass()?;
        RealDisk.link(file, path)
    }

    fn create_dir(&self, path: &FilePath, mode: u32) -> io::Result<()> {
        self.pass()?;
        RealDisk.create_dir(path, mode)
    }

    fn write_at(&self, file: &DiskFile, bytes: &[u8], position: u64) -> io::Result<usize> {
        match self.fate() {
            Fate::Passes => RealDisk.write_at(file, bytes, position),
            Fate::Fails { torn } => {
                if torn && let Some(half) = bytes.get(..bytes.len() / 2) {
                    RealDisk.write_at(file, half, position)?;
                }
                Err(io::Error::other("the disk fails"))
            }
        }
    }

    fn set_len(&self, file: &DiskFile, bytes: u64) -> io::Result<()> {
        self.pass()?;
        RealDisk.set_len(file, bytes)
    }

    fn sync_data(&self, file: &DiskFile) -> io::Result<()> {
        self.pass()?;
        RealDisk.sync_data(file)
    }

    fn sync_dir(&self, path: &Dir) -> io::Result<()> {
        self.pass()?;
        RealDisk.sync_dir(path)
    }

    fn remove(&self, path: &FilePath) -> io::Result<()> {
        self.pass()?;
        RealDisk.remove(path)
    }

    fn remove_dir(&self, path: &FilePath) -> io::Result<()> {
        self.pass()?;
        RealDisk.remove_dir(path)
    }

    fn rename(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        self.pass()?;
        RealDisk.rename(from, to)
    }
}
