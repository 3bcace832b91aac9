//! The program as a user meets it: what each command prints, how it ends, and what it leaves
//! on disk. Every test runs the binary in a directory of its own.

mod append;
mod cli;
mod closed;
mod copies;
mod dump;
mod dump_damage;
mod examples;
mod explain;
mod follow;
mod help;
mod info;
mod json;
mod kit;
mod layouts;
mod lost;
mod names;
mod prune;
mod read;
mod readme;
mod redact;
mod repair;
mod repair_replica;
mod salvage;
mod salvage_disk;
mod terminal;
mod transcripts;
mod trim;
mod truncate_index;
mod undo;
mod verify;
mod without_browse;
mod without_nats;
