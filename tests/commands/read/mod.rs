//! `proglog read` from outside: what is printed, what is told, the exit status, and
//! that nothing in the directory changes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    reason = "a test stops at what it does not expect, and damages files on purpose"
)]

mod builder;
mod damage;
mod fixtures;
mod formats;
mod lookups;
mod ranges;
mod search;
