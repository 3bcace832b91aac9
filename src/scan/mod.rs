//! Which account of a segment's bytes is the best one. Strictly read-only.

pub mod layouts;
