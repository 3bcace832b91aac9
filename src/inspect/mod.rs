//! Facts about a directory, strictly read-only: a listing, scans that go on behind
//! damage, checks that make findings of both.
//!
//! listing -> scan (walk, tail) -> check -> `Report`. Whatever prints, plans or
//! serialises starts from the report.

pub mod check;
pub mod check_directory;
mod check_segment;
pub mod entries;
pub mod finding;
pub mod frames;
pub mod listing;
pub mod outlook;
pub mod overview;
pub mod report;
pub mod scan;
pub mod service;
pub mod sizes;
pub mod tail;
pub mod usage;
