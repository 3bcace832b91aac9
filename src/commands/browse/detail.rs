//! The lower pane: the chosen record in full, with its entry and its frame, and an
//! explanation of a finding. What it shows is read here; how its lines are made is in `lines`.

use std::ops::{ControlFlow, Range};

use proglog::inspect::entries::{EntryItem, EntryView, IndexDump};
use proglog::log::directory::{Directory, SegmentNames};
use proglog::log::error::{Error, Result};
use proglog::log::format::{ENTRY_BYTES, FileKind, LENGTH_BYTES};
use proglog::log::record::{Codec, layout_of};
use proglog::log::segment::is_absent;
use proglog::log::units::Offset;
use proglog::log::window::{LOOKUP_BYTES, ReadFile, Window};

use super::places::Shown;
use super::rows::{Row, Tone, View};

/// Bytes of a frame that are shown.
const SHOWN_BYTES: u64 = 256 * 1024;

/// The same where no frame is.
const NO_FRAME_BYTES: u64 = 512;

/// The bytes of a row, read for the lower pane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    pub offset: Option<Offset>,
    pub segment: Offset,
    /// What is to be known about the row, in full.
    pub words: Option<(Tone, String)>,
    /// The entry that names the frame, and the name of its index.
    pub entry: Option<EntryView>,
    pub index: String,
    pub store: String,
    pub frame: Option<Frame>,
    /// Whether the bytes are not those that the row shows: they changed since.
    pub is_stale: bool,
}

/// A frame of a store, or the bytes where one should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub position: u64,
    /// What its length says. Bytes.
    pub payload_bytes: Option<u64>,
    /// Whether it ends within the store.
    pub is_complete: bool,
    /// From its length on, as many as are shown.
    pub bytes: Vec<u8>,
    /// Which of them are the value.
    pub value: Option<Range<usize>>,
    /// All bytes of the value.
    pub value_bytes: u64,
}

/// Reads what belongs to a row.
pub fn read(shown: Shown<'_>, view: View, row: &Row) -> Result<Detail> {
    let Shown {
        directory,
        names,
        codec,
    } = shown;
    let slot = match view {
        View::Entries => Some(row.key.at / ENTRY_BYTES),
        View::Records | View::Frames => row.offset.and_then(|it| it.0.checked_sub(names.base.0)),
    };
    let entry = match slot {
        Some(slot) => entry(shown, slot, (view == View::Entries).then_some(row.key.at))?,
        None => None,
    };
    // The record of an obstacle is where its entry names it.
    let position = row.frame.or(entry.map(|entry| entry.entry.position.0));
    let frame = match position {
        Some(position) => frame(directory, names, codec, position)?,
        None => None,
    };
    let claimed = frame.as_ref().and_then(|frame| frame.payload_bytes);
    Ok(Detail {
        offset: row.offset,
        segment: names.base,
        words: (row.tone != Tone::Plain).then(|| (row.tone, row.text.clone())),
        entry,
        index: names.file_name(FileKind::Index).display().to_string(),
        store: names.file_name(FileKind::Store).display().to_string(),
        is_stale: row.payload_bytes.is_some() && row.payload_bytes != claimed,
        frame,
    })
}

/// The entry in a slot, or the one that begins at a position of the index.
fn entry(shown: Shown<'_>, slot: u64, at: Option<u64>) -> Result<Option<EntryView>> {
    let Some(dump) = IndexDump::open(shown.directory, shown.names, shown.codec)? else {
        return Ok(None);
    };
    if slot >= dump.entries && at.is_none() {
        return Ok(None);
    }
    let mut found = None;
    dump.each::<Error>(slot.min(dump.entries), |item| {
        let is_here = |view: &EntryView| match at {
            Some(at) => view.index_position == at,
            None => view.slot == Some(slot),
        };
        let EntryItem::Entry(view) = item else {
            return Ok(ControlFlow::Break(()));
        };
        if is_here(view) {
            found = Some(*view);
        }
        let is_past = view.index_position > at.unwrap_or(slot.saturating_mul(ENTRY_BYTES));
        Ok(if found.is_some() || is_past {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    Ok(found)
}

/// The frame at a position; `None` outside the store.
fn frame(
    directory: &Directory,
    names: &SegmentNames,
    codec: Codec,
    position: u64,
) -> Result<Option<Frame>> {
    let store = match ReadFile::open(&directory.file(names, FileKind::Store)) {
        Err(error) if is_absent(&error) => return Ok(None),
        store => store?,
    };
    let Some(there) = store.file_bytes.checked_sub(position).filter(|it| *it > 0) else {
        return Ok(None);
    };
    let mut window = Window::new(store, LOOKUP_BYTES);
    let payload_bytes = if there >= LENGTH_BYTES {
        match window.length_at(position) {
            Err(Error::Unreadable { .. }) => None,
            length => Some(length?),
        }
    } else {
        None
    };
    let frame_bytes = payload_bytes.and_then(|bytes| bytes.checked_add(LENGTH_BYTES));
    let complete = frame_bytes.filter(|bytes| *bytes <= there);
    let wanted = complete.unwrap_or(there.min(NO_FRAME_BYTES));
    let count = usize::try_from(wanted.min(SHOWN_BYTES)).unwrap_or(0);
    let bytes = match window.bytes(position, count) {
        Ok(bytes) => bytes.to_vec(),
        Err(Error::Unreadable { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    let (value, value_bytes) = match (complete, codec) {
        (None, _) => (None, 0),
        (Some(_), Codec::Raw) => (Some(8..bytes.len()), payload_bytes.unwrap_or(0)),
        (Some(_), Codec::Protobuf) => value_in(&bytes, payload_bytes.unwrap_or(0)),
    };
    Ok(Some(Frame {
        position,
        payload_bytes,
        is_complete: complete.is_some(),
        value: value.filter(|it| it.end <= bytes.len() && it.start <= it.end),
        bytes,
        value_bytes,
    }))
}

/// Which bytes of a frame with a record are its value. Of a record that is larger than what is
/// shown, all after the length.
fn value_in(frame: &[u8], payload_bytes: u64) -> (Option<Range<usize>>, u64) {
    let payload = frame.get(8..).unwrap_or_default();
    if payload.len() as u64 != payload_bytes {
        return (Some(8..frame.len()), payload_bytes);
    }
    match layout_of(payload) {
        Ok(layout) => {
            let place = |at: u64| usize::try_from(at).map_or(frame.len(), |at| at + 8);
            let value = layout.value;
            let bytes = value.end.saturating_sub(value.start);
            (Some(place(value.start)..place(value.end)), bytes)
        }
        Err(_) => (None, 0),
    }
}
