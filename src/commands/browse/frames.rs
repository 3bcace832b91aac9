//! The frames of a store as rows, as `dump-store` prints them. Where its index names a frame
//! after bytes that are not one, the dump continues there.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::Path;

use proglog::inspect::frames::{FrameItem, NoFrame, StoreDump};
use proglog::inspect::listing::Listing;
use proglog::log::error::{Error, Result};
use proglog::log::segment::is_absent;
use proglog::log::units::Offset;
use proglog::log::walk::Flow;

use super::anchors::{Anchors, Places};
use super::places::{Shown, first_line, give_text, row_at, unwritten};
use super::rows::{AROUND, Row, Target, Tone, View, Window};
use crate::commands::dump_store;
use crate::render::dump::Failed;
use crate::render::dump_store::Printer;
use crate::render::sheet::Form;

/// See [`Frames::begin`].
type Begin = (u64, Option<Offset>, Option<(u64, Offset)>);

/// A store as its rows are made: by a dump, which continues where an entry names a frame
/// after bytes that are not one.
struct Frames<'a> {
    shown: Shown<'a>,
    dump: StoreDump,
    anchors: Option<Anchors>,
}

impl Frames<'_> {
    /// Passes the items; returns whether it came to the end of the store.
    fn each(
        &mut self,
        mut each: impl FnMut(&FrameItem<'_>, Option<Offset>) -> Result<Flow>,
    ) -> Result<bool> {
        let store_bytes = self.dump.store_bytes();
        loop {
            let (mut next, mut is_end) = (None, true);
            let (anchors, shown) = (&mut self.anchors, self.shown);
            self.dump.each::<Error>(|item, offset| {
                let mut item = *item;
                if let FrameItem::NoFrame {
                    position,
                    bytes,
                    why,
                } = item
                    && why != NoFrame::Unfinished
                    && let Some(anchors) = anchors.as_mut()
                {
                    let slot = anchors.slot_after(position)?;
                    let place = anchors.valid(slot, Some(position))?;
                    next = place.filter(|it| it.0 < position.saturating_add(bytes));
                    if let Some((at, _)) = next {
                        let bytes = at - position;
                        item = FrameItem::NoFrame {
                            position,
                            bytes,
                            why,
                        };
                    }
                }
                let item = dump_store::as_buffered(item, shown.directory, shown.names, store_bytes);
                let flow = each(&item, offset)?;
                if flow.is_break() {
                    (next, is_end) = (None, false);
                    return Ok(flow);
                }
                Ok(if next.is_some() {
                    ControlFlow::Break(())
                } else {
                    flow
                })
            })?;
            match next {
                Some((position, offset)) => self.dump.go_to(position, offset),
                None => return Ok(is_end),
            }
        }
    }

    /// The position that is wanted, or the offset where no entry names it, and a place before
    /// it at which the dump begins.
    fn begin(&mut self, target: Target, places: &Places) -> Result<Begin> {
        let (goal, wanted) = match (target, &self.anchors) {
            (Target::Start, _) => (0, None),
            (Target::End, _) => (u64::MAX, None),
            (Target::Row(key), _) => (key.at, None),
            (Target::Offset(offset), Some(anchors)) => match anchors.of_offset(offset)? {
                Some(position) => (position, None),
                None => (u64::MAX, Some(offset)),
            },
            (Target::Offset(offset), None) => (u64::MAX, Some(offset)),
        };
        let known = match (&mut self.anchors, wanted) {
            (Some(anchors), None) => anchors.before(goal)?,
            (Some(anchors), Some(offset)) => anchors.before_offset(offset)?,
            (None, _) => None,
        };
        let passed = places.before(goal).filter(|_| wanted.is_none());
        let known = known.max(passed);
        if let Some((position, offset)) = known {
            self.dump.go_to(position, offset);
        }
        Ok((goal, wanted, known))
    }
}

/// The frames around a target; `None` if it is not wanted any more.
pub fn frames(
    shown: Shown<'_>,
    target: Target,
    places: &mut Places,
    is_over: &dyn Fn() -> bool,
) -> Result<Option<Window>> {
    let Shown {
        directory, names, ..
    } = shown;
    let listed = Listing::segment(&directory.dir, names);
    let mut text = Vec::new();
    let mut printer = Printer::new(&mut text, Form::default(), shown.codec, Path::new(""));
    let dump = match dump_store::open(directory, names, shown.codec) {
        Err(error) if is_absent(&error) => {
            printer.heading(&listed, None).map_err(unwritten)?;
            printer.sheet.lines.finish().map_err(unwritten)?;
            return Ok(Some(shown.empty(View::Frames, first_line(&text))));
        }
        dump => dump?,
    };
    let end = dump.store_bytes();
    printer.heading(&listed, Some(end)).map_err(unwritten)?;
    places.begin(names.base, end);
    let anchors = Anchors::open(shown)?;
    let mut frames = Frames {
        shown,
        dump,
        anchors,
    };
    let (goal, wanted, known) = frames.begin(target, places)?;
    // The items before the goal; those that are as expected with their places.
    let mut before: VecDeque<Option<(u64, Offset)>> = VecDeque::new();
    let (mut goal, mut seen, mut is_over_now) = (goal, 0_u64, false);
    let mut begin = known;
    frames.each(|item, offset| {
        let (position, _) = item.place();
        let is_wanted = wanted.is_some_and(|wanted| offset.is_some_and(|it| it >= wanted));
        if item.covers(goal) || position > goal || is_wanted {
            if is_wanted {
                goal = position;
            }
            return Ok(ControlFlow::Break(()));
        }
        let place = match item {
            FrameItem::Frame(view) if view.is_expected() => offset.map(|it| (position, it)),
            _ => None,
        };
        if let Some((position, offset)) = place {
            places.pass(position, offset);
        }
        before.push_back(place);
        if before.len() > AROUND
            && let Some(Some(place)) = before.pop_front()
        {
            begin = Some(place);
        }
        seen += 1;
        is_over_now = seen.is_multiple_of(1 << 16) && is_over();
        Ok(if is_over_now {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    if is_over_now {
        return Ok(None);
    }
    let (position, offset) = begin.unwrap_or((0, names.base));
    frames.dump.go_to(position, offset);
    let mut rows: Vec<Row> = Vec::new();
    let is_end = frames.each(|item, offset| {
        printer.item(item, offset, None).map_err(unprinted)?;
        rows.push(frame_row(&shown, item, offset));
        let past = rows
            .iter()
            .rev()
            .take_while(|row| row.key.at > goal)
            .count();
        Ok(if past >= AROUND {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    })?;
    printer.sheet.lines.finish().map_err(unwritten)?;
    let heading = give_text(&mut rows, &text, 2);
    Ok(Some(Window {
        cursor: row_at(&rows, goal),
        rows,
        is_start: position == 0,
        is_end,
        ..shown.empty(View::Frames, heading)
    }))
}

fn frame_row(shown: &Shown<'_>, item: &FrameItem<'_>, offset: Option<Offset>) -> Row {
    let (at, _) = item.place();
    let tone = match item {
        FrameItem::Frame(view) if !view.is_expected() => Tone::Damage,
        FrameItem::Frame(_) | FrameItem::EmptyRow { .. } => Tone::Plain,
        FrameItem::Zeros { .. } => Tone::Note,
        FrameItem::NoFrame { why, .. } => match why {
            NoFrame::Buffered | NoFrame::Unfinished => Tone::Note,
            _ => Tone::Damage,
        },
    };
    let payload_bytes = match item {
        FrameItem::Frame(view) => Some(view.payload_bytes),
        _ => None,
    };
    Row {
        frame: Some(at),
        payload_bytes,
        ..shown.row(at, offset, tone)
    }
}

fn unprinted(failed: Failed) -> Error {
    match failed {
        Failed::Read(error) => error,
        Failed::Write(error) => unwritten(error),
    }
}
