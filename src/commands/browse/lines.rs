//! The lines of the lower pane: text, indented JSON or hex, each piece with what it is.

use proglog::inspect::entries::EntryView;
use proglog::log::format::{LENGTH_BYTES, encode_length};

use super::detail::{Detail, Frame};
use super::state::{Form, Lower};
use crate::render::pretty::indented;
use crate::render::prose::fitted;
use crate::render::text::one_line;

/// What a piece of a line is, for its color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Plain,
    /// Names and positions.
    Dim,
    /// The length of a frame.
    Length,
    /// Bytes of a record around its value.
    Field,
    Value,
    Damage,
}

/// A line in pieces.
pub type Line = Vec<(Part, String)>;

/// The columns from which on an entry and its frame are side by side.
const SIDE_BY_SIDE: usize = 78;

/// The lines of the lower pane in this width.
pub fn of(lower: &Lower, form: Form, width: usize, log: &str) -> Vec<Line> {
    match lower {
        Lower::Nothing => Vec::new(),
        Lower::Text(text) => {
            let text = text.iter().flat_map(|line| {
                let fitted = fitted(line, width.max(20), 0);
                fitted.split('\n').map(str::to_owned).collect::<Vec<_>>()
            });
            let part = |(at, line)| vec![(if at == 0 { Part::Damage } else { Part::Plain }, line)];
            text.enumerate().map(part).collect()
        }
        Lower::Detail(detail) => of_detail(detail, form, width, log),
    }
}

fn of_detail(detail: &Detail, form: Form, width: usize, log: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(words) = &detail.words {
        let words = fitted(words.trim_start(), width.max(20), 2);
        lines.extend(
            words
                .lines()
                .map(|line| vec![(Part::Damage, line.to_owned())]),
        );
    }
    let entry = detail.entry.as_ref().map(|it| of_entry(it, &detail.index));
    let frame = detail.frame.as_ref().map(|it| of_frame(it, &detail.store));
    let (entry, frame) = (entry.unwrap_or_default(), frame.unwrap_or_default());
    if width >= SIDE_BY_SIDE && !entry.is_empty() {
        let column = width / 2;
        let mut frame = frame.into_iter();
        for mut left in entry {
            let used: usize = left.iter().map(|(_, text)| text.chars().count()).sum();
            left.push((Part::Plain, " ".repeat(column.saturating_sub(used))));
            left.extend(frame.next().unwrap_or_default());
            lines.push(left);
        }
        lines.extend(frame);
    } else {
        lines.extend(entry);
        lines.extend(frame);
    }
    if detail.is_stale {
        let text = "these bytes have changed since the row was read";
        lines.push(vec![(Part::Damage, text.to_owned())]);
    }
    let Some(frame) = &detail.frame else {
        return lines;
    };
    let value = frame.value.clone().and_then(|it| frame.bytes.get(it));
    let text = value.and_then(|value| std::str::from_utf8(value).ok());
    match (form, text) {
        (Form::Text, Some(text)) if frame.is_complete => match indented(text) {
            Some(json) => wrapped(&json, width, &mut lines),
            None => wrapped(text, width, &mut lines),
        },
        _ => hex(frame, width, &mut lines),
    }
    let shown = value.map_or(0, |value| value.len() as u64);
    if let Some(offset) = detail.offset.filter(|_| shown < frame.value_bytes) {
        let more = frame.value_bytes - shown;
        let text = format!("... {more} bytes more: proglog read {log} {offset} --raw");
        lines.push(vec![(Part::Dim, text)]);
    }
    lines
}

fn of_entry(view: &EntryView, index: &str) -> Vec<Line> {
    let entry = view.entry;
    let bytes = entry.encode();
    let (relative, position) = bytes.split_at(4);
    let part = |good| if good { Part::Plain } else { Part::Damage };
    let id = view.fault.as_ref().filter(|it| it.buffered.is_none());
    let mut head = vec![
        (Part::Dim, "entry  ".to_owned()),
        (
            Part::Plain,
            one_line(format!("{index} {}+12", view.index_position).as_bytes()),
        ),
    ];
    if let Some(fault) = id {
        head.push((Part::Damage, format!("  ! {}", fault.id)));
    }
    vec![
        head,
        vec![
            (Part::Dim, "       ".to_owned()),
            (Part::Field, digits(relative)),
            (Part::Plain, " ".to_owned()),
            (Part::Length, digits(position)),
        ],
        vec![
            (Part::Dim, "       relative ".to_owned()),
            (part(id.is_none()), entry.relative.to_string()),
            (Part::Dim, "  position ".to_owned()),
            (part(id.is_none()), entry.position.to_string()),
        ],
    ]
}

fn of_frame(frame: &Frame, store: &str) -> Vec<Line> {
    let frame_bytes = frame
        .payload_bytes
        .map(|it| it.saturating_add(LENGTH_BYTES));
    let place = match frame_bytes {
        Some(bytes) => format!("{store} {}+{bytes}", frame.position),
        None => format!("{store} {}", frame.position),
    };
    let mut head = vec![
        (Part::Dim, "frame  ".to_owned()),
        (Part::Plain, one_line(place.as_bytes())),
    ];
    if !frame.is_complete {
        head.push((Part::Damage, "  ! not complete in the store".to_owned()));
    }
    let Some(payload_bytes) = frame.payload_bytes else {
        return vec![head];
    };
    let part = if frame.is_complete {
        Part::Plain
    } else {
        Part::Damage
    };
    let mut figures = vec![
        (Part::Dim, "       length ".to_owned()),
        (part, payload_bytes.to_string()),
    ];
    if frame.value.is_some() {
        figures.push((Part::Dim, "  value ".to_owned()));
        figures.push((Part::Plain, frame.value_bytes.to_string()));
    }
    vec![
        head,
        vec![
            (Part::Dim, "       ".to_owned()),
            (Part::Length, digits(&encode_length(payload_bytes))),
        ],
        figures,
    ]
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text in lines that fit; control characters are escaped.
fn wrapped(text: &str, width: usize, lines: &mut Vec<Line>) {
    for line in text.split('\n') {
        let line = one_line(line.as_bytes());
        let mut chars = line.chars().peekable();
        loop {
            let (mut piece, mut used) = (String::new(), 0);
            while let Some(&c) = chars.peek() {
                let columns = columns_of(c);
                if used + columns > width.max(8) {
                    break;
                }
                used += columns;
                piece.push(c);
                chars.next();
            }
            lines.push(vec![(Part::Value, piece)]);
            if chars.peek().is_none() {
                break;
            }
        }
    }
}

/// Columns of a character on the screen.
fn columns_of(c: char) -> usize {
    ratatui::text::Span::raw(c.to_string()).width()
}

/// The frame as hex, 16 or 8 bytes a line, in the colors of its parts.
fn hex(frame: &Frame, width: usize, lines: &mut Vec<Line>) {
    let per_line = if width >= 76 { 16 } else { 8 };
    let value = frame.value.clone().unwrap_or(0..0);
    let part = |at: usize| match at {
        _ if !frame.is_complete => Part::Damage,
        0..8 => Part::Length,
        at if value.contains(&at) => Part::Value,
        _ => Part::Field,
    };
    let mut position = frame.position;
    for (number, bytes) in frame.bytes.chunks(per_line).enumerate() {
        let first = number * per_line;
        let mut line = vec![(Part::Dim, format!("{position:>10}  "))];
        let mut text = vec![(Part::Plain, " ".to_owned())];
        for (at, &byte) in bytes.iter().enumerate() {
            let part = part(first + at);
            let shown = if (b' '..=b'~').contains(&byte) {
                char::from(byte)
            } else {
                '.'
            };
            let gap = if at % 4 == 3 { "  " } else { " " };
            push(&mut line, part, &format!("{byte:02x}{gap}"));
            push(&mut text, part, &shown.to_string());
        }
        let used: usize = line.iter().map(|(_, text)| text.len()).sum();
        let room = 12 + per_line * 3 + per_line / 4;
        line.push((Part::Plain, " ".repeat(room.saturating_sub(used))));
        line.append(&mut text);
        lines.push(line);
        position = position.saturating_add(bytes.len() as u64);
    }
}

/// Adds to the last piece if it is the same part.
fn push(line: &mut Line, part: Part, text: &str) {
    match line.last_mut() {
        Some((last, piece)) if *last == part => piece.push_str(text),
        _ => line.push((part, text.to_owned())),
    }
}
