//! Facts made into text, tables, hex dumps and JSON on a `Write`. Knows no files.

pub mod hex;
pub mod json;
pub mod plan;
pub mod record;
pub mod template;
pub mod text;
