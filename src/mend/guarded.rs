//! The disk during a change: directly before each visible operation, the waiting
//! processes are checked again. This cannot exclude a process that is stopped between the
//! check and the write for longer than others are held back.

use std::io;

use super::exclusive::Exclusive;
use crate::log::dir::{Dir, FilePath};
use crate::log::disk::{Disk, DiskFile, Ownership};

/// A disk that refuses with `ResourceBusy` where others may have been let in.
pub(super) struct Guarded<'a> {
    pub disk: &'a dyn Disk,
    pub exclusive: &'a Exclusive,
}

impl Guarded<'_> {
    fn ours(&self) -> io::Result<&dyn Disk> {
        self.exclusive.check_again()?;
        Ok(self.disk)
    }
}

impl Disk for Guarded<'_> {
    fn open(&self, path: &FilePath) -> io::Result<DiskFile> {
        self.disk.open(path)
    }

    fn create(&self, path: &FilePath, like: Option<Ownership>) -> io::Result<DiskFile> {
        self.ours()?.create(path, like)
    }

    fn create_unnamed(&self, dir: &Dir, like: Option<Ownership>) -> io::Result<DiskFile> {
        self.disk.create_unnamed(dir, like)
    }

    fn link(&self, file: &DiskFile, path: &FilePath) -> io::Result<()> {
        self.ours()?.link(file, path)
    }

    fn create_dir(&self, path: &FilePath, mode: u32) -> io::Result<()> {
        self.disk.create_dir(path, mode)
    }

    fn write_at(&self, file: &DiskFile, bytes: &[u8], position: u64) -> io::Result<usize> {
        self.ours()?.write_at(file, bytes, position)
    }

    fn set_len(&self, file: &DiskFile, bytes: u64) -> io::Result<()> {
        self.ours()?.set_len(file, bytes)
    }

    fn sync_data(&self, file: &DiskFile) -> io::Result<()> {
        self.disk.sync_data(file)
    }

    fn sync_dir(&self, dir: &Dir) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn remove(&self, path: &FilePath) -> io::Result<()> {
        self.ours()?.remove(path)
    }

    fn remove_dir(&self, path: &FilePath) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn rename(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        self.ours()?.rename(from, to)
    }

    fn own_dir(&self, dir: &Dir, like: Ownership) -> io::Result<()> {
        self.disk.own_dir(dir, like)
    }

    fn replace(&self, from: &FilePath, to: &FilePath) -> io::Result<()> {
        self.ours()?.replace(from, to)
    }
}
