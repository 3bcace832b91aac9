//! Other processes, real ones: what the kernel and `/proc` tell of them, and that
//! looking disturbs nobody.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "all of it is test, the helpers too"
)]

mod leases;
mod other;
mod users;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proglog::log::lease::{Grant, Probe, WriteLease, probe_writer};
use proglog::log::processes::{Users, users_of};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tempfile::TempDir;

/// Long enough for a loaded machine, and short of the kernel's 45 seconds.
const DEADLINE: Duration = Duration::from_secs(20);

/// A file of 4096 bytes on each of the machine's usual file systems.
struct Place {
    _directory: TempDir,
    path: PathBuf,
}

impl Place {
    fn all() -> Vec<Self> {
        [std::env::temp_dir(), PathBuf::from("/dev/shm")]
            .iter()
            .filter(|parent| parent.is_dir())
            .map(|parent| Self::under(parent))
            .filter(Self::has_leases)
            .collect()
    }

    fn under(parent: &Path) -> Self {
        let directory = tempfile::tempdir_in(parent).unwrap();
        let path = directory.path().join("0.index");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::open(&path, flags, Mode::from(0o644)).unwrap());
        file.write_all(&[7; 4096]).unwrap();
        Self {
            _directory: directory,
            path,
        }
    }

    fn has_leases(&self) -> bool {
        match probe_writer(&File::open(&self.path).unwrap()) {
            Probe::Unknown(error) => {
                eprintln!("NOT TESTED at {}: {error}", self.path.display());
                false
            }
            Probe::FreeHere(name) => {
                eprintln!("NOT TESTED at {}: {name}", self.path.display());
                false
            }
            Probe::Free | Probe::FreeButForMappings | Probe::Writer => true,
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.path.clone()]
    }

    fn probe(&self) -> Probe {
        probe_writer(&File::open(&self.path).unwrap())
    }

    /// Whether the kernel sees what is done in this role: nobody's mapping without a
    /// descriptor, on overlayfs.
    fn shows(&self, role: &str) -> bool {
        !(role.contains("mapped") && matches!(self.probe(), Probe::FreeButForMappings))
    }

    fn is_free(&self) -> bool {
        matches!(self.probe(), Probe::Free | Probe::FreeButForMappings)
    }

    fn lease(&self) -> WriteLease {
        match WriteLease::take(&File::open(&self.path).unwrap()) {
            Grant::Held(lease) => lease,
            refused => panic!("{refused:?}"),
        }
    }

    fn users(&self) -> Users {
        users_of(&self.files())
    }
}

fn open(path: &Path, flags: OFlags) -> Result<File, Errno> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).map(File::from)
}
