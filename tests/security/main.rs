//! What other users can make this program do: nothing that they could not do themselves.
//! Each attack is tried as root with a second user, and ends with status 2, a message, and
//! the victim's files as they were.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::little_endian_bytes,
    clippy::print_stderr,
    reason = "all of it is test: it changes its own sandbox, says what it skips, and fails by panicking"
)]

mod cursor;
mod owners;
mod saved;
mod swapped;
mod world;
