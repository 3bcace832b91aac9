//! The log of *Distributed Services with Go* on disk: read, written, looked into and
//! mended.
//!
//! A log is a directory of segments, each a pair of files: `N.store` holds the
//! records in frames, `N.index` says where each frame begins; N is the offset of the
//! first record. There is no checksum, no lock and no recovery in the format; this
//! crate adds them from outside.
//!
//! - [`log`]: the engine. [`log::reader::LogReader`] reads by offset, and
//!   [`mend::session::Session`] opens a log for appending, with the lock, the leases
//!   and the recovery that make it safe.
//! - [`inspect`]: facts about a directory, however broken, as a
//!   [`Report`](inspect::report::Report). Strictly read-only. Two reports are compared
//!   record by record by [`inspect::compare`]; [`inspect::manifest`] has digests.
//! - [`mend`]: plans made from a report, carried out and taken back.
//!
//! # Examples
//!
//! Append, reopen and read:
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use proglog::log::config::Config;
//! use proglog::log::disk::{Disk, RealDisk};
//! use proglog::log::error::Error;
//! use proglog::log::lock::Wait;
//! use proglog::log::reader::{Item, LogReader};
//! use proglog::log::units::Offset;
//! use proglog::log::writer::NewRecord;
//! use proglog::mend::session::{OpenOptions, Session};
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path();
//! let disk: Arc<dyn Disk> = Arc::new(RealDisk);
//! let mut session = Session::open(path, &OpenOptions::default(), &disk, &|| false)?;
//! let offset = session.append(NewRecord { value: b"hello", ..NewRecord::default() })?;
//! session.commit()?; // on disk from here on
//! assert_eq!(offset, Offset(0));
//! drop(session);
//!
//! let mut log = LogReader::open(path)?;
//! let mut values = Vec::new();
//! let end = log.next_offset()?;
//! let _ = log.read(Offset(0), end, |item| {
//!     if let Item::Record(record) = item {
//!         record.value.pieces(|piece| {
//!             values.extend_from_slice(piece);
//!             Ok::<(), Error>(())
//!         })?;
//!     }
//!     Ok::<_, Error>(ControlFlow::Continue(()))
//! })?;
//! assert_eq!(values, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What this is not: a replacement for the service's gRPC, replication or
//! membership; it knows the directory only.

pub mod inspect;
pub mod log;
pub mod mend;
