//! The log engine.
pub mod config;
pub mod damage;
pub mod detect;
pub mod directory;
pub mod disk;
pub mod error;
pub mod format;
pub mod index;
mod judge;
pub mod lock;
pub mod open;
pub mod reader;
pub mod record;
pub mod segment;
pub mod units;
pub mod walk;
pub mod window;
pub mod writer;
