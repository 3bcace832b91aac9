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
mod mend;
mod model;
mod processes;
mod service;

use std::sync::RwLock;

/// Held for reading while files are open, for writing while a process is started: by a test
/// of other processes from its begin to its end. A test that fails poisons it, which says
/// nothing about the others.
static FORKS: RwLock<()> = RwLock::new(());
