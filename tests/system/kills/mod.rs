//! The real binary, cut short: `kill -9` at random, disks that are full, files that may
//! not grow, system calls that fail.
//!
//! - `appends`: killed appends, one after the other to the same log; `mends`: killed
//!   repair, undo, trim, truncate-index of damaged logs; `lots`: how both are repeated
//! - `injected`: one system call of each kind fails, by `strace`
//! - `full`: no space (a small tmpfs, where root may mount one), `prlimit --fsize`
//!
//! `PROGLOG_KILLS=100000 cargo test --test system kills::` kills so often. Each log has a seed of
//! its own, which a failure prints: `PROGLOG_TEST_SEED=17` makes that log alone (the
//! moments of the kills cannot be repeated: it is tried many times).
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "all of it is test: it changes its own sandbox and fails by panicking"
)]

mod appends;
mod cases;
mod damaged;
mod full;
mod injected;
mod lots;
mod mends;
