//! Facts about a directory, strictly read-only.
