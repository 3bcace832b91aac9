//! The mark of a batch: `commit` has the protocol.

use super::Writer;
use crate::log::commit::{Durable, Mark};
use crate::log::error::Result;
use crate::log::format::{encode_length, encode_marked_length};

impl Writer {
    /// Begins a batch: gives the length of its first frame with the mark, which is made
    /// durable first where that is needed.
    pub(super) fn mark(&mut self, payload_bytes: u64) -> Result<[u8; 8]> {
        let [first_byte, ..] = encode_length(payload_bytes);
        let active = &mut self.active;
        let position = active.end();
        let durable = match active.committed_entries {
            0 => Durable::None,
            _ if active.found => Durable::Unknown,
            _ => Durable::Some,
        };
        if Mark::comes_first(position, durable) {
            Mark::write_first(&*self.disk, &active.store, position)?;
        }
        active.mark = Some(Mark {
            position,
            first_byte,
        });
        Ok(encode_marked_length(payload_bytes))
    }
}
