//! Facts about a directory, strictly read-only: a listing, scans that continue after
//! damage, checks that make findings of both.
//!
//! listing -> scan (walk, tail) -> check -> `Report`. Whatever prints, plans or
//! serialises starts from the report; so do `compare` (two logs) and `manifest` (digests
//! of one, made and compared with it), over the stretches of `coverage`.

pub(crate) mod accounts;
pub mod awaited;
pub(crate) mod check;
mod check_account;
pub(crate) mod check_directory;
pub(crate) mod check_segment;
pub mod compare;
pub mod coverage;
pub mod entries;
pub mod facts;
pub mod finding;
pub mod forecast;
pub mod frames;
mod held;
pub mod listing;
pub mod look;
pub mod manifest;
pub mod overview;
pub mod report;
pub(crate) mod resync;
pub(crate) mod rounds;
pub mod run;
pub mod scan;
pub mod service;
mod settle;
pub mod sizes;
pub mod standing;
pub mod tail;
pub mod usage;
