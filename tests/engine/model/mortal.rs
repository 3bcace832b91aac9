//! A disk that stops in the middle: after so many changes the next one fails, or all
//! that come, as after a kill; a write that fails may have done half of its work.

use std::io;
use std::sync::Mutex;

use proglog::forward_to_disk;
use proglog::log::disk::{Disk, DiskFile, RealDisk};

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

    fn pass(&self) -> io::Result<RealDisk> {
        match self.fate() {
            Fate::Passes => Ok(RealDisk),
            Fate::Fails { .. } => Err(io::Error::other("the disk fails")),
        }
    }
}

impl Disk for Mortal {
    forward_to_disk! { |self| self.pass()? =>
        open create create_unnamed link create_dir set_len sync_data sync_dir remove remove_dir rename replace
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
}
