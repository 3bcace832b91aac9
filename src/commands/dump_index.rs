//! `proglog dump-index`: an index entry by entry, each with verify's judgement.
//!
//! ```text
//! $ proglog dump-index log --from 241 -c 4
//! 0.index: 12288 bytes; 0.store: 12288 bytes
//! SLOT  RELATIVE  OFFSET  POSITION  FRAME
//!  241       241     241     12176     47
//!  242       242     242     12223     49
//!  243       243     243     12272     61  ! index-dangling: needs bytes up to 12333, ...
//! ```

use std::io::Write;
use std::ops::ControlFlow;

use clap::Args;
use proglog::inspect::awaited::{Awaited, awaited};
use proglog::inspect::entries::{EntryItem, IndexDump};
use proglog::inspect::finding::FindingId;
use proglog::inspect::listing::Listing;
use proglog::inspect::usage::Buffered;
use proglog::log::directory::{Directory, SegmentNames};
use proglog::log::format::{ENTRY_BYTES, FileKind};
use proglog::log::reader::LogReader;
use proglog::log::record::Codec;

use super::dump::{DumpArguments, Selection, past_the_end, say_layout};
use super::progress::Bar;
use super::{Globals, Status, streamed_stdout, unless_closed};
use crate::render::dump_index::Printer;

const EXAMPLES: &str = "\
proglog dump-index log --from 40 -c 3      three entries from offset 40 on
proglog dump-index log --segment 0 --position 2916 --hex
proglog dump-index log --json | jq 'select(.damage)'";

const NOTES: &str = "\
A damaged entry is marked with `!`, the id of the finding and the expected
value. FRAME includes the length field: the next frame begins at position +
frame. Damage does not change the exit status.";

/// The options of `dump-index`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, after_help = NOTES)]
pub struct Arguments {
    #[command(flatten)]
    pub dump: DumpArguments,
}

/// Prints the selected entries.
pub fn run(arguments: &Arguments, globals: Globals) -> anyhow::Result<Status> {
    let arguments = &arguments.dump;
    let directory = arguments.directory("dump-index")?;
    let segments = arguments.segments(&directory)?;
    let codec = arguments.codec(&directory)?;
    let claimed_end = || Ok(LogReader::open(&arguments.dir)?.claimed_end()?);
    let mut selection = arguments.selection(&directory, claimed_end)?;
    let form = arguments.form(globals);
    let mut printer = Printer::new(streamed_stdout()?, form, &arguments.dir);
    let whole = selection.covers_all(arguments.segment);
    let bar = Bar::for_output("dump-index", &arguments.dir, whole.then_some(0), globals);
    for names in segments {
        if selection.left == 0 || names.base > selection.to {
            break;
        }
        if !may_reach(&directory, names, &selection) {
            continue;
        }
        dump(&directory, names, codec, &mut selection, &mut printer)?;
    }
    drop(bar);
    if let Err(missing) = selection.check_shown(printer.shown(), "entry", claimed_end) {
        printer.sheet.lines.discard();
        return Err(missing);
    }
    if arguments.position.is_none() {
        printer.summary()?;
    }
    unless_closed(printer.sheet.lines.finish())?;
    Ok(Status::Done)
}

/// Whether a segment's entries can reach to the first wanted offset: by its size.
fn may_reach(directory: &Directory, names: &SegmentNames, selection: &Selection) -> bool {
    let listed = Listing::segment(&directory.dir, names);
    let slots = listed.index.map_or(0, |file| file.bytes / ENTRY_BYTES);
    !selection.has_from || names.base.saturating_add(slots) > selection.from
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
    let Some(dump) = IndexDump::open(directory, names, codec)? else {
        return Ok(printer.heading(&listed, None)?);
    };
    if let Some(position) = selection.position
        && position >= dump.index_bytes()
    {
        let name = listed.file_name(FileKind::Index);
        return Err(past_the_end(&name, position, dump.index_bytes()));
    }
    printer.heading(&listed, Some(&dump))?;
    let first = match selection.position {
        Some(position) => position / ENTRY_BYTES,
        None => selection.from.since(names.base),
    };
    let mut shown = false;
    let mut buffered = None;
    dump.each(first, |item| {
        let wanted = match (item, selection.position) {
            (_, Some(position)) => item.covers(position),
            (EntryItem::Entry(view), None) => {
                if view.slot.is_some() && view.offset.is_some_and(|it| it > selection.to) {
                    return Ok(ControlFlow::Break(()));
                }
                selection.holds(view.offset)
            }
            (EntryItem::Unreadable { slot, .. }, None) => {
                selection.holds(names.base.checked_add(*slot))
            }
            // The rest after the last entry belongs to the printed entries.
            _ => shown || !selection.has_from,
        };
        if !wanted {
            return Ok(ControlFlow::Continue(()));
        }
        shown = true;
        match buffered_entry(item, || {
            *buffered.get_or_insert_with(|| awaited(directory, names.base))
        }) {
            Some(item) => printer.item(&item)?,
            None => printer.item(item)?,
        }
        if matches!(item, EntryItem::Entry(_) | EntryItem::Unreadable { .. }) {
            selection.take();
        }
        if selection.left == 0 || selection.position.is_some() {
            return Ok(ControlFlow::Break(()));
        }
        Ok::<_, anyhow::Error>(ControlFlow::Continue(()))
    })
}

/// An entry whose frame is not lost but waits in a writer's buffer.
pub fn buffered_entry(item: &EntryItem, awaited: impl FnOnce() -> Awaited) -> Option<EntryItem> {
    let mut view = match item {
        EntryItem::Entry(view) => *view,
        _ => return None,
    };
    let fault = view
        .fault
        .as_mut()
        // One that is wrong by itself waits for nothing.
        .filter(|it| it.id == FindingId::IndexDangling && it.relative.is_none())?;
    fault.buffered = match awaited() {
        Awaited::Buffered(buffered) => Some(buffered),
        // It was written since then.
        Awaited::There => Some(Buffered::Live),
        Awaited::Lost => return None,
    };
    Some(EntryItem::Entry(view))
}
