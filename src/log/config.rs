//! The settings of a log: its limits, its first offset, its codec.

use super::codec::Codec;
use super::error::{Error, Result};
use super::format::ENTRY_BYTES;
use super::units::Offset;

/// The store's limit of a new log. Units: bytes.
pub const MAX_STORE_BYTES_DEFAULT: u64 = 1 << 30;

/// The index's limit of a new log. Units: bytes; rounded down to complete entries.
pub const MAX_INDEX_BYTES_DEFAULT: u64 = 128 << 20;

/// How a log is written. What is `None` is taken from the log, or, in a new one,
/// from the defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Config {
    /// A store of this size is full; the record that reaches it is its last. Bytes.
    pub max_store_bytes: Option<u64>,
    /// An index never exceeds this size. Bytes.
    pub max_index_bytes: Option<u64>,
    /// The offset of the first record of a new log.
    pub initial_offset: Option<Offset>,
    /// How payloads are made.
    pub codec: Option<Codec>,
    /// Whether syncs within a segment are left out.
    pub no_sync: bool,
}

impl Config {
    /// Whether every setting makes sense by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for an index limit that holds no entry, or a store limit
    /// of 0.
    pub fn check(&self) -> Result<()> {
        if let Some(bytes) = self.max_index_bytes
            && bytes < ENTRY_BYTES
        {
            return Err(Error::Config(format!(
                "an index of at most {bytes} bytes cannot hold an entry; the minimum is \
                 {ENTRY_BYTES}"
            )));
        }
        if self.max_store_bytes == Some(0) {
            return Err(Error::Config(
                "a store of at most 0 bytes cannot hold a record; the minimum is 1".into(),
            ));
        }
        Ok(())
    }
}

/// The limits that are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// A store of this size is full. Bytes.
    pub max_store_bytes: u64,
    /// An index without room for one more entry below this size is full. Bytes.
    pub max_index_bytes: u64,
}

impl Limits {
    /// Whether a segment of these sizes takes no further record.
    #[must_use]
    pub fn is_full(&self, store_bytes: u64, entries: u64) -> bool {
        let index_bytes = entries.saturating_mul(ENTRY_BYTES);
        store_bytes >= self.max_store_bytes
            || index_bytes.saturating_add(ENTRY_BYTES) > self.max_index_bytes
            || entries >= super::format::SEGMENT_ENTRIES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_full_when_no_whole_entry_fits() {
        let limits = Limits {
            max_store_bytes: 1000,
            max_index_bytes: 1024,
        };
        assert!(!limits.is_full(999, 84));
        assert!(limits.is_full(999, 85));
        assert!(limits.is_full(1000, 1));
    }

    #[test]
    fn settings_that_cannot_be() {
        let config = Config {
            max_index_bytes: Some(11),
            ..Config::default()
        };
        assert!(config.check().is_err());
        assert!(Config::default().check().is_ok());
    }
}
