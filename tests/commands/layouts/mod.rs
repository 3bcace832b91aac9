//! Other programs' layouts: healthy logs of each are recognised, logs of ours never are,
//! however damaged, and no command changes a byte of the former.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "it makes files behind the product's back"
)]

mod commands;
mod damaged;
mod healthy;
mod made;
mod unknown;
