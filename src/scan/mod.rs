//! What the bytes of one segment are, where its index and its store disagree: the
//! account that explains both files with the fewest faults.
//!
//! A segment whose index is right needs none of this; `log::walk` reads it. `account`
//! compares all readings of the bytes at once: the index as it is, the index in
//! [`sections`], no index at all. `cost` states what a fault costs, in one place;
//! `candidates` finds every place where a frame may begin; `path` finds the cheapest way
//! through the store; `number_raw` and `number_protobuf` say which offsets its frames
//! have; `verdict` says what a repair may write and cut, and what a person decides.

pub mod account;
mod bytes;
mod candidates;
mod chain;
pub mod codec;
mod cost;
mod evidence;
mod frames;
pub(crate) mod image;
pub mod layouts;
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
