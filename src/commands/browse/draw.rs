//! Draws the screen. Colors are the 16 that every terminal has; without them damage is bold
//! and marked with `!`, as it is everywhere else.

use proglog::log::units::Offset;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::keys::HELP;
use super::layout::{Areas, SEGMENTS_WIDE, areas};
use super::lines::{Lower, Part};
use super::rows::{Tone, View};
use super::scan::{self, worse};
use super::state::{Pane, PromptKind, State};
use crate::render::prose::{count, escaped};

/// The least screen that anything is drawn on.
const LEAST: (u16, u16) = (20, 8);

/// The title and the cursor; the names of columns.
const BAR: Style = Style::new().add_modifier(Modifier::REVERSED);
const HEAD: Style = Style::new().add_modifier(Modifier::BOLD);

/// Whether there is color.
#[derive(Debug, Clone, Copy)]
pub struct Theme {
    pub color: bool,
}

impl Theme {
    fn of(self, color: Color, other: Modifier) -> Style {
        if self.color {
            Style::new().fg(color)
        } else {
            Style::new().add_modifier(other)
        }
    }

    fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Plain => Style::new(),
            Tone::Note => self.of(Color::Yellow, Modifier::empty()),
            Tone::Damage => self.of(Color::Red, Modifier::BOLD),
        }
    }

    fn part(self, part: Part) -> Style {
        match part {
            Part::Plain | Part::Value => Style::new(),
            Part::Dim => self.of(Color::Cyan, Modifier::empty()),
            Part::Length => self.of(Color::Yellow, Modifier::UNDERLINED),
            Part::Field => self.of(Color::Magenta, Modifier::BOLD),
            Part::Note => self.tone(Tone::Note),
            Part::Damage => self.tone(Tone::Damage),
        }
    }
}

/// Draws everything in this area, whatever size the state is for; returns the place of the
/// cursor, if one is shown.
pub fn draw(buffer: &mut Buffer, state: &State, theme: Theme) -> Option<Position> {
    let area = buffer.area;
    if area.width < LEAST.0 || area.height < LEAST.1 {
        text_in(buffer, area, "too small", Style::new());
        return None;
    }
    let painter = Painter {
        state,
        areas: areas((area.width, area.height)),
        theme,
    };
    painter.title(buffer);
    painter.segments(buffer);
    painter.rows(buffer);
    painter.lower(buffer);
    painter.place(buffer);
    painter.bottom(buffer);
    if state.is_help {
        help(buffer, area);
    }
    let prompt = state.prompt.as_ref()?;
    let bottom = painter.areas.bottom;
    let typed = Span::raw(escaped(&prompt.text)).width();
    let column = u16::try_from(typed + 1).unwrap_or(u16::MAX);
    let x = bottom.x.saturating_add(column).min(area.right() - 1);
    Some(Position::new(x, bottom.y))
}

fn text_in(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    let area = area.intersection(buffer.area);
    if !area.is_empty() {
        buffer.set_stringn(area.x, area.y, text, usize::from(area.width), style);
    }
}

/// A line over the width of the area.
fn bar_in(buffer: &mut Buffer, area: Rect, left: &str, right: &str, style: Style) {
    buffer.set_style(area, style);
    text_in(buffer, area, left, style);
    let wide = u16::try_from(Span::raw(right).width()).unwrap_or(u16::MAX);
    let left = u16::try_from(Span::raw(left).width()).unwrap_or(u16::MAX);
    if !right.is_empty() && left.saturating_add(wide) < area.width {
        let x = area.right() - wide;
        text_in(
            buffer,
            Rect {
                x,
                width: wide,
                ..area
            },
            right,
            style,
        );
    }
}

struct Painter<'a> {
    state: &'a State,
    areas: Areas,
    theme: Theme,
}

impl Painter<'_> {
    fn title(&self, buffer: &mut Buffer) {
        let state = self.state;
        let left = format!(" {}", state.names.shown);
        let mut facts = Vec::new();
        if state.absent.is_none() {
            facts.push(count(state.bases.len() as u64, "segment"));
            facts.extend(state.scan.as_ref().map(|it| count(it.records, "record")));
            facts.extend(state.codec.map(|codec| codec.to_string()));
        }
        let right = format!("{} ", facts.join(", "));
        bar_in(buffer, self.areas.title, &left, &right, BAR);
    }

    fn heading(&self, buffer: &mut Buffer, area: Rect, text: &str, pane: Pane) {
        let mut style = HEAD;
        if self.state.focus == pane {
            style = style.add_modifier(Modifier::UNDERLINED);
        }
        bar_in(buffer, area, text, "", style);
    }

    fn segments(&self, buffer: &mut Buffer) {
        let state = self.state;
        let areas = self.areas;
        let area = areas.segments;
        let is_wide = area.width + 1 >= SEGMENTS_WIDE;
        let head = if is_wide {
            format!("{:>8} {:>8} {:>5} STATE", "SEGMENT", "RECORDS", "SIZE")
        } else {
            format!("{:>8} STATE", "SEGMENT")
        };
        self.heading(buffer, areas.segments_head, &head, Pane::Segments);
        let height = usize::from(area.height);
        let top = state.chosen.saturating_sub(height / 2);
        let top = top.min(state.bases.len().saturating_sub(height));
        let bases = state.bases.iter().enumerate().skip(top).take(height);
        for ((at, base), y) in bases.zip(area.y..) {
            let line = state.scan.as_ref().and_then(|scan| line_of(scan, *base));
            let mut text = format!("{base:>8}");
            if is_wide {
                let records = line.map_or("-".to_owned(), |line| short(line.records));
                let bytes = line.map_or("-".to_owned(), |line| size(line.bytes));
                text = format!("{text} {records:>8} {bytes:>5}");
            }
            let chosen = if at == state.chosen {
                BAR
            } else {
                Style::new()
            };
            let row = Rect {
                y,
                height: 1,
                ..area
            };
            bar_in(buffer, row, &text, "", chosen);
            let used = u16::try_from(text.len() + 1).unwrap_or(u16::MAX);
            let room = area.width.saturating_sub(used);
            let x = area.x.saturating_add(used);
            for (cell, x) in self.cells(line, room).chars().zip(x..) {
                let tone = match cell {
                    '!' => Tone::Damage,
                    '.' => Tone::Note,
                    _ => Tone::Plain,
                };
                let style = chosen.patch(self.theme.tone(tone));
                text_in(buffer, Rect::new(x, y, 1, 1), &cell.to_string(), style);
            }
        }
        let border = (areas.segments_head.y..area.bottom()).map(|y| (area.right(), y));
        for (x, y) in border {
            let style = self.theme.of(Color::Cyan, Modifier::empty());
            text_in(buffer, Rect::new(x, y, 1, 1), "|", style);
        }
    }

    /// The strip of a segment in this width.
    fn cells(&self, line: Option<&scan::Line>, width: u16) -> String {
        let width = usize::from(width);
        let is_complete = self.state.scan.as_ref().is_some_and(|it| it.is_complete);
        let Some(line) = line else {
            return "?".repeat(width);
        };
        let Some(cells) = &line.cells else {
            let cell = match (line.is_damaged, is_complete) {
                (true, _) => "!",
                (false, true) => "#",
                (false, false) => "?",
            };
            return cell.repeat(width);
        };
        let cells: Vec<char> = cells.chars().collect();
        let cell = |at: usize| {
            let from = at * cells.len() / width;
            let to = ((at + 1) * cells.len() / width).max(from + 1);
            let some = cells.get(from..to).unwrap_or_default();
            some.iter().copied().fold('#', worse)
        };
        (0..width).map(cell).collect()
    }

    fn rows(&self, buffer: &mut Buffer) {
        let state = self.state;
        let areas = self.areas;
        let cut = |text: &str| text.chars().skip(state.column).collect::<String>();
        let Some(window) = &state.window else {
            let text = if state.is_loading { "loading" } else { "" };
            self.heading(buffer, areas.rows_head, text, Pane::Rows);
            return;
        };
        self.heading(buffer, areas.rows_head, &cut(&window.heading), Pane::Rows);
        let rows = state.visible().iter().enumerate();
        for ((at, row), y) in rows.zip(areas.rows.top()..areas.rows.bottom()) {
            let is_cursor = state.top + at == state.cursor;
            let mut style = self.theme.tone(row.tone);
            if is_cursor {
                style = style.add_modifier(Modifier::REVERSED);
            }
            let area = Rect {
                y,
                height: 1,
                ..areas.rows
            };
            bar_in(buffer, area, &cut(&row.text), "", style);
        }
        if state.rows().is_empty() {
            let text = match window.view {
                View::Records => "no records",
                View::Entries => "no entries",
                View::Frames => "no frames",
            };
            text_in(buffer, areas.rows, text, Style::new());
        }
    }

    fn lower(&self, buffer: &mut Buffer) {
        let state = self.state;
        let areas = self.areas;
        let title = match &state.lower {
            Lower::Nothing => String::new(),
            Lower::Detail(detail) => match detail.offset {
                Some(offset) => format!("offset {offset}"),
                None => format!("segment {}", detail.segment),
            },
            Lower::Text(_) => match (state.finding, &state.scan) {
                (Some(at), Some(scan)) if state.is_explaining => {
                    format!("finding {} of {}", at + 1, scan.findings.len())
                }
                _ => String::new(),
            },
        };
        let height = usize::from(areas.lower.height);
        let lines = &state.lower_lines;
        let end = lines.len().min(state.lower_top + height);
        let place = if lines.len() > height {
            format!("lines {}..{end} of {}", state.lower_top + 1, lines.len())
        } else {
            String::new()
        };
        let mut style = HEAD;
        if state.focus == Pane::Lower {
            style = style.add_modifier(Modifier::UNDERLINED);
        }
        let dashes = "-".repeat(usize::from(areas.lower_head.width));
        text_in(
            buffer,
            areas.lower_head,
            &dashes,
            self.theme.of(Color::Cyan, Modifier::empty()),
        );
        let head = Rect {
            x: areas.lower_head.x + 1.min(areas.lower_head.width),
            width: areas.lower_head.width.saturating_sub(2),
            ..areas.lower_head
        };
        if !title.is_empty() {
            text_in(buffer, head, &format!(" {title} "), style);
        }
        if !place.is_empty() {
            let wide = u16::try_from(place.len() + 2)
                .unwrap_or(u16::MAX)
                .min(head.width);
            let x = head.right() - wide;
            text_in(
                buffer,
                Rect {
                    x,
                    width: wide,
                    ..head
                },
                &format!(" {place} "),
                style,
            );
        }
        let shown = lines.get(state.lower_top..end).unwrap_or_default();
        for (line, y) in shown.iter().zip(areas.lower.y..) {
            let spans = line
                .iter()
                .map(|(part, text)| Span::styled(text, self.theme.part(*part)));
            let line: Line<'_> = spans.collect::<Vec<_>>().into();
            buffer.set_line(areas.lower.x, y, &line, areas.lower.width);
        }
    }

    fn place(&self, buffer: &mut Buffer) {
        let state = self.state;
        let view = match state.view {
            View::Records => "records",
            View::Entries => "entries",
            View::Frames => "frames",
        };
        let mut left = format!(" {view}");
        if let Some(row) = state.row() {
            if let Some(offset) = row.offset {
                left = format!("{left}  offset {offset}");
            }
            left = match row.frame {
                Some(position) => format!("{left}  segment {} at {position}", row.segment),
                None => format!("{left}  segment {}", row.segment),
            };
        }
        if let Some(scan) = &state.scan
            && let (Some(all), Some(row)) = (scan.next.0.checked_sub(scan.lowest.0), state.row())
            && let Some(offset) = row.offset
        {
            let done = u128::from(offset.since(scan.lowest).saturating_add(1)) * 100;
            let percent = done.checked_div(u128::from(all)).unwrap_or(0).min(100);
            left = format!("{left}  {percent}%");
        }
        if state.follow {
            left = format!("{left}  follow");
        }
        if state.is_loading {
            left = format!("{left}  loading");
        }
        bar_in(buffer, self.areas.place, &left, "?=help q=quit ", BAR);
    }

    fn bottom(&self, buffer: &mut Buffer) {
        let state = self.state;
        let area = self.areas.bottom;
        if let Some(prompt) = &state.prompt {
            let sign = match prompt.kind {
                PromptKind::Jump => ':',
                PromptKind::Forward => '/',
                PromptKind::Backward => '?',
            };
            let text = format!("{sign}{}", escaped(&prompt.text));
            return text_in(buffer, area, &text, Style::new());
        }
        if let Some(absent) = &state.absent {
            return text_in(buffer, area, absent, self.theme.tone(Tone::Damage));
        }
        if let Some(offset) = state.searched {
            let text = self.searching(offset);
            return text_in(buffer, area, &text, Style::new());
        }
        if let Some(message) = &state.message {
            return text_in(buffer, area, message, HEAD);
        }
        let Some(scan) = &state.scan else {
            return text_in(buffer, area, " the scan has begun", Style::new());
        };
        let segment = line_of(scan, state.base());
        let findings = match (scan.errors, scan.warnings) {
            (0, 0) if scan.is_complete => "ok".to_owned(),
            (0, 0) => "nothing found yet".to_owned(),
            (errors, 0) => count(errors as u64, "error"),
            (0, warnings) => count(warnings as u64, "warning"),
            (errors, warnings) => format!(
                "{}, {}",
                count(errors as u64, "error"),
                count(warnings as u64, "warning")
            ),
        };
        let tone = match (scan.errors, scan.warnings) {
            (0, 0) => Tone::Plain,
            (0, _) => Tone::Note,
            _ => Tone::Damage,
        };
        let key = if scan.findings.is_empty() { "" } else { " (e)" };
        let findings = format!(" {findings}{key}");
        let mut rest = String::new();
        if state.scanning.is_some() {
            rest = format!("{rest}  scan {}%", state.percent);
        }
        rest = format!("{rest}  {}", scan.in_use);
        if let Some(state) = segment.and_then(|line| line.state.as_ref()) {
            rest = format!("{rest}  segment: {state}");
        }
        text_in(buffer, area, &findings, self.theme.tone(tone));
        let used = u16::try_from(findings.len())
            .unwrap_or(u16::MAX)
            .min(area.width);
        let rest_area = Rect {
            x: area.x + used,
            width: area.width - used,
            ..area
        };
        text_in(buffer, rest_area, &rest, Style::new());
    }

    fn searching(&self, offset: Offset) -> String {
        let pattern = self
            .state
            .search
            .as_ref()
            .map(|it| it.pattern.regex().as_str());
        let pattern = escaped(pattern.unwrap_or_default());
        let place = match &self.state.scan {
            Some(scan) if scan.next > scan.lowest => {
                let all = u128::from(scan.next.since(scan.lowest));
                let percent = u128::from(offset.since(scan.lowest)) * 100 / all;
                format!("{offset} ({}%)", percent.min(100))
            }
            _ => offset.to_string(),
        };
        format!("searching {pattern} at offset {place}  Esc=stop")
    }
}

fn help(buffer: &mut Buffer, area: Rect) {
    let lines: Vec<&str> = HELP.lines().collect();
    let wide = lines.iter().map(|line| line.len()).max().unwrap_or(0) + 2;
    let width = u16::try_from(wide).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    // The last line is for what is typed.
    let height = height.min(area.height - 1);
    let top = (area.height - 1 - height) / 2;
    let begin = area.x + (area.width - width) / 2;
    let begin_y = area.y + top;
    for y in begin_y..begin_y + height {
        let line = Rect::new(begin, y, width, 1);
        text_in(buffer, line, &" ".repeat(wide), Style::reset());
    }
    let title = Rect::new(begin, begin_y, width, 1);
    bar_in(buffer, title, " keys", "Esc=close ", BAR);
    for (line, y) in lines.iter().zip(begin_y + 1..begin_y + height) {
        text_in(
            buffer,
            Rect::new(begin, y, width, 1),
            &format!(" {line}"),
            Style::reset(),
        );
    }
}

fn line_of(scan: &scan::Scan, base: Offset) -> Option<&scan::Line> {
    let at = scan.segments.binary_search_by_key(&base, |line| line.base);
    scan.segments.get(at.ok()?)
}

/// A number in at most eight columns.
fn short(number: u64) -> String {
    if number < 100_000_000 {
        return number.to_string();
    }
    format!("{}M", number / 1_000_000)
}

/// A size in at most five columns.
fn size(bytes: u64) -> String {
    let mut unit = bytes;
    for name in ["", "K", "M", "G", "T"] {
        if unit < 10_000 {
            return format!("{unit}{name}");
        }
        unit /= 1024;
    }
    format!("{unit}P")
}
