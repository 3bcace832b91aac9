//! By what a follower sees that a log has changed, at the cost of a few `stat`.

use super::dir::FileStatus;
use super::directory::SegmentNames;

/// Everything by which it is seen that there may be more to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub directory: Mark,
    /// The segments, if the modification time of the directory is not enough.
    pub names: Option<Vec<SegmentNames>>,
    /// The segment that holds the next record, and the last one.
    pub files: Vec<Mark>,
    /// The entry of the next record: a mapped file changes without a sign.
    pub next_entry: Option<[u8; 12]>,
}

impl Seen {
    /// Whether this is what an append makes of `before`.
    pub fn only_grew(&self, before: &Self) -> bool {
        let bytes = |mark: &Mark| mark.map_or(0, |(_, bytes, _)| bytes);
        let names = |seen: &Self| seen.names.as_ref().map(Vec::len);
        let mut pairs = self.files.iter().zip(&before.files);
        let grew = self.files.len() > before.files.len()
            || self.next_entry != before.next_entry
            || pairs
                .clone()
                .any(|(now, before)| bytes(now) > bytes(before));
        let fewer = match (names(self), names(before)) {
            (Some(now), Some(before)) => now < before,
            _ => false,
        };
        grew && !fewer && pairs.all(|(now, before)| bytes(now) >= bytes(before))
    }
}

/// Metadata of a file: inode, size, and time of the last change. `None` if it does not
/// exist.
pub(super) type Mark = Option<(u64, u64, (i64, u32))>;

pub(super) fn mark(status: &FileStatus) -> (u64, u64, (i64, u32)) {
    (status.identity().inode, status.len(), status.modified_at())
}
