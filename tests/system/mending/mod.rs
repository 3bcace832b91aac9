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
use std::process::Output;

use proglog_testkit::proglog;

/// A run of the binary: its status, stdout, stderr.
fn run(directory: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = proglog().current_dir(directory).args(arguments).output();
    said(&output.unwrap())
}

fn said(output: &Output) -> (i32, String, String) {
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8(output.stdout.clone()).unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}
