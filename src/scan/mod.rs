//! Scans of one segment: what the bytes of its two files are.

pub mod unfinished;
