//! Interprets the bytes of one segment if its index and its store disagree: finds the
//! account that explains both files with the fewest faults.
//!
//! A segment whose index is right needs none of this; `log::walk` reads it. `account`
//! compares all readings of the bytes at once: the index as it is, the index in
//! [`sections`], no index at all. Faults that are far from each other are judged one by one
//! (`apart`), and entries that are all displaced alike are put in place first (`displaced`).
//! `cost` states the cost of each fault, in one place;
//! `candidates` finds every place where a frame may begin; `path` finds the cheapest path
//! through the store; `number_raw` and `number_protobuf` assign offsets to its frames;
//! `verdict` decides what a repair may write and cut, and what needs a decision by a
//! person.

pub mod account;
mod apart;
mod bytes;
mod candidates;
mod chain;
pub mod codec;
pub(crate) mod cost;
mod displaced;
mod evidence;
mod frames;
pub(crate) mod image;
mod interpret;
pub mod layouts;
mod lives;
mod number_protobuf;
mod number_raw;
mod path;
pub(crate) mod reading;
pub mod sections;
mod segment;
mod tail;
#[cfg(test)]
mod tests;
pub mod unfinished;
mod verdict;
mod writes;
