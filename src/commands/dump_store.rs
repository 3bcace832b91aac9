//! `proglog dump-store`: a store frame by frame, from the store alone.
//!
//! ```text
//! $ proglog dump-store log -c 2
//! 0.store: 2280 bytes
//! POSITION  FRAME  OFFSET  EMBEDDED  LENGTH  VALUE
//!        0     27       0        0      17  record-0000000000
//!       27     29       1        1      17  record-0000000001
//! ```

use std::io::Write;
use std::ops::ControlFlow;

use clap::Args;
use proglog::inspect::frames::{FrameItem, NoFrame, StoreDump};
use proglog::inspect::listing::Listing;
use proglog::inspect::usage::Usage;
use proglog::log::directory::{Directory, SegmentNames};
use proglog::log::error::Result;
use proglog::log::format::FileKind;
use proglog::log::live;
use proglog::log::progress::WALKED;
use proglog::log::reader::{Content, LogReader};
use proglog::log::record::Codec;
use proglog::log::segment::{Segment, is_absent};
use proglog::log::units::Offset;

use super::dump::{DumpArguments, Selection, past_the_end, say_layout};
use super::progress::Bar;
use super::{Globals, Status, streamed_stdout, unless_closed};
use crate::render::dump::Failed;
use crate::render::dump_store::Printer;

const EXAMPLES: &str = "\
proglog dump-store log -c 3                the first three frames
proglog dump-store log --segment 0 --position 12272 --hex
proglog dump-store log --json | jq 'select(.kind == \"no-frame\")'";

const NOTES: &str = "\
The index is not read: OFFSET is the offset of a frame by its place in the
store, EMBEDDED the offset in its record (protobuf). FRAME includes the length
field. Damage does not change the exit status. With --from N, a segment is
omitted if the next one begins at or before N; --segment prints the older side
of a fork.";

/// Frames that are counted for the progress bar together.
const FRAMES_COUNTED: u64 = 1024;

/// The options of `dump-store`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
pub struct Arguments {
    #[command(flatten)]
    pub dump: DumpArguments,
}

/// Prints the selected frames.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let arguments = &arguments.dump;
    let directory = arguments.directory("dump-store")?;
    let segments = arguments.segments(&directory)?;
    let codec = arguments.codec(&directory)?;
    let end = || end_of_stores(&directory, &segments, codec);
    let mut selection = arguments.selection(&directory, end)?;
    let form = arguments.form(globals);
    let mut printer = Printer::new(streamed_stdout()?, form, codec, &arguments.dir);
    let whole = selection.covers_all(arguments.segment);
    let bar = Bar::for_output("dump-store", &arguments.dir, whole.then_some(0), globals);
    for (at, names) in segments.iter().enumerate() {
        if selection.left == 0 || names.base > selection.to {
            break;
        }
        let next = segments.get(at + 1);
        if selection.has_from && next.is_some_and(|next| next.base <= selection.from) {
            continue;
        }
        dump(&directory, names, codec, &mut selection, &mut printer)?;
    }
    drop(bar);
    let claimed_end = || {
        // Empty records at the end of a store are seen in the index only.
        let claimed = LogReader::open(&arguments.dir).and_then(|mut log| log.claimed_end());
        let end = end()?;
        Ok(end.max(claimed.unwrap_or(end)))
    };
    if let Err(missing) = selection.check_shown(printer.shown(), "frame", claimed_end) {
        printer.sheet.lines.discard();
        return Err(missing);
    }
    if arguments.position.is_none() {
        printer.summary()?;
    }
    unless_closed(printer.sheet.lines.finish())?;
    Ok(Status::Done)
}

/// The offset after the last frame, by the stores alone.
fn end_of_stores(
    directory: &Directory,
    segments: &[&SegmentNames],
    codec: Codec,
) -> anyhow::Result<Offset> {
    for names in segments.iter().rev() {
        match open(directory, names, codec) {
            Ok(mut dump) => {
                dump.each::<anyhow::Error>(|_, _| Ok(ControlFlow::Continue(())))?;
                return Ok(dump.next_offset().unwrap_or(Offset::MAX));
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Offset(0))
}

/// A store with the information from its index.
pub fn open(directory: &Directory, names: &SegmentNames, codec: Codec) -> Result<StoreDump> {
    let path = directory.file(names, FileKind::Store);
    live::undisturbed(|| {
        let dump = StoreDump::open(&path, names.base, codec)?;
        match Segment::open(directory, names) {
            Ok(segment) => dump.with_index(&segment),
            Err(error) if is_absent(&error) => Ok(dump),
            Err(error) => Err(error),
        }
    })
}

fn dump<W: Write>(
    directory: &Directory,
    names: &SegmentNames,
    codec: Codec,
    selection: &mut Selection,
    printer: &mut Printer<W>,
) -> anyhow::Result<()> {
    say_layout(directory, names)?;
    let listed = Listing::segment(&directory.dir, names);
    let mut dump = match open(directory, names, codec) {
        Err(error) if is_absent(&error) => return Ok(printer.heading(&listed, None)?),
        other => other?,
    };
    let store_bytes = dump.store_bytes();
    if let Some(position) = selection.position
        && position >= store_bytes
    {
        let name = listed.file_name(FileKind::Store);
        return Err(past_the_end(&name, position, store_bytes));
    }
    printer.heading(&listed, Some(store_bytes))?;
    let (source, hex) = (dump.source().clone(), printer.sheet.form.hex);
    let mut frames = 0;
    dump.each(|item, offset| {
        let frames_here = item.frames();
        let is_frame = frames_here > 0;
        let last = offset.map(|first| first.saturating_add(frames_here.saturating_sub(1)));
        let wanted = match selection.position {
            Some(position) => item.covers(position),
            None if is_frame && offset.is_some_and(|offset| offset > selection.to) => {
                return Ok(ControlFlow::Break(()));
            }
            // Of a row one of its offsets is enough.
            None if is_frame => last.is_none_or(|last| last >= selection.from),
            None => selection.holds(offset),
        };
        if !wanted {
            return Ok(ControlFlow::Continue(()));
        }
        let (position, bytes) = item.place();
        let content = hex.then(|| Content::File(source.clone(), position, bytes));
        let item = as_buffered(*item, directory, names, store_bytes);
        printer
            .item(&item, offset, content.as_ref())
            .map_err(plain)?;
        if is_frame {
            selection.take();
            frames += frames_here;
            if frames >= FRAMES_COUNTED {
                WALKED.add_records(std::mem::take(&mut frames));
            }
        }
        if selection.left == 0 || selection.position.is_some() {
            return Ok(ControlFlow::Break(()));
        }
        Ok::<_, anyhow::Error>(ControlFlow::Continue(()))
    })
}

/// An item as it is beside a writer: the rest of the last frame may be in its buffer.
pub fn as_buffered<'a>(
    item: FrameItem<'a>,
    directory: &Directory,
    names: &SegmentNames,
    store_bytes: u64,
) -> FrameItem<'a> {
    let (position, bytes) = item.place();
    let ends = position.saturating_add(bytes) == store_bytes;
    match item {
        FrameItem::NoFrame {
            why: NoFrame::CutShort | NoFrame::PastEnd(_),
            ..
        } if ends && is_written(directory, names, store_bytes) => FrameItem::NoFrame {
            position,
            bytes,
            why: NoFrame::Buffered,
        },
        _ => item,
    }
}

/// The error itself, so that a closed pipe is recognized.
fn plain(failed: Failed) -> anyhow::Error {
    match failed {
        Failed::Read(error) => error.into(),
        Failed::Write(error) => error.into(),
    }
}

/// Whether the rest of a segment's last frame is, or was, in a writer's buffer: it has
/// the files open, or has written more since, or has removed them.
fn is_written(directory: &Directory, names: &SegmentNames, store_bytes: u64) -> bool {
    let grew = || {
        let now = directory.file(names, FileKind::Store).metadata();
        now.map_or(true, |now| now.len() > store_bytes)
    };
    Usage::of_segment(directory, names).is_written() || grew()
}
