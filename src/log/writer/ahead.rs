//! Starts writeback of frames before the sync that waits for them, so that it has little
//! left to wait for. Nothing is promised about them: frames may reach the disk at any
//! time, because no entry names them yet.

use std::num::NonZeroU64;

use super::Active;
use crate::log::disk::DiskFile;
use crate::log::platform;

/// Frames that are sent on their way together. Units: bytes.
const AHEAD_BYTES: u64 = 8 * 1024 * 1024;

/// A stretch of a store. Units: bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch {
    begin: u64,
    bytes: NonZeroU64,
}

impl Stretch {
    /// Starts writeback of the stretch; the kernel has it already.
    pub fn send(self, store: &DiskFile) {
        platform::write_back(store.file(), self.begin, self.bytes);
    }
}

impl Active {
    /// The stretch to write back once everything before `written` is with the kernel, if
    /// it is large enough; counts as started.
    pub(super) fn take_ahead(&mut self, sync: bool) -> Option<Stretch> {
        let begin = self.ahead;
        let bytes = NonZeroU64::new(self.written.checked_sub(begin)?)?;
        if !sync || bytes.get() < AHEAD_BYTES {
            return None;
        }
        self.ahead = self.written;
        Some(Stretch { begin, bytes })
    }
}
