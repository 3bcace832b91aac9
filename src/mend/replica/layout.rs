//! Which bytes of a segment change when records of another copy are put in: in place
//! where they fit between what stays, else as a whole file. `replica` decides which
//! records are wanted.

use crate::inspect::scan::DeadBytes;
use crate::log::dir::FilePath;
use crate::log::error::{Result, readable};
use crate::log::format::{ENTRY_BYTES, FileKind};
use crate::log::index::Index;
use crate::log::units::Offset;
use crate::log::window::{LOOKUP_BYTES, ReadFile, STREAM_BYTES, Window};
use crate::mend::plan::{self, Step};
use crate::mend::runs::assembly::{Assembly, Part, Source};
use crate::mend::runs::run::{Cursor, Frames, Run, StoreFile};

/// Bytes that are compared at once.
const COMPARED_BYTES: u64 = 64 * 1024;

/// The files of a segment as they are.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) base: Offset,
    /// Path and size of the store, if any.
    pub(super) store: Option<(FilePath, u64)>,
    /// The same of the index.
    pub(super) index: Option<(FilePath, u64)>,
    /// Unreferenced bytes between its records that are acceptable.
    pub(super) dead: Vec<DeadBytes>,
}

impl Files {
    fn is_dead(&self, from: u64, to: u64) -> bool {
        let mut dead = self.dead.iter();
        dead.any(|dead| dead.position.0 == from && from + dead.bytes == to)
    }
}

/// Whether each run is one of the segment itself, in the order of their offsets.
pub(super) type Wanted = Vec<(Run, Source)>;

/// Places for runs such that those of the segment itself stay where they are, if there
/// are any such places.
pub(super) fn in_place(files: &Files, wanted: &[(Run, Source)]) -> Option<Assembly> {
    files.store.as_ref()?;
    let (mut parts, mut at, mut next) = (Vec::<Part>::new(), 0, files.base.0);
    for (run, source) in wanted {
        let hole = run.first != next;
        let after_own = parts
            .last()
            .is_some_and(|part: &Part| part.source == Source::Here);
        match source {
            Source::Elsewhere if hole => return None,
            Source::Elsewhere => {}
            Source::Here if run.position == at && !hole => {}
            Source::Here if run.position < at => return None,
            // Damage that cannot be repaired remains, and so do bytes without entries.
            Source::Here if hole || (after_own && files.is_dead(at, run.position)) => {}
            Source::Here => return None,
        }
        if *source == Source::Here {
            at = run.position;
        }
        let part = Part {
            run: run.clone(),
            source: *source,
            at,
        };
        (at, next) = (part.end(), run.next);
        parts.push(part);
    }
    let base = files.base;
    Some(Assembly {
        base,
        parts,
        closed: false,
    })
}

/// Places for runs one after the other, if none is missing between them.
pub(super) fn anew(base: Offset, wanted: &[(Run, Source)]) -> Option<Assembly> {
    let (mut parts, mut at, mut next) = (Vec::new(), 0, base.0);
    for (run, source) in wanted {
        if run.first != next {
            return None;
        }
        let part = Part {
            run: run.clone(),
            source: *source,
            at,
        };
        (at, next) = (part.end(), run.next);
        parts.push(part);
    }
    Some(Assembly {
        base,
        parts,
        closed: false,
    })
}

/// The same places, with every frame from elsewhere that is there byte for byte already
/// left as it is.
pub(super) fn sparing(assembly: &Assembly, path: &FilePath, store: &ReadFile) -> Result<Assembly> {
    let mut parts: Vec<Part> = Vec::new();
    let ours = std::sync::Arc::new(StoreFile {
        path: path.clone(),
        segment: assembly.base,
    });
    let mut window = Window::new(store.clone(), LOOKUP_BYTES);
    let mut cursor = Cursor::default();
    for part in assembly.parts.iter().cloned() {
        if part.source == Source::Here {
            push(&mut parts, part);
            continue;
        }
        let frames = cursor.at(&part.run, part.run.first)?;
        for offset in part.run.first..part.run.next {
            let (begin, end) = frames.next_frame()?;
            let at = part.at + (begin - part.run.position);
            let there = stands(&mut window, at, frames, begin, end)?;
            let mut run = Run {
                first: offset,
                next: offset + 1,
                position: begin,
                end,
                ..part.run.clone()
            };
            if there {
                run.store = std::sync::Arc::clone(&ours);
                (run.position, run.end) = (at, at + (end - begin));
            }
            let source = if there {
                Source::Here
            } else {
                Source::Elsewhere
            };
            push(&mut parts, Part { run, source, at });
        }
    }
    Ok(Assembly {
        base: assembly.base,
        parts,
        closed: assembly.closed,
    })
}

/// Whether the frame's bytes are at `at` of the segment's own store.
fn stands(window: &mut Window, at: u64, frames: &mut Frames, begin: u64, end: u64) -> Result<bool> {
    if at.saturating_add(end - begin) > window.file_bytes() {
        return Ok(false);
    }
    let mut done = begin;
    while done < end {
        let count = usize::try_from((end - done).min(COMPARED_BYTES)).unwrap_or(0);
        let Some(ours) = readable(window.bytes(at + (done - begin), count))? else {
            return Ok(false);
        };
        if ours != frames.window().bytes(done, count)? {
            return Ok(false);
        }
        done += count as u64;
    }
    Ok(true)
}

/// Adds a part, to the one before where it continues there.
fn push(parts: &mut Vec<Part>, part: Part) {
    if let Some(last) = parts.last_mut()
        && last.source == part.source
        && last.run.store == part.run.store
        && last.run.next == part.run.first
        && last.run.end == part.run.position
        && last.end() == part.at
    {
        last.run.next = part.run.next;
        last.run.end = part.run.end;
        return;
    }
    parts.push(part);
}

/// The steps that bring a segment to an assembly that leaves its own runs in place. `cut`
/// is whether the bytes after it are cut.
pub(super) fn fill(
    files: &Files,
    assembly: &Assembly,
    number: usize,
    cut: bool,
) -> Result<Vec<Step>> {
    let base = files.base;
    let mut steps = Vec::new();
    let mut from = None::<(u64, u64)>;
    for part in &assembly.parts {
        match (part.source, &mut from) {
            (Source::Elsewhere, Some((_, end))) if *end == part.at => *end = part.end(),
            (Source::Elsewhere, _) => {
                steps.extend(from.take().map(|it| store_fill(base, number, it)));
                from = Some((part.at, part.end()));
            }
            (Source::Here, _) => steps.extend(from.take().map(|it| store_fill(base, number, it))),
        }
    }
    steps.extend(from.take().map(|it| store_fill(base, number, it)));
    steps.extend(entries(files, assembly, number)?);
    if cut {
        let ends = [
            (FileKind::Index, &files.index),
            (FileKind::Store, &files.store),
        ];
        for (kind, file) in ends {
            let to = assembly.bytes(kind);
            let now = file.as_ref().map_or(0, |(_, bytes)| *bytes);
            steps.extend(plan::cut(base, kind, now, to));
        }
    }
    Ok(steps)
}

fn store_fill(base: Offset, assembly: usize, (position, end): (u64, u64)) -> Step {
    Step::Fill {
        base,
        kind: FileKind::Store,
        position,
        bytes: end - position,
        assembly,
    }
}

/// The steps that make an index say where an assembly's frames are: only what differs
/// is written.
fn entries(files: &Files, assembly: &Assembly, number: usize) -> Result<Vec<Step>> {
    let base = files.base;
    let Some((path, bytes)) = &files.index else {
        return Ok(vec![whole(files, assembly, number, FileKind::Index)]);
    };
    let mut index = Index::of(ReadFile::open(path)?, STREAM_BYTES);
    let slots = bytes / ENTRY_BYTES;
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    assembly.each_entry(0, assembly.entries(), None, |entry| {
        let slot = u64::from(entry.relative.0);
        let stands = slot < slots && readable(index.entry(slot))? == Some(entry);
        if !stands {
            match ranges.last_mut() {
                Some((_, next)) if *next == slot => *next += 1,
                _ => ranges.push((slot, slot + 1)),
            }
        }
        Ok(())
    })?;
    let fill = |(first, next)| Step::Fill {
        base,
        kind: FileKind::Index,
        position: first * ENTRY_BYTES,
        bytes: (next - first) * ENTRY_BYTES,
        assembly: number,
    };
    Ok(ranges.into_iter().map(fill).collect())
}

/// The step that makes a whole file of an assembly.
pub(super) fn whole(files: &Files, assembly: &Assembly, number: usize, kind: FileKind) -> Step {
    let file = match kind {
        FileKind::Store => &files.store,
        FileKind::Index => &files.index,
    };
    Step::Assemble {
        base: files.base,
        kind,
        from: file.as_ref().map(|(_, bytes)| *bytes),
        to: assembly.bytes(kind),
        assembly: number,
    }
}
