//! What proglog's integration tests share. Nothing here uses the product's code: logs
//! are made, damaged and read by other means, so that the two can be compared.
//!
//! - [`Sandbox`]: a directory of a test's own with a log in it, and the verbs that damage it
//! - [`Snapshot`]: all that can be seen of a directory, to show that looking changes nothing
//! - [`Truth`]: what is known about a case of `fixtures/`
//! - [`LogBuilder`], [`frame`], [`entry`], [`pb`]: the bytes of made-up logs
//! - [`whole_records`], [`frames`]: the oracle, which reads a log as naively as can be
//! - [`transcript`]: what a command says to a case, word for word
//! - [`proglog`]: the binary, with an environment that is the same everywhere

mod binary;
mod builder;
mod damage;
mod oracle;
mod sandbox;
mod snapshot;
mod transcript;
mod truth;

pub use binary::proglog;
pub use builder::{Codec, LogBuilder, Record, entry, frame, pb};
pub use oracle::{frames, whole_records};
pub use sandbox::Sandbox;
pub use snapshot::{Entry, Snapshot};
pub use transcript::transcript;
pub use truth::{Truth, cases, truth};
