//! Where the frames of a log are after damage.

use super::damage::{File, Origin};
use super::made::{Frame, Made};

/// An intact frame and where it stands now.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The base that its file's name says.
    pub base: u64,
    pub at: usize,
    /// The base of the segment that it was written to.
    pub home: u64,
    pub frame: &'a Frame,
    /// Nothing but zeros, and no other intact frame follows: it may be none.
    pub vague: bool,
}

impl Place<'_> {
    pub fn end(&self) -> usize {
        self.at + self.frame.bytes.len()
    }

    pub fn describe(&self) -> String {
        let Self {
            base, at, frame, ..
        } = self;
        format!(
            "{:?} {} at {base}.store {at}+{}",
            frame.kind,
            frame.offset,
            frame.bytes.len()
        )
    }
}

/// A damaged frame that seems to be whole.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    pub base: u64,
    pub at: usize,
    pub end: usize,
    /// Whether its length is the one that was written.
    pub is_length: bool,
    /// Whether its payload is a record.
    pub is_record: bool,
}

impl Claim {
    /// Whether a position is in it, and not its beginning.
    pub fn holds(&self, at: usize) -> bool {
        self.at < at && at < self.end
    }
}

/// Whether `count` bytes from `at` on are those from `origin` on.
pub fn is_whole(file: &File, at: usize, origin: Origin, count: usize) -> bool {
    let from = file.from.get(at..at + count);
    from.is_some_and(|from| {
        (origin.at..)
            .zip(from)
            .all(|(at, from)| *from == Some(Origin { at, ..origin }))
    })
}

/// Where frames of the log begin in a store, whole or not.
pub fn starts<'a>(made: &'a Made, file: &'a File) -> impl Iterator<Item = (usize, &'a Frame)> {
    file.from.iter().enumerate().filter_map(|(at, from)| {
        let origin = from.filter(|origin| !origin.index)?;
        let frames = &made.segments[origin.segment].frames;
        let frame = frames
            .binary_search_by_key(&origin.at, |frame| frame.position)
            .ok()?;
        Some((at, &frames[frame]))
    })
}

pub fn intact<'a>(made: &'a Made, base: u64, file: &'a File) -> Vec<Place<'a>> {
    let mut places: Vec<Place<'a>> = starts(made, file)
        .filter_map(|(at, frame)| {
            let origin = file.from[at]?;
            let home = made.segments[origin.segment].base;
            let vague = false;
            let whole = file.bytes[at..].starts_with(&frame.bytes)
                && is_whole(file, at, origin, frame.bytes.len());
            whole.then_some(Place {
                base,
                at,
                home,
                frame,
                vague,
            })
        })
        .collect();
    let mut next = None;
    for place in places.iter_mut().rev() {
        let zeros = place.frame.bytes.iter().all(|byte| *byte == 0);
        place.vague = zeros && next != Some(place.end());
        if !place.vague {
            next = Some(place.at);
        }
    }
    places
}
