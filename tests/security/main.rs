//! Hostile surroundings: what a system withholds, whom it hides, what others put there;
//! pipes that nobody reads, names that drive a terminal, figures without bounds, signals.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "all of it is test: it changes its own sandbox and fails by panicking"
)]

#[cfg(target_os = "linux")]
mod lacking;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod pipes;
#[cfg(target_os = "linux")]
mod shell;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(target_os = "linux")]
mod sparse;
#[cfg(target_os = "linux")]
mod strays;
#[cfg(target_os = "linux")]
mod terminals;
#[cfg(target_os = "linux")]
mod unseen;
