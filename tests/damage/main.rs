//! Damage of every sort, done to small logs: each flipped bit and each truncation,
//! several at once, and bytes that no log ever held. Whatever is there, verify and
//! the readers end soon, in bounded memory, say the same, and hand out no record
//! that was never written.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it makes files behind the product's back, and says what it tried"
)]

mod flips;
mod hostile;
mod logs;
mod memory;
mod parts;
mod several;
mod states;
mod truncations;
mod unreadable;
