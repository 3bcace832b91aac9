//! Mending under conditions that no fixture shows: random damage, other processes that
//! have the log open, another owner, disks that are full or read-only.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "all of it is test: it changes its own sandbox and fails by panicking"
)]

mod coming;
mod crashed;
mod cut_short;
mod disk;
mod library;
mod mounted;
mod others;
mod owner;
mod plain_disk;
mod random;
mod replica;
mod salvage;
mod second_look;
mod swapped;

use std::path::Path;

use proglog_testkit::{Said, proglog, said};

/// Runs the binary in a directory.
fn run(directory: &Path, arguments: &[&str]) -> Said {
    let output = proglog().current_dir(directory).args(arguments).output();
    said(output.unwrap())
}
