//! What the end of a store lacks, where a writer may have it in its buffer.

use super::finding::{Detail, Finding, Severity};
use super::usage::Buffered;

/// Bytes that a writer may have in its buffer, and not in the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub by: Buffered,
    pub bytes: u64,
}

impl Held {
    /// The finding that the end of a store is missing, where it may be in a buffer.
    pub fn explain(held: Option<Self>, mut finding: Finding) -> Finding {
        match held {
            Some(Self {
                by: Buffered::Live,
                bytes,
            }) => {
                finding.severity = Severity::Note;
                finding.detail = Detail::InWritersBuffer { bytes };
            }
            Some(_) => finding.use_unknown = true,
            None => {}
        }
        finding
    }
}
