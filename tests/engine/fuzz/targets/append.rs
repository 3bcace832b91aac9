//! The binary's own modules for the input of an append, which no library holds.
#![expect(dead_code, reason = "what the command alone needs")]

#[path = "../../../../src/commands/append/framing.rs"]
pub mod framing;
#[path = "../../../../src/commands/append/json.rs"]
mod json;
