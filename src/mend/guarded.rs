//! The disk during a change: directly before each visible operation, the waiting
//! processes are checked again. This cannot exclude a process that is stopped between the
//! check and the write for longer than others are held back.

use std::io;

use super::exclusive::Exclusive;
use crate::forward_to_disk;
use crate::log::disk::Disk;

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
    forward_to_disk! { |self| self.ours()? => create link write_at set_len remove rename replace }
    // What no other process notices.
    forward_to_disk! { |self| self.disk =>
        open create_unnamed create_dir sync_data sync_dir remove_dir own_dir
    }
}
