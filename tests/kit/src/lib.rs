//! What proglog's integration tests share. Nothing here uses the product's code: logs
//! are made, damaged and read by other means, so that the two can be compared.
//!
//! - [`Sandbox`]: a directory of a test's own with a log in it, and the verbs that damage it
//! - [`Snapshot`]: all that can be seen of a directory, to show that looking changes nothing
//! - [`Truth`]: what is known about a case of `fixtures/`
//! - [`LogBuilder`], [`frame`], [`entry`], [`pb`]: the bytes of made-up logs
//! - [`whole_records`], [`frames`]: the oracle, which reads a log as naively as can be
//! - [`transcript`]: what a command says to a case, word for word
//! - [`proglog`]: the binary, with an environment that is the same everywhere; [`run`], [`said`],
//!   [`json`]: what came of a run
//! - [`Life`], [`Append`], [`Running`]: a log under appends that are cut short
//! - [`Service`]: writes a log as the Go service does, while others read it
//! - [`nobody_can_tell`]: what the program does where it cannot be known who writes
//! - [`variable`]: how much a test is told to do; [`report`]: what it did, said in any run; [`memory_directory`]: where it is quick

mod append;
mod binary;
mod builder;
mod counts;
mod damage;
mod life;
mod memory;
mod oracle;
mod said;
mod sandbox;
mod service;
mod snapshot;
mod transcript;
mod truth;
mod unseen;

pub use append::{Append, Ended, Running};
pub use binary::{heed_signals, proglog};
pub use builder::{Codec, LogBuilder, Record, entry, frame, pb};
pub use counts::{report, variable};
pub use life::{Life, choose};
pub use memory::memory_directory;
pub use oracle::{frames, whole_records};
pub use said::{Said, json, of_kind, run, said};
pub use sandbox::Sandbox;
pub use service::{Service, ServiceSegment};
pub use snapshot::{Entry, Snapshot};
pub use transcript::transcript;
pub use truth::{Truth, cases, truth};
pub use unseen::{WRITING, nobody_can_tell, run_in};
