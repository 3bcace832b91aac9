//! Opens a log for appending: the conditions before the first byte is written. A log that
//! does not end as a clean commit leaves it is refused here; `mend` repairs it under the
//! same lock.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use super::config::{Config, Limits, MAX_INDEX_BYTES_DEFAULT, MAX_STORE_BYTES_DEFAULT};
use super::create::{Tail, create_pair};
use super::damage::Damage;
use super::detect;
use super::dir::FileStatus;
use super::directory::{Directory, SegmentNames};
use super::disk::{Disk, DiskFile};
use super::error::{Error, Result};
use super::format::{ENTRY_BYTES, FileKind, NameStyle};
use super::lock::DirectoryLock;
use super::record::Codec;
use super::segment::Segment;
use super::units::Offset;
use super::walk::{Flow, Visitor};
use super::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES};
use super::writer::{COMMIT_INDEX_BYTES, Writer};

/// Opens the log in the locked directory for appending, or makes one where it is
/// empty.
///
/// # Errors
///
/// [`Error::NeedsRecovery`] where the log does not end as a clean commit leaves it,
/// [`Error::CannotAppend`] where two segments claim the same offsets,
/// [`Error::CodecContradicts`], [`Error::CodecUnknown`], [`Error::NotEmpty`],
/// [`Error::Config`], [`Error::Io`].
pub fn open(lock: &DirectoryLock, config: &Config, disk: &Arc<dyn Disk>) -> Result<Writer> {
    config.check()?;
    let directory = Directory::list_in(lock.dir())?;
    let Some(last) = directory.segments.last() else {
        return create(&directory, config, disk);
    };
    check_initial_offset(&directory, config)?;
    let codec = settle_codec(&directory, config)?;
    let limits = match (config.max_store_bytes, config.max_index_bytes) {
        // A log of many segments is not inspected for known values.
        (Some(_), Some(_)) => limits(ShownLimits::default(), config),
        _ => limits(shown_limits(&directory)?, config),
    };
    for kind in [FileKind::Store, FileKind::Index] {
        check_file(&directory, last, kind)?;
    }
    let open = |kind| {
        let path = directory.file(last, kind);
        disk.open(&path).map_err(Error::io("open", &path))
    };
    let (store, index) = (open(FileKind::Store)?, open(FileKind::Index)?);
    require_two_files(&store, &index)?;
    check_earlier_segments(&directory)?;
    let segment = Segment {
        base: last.base,
        store: readable(&store)?,
        index: readable(&index)?,
        entries: None,
        next_base: None,
    };
    let entries = check_tail(&segment, codec, &directory.path)?;
    let tail = Tail {
        base: last.base,
        store_bytes: segment.store.file_bytes,
        entries,
        store,
        index,
        found: true,
    };
    let sync = !config.no_sync;
    Ok(Writer::new(
        Arc::clone(disk),
        &directory.dir,
        codec,
        limits,
        sync,
        tail,
    ))
}

/// Makes the first segment of a new log.
fn create(directory: &Directory, config: &Config, disk: &Arc<dyn Disk>) -> Result<Writer> {
    if let Some(name) = directory.strays.first() {
        return Err(Error::NotEmpty {
            path: directory.path.clone(),
            name: name.into(),
        });
    }
    let base = config.initial_offset.unwrap_or_default();
    let tail = create_pair(
        &**disk,
        &directory.dir,
        (NameStyle::Plain, base),
        [None, None],
    )?;
    Ok(Writer::new(
        Arc::clone(disk),
        &directory.dir,
        config.codec.unwrap_or(Codec::Raw),
        limits(ShownLimits::default(), config),
        !config.no_sync,
        tail,
    ))
}

fn check_initial_offset(directory: &Directory, config: &Config) -> Result<()> {
    let lowest = directory.segments.first().map(|first| first.base);
    match (config.initial_offset, lowest) {
        (Some(asked), Some(lowest)) if asked != lowest => Err(Error::Config(format!(
            "initial offset {asked}: the log exists and begins at {lowest}"
        ))),
        _ => Ok(()),
    }
}

/// The codec of the log: that of its records, compared with the requested one.
/// Uncommitted bytes contradict nothing: the first append may have been interrupted.
///
/// # Errors
///
/// [`Error::CodecContradicts`], [`Error::CodecUnknown`], or as [`detect::detect`].
pub fn settle_codec(directory: &Directory, config: &Config) -> Result<Codec> {
    let found = detect::judge(directory)?.filter(|found| found.certain);
    match (found.map(|found| found.codec), config.codec) {
        (Some(found), Some(asked)) if found != asked => Err(Error::CodecContradicts {
            path: directory.path.clone(),
            found,
            asked,
        }),
        (Some(codec), _) | (None, Some(codec)) => Ok(codec),
        (None, None) => Err(Error::CodecUnknown {
            path: directory.path.clone(),
        }),
    }
}

/// The limits that a log is written with: as asked, else as the log shows them, else
/// the defaults.
#[must_use]
pub fn limits(shown: ShownLimits, config: &Config) -> Limits {
    let index = config.max_index_bytes.or(shown.max_index_bytes);
    let store = config.max_store_bytes.or(shown.max_store_bytes);
    Limits {
        max_store_bytes: store.unwrap_or(MAX_STORE_BYTES_DEFAULT),
        max_index_bytes: index.unwrap_or(MAX_INDEX_BYTES_DEFAULT),
    }
}

/// The limits that a log shows to have been written with. Units: bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShownLimits {
    /// The largest sealed store.
    pub max_store_bytes: Option<u64>,
    /// The size of a padded index, else of the largest sealed one.
    pub max_index_bytes: Option<u64>,
}

/// The limits that a log shows.
///
/// # Errors
///
/// [`Error::Io`], [`Error::Unreadable`].
pub fn shown_limits(directory: &Directory) -> Result<ShownLimits> {
    let mut shown = ShownLimits::default();
    let bytes = |names: &SegmentNames, kind| {
        let metadata = directory.file(names, kind).metadata().ok();
        metadata
            .filter(FileStatus::is_file)
            .map(|metadata| metadata.len())
    };
    if let Some((last, sealed)) = directory.segments.split_last() {
        for names in sealed {
            let (store, index) = (bytes(names, FileKind::Store), bytes(names, FileKind::Index));
            shown.max_store_bytes = shown.max_store_bytes.max(store);
            shown.max_index_bytes = shown.max_index_bytes.max(index);
        }
        shown.max_store_bytes = shown.max_store_bytes.filter(|bytes| *bytes > 0);
        shown.max_index_bytes = shown.max_index_bytes.filter(|bytes| *bytes >= ENTRY_BYTES);
        if let Ok(segment) = Segment::open(directory, last) {
            let padded = segment.index.file_bytes;
            if segment.bisect_entries(None)? * ENTRY_BYTES + ENTRY_BYTES <= padded {
                shown.max_index_bytes = Some(padded);
            }
        }
    }
    Ok(shown)
}

/// Whether one half of the active segment is a file that may be written.
fn check_file(directory: &Directory, names: &SegmentNames, kind: FileKind) -> Result<()> {
    let path = directory.file(names, kind);
    let metadata = match path.link_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NeedsRecovery {
                path: directory.path.clone(),
                why: format!("{} is missing", display_name(&path)),
            });
        }
        Err(error) => return Err(Error::io("access", &path)(error)),
    };
    if metadata.is_symlink() {
        return Err(Error::SymbolicLink {
            path: path.to_path_buf(),
        });
    }
    if !metadata.is_file() {
        return Err(Error::not_a_file(&path, metadata.is_dir()));
    }
    Ok(())
}

/// A hard link would make one file of the two.
fn require_two_files(store: &DiskFile, index: &DiskFile) -> Result<()> {
    let identity = |file: &DiskFile| {
        let status = FileStatus::of(file.file()).map_err(Error::io("access", file.path()));
        status.map(|status| status.identity())
    };
    if identity(store)? == identity(index)? {
        return Err(Error::SharedFile {
            path: index.path().to_path_buf(),
            other: store.path().to_path_buf(),
        });
    }
    Ok(())
}

fn readable(file: &DiskFile) -> Result<ReadFile> {
    let path = file.path();
    let clone = file.file().try_clone().map_err(Error::io("read", path))?;
    ReadFile::of(clone, path)
}

/// Whether no earlier segment claims an offset of the segment after it. Told by the
/// index's size where that is enough, so that few files are opened.
///
/// # Errors
///
/// [`Error::CannotAppend`] where one does.
pub(crate) fn check_earlier_segments(directory: &Directory) -> Result<()> {
    for pair in directory.segments.windows(2) {
        let [names, next] = pair else { continue };
        let path = directory.file(names, FileKind::Index);
        let room = next.base.since(names.base);
        let Ok(metadata) = path.metadata() else {
            continue;
        };
        if !metadata.is_file() || metadata.len() / ENTRY_BYTES <= room {
            continue;
        }
        let mut index =
            ReadFile::open(&path).map(|file| super::index::Index::of(file, LOOKUP_BYTES))?;
        if index.bisect_end()?.max(index.named_end()?) > room {
            return Err(Error::CannotAppend {
                path: directory.path.clone(),
                why: format!(
                    "segments {} and {} both claim offset {}",
                    names.base, next.base, next.base
                ),
            });
        }
    }
    Ok(())
}

/// Whether the segment ends as a clean commit leaves it; returns its entries. Inspects
/// the entries that one commit can have written.
fn check_tail(segment: &Segment, codec: Codec, path: &Path) -> Result<u64> {
    let unclean = |why: String| Error::NeedsRecovery {
        path: path.to_path_buf(),
        why,
    };
    let index_bytes = segment.index.file_bytes;
    let entries = segment.count_entries(Some(codec))?;
    let name = |file: &ReadFile| display_name(file.path());
    if entries * ENTRY_BYTES != index_bytes {
        return Err(unclean(format!(
            "{} has {} bytes after its last entry",
            name(&segment.index),
            index_bytes - entries * ENTRY_BYTES
        )));
    }
    if segment.base.0.checked_add(entries).is_none() && entries > 0 {
        // The last offset may be 2^64 - 1, so that base plus entries is 2^64.
        let last = segment.base.0.checked_add(entries - 1);
        if last.is_none() {
            return Err(unclean("its offsets go past 2^64 - 1".to_owned()));
        }
    }
    let mut walk = segment.walk(codec, entries, STREAM_BYTES);
    let in_one_commit = COMMIT_INDEX_BYTES as u64 / ENTRY_BYTES;
    walk.seek(entries.saturating_sub(in_one_commit))?;
    let mut first = FirstDamage::default();
    let _ = walk.run(entries, &mut first)?;
    if let Some(damage) = first.damage {
        let offset = Offset(segment.base.0.saturating_add(damage.first_slot));
        return Err(unclean(format!("offset {offset}: {damage}")));
    }
    let end = walk.end().0;
    if end != segment.store.file_bytes {
        return Err(unclean(format!(
            "{} has {} bytes after its last committed frame",
            name(&segment.store),
            segment.store.file_bytes - end
        )));
    }
    Ok(entries)
}

/// Stops a walk at the first damage.
#[derive(Default)]
struct FirstDamage {
    damage: Option<Damage>,
}

impl Visitor for FirstDamage {
    const PAYLOADS: bool = false;

    fn damage(&mut self, damage: Damage) -> Result<Flow> {
        self.damage = Some(damage);
        Ok(ControlFlow::Break(()))
    }
}

/// The last part of a path, for messages.
fn display_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.display().to_string())
        .unwrap_or_default()
}
