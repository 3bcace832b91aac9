//! The lines of the lower pane: text, indented JSON or hex, each piece with what it is.

use proglog::inspect::entries::EntryView;
use proglog::log::format::{LENGTH_BYTES, encode_length};

use super::detail::{Detail, Frame};
use super::rows::Tone;
use crate::render::pretty::indented;
use crate::render::prose::fitted;
use crate::render::text::one_line;

/// How a value is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON on several lines, or the lines of a text; hex if it is neither.
    Text,
    Hex,
}

/// The content of the lower pane.
#[derive(Debug, Clone, PartialEq)]
pub enum Lower {
    Nothing,
    Detail(Box<Detail>),
    /// The explanation of a finding, or an error.
    Text(Vec<String>),
}

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
    Note,
    Damage,
}

/// A line in pieces.
pub type Line = Vec<(Part, String)>;

/// The lines from which on the bytes of an entry and of a length have a line.
const HEIGHT_IN_FULL: usize = 7;

/// The lines of the lower pane for this width and height.
pub fn of(lower: &Lower, form: Form, room: (usize, usize), log: &str) -> Vec<Line> {
    let width = room.0;
    match lower {
        Lower::Nothing => Vec::new(),
        Lower::Text(text) => {
            let text = text.iter().flat_map(|line| {
                let fitted = fitted(line, width.max(20), 0);
                fitted.split('\n').map(str::to_owned).collect::<Vec<_>>()
            });
            text.map(|line| vec![(part_of(&line), line)]).collect()
        }
        Lower::Detail(detail) => of_detail(detail, form, room, log),
    }
}

/// The explanation of a finding begins with its severity.
fn part_of(line: &str) -> Part {
    match line.split(' ').next() {
        Some("error") => Part::Damage,
        Some("warning" | "note") => Part::Note,
        _ => Part::Plain,
    }
}

fn of_detail(detail: &Detail, form: Form, (width, height): (usize, usize), log: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some((tone, words)) = &detail.words {
        let part = if *tone == Tone::Damage {
            Part::Damage
        } else {
            Part::Note
        };
        let words = fitted(words.trim_start(), width.max(20), 2);
        lines.extend(words.lines().map(|line| vec![(part, line.to_owned())]));
    }
    let entry = detail.entry.as_ref().map(|it| of_entry(it, &detail.index));
    let frame = detail.frame.as_ref().map(|it| of_frame(it, &detail.store));
    let (entry, frame) = (entry.unwrap_or_default(), frame.unwrap_or_default());
    if height < HEIGHT_IN_FULL {
        let few = [entry, frame].into_iter().filter(|it| !it.is_empty());
        lines.extend(few.map(in_short));
    } else {
        beside(entry, frame, width, &mut lines);
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

/// The first and the last line in one.
fn in_short(lines: Vec<Line>) -> Line {
    let mut few = lines.into_iter();
    let mut line = few.next().unwrap_or_default();
    for (part, text) in few.next_back().unwrap_or_default() {
        line.push((part, text.replace("       ", "  ")));
    }
    line
}

/// An entry and its frame side by side, or one below the other.
fn beside(entry: Vec<Line>, frame: Vec<Line>, width: usize, lines: &mut Vec<Line>) {
    let columns = |line: &Line| {
        line.iter()
            .map(|(_, text)| text.chars().count())
            .sum::<usize>()
    };
    let longest = |lines: &[Line]| lines.iter().map(columns).max().unwrap_or(0);
    let column = (width / 2).max(longest(&entry) + 2);
    if entry.is_empty() || column + longest(&frame) > width {
        lines.extend(entry);
        lines.extend(frame);
        return;
    }
    let mut frame = frame.into_iter();
    for mut left in entry {
        left.push((
            Part::Plain,
            " ".repeat(column.saturating_sub(columns(&left))),
        ));
        left.extend(frame.next().unwrap_or_default());
        lines.push(left);
    }
    lines.extend(frame);
}

fn of_entry(view: &EntryView, index: &str) -> Vec<Line> {
    let entry = view.entry;
    let bytes = entry.encode();
    let (relative, position) = bytes.split_at(4);
    let fault = view.fault.as_ref();
    let part = match fault.filter(|it| it.buffered.is_none()) {
        Some(_) => Part::Damage,
        None => Part::Plain,
    };
    let place = format!("{index} {}+12", view.index_position);
    let head = vec![
        (Part::Dim, "entry  ".to_owned()),
        (Part::Plain, one_line(place.as_bytes())),
    ];
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
            (part, entry.relative.to_string()),
            (Part::Dim, "  position ".to_owned()),
            (part, entry.position.to_string()),
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
        head.push((Part::Damage, "  ! incomplete".to_owned()));
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
    let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or('?');
    let both = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(both).collect()
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
