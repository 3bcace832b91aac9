//! Recognizes the layouts of other programs: frames and entries of other widths, byte
//! orders and checksums. A store or an index that such a layout explains better than ours
//! belongs to another program and is never changed.
//!
//! Only the beginning of both files is read, up to a bound of frames and entries, and
//! the store's end where zeros follow the last frame.

mod entries;
mod frames;
mod segments;
mod spans;
mod unknown;

use std::fmt;

use self::entries::OURS as OUR_ENTRIES;
use self::frames::{OURS as OUR_FRAMES, Places, Stop, Store};
pub(crate) use self::segments::require_segment;
pub use self::segments::{foreign, of_segment, require_any_ours, require_ours, require_record};
pub use self::spans::SpanLayout;
pub use self::unknown::UnknownIndex;
use super::unfinished;
use crate::log::error::{Result, readable};
use crate::log::units::Offset;
use crate::log::window::{LOOKUP_BYTES, ReadFile, Window};

/// Frames and entries that are read at most, per layout.
const FRAMES_MAX: usize = 1024;

/// Entries of ours that name frames of ours and prove that a segment is ours; as many of
/// another layout prove that one.
const PROOF: usize = 3;

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The most significant byte first.
    Big,
    /// The least significant byte first.
    Little,
}

impl Order {
    const BOTH: [Self; 2] = [Self::Big, Self::Little];

    /// The number that at most eight bytes encode.
    fn number(self, bytes: &[u8]) -> u64 {
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self {
            Self::Big => bytes.iter().fold(0, add),
            Self::Little => bytes.iter().rev().fold(0, add),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Big => "big-endian",
            Self::Little => "little-endian",
        })
    }
}

/// An unsigned number of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number {
    /// Its width: 2, 4 or 8. Units: bytes.
    pub bytes: u64,
    /// The order of its bytes.
    pub order: Order,
}

/// The place of the checksum in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before the length.
    Before,
    /// Between length and payload.
    Between,
    /// After the payload.
    Behind,
}

/// The layout of a store's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLayout {
    /// The length of the payload.
    pub length: Number,
    /// Width and place of the checksum, if frames have one. Units: bytes.
    pub checksum: Option<(u64, Place)>,
}

/// The layout of an index's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is another choice of a program"
)]
pub struct EntryLayout {
    /// The offset.
    pub offset: Number,
    /// The position.
    pub position: Number,
    /// Whether the position comes before the offset.
    pub position_first: bool,
    /// Unknown bytes after both. Units: bytes.
    pub more_bytes: u64,
    /// Whether offsets are those of the log, not relative to the segment's base.
    pub absolute: bool,
    /// Whether the first record of a segment is 1, not 0.
    pub from_one: bool,
    /// Whether the position is the end of the frame, not its start.
    pub ends: bool,
    /// Whether records between those of two entries have none.
    pub sparse: bool,
}

impl EntryLayout {
    /// The size of an entry. Units: bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.offset.bytes + self.position.bytes + self.more_bytes
    }
}

/// A layout of another program: of the frames, of the entries, or of both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Layout {
    /// The frames, if they differ from ours.
    pub frames: Option<FrameLayout>,
    /// How the size of a frame follows from a number in it, if `frames` cannot tell.
    pub spans: Option<SpanLayout>,
    /// The entries, if they differ from ours.
    pub entries: Option<EntryLayout>,
    /// The index, if its layout is unknown.
    pub index: Option<UnknownIndex>,
    /// Whether the evidence is too weak for a proof, and too strong to change anything.
    pub perhaps: bool,
}

impl Layout {
    /// The layout of entries of which `named` name frames of ours.
    fn of_entries(entries: EntryLayout, named: usize) -> Self {
        Self {
            entries: Some(entries),
            perhaps: named < PROOF,
            ..Self::default()
        }
    }
}

impl fmt::Display for FrameLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Number { bytes, order } = self.length;
        write!(f, "lengths of {bytes} bytes, {order}")?;
        if let Some((bytes, place)) = self.checksum {
            let place = match place {
                Place::Before => "before the length",
                Place::Between => "between length and payload",
                Place::Behind => "after the payload",
            };
            write!(f, ", a checksum of {bytes} bytes {place}")?;
        }
        Ok(())
    }
}

impl fmt::Display for EntryLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |number: Number| {
            let order = match number.order {
                Order::Big => "",
                Order::Little => " little-endian",
            };
            format!("u{}{order}", number.bytes * 8)
        };
        let absolute = if self.absolute { " absolute" } else { "" };
        let from_one = if self.from_one { " from 1" } else { "" };
        let offset = format!("{}{absolute} offset{from_one}", number(self.offset));
        let end = if self.ends { " end" } else { "" };
        let position = format!("{}{end} position", number(self.position));
        let [first, second] = if self.position_first {
            [position, offset]
        } else {
            [offset, position]
        };
        write!(f, "entries of {} bytes: {first}, {second}", self.bytes())?;
        if self.more_bytes > 0 {
            write!(f, ", {} more bytes", self.more_bytes)?;
        }
        if self.sparse {
            write!(f, ", not one for each record")?;
        }
        Ok(())
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.perhaps {
            write!(f, "perhaps ")?;
        }
        if let Some(spans) = &self.spans {
            return spans.fmt(f);
        }
        if let Some(index) = &self.index {
            return index.fmt(f);
        }
        match (&self.frames, &self.entries) {
            (Some(frames), Some(entries)) => write!(f, "{frames}; {entries}"),
            (Some(frames), None) => frames.fmt(f),
            (None, Some(entries)) => entries.fmt(f),
            (None, None) => Ok(()),
        }
    }
}

/// Recognizes the layout of a segment that another program wrote. Returns `None` if it is
/// ours, damaged or not, and if nothing can be decided. Without an index only the frames
/// are tested.
///
/// # Errors
///
/// [`Error::Shrunk`](crate::log::error::Error::Shrunk),
/// [`Error::Io`](crate::log::error::Error::Io); unreadable bytes are no evidence.
pub fn recognize(
    base: Offset,
    store: &ReadFile,
    index: Option<&ReadFile>,
) -> Result<Option<Layout>> {
    Ok(readable(layout_of(base, store, index))?.flatten())
}

fn layout_of(base: Offset, store: &ReadFile, index: Option<&ReadFile>) -> Result<Option<Layout>> {
    // The mark of a first batch is 255 in the other byte order.
    let mut window = Window::new(store.clone(), LOOKUP_BYTES);
    let mut store = Store::new(store);
    let mut index = index.map(|index| Window::new(index.clone(), LOOKUP_BYTES));
    let index = &mut index;
    let is_marked = unfinished::is_marked(&mut window, 0)? && entries::is_unused(index)?;
    // A few entries decide for nearly every log of ours.
    let first = store.walk(OUR_FRAMES, PROOF)?;
    // Empty frames are zeros, which are empty frames in most layouts.
    let filled = first.filled == first.starts.len();
    if filled && entries::named(index, OUR_ENTRIES, base, &first.places())? >= PROOF {
        return Ok(None);
    }
    store.find_zeros()?;
    let ours = store.walk(OUR_FRAMES, FRAMES_MAX)?;
    let pairs = entries::pairs(index, &mut store, OUR_ENTRIES, base)?;
    // Only we mark what we append.
    let ends_in_mark = ours.filled > 0 && unfinished::is_marked(&mut window, ours.end())?;
    if ends_in_mark {
        return Ok(None);
    }
    if let Some((layout, named)) = entries::other_pairs(base, index, &mut store, pairs)?
        && named >= PROOF
        && (layout.is_of_our_widths()
            || entries::is_complete(index.as_ref(), layout)
            || named > unknown::entries_of_ours(index, &mut store, &ours.places())?)
    {
        return Ok(Some(Layout::of_entries(layout, named)));
    }
    if pairs >= PROOF {
        return spans_alone(index, &mut store);
    }
    let is_whole = matches!(ours.stop, Stop::End | Stop::Zeros | Stop::Enough);
    if ours.filled > 0 && is_whole {
        let named = entries::named(index, OUR_ENTRIES, base, &ours.places())?;
        if named == ours.starts.len() {
            return Ok(None);
        }
        return index_alone(base, index, (&mut store, &ours));
    }
    let own = ours.filled.max(pairs);
    let in_form = entries::in_form(index)?;
    let mut resumed = None;
    let mut best: Option<((u64, u32), Layout)> = None;
    for frames in frames::others() {
        let walk = store.walk(frames, FRAMES_MAX)?;
        if !walk.is_plausible(frames) || is_marked && walk.filled < 2 {
            continue;
        }
        let places = walk.places();
        let other = entries::other(base, index, &places)?;
        let by_ours = entries::named(index, OUR_ENTRIES, base, &places)?;
        let named = other.map_or(0, |(_, named)| named).max(by_ours);
        if in_form >= 2 && named < 2 {
            // An index of ours that names other bytes: the store is damaged.
            continue;
        }
        let verified = walk.verified(&mut store, frames)?;
        // Entries that name frames of ours are not evidence for others.
        let by_entries = if pairs == 0 { named } else { 0 };
        let bits = walk.bits(frames, verified, by_entries);
        let key = (bits, walk.high_bits);
        if bits <= frames::bits_of_ours(own) || best.is_some_and(|(most, _)| key <= most) {
            continue;
        }
        let resumed = match resumed {
            Some(resumed) => resumed,
            None => *resumed.insert(store.resumed()?),
        };
        let own_bits = frames::bits_of_ours(own.max(resumed.saturating_sub(1)));
        // About as many frames of ours as of the other layout: the beginning is damaged.
        let is_damaged = resumed >= 2 && walk.filled <= resumed + 1 + resumed / 4;
        let by_entries = by_entries >= 2 && (other.is_some() || !walk.is_torn());
        if bits <= own_bits || is_damaged && !by_entries {
            continue;
        }
        let fills = walk.fills(frames, verified) && bits > own_bits + walk.doubt(verified);
        let proven = fills || named >= PROOF;
        if proven || is_all(named, &places) {
            let layout = Layout {
                frames: Some(frames),
                entries: other.map(|(layout, _)| layout),
                perhaps: !proven,
                ..Layout::default()
            };
            best = Some((key, layout));
        }
    }
    let best = best.map(|(_, layout)| layout);
    if best.is_some_and(|it| !it.perhaps) {
        return Ok(best);
    }
    match spans_alone(index, &mut store)?.or(best) {
        None => index_alone(base, index, (&mut store, &ours)),
        found => Ok(found),
    }
}

/// The size of frames that entries of ours name.
fn spans_alone(index: &mut Option<Window>, store: &mut Store) -> Result<Option<Layout>> {
    Ok(spans::other(index, store)?.map(|spans| Layout {
        spans: Some(spans),
        ..Layout::default()
    }))
}

/// The layout of entries that name frames of ours, or an index in an unknown one.
fn index_alone(
    base: Offset,
    index: &mut Option<Window>,
    (store, ours): (&mut Store, &frames::Walk),
) -> Result<Option<Layout>> {
    let places = ours.places();
    if let Some((layout, named)) = entries::other(base, index, &places)?
        && (named >= PROOF || is_all(named, &places))
    {
        return Ok(Some(Layout::of_entries(layout, named)));
    }
    if let Some((layout, named)) = entries::sparse(base, index, &places)? {
        return Ok(Some(Layout::of_entries(layout, named)));
    }
    Ok(unknown::find(index, store, &places)?.map(|index| Layout {
        index: Some(index),
        perhaps: true,
        ..Layout::default()
    }))
}

/// Whether two or more entries name every frame there is.
fn is_all(named: usize, places: &Places) -> bool {
    named >= 2 && named == places.starts.len()
}
