//! The log engine.
pub mod format;
pub mod units;
