//! The log engine: the format of `N.store` and `N.index` files, read without trusting
//! a byte and written so that a crash loses nothing that was acknowledged.
//!
//! From the ground up: `units`, `format`, `record` know the bytes; `window`, `index`,
//! `segment` read them, `live` while other processes write; `walk` and `judge` define
//! what is valid; `reader` reads a log. `commit`, `writer`, `open` write, through
//! `disk` alone. `lock`, `lease` and `processes` detect other processes. Nothing here
//! prints or repairs.

pub(crate) mod between;
pub(crate) mod codec;
mod commit;
pub mod config;
#[doc(hidden)] // for the commands, which make a directory before they lock it
pub mod create;
pub mod damage;
pub mod detect;
pub mod dir;
pub mod directory;
pub mod disk;
pub(crate) mod durable;
pub mod error;
mod evidence;
pub mod follow;
mod footing;
pub mod format;
mod holes;
pub mod index;
pub(crate) mod items;
mod judge;
mod layout;
pub mod lease;
pub mod live;
pub mod lock;
pub mod lookup;
pub mod open;
mod opened;
mod payload;
pub mod platform;
pub mod processes;
mod procfs;
#[doc(hidden)] // for the progress bars of the commands
pub mod progress;
pub mod reader;
mod reason;
pub mod record;
pub mod reverse;
mod seen;
pub mod segment;
#[doc(hidden)] // for the commands and the layers above, which work in parallel
pub mod threads;
mod trailing;
pub mod units;
pub mod walk;
pub mod window;
mod wire;
pub mod writer;
