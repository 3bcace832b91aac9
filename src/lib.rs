//! The log of *Distributed Services with Go* on disk: read, written, inspected and
//! repaired.
//!
//! A log is a directory of segments, each a pair of files: `N.store` holds the
//! records in frames, `N.index` says where each frame begins; N is the offset of the
//! first record. There is no checksum, no lock and no recovery in the format; this
//! crate adds them from outside.
//!
//! # Append, reopen, read
//!
//! A [`Session`] is a log that is open for appending: under its lock, recovered if a
//! crash left it in need of recovery. What was appended is on disk when
//! [`Session::commit`] returns. A [`LogReader`] needs neither lock nor permission to
//! write.
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::sync::Arc;
//!
//! use proglog::{Disk, Error, Item, LogReader, NewRecord, Offset, OpenOptions, RealDisk};
//! use proglog::{Report, Session};
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path();
//! let disk: Arc<dyn Disk> = Arc::new(RealDisk);
//! let not_interrupted = || false;
//!
//! // An empty or missing directory becomes a new log.
//! let mut session = Session::open(path, &OpenOptions::default(), &disk, &not_interrupted)?;
//! let first = session.append(NewRecord { value: b"hello", ..NewRecord::default() })?;
//! session.commit()?; // on disk from here on
//! assert_eq!(first, Offset(0));
//! drop(session); // lets the log go
//!
//! // It continues where it ended.
//! let mut session = Session::open(path, &OpenOptions::default(), &disk, &not_interrupted)?;
//! let second = session.append(NewRecord { value: b"world", ..NewRecord::default() })?;
//! session.commit()?;
//! assert_eq!(second, Offset(1));
//! drop(session);
//!
//! let mut log = LogReader::open(path)?;
//! let (from, end) = (log.lowest_offset(), log.next_offset()?);
//! let mut values = Vec::new();
//! let _ = log.read(from, end, |item| {
//!     match item {
//!         Item::Record(record) => values.push(record.value.to_vec()?),
//!         Item::Obstacle { obstacle, first, .. } => panic!("{first}: {obstacle:?}"),
//!     }
//!     Ok::<_, Error>(ControlFlow::Continue(()))
//! })?;
//! assert_eq!(values, [b"hello", b"world"]);
//!
//! // Nothing is wrong with it, or each thing that is has a name and a place.
//! let report = Report::of(path, &Default::default())?;
//! assert!(report.is_clean(), "{:?}", report.findings);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//!
//! They import each other in this order only, so that they can be read in it:
//!
//! 1. [`log`], the engine: the bytes ([`log::format`], [`log::record`]), the definition
//!    of valid ([`log::walk`]), reading ([`log::reader`]), writing ([`log::writer`]),
//!    other processes ([`log::lock`], [`log::lease`], [`log::processes`]).
//! 2. [`scan`], the interpretation of the bytes of a segment: the account that needs the
//!    fewest faults, layouts of other programs, unfinished batches.
//! 3. [`inspect`], facts about a directory, however damaged, as a [`Report`]: segments,
//!    findings, a forecast of the Go service. Strictly read-only. [`inspect::compare`]
//!    compares two reports record by record; [`inspect::manifest`] computes digests.
//! 4. [`mend`], plans made from a report, carried out and undone ([`mend::plan`],
//!    [`mend::apply`], [`mend::undo`]), and the [`Session`], which recovers before it
//!    appends.
//!
//! Commands, words and JSON are the program's and not in here.
//!
//! # Errors and findings
//!
//! An [`Error`] is something that stopped the engine: the disk, permissions, another
//! process. A problem of the log itself is not an error but a
//! [`Finding`](inspect::finding::Finding), and for a reader an
//! [`Obstacle`](log::reader::Obstacle) among the records. No bytes on disk make a
//! function panic, hang or allocate the size that they claim.
//!
//! # What this is not
//!
//! A replacement for the service's gRPC, replication or membership; it knows the
//! directory only. Linux only.

pub mod inspect;
pub mod log;
pub mod mend;
pub mod scan;

#[doc(no_inline)]
pub use self::{
    inspect::report::Report,
    log::config::Config,
    log::disk::{Disk, RealDisk},
    log::error::{Error, Result},
    log::reader::{Item, LogReader, RecordView},
    log::record::Codec,
    log::units::{Offset, Position},
    log::writer::NewRecord,
    mend::session::{OpenOptions, Session},
};
