//! The log of *Distributed Services with Go* on disk: read, written, inspected and
//! repaired.
//!
//! A log is a directory of segments, each a pair of files: `N.store` holds the
//! records in frames, `N.index` says where each frame begins; N is the offset of the
//! first record. There is no checksum, no lock and no recovery in the format; this
//! crate adds them from outside.
//!
//! # Append, read, check, repair
//!
//! ```
//! use proglog::{Appender, Codec, Reader, Report};
//!
//! # let parent = tempfile::tempdir()?;
//! # let dir = &parent.path().join("log");
//! let mut log = Appender::options().codec(Codec::Raw).max_store_bytes(1 << 20).open(dir)?; // creates it
//! let first = log.append(b"hello")?;
//! log.append_all(["a", "b"])?;
//! log.commit()?; // durable from here on
//! drop(log);
//!
//! let reader = Reader::open(dir)?;
//! for record in reader.records(first..) {
//!     let record = record?; // damage and gaps are errors; the iterator continues after them
//!     println!("{} {}", record.offset(), String::from_utf8_lossy(record.value()));
//! }
//! let newest = reader.records(..).next_back().transpose()?;
//! assert_eq!(newest.unwrap().value(), b"b");
//! let one = reader.get(first)?;
//! assert_eq!(one.unwrap().value(), b"hello");
//! for record in reader.follow(first..).take(3) { // at the end it waits for more
//!     println!("{}", record?.offset());
//! }
//!
//! let report = Report::scan(dir)?;
//! assert!(report.is_clean());
//! let plan = report.plan();
//! assert_eq!(plan.changes().count(), 0);
//! let undo = plan.apply()?; // undo.undo() restores the log as it was
//! # assert!(undo.saved().is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An [`Appender`] holds the log's lock, and recovers what a crash left. A [`Reader`] and a
//! [`Report`] need neither lock nor permission to write. Without default features the crate
//! is the library alone, and compiles no command line.
//!
//! # Errors and findings
//!
//! An [`Error`] is something that stopped the engine: the disk, permissions, another
//! process. A problem of the log itself is not an error but a
//! [`Finding`], and for a reader a [`ReadError::Obstacle`] among the records. No bytes on disk make a
//! function panic, hang or allocate the size that they claim.
//!
//! # The process
//!
//! The kernel tells by `SIGIO` that another process opens a file under a lease: the first
//! [`Appender`], [`Plan::apply`] or [`Undo::undo`] of a process sets a handler for it, which
//! does nothing but end the signal's default action, and calls a handler that was there
//! before. All types are `Send` and `Sync`, but [`Appender`], which is `Send` only.
//!
//! # Versions
//!
//! The crate follows semantic versioning. What is documented on this page and in the items
//! that it lists is the interface; everything else may change in any version. A log that a
//! version writes can be read by all later versions, and by the Go service.
//!
//! # What this is not
//!
//! A replacement for the service's gRPC, replication or membership; it knows the
//! directory only.
//!
//! # Systems
//!
//! Linux; it compiles for macOS and FreeBSD, which do not tell which processes have a file
//! open: there, whatever changes an existing log returns [`Error::UseUnknown`] unless
//! [`AppenderOptions::assume_unused`] or [`Plan::assume_unused`] is set.

mod appender;
mod check;
mod following;
#[doc(hidden)]
pub mod inspect;
#[doc(hidden)]
pub mod log;
#[doc(hidden)]
pub mod mend;
mod records;
#[doc(hidden)]
pub mod scan;

#[doc(inline)]
pub use self::{
    appender::{Appender, AppenderOptions},
    check::{Action, Change, Plan, Report, Undo},
    following::Follow,
    inspect::finding::{Finding, FindingId, OffsetRange, Place, Severity},
    log::codec::{Codec, UnknownCodec},
    log::damage::{Damage, DamageKind},
    log::error::{Error, Result},
    log::format::FileKind,
    log::items::Obstacle,
    log::processes::Unseen,
    log::units::{Offset, Position},
    records::{ReadError, Reader, Record, Records},
};
