//! Writes the salvaged records: the new log, the side log, and the note that lists the
//! source of everything. All of it is durable before the last line of the note is
//! written: a note without it belongs to an interrupted salvage.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::pieces::Pieces;
use super::{NewSegment, Salvage, Stray};
use crate::log::create::{create_above, create_directory_like};
use crate::log::dir::{Dir, is_taken, real_place};
use crate::log::directory::Directory;
use crate::log::disk::{Disk, DiskFile, Ownership};
use crate::log::durable::{sync, sync_dir};
use crate::log::error::{Error, Result};
use crate::log::format::{Entry, FileKind, LENGTH_BYTES, NameStyle, encode_length, file_name};
use crate::log::lock::check_path;
use crate::log::record::{self, Codec};
use crate::log::threads;
use crate::log::units::{Offset, Position, RelativeOffset};
use crate::log::walk::{PAYLOAD_IN_MEMORY_MAX, layout_in};
use crate::log::window::STREAM_BYTES;
use crate::mend::copying::{self, put, stretch};
use crate::mend::gather::Gather;
use crate::mend::runs::assembly::{Assembly, Part, Source};
use crate::mend::runs::run::{Cursor, Frames, Run};

/// Bytes gathered before they are written.
const GATHER_BYTES: usize = 256 * 1024;

/// Permission bits of what only its owner may read.
const PRIVATE: u32 = 0o600;

/// Segments that are written at once. Their threads wait for syncs most of the time, and the
/// file system makes syncs durable together that are requested together.
const WRITERS: usize = 8;

/// Runs that are put together at once.
const PARTS_MAX: usize = 4096;

/// The targets.
#[derive(Debug, Clone)]
pub struct Targets {
    /// The new log.
    pub log: PathBuf,
    /// The side log.
    pub side: PathBuf,
    /// The note.
    pub note: PathBuf,
}

impl Targets {
    /// The names beside `log`, which is where the new log goes.
    #[must_use]
    pub fn beside(log: &Path) -> Self {
        let with = |end: &str| {
            // Without the slash that may be after it.
            let mut name: OsString = log.components().as_path().as_os_str().to_owned();
            name.push(end);
            PathBuf::from(name)
        };
        Self {
            log: log.to_path_buf(),
            side: with(".side"),
            note: with(".salvage.ndjson"),
        }
    }

    /// Whether all of them can be made: nothing is there, and none is in the source.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] for a place in the source and for a note, [`Error::NotEmpty`],
    /// [`Error::NotADirectory`], [`Error::Io`].
    pub fn check(&self, source: &Path) -> Result<()> {
        let real = real_place(source).map_err(Error::io("access", source))?;
        for target in [&self.log, &self.side, &self.note] {
            let leads_to = real_place(target).map_err(Error::io("access", target))?;
            if leads_to.starts_with(&real) {
                return Err(Error::Config(format!(
                    "{}: is in the log that is to be salvaged",
                    target.display()
                )));
            }
        }
        for target in [&self.log, &self.side] {
            if is_taken(target) {
                let there = Directory::list(target)?;
                if let Some(name) = there.first_name() {
                    return Err(Error::NotEmpty {
                        path: target.clone(),
                        name,
                    });
                }
            }
        }
        if is_taken(&self.note) {
            return Err(Error::Config(format!(
                "{}: the note of an earlier salvage exists",
                self.note.display()
            )));
        }
        Ok(())
    }
}

/// Writes everything. `note` are all lines of the note but the last, `end` is that.
///
/// # Errors
///
/// [`Error::Moved`] if the new log or the directory around it was moved meanwhile,
/// [`Error::Io`], and reading's. What was written by then stays, without the last line of
/// the note.
pub fn write(
    salvage: &Salvage,
    targets: &Targets,
    disk: &dyn Disk,
    note: impl Iterator<Item = String>,
    end: &str,
) -> Result<()> {
    let source = &salvage.listing.directory.dir;
    let like = Ownership::of(source).map_err(Error::io("access", source.path()))?;
    let file_like = ownership(salvage);
    let log = create_above(disk, &targets.log)?;
    // All of it goes to one directory, also if another one has its name by then.
    let parent = log.dir().clone();
    let beside = |path: &Path| parent.at(path.file_name().unwrap_or_default());
    let (note_path, side) = (beside(&targets.note), beside(&targets.side));
    let noted = disk
        .create(&note_path, file_like.clone())
        .map_err(Error::io("create", &targets.note))?;
    let mut note_bytes = 0;
    let mut gather = Gather::to(|piece: &[u8]| {
        put(disk, &noted, piece, note_bytes)?;
        note_bytes += piece.len() as u64;
        Ok(())
    });
    for line in note {
        gather.add(line.as_bytes())?;
        gather.add(b"\n")?;
    }
    gather.finish()?;
    sync(disk, &noted)?;
    let log = create_directory_like(disk, &log, like.clone())?;
    write_segments(salvage, disk, &log, file_like.as_ref())?;
    sync_dir(disk, &log)?;
    if !salvage.side.is_empty() {
        let side = create_directory_like(disk, &side, like)?;
        let log = Side::new(disk, &side, salvage.codec(), file_like.as_ref())?;
        log.write(&salvage.side)?;
        sync_dir(disk, &side)?;
    }
    sync_dir(disk, &parent)?;
    check_path(&parent)?;
    check_path(&log)?;
    put(disk, &noted, format!("{end}\n").as_bytes(), note_bytes)?;
    sync(disk, &noted)
}

/// The owner and mode common to all files of the source. If they have several owners, for
/// example because one is a link to another user's file, the salvaged records are for
/// this user alone.
fn ownership(salvage: &Salvage) -> Option<Ownership> {
    let directory = &salvage.listing.directory;
    let mut common = None;
    for segment in &salvage.listing.segments {
        for kind in [FileKind::Store, FileKind::Index] {
            let facts = segment.file(kind);
            let Some(facts) = facts.filter(|facts| facts.no_file.is_none()) else {
                continue;
            };
            let this = Ownership::at(&directory.file(&segment.names, kind));
            // The owner and mode of the target of a link, or of a file that cannot be
            // opened.
            let listed = || Ownership::new(facts.uid, facts.gid, facts.mode.into());
            let this = this.unwrap_or_else(listed);
            common = match common {
                None => Some(this),
                Some(before) => match this.common(&before) {
                    None => return Some(Ownership::of_this_process(PRIVATE)),
                    common => common,
                },
            };
        }
    }
    common
}

/// Writes the segments of the new log, several at once.
fn write_segments(
    salvage: &Salvage,
    disk: &dyn Disk,
    log: &Dir,
    like: Option<&Ownership>,
) -> Result<()> {
    let style = salvage.listing.directory.name_style();
    let left = Mutex::new((salvage.segments.iter(), salvage.placed.iter()));
    let lock = || left.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || {
        let (segments, runs) = &mut *lock();
        let segment = segments.next()?;
        let own = runs.clone().take(segment.runs);
        runs.by_ref().take(segment.runs).for_each(drop);
        Some((segment, own))
    };
    let write = || {
        while let Some((segment, runs)) = next() {
            let written = write_segment(disk, (log, style), segment, &runs, like);
            if written.is_err() {
                lock().0 = [].iter();
                return written;
            }
        }
        Ok(())
    };
    threads::together(WRITERS, write).into_iter().collect()
}

fn write_segment<'a>(
    disk: &dyn Disk,
    (directory, style): (&Dir, NameStyle),
    segment: &NewSegment,
    runs: &(impl Iterator<Item = &'a Run> + Clone),
    like: Option<&Ownership>,
) -> Result<()> {
    for kind in [FileKind::Store, FileKind::Index] {
        let path = directory.at(style.file_name(segment.base, kind));
        let file = disk
            .create(&path, like.cloned())
            .map_err(Error::io("create", &path))?;
        let (mut at, mut store_bytes) = (0, 0);
        let mut parts = runs.clone().map(|run| {
            let part = Part {
                run: run.clone(),
                source: Source::Elsewhere,
                at: store_bytes,
            };
            store_bytes = part.end();
            part
        });
        loop {
            let some = Assembly {
                base: segment.base,
                parts: parts.by_ref().take(PARTS_MAX).collect(),
                closed: true,
            };
            if some.parts.is_empty() {
                break;
            }
            let (from, to) = (at, some.bytes(kind));
            some.stream(kind, from, to - from, None, &mut |piece| {
                put(disk, &file, piece, at)?;
                at += piece.len() as u64;
                Ok(())
            })?;
        }
        stretch(disk, &file, at)?;
        sync(disk, &file)?;
    }
    Ok(())
}

/// The side log: its records are numbered from 0, and a protobuf record says so.
struct Side<'d> {
    disk: &'d dyn Disk,
    codec: Codec,
    store: DiskFile,
    index: DiskFile,
    next: u64,
    written: u64,
    frames: Vec<u8>,
    entries: Vec<u8>,
    entries_written: u64,
}

impl<'d> Side<'d> {
    fn new(disk: &'d dyn Disk, side: &Dir, codec: Codec, like: Option<&Ownership>) -> Result<Self> {
        let create = |kind| {
            let path = side.at(file_name(Offset(0), kind));
            disk.create(&path, like.cloned())
                .map_err(Error::io("create", &path))
        };
        Ok(Self {
            disk,
            codec,
            store: create(FileKind::Store)?,
            index: create(FileKind::Index)?,
            next: 0,
            written: 0,
            frames: Vec::new(),
            entries: Vec::new(),
            entries_written: 0,
        })
    }

    fn write(mut self, strays: &Pieces<Stray>) -> Result<()> {
        let mut cursor = Cursor::default();
        for stray in strays.iter() {
            let frames = cursor.at(&stray.run, stray.run.first)?;
            for _ in 0..stray.run.records() {
                let (begin, end) = frames.next_frame()?;
                self.add(frames, begin, end)?;
            }
        }
        self.flush()?;
        stretch(self.disk, &self.store, self.written)?;
        stretch(self.disk, &self.index, self.entries_written)?;
        sync(self.disk, &self.store)?;
        sync(self.disk, &self.index)
    }

    fn add(&mut self, frames: &mut Frames, begin: u64, end: u64) -> Result<()> {
        let relative = u32::try_from(self.next)
            .map_err(|_| Error::Config("a side log holds at most 2^32 records".into()))?;
        let entry = Entry {
            relative: RelativeOffset(relative),
            position: Position(self.written + self.frames.len() as u64),
        };
        self.entries.extend_from_slice(&entry.encode());
        let start = begin + LENGTH_BYTES;
        if self.codec == Codec::Raw {
            self.copy(frames, begin, end)?;
        } else {
            self.renumbered(frames, start, end - start)?;
        }
        self.next += 1;
        if self.frames.len() + self.entries.len() >= GATHER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn copy(&mut self, frames: &mut Frames, from: u64, to: u64) -> Result<()> {
        let mut at = from;
        while at < to {
            let count = (to - at).min(STREAM_BYTES as u64);
            let here = usize::try_from(count).unwrap_or(0);
            let piece = copying::bytes(frames.window(), at, here)?;
            self.frames.extend_from_slice(piece);
            at += count;
            if self.frames.len() >= GATHER_BYTES {
                self.flush_frames()?;
            }
        }
        Ok(())
    }

    /// Adds a record with the offset that it has here.
    fn renumbered(&mut self, frames: &mut Frames, start: u64, bytes: u64) -> Result<()> {
        let offset = Offset(self.next);
        if bytes <= PAYLOAD_IN_MEMORY_MAX {
            let count = usize::try_from(bytes).unwrap_or(0);
            let payload = frames.window().bytes(start, count)?;
            if let Ok(mut record) = record::decode(payload) {
                record.offset = offset;
                let payload = record.encode();
                let length = encode_length(payload.len() as u64);
                self.frames.extend_from_slice(&length);
                self.frames.extend_from_slice(&payload);
                return Ok(());
            }
        }
        let Ok(layout) = layout_in(frames.window(), start, bytes) else {
            return Err(Error::CannotAppend {
                path: frames.window().source().path().to_path_buf(),
                why: format!("no record is at byte {start} any more; run the command again"),
            });
        };
        let value_bytes = layout.value.end - layout.value.start;
        let length = record::encoded_len(value_bytes, offset, layout.term, layout.record_type);
        self.frames.extend_from_slice(&encode_length(length));
        record::encode_head(value_bytes, &mut self.frames);
        self.copy(frames, start + layout.value.start, start + layout.value.end)?;
        record::encode_tail(offset, layout.term, layout.record_type, &mut self.frames);
        Ok(())
    }

    fn flush_frames(&mut self) -> Result<()> {
        put(self.disk, &self.store, &self.frames, self.written)?;
        self.written += self.frames.len() as u64;
        self.frames.clear();
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.flush_frames()?;
        put(self.disk, &self.index, &self.entries, self.entries_written)?;
        self.entries_written += self.entries.len() as u64;
        self.entries.clear();
        Ok(())
    }
}
