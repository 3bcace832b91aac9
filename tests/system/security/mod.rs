//! What other users can make this program do: nothing that they could not do themselves.
//! Each attack is tried as root with a second user, and ends with status 2, a message, and
//! the victim's files as they were. And hostile surroundings: what a system withholds, whom
//! it hides, what others put there; pipes that nobody reads, names that drive a terminal,
//! figures without bounds, signals.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::little_endian_bytes,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "all of it is test: it changes its own sandbox, says what it skips, and fails by panicking"
)]

mod cursor;
#[cfg(target_os = "linux")]
mod lacking;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod mounts;
mod owners;
#[cfg(target_os = "linux")]
mod pipes;
mod places;
mod saved;
#[cfg(target_os = "linux")]
mod shell;
#[cfg(target_os = "linux")]
mod signals;
#[cfg(target_os = "linux")]
mod sparse;
#[cfg(target_os = "linux")]
mod strays;
mod swapped;
#[cfg(target_os = "linux")]
mod terminals;
mod trust;
#[cfg(target_os = "linux")]
mod unseen;
mod world;
