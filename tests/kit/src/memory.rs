//! A place for tests that make thousands of files: in memory where the system has one
//! for everybody, so that a sync costs nothing.

use std::path::Path;

use tempfile::TempDir;

/// A directory that goes with its value, in memory if that is possible.
#[must_use]
pub fn memory_directory() -> TempDir {
    let builder = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix("proglog-test-");
        builder
    };
    let shared = Path::new("/dev/shm");
    builder()
        .tempdir_in(shared)
        .or_else(|_| builder().tempdir())
        .expect("a temporary directory")
}
