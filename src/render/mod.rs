//! Facts made into text, tables, hex dumps and JSON on a `Write`. Knows no files.

pub mod plan;
pub mod record;
