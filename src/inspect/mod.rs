//! Facts about a directory, strictly read-only.
pub mod finding;
