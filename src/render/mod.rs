//! Facts made into text, tables, hex dumps and JSON on a `Write`. Knows no files.

pub mod cost;
pub mod diff;
pub mod dump;
pub mod dump_index;
pub mod dump_store;
pub mod explain;
pub mod finding_json;
pub mod held;
pub mod hex;
pub mod hexlines;
pub mod info;
pub mod json;
pub mod json_line;
pub mod plan;
pub mod prose;
pub mod quote;
pub mod record;
pub mod remedy;
pub mod salvage;
pub mod service;
pub mod strip;
pub mod template;
pub mod text;
pub mod undo;
pub mod verify;
pub mod words;
