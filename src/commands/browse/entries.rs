//! The entries of an index as rows, as `dump-index` prints them.

use std::ops::ControlFlow;
use std::path::Path;

use proglog::inspect::awaited::awaited;
use proglog::inspect::entries::{EntryItem, IndexDump};
use proglog::inspect::listing::Listing;
use proglog::log::error::{Error, Result};
use proglog::log::format::ENTRY_BYTES;

use super::places::{Shown, first_line, give_text, row_at, unwritten};
use super::rows::{AROUND, Row, Target, Tone, View, Window};
use crate::commands::dump_index::buffered_entry;
use crate::render::dump_index::Printer;
use crate::render::sheet::Form;

/// The entries around a target.
pub fn entries(shown: Shown<'_>, target: Target) -> Result<Window> {
    let Shown {
        directory,
        names,
        codec,
    } = shown;
    let listed = Listing::segment(&directory.dir, names);
    let dump = IndexDump::open(directory, names, codec)?;
    let mut text = Vec::new();
    let mut printer = Printer::new(&mut text, Form::default(), Path::new(""));
    printer.heading(&listed, dump.as_ref()).map_err(unwritten)?;
    let Some(dump) = dump else {
        printer.sheet.lines.finish().map_err(unwritten)?;
        return Ok(shown.empty(View::Entries, first_line(&text)));
    };
    let goal = match target {
        Target::Start => 0,
        Target::End => u64::MAX,
        Target::Offset(offset) => offset.since(names.base).saturating_mul(ENTRY_BYTES),
        Target::Row(key) => key.at,
    };
    let slot = (goal / ENTRY_BYTES).min(dump.entries);
    let start = slot.saturating_sub(AROUND as u64);
    let mut rows: Vec<Row> = Vec::new();
    let mut buffered = None;
    let mut is_end = true;
    dump.each(start, |item| {
        let item = buffered_entry(item, || {
            *buffered.get_or_insert_with(|| awaited(directory, names.base))
        })
        .unwrap_or_else(|| item.clone());
        printer.item(&item).map_err(unwritten)?;
        rows.push(entry_row(&shown, &item));
        let past = rows
            .iter()
            .rev()
            .take_while(|row| row.key.at > goal)
            .count();
        if past >= AROUND {
            is_end = false;
            return Ok(ControlFlow::Break(()));
        }
        Ok::<_, Error>(ControlFlow::Continue(()))
    })?;
    printer.sheet.lines.finish().map_err(unwritten)?;
    // The sizes of the files, and the names of the columns.
    let heading = give_text(&mut rows, &text, 2);
    Ok(Window {
        cursor: row_at(&rows, goal),
        rows,
        is_start: start == 0,
        is_end,
        ..shown.empty(View::Entries, heading)
    })
}

fn entry_row(shown: &Shown<'_>, item: &EntryItem) -> Row {
    let (at, _) = item.place();
    match item {
        EntryItem::Entry(view) => {
            let tone = match &view.fault {
                Some(fault) if fault.buffered.is_some() => Tone::Note,
                Some(_) => Tone::Damage,
                None => Tone::Plain,
            };
            Row {
                frame: Some(view.entry.position.0),
                payload_bytes: view.payload_bytes,
                ..shown.row(at, view.offset, tone)
            }
        }
        EntryItem::Unreadable { slot, .. } => {
            let offset = shown.names.base.checked_add(*slot);
            shown.row(at, offset, Tone::Damage)
        }
        EntryItem::Padding { .. } => shown.row(at, None, Tone::Note),
        EntryItem::Partial { .. } => shown.row(at, None, Tone::Damage),
    }
}
