//! What a crash leaves, tried: everything that changes the disk is recorded, every
//! state that a crash may leave of it is built, and each must keep what the README
//! promises. Then mistakes are made on purpose, and must be noticed; and each single
//! call to the disk fails once.
//!
//! - `recorder`: a disk that keeps what passes; `states`: which states a crash may
//!   leave of that; `tree`: a state in memory; `lab`: where states are looked at
//! - `appending`, `append_checks`: appends, and what must hold of them; `mending`:
//!   repair, trim, undo; `redacting`: redact; `pruning`:
//!   undo --prune; `scenarios`: what is tried; `reading`: logs as tests see them
//! - `commit`: which operations a commit makes
//! - `mistakes`: what must be noticed; `faults`: a disk that fails; `store_thread`: one
//!   that fails while frames are written beside the writer
//! - `honest`: what is recorded is what the real binary does
//!
//! `PROGLOG_CRASH_SCALE=10` tries about ten times as much as 1 does: longer scripts, more
//! subsets, more second crashes. A violation is one line, the scenario and the state:
//!
//! ```text
//! killed/raw/killed-7 / 17-12,14~15.4z: the log lacks acknowledged records: ...
//! ```
//!
//! `PROGLOG_CRASH_REPLAY='killed/raw/killed-7 / 17-12,14~15.4z'` looks at that state
//! alone: what stands before the message, as it is printed. (17 operations were begun; 12
//! and 14 did not come to the disk, of 15 the first 4 bytes did, then zeros: see
//! `states`.)
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot go on has failed, and says what it did"
)]

mod append_checks;
mod appending;
mod commit;
mod faults;
mod honest;
mod lab;
mod mending;
mod mistakes;
mod pruning;
mod reading;
mod recorder;
mod redacting;
mod scenarios;
mod states;
mod store_thread;
mod tree;

use std::time::Instant;

use lab::{Lab, scaled};

/// Distinct states of a run at scale 1, at least.
const STATES_MIN: usize = 50_000;

#[test]
fn no_crash_breaks_the_promise() {
    let _no_forks = crate::FORKS.read();
    let began = Instant::now();
    let lab = Lab::new();
    lab.run(scenarios::all(&lab));
    let states = lab.tell(began);
    let violations = lab.violations();
    lab.tell_violations();
    assert!(
        violations.is_empty(),
        "{} violations; the first: {}",
        violations.len(),
        violations[0]
    );
    let states_min = scaled(lab.scale.min(1.0), STATES_MIN);
    assert!(lab.is_replay() || states >= states_min, "{states} states");
}
