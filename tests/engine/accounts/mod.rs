//! Which account of the bytes is right: logs whose index, store or layout is not what it
//! seems, generated together with the truth about them. No intact frame is cut, no
//! record that can be determined is lost, another program's log is not touched.
//!
//! - `indexes`, `services`, `names`, `unfinished`: harmed logs of every kind that was seen, in many
//!   sizes, with the exact `outcome`
//! - `lost`, `forks`: records that are gone but named, segments that reach into each other
//! - `layouts`: healthy logs of other programs, which every writing command leaves alone
//! - `random`: thousands of random damages against a truth worked out from their tags
//!
//! To run one random case alone and keep its directories:
//! `PROGLOG_ACCOUNT_SEED=17 cargo test --test engine accounts::random -- --nocapture`;
//! `PROGLOG_ACCOUNT_CASES` says how many cases are run, `PROGLOG_ACCOUNT_FIRST` from which
//! seed on.

#![expect(
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::little_endian_bytes,
    clippy::unwrap_used,
    reason = "all of it is test: it changes its own sandbox and fails by panicking"
)]

mod damage;
mod engine;
mod forge;
mod forks;
mod indexes;
mod judge;
mod layouts;
mod lost;
mod made;
mod names;
mod outcome;
mod places;
mod random;
mod run;
mod services;
mod unfinished;
