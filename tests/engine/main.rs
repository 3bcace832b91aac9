//! The engine in process, through the library.
//!
//! Locks and leases belong to a descriptor, and a child has a copy of each descriptor of this
//! process until it has become its program. So no test here starts a process while another
//! one has files open: see [`FORKS`].

mod accounts;
mod codec;
mod crash;
mod findings;
mod fuzz;
mod library;
mod mend;
mod model;
#[cfg(proglog_portable)]
mod portable;
// The portable twin sees no process.
#[cfg(not(proglog_portable))]
mod processes;
mod service;

use std::sync::RwLock;
use std::time::Duration;

use proglog::log::lock::Wait;
use proglog::mend::exclusive::Others;

/// Held for reading while files are open, for writing while a process is started: by a test
/// of other processes from its begin to its end. A test that fails poisons it, which says
/// nothing about the others.
static FORKS: RwLock<()> = RwLock::new(());

/// Nobody is waited for: nobody else is there, whether the system tells or not.
fn others() -> Others<'static> {
    Others {
        wait: Wait::AtMost(Duration::ZERO),
        assume_unused: true,
        interrupted: &|| false,
    }
}
