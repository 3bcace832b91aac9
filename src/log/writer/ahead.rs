//! Frames on their way to the disk before the sync that waits for them, so that it has
//! little left to wait for. Nothing is promised of what is written ahead: frames may
//! reach the disk at any time, for no entry names them yet.

use std::num::NonZeroU64;

use rustix::fs::{Advice, fadvise};

use super::Writer;

/// Frames that are sent on their way together. Units: bytes.
const AHEAD_BYTES: u64 = 8 * 1024 * 1024;

impl Writer {
    /// Sends on their way the frames that the kernel has, where they are enough.
    pub(super) fn write_ahead(&mut self) {
        let active = &mut self.active;
        let Some(bytes) = active.written.checked_sub(active.ahead) else {
            return;
        };
        if !self.sync || bytes < AHEAD_BYTES {
            return;
        }
        // To say that bytes will not be needed again begins to write them. Those that
        // are not on the disk yet stay in memory; a kernel that does nothing of it
        // leaves more to the sync.
        let file = active.store.file();
        let _ = fadvise(file, active.ahead, NonZeroU64::new(bytes), Advice::DontNeed);
        active.ahead = active.written;
    }
}
