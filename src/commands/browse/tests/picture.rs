//! The picture in README.md: a screen as it is in a terminal, in colors.

use std::fmt::Write as _;
use std::path::Path;

use proglog_testkit::Sandbox;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::{Browser, compare_with};

/// The width and the height of a cell, and the border.
const CELL: (usize, usize) = (8, 18);
const BORDER: usize = 12;

fn color(color: Color) -> &'static str {
    match color {
        Color::Red => "#ff6b6b",
        Color::Yellow => "#f2c14e",
        Color::Cyan => "#6cc5e0",
        Color::Magenta => "#c792ea",
        _ => "#d8dee9",
    }
}

/// One run of cells of the same style.
fn run(svg: &mut String, cells: &[&Cell], x: usize, y: usize) {
    let Some(first) = cells.first() else {
        return;
    };
    let (left, top) = (BORDER + x * CELL.0, BORDER + y * CELL.1);
    let wide = cells.len() * CELL.0;
    let mut fill = color(first.fg);
    if first.modifier.contains(Modifier::REVERSED) {
        let high = CELL.1;
        let _ = writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{wide}\" height=\"{high}\" fill=\"{fill}\"/>"
        );
        fill = "#1b2028";
    }
    let text: String = cells.iter().map(|cell| cell.symbol()).collect();
    let mut at = 0;
    for word in text.split_inclusive(' ') {
        let shown = word.trim_end();
        let (columns, length) = (word.chars().count(), shown.chars().count() * CELL.0);
        if !shown.is_empty() {
            let shown = shown.replace('&', "&amp;").replace('<', "&lt;");
            let is_bold = first.modifier.contains(Modifier::BOLD);
            let bold = if is_bold { " font-weight=\"bold\"" } else { "" };
            let (x, y) = (left + at * CELL.0, top + 13);
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{y}\" textLength=\"{length}\" fill=\"{fill}\"{bold}>{shown}</text>"
            );
        }
        at += columns;
    }
}

fn svg(buffer: &Buffer) -> String {
    let (columns, lines) = (
        usize::from(buffer.area.width),
        usize::from(buffer.area.height),
    );
    let width = columns * CELL.0 + 2 * BORDER;
    let height = lines * CELL.1 + 2 * BORDER;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\">\n<style>\ntext {{ font: 13px ui-monospace, \
         'DejaVu Sans Mono', Menlo, Consolas, monospace; white-space: pre }}\n</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#1b2028\"/>\n"
    );
    for (y, line) in buffer.content.chunks(columns).enumerate() {
        let cells: Vec<&Cell> = line.iter().collect();
        let same = |a: &&Cell, b: &&Cell| (a.fg, a.modifier) == (b.fg, b.modifier);
        let mut x = 0;
        for cells in cells.chunk_by(same) {
            run(&mut svg, cells, x, y);
            x += cells.len();
        }
    }
    svg.push_str("</svg>\n");
    svg
}

#[test]
fn the_picture_is_what_is_on_the_screen() {
    let mut browser = Browser::on(Sandbox::of("killed-index-ahead"), (100, 26));
    browser.keys("e");
    let svg = svg(&browser.draw(true));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/browse.svg");
    compare_with(&path, &svg);
}
