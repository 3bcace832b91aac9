//! Where the parts of the screen are.

use ratatui::layout::Rect;

/// From this width on the lower pane is at the right.
const WIDE: u16 = 132;

/// The widths of the left pane: with all columns, and with the bases and strips only.
pub const SEGMENTS_WIDE: u16 = 31;
pub const SEGMENTS_NARROW: u16 = 17;

/// Lines of the lower pane with its head, where the screen has room for them.
const LOWER_LEAST: u16 = 7;

/// The parts of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Areas {
    /// The first line.
    pub title: Rect,
    /// The names of the columns.
    pub segments_head: Rect,
    pub segments: Rect,
    pub rows_head: Rect,
    pub rows: Rect,
    /// The line above the lower pane.
    pub lower_head: Rect,
    pub lower: Rect,
    /// The last two lines.
    pub place: Rect,
    pub bottom: Rect,
}

/// Divides a screen.
pub fn areas((width, height): (u16, u16)) -> Areas {
    let line = |y: u16| Rect::new(0, y.min(height.saturating_sub(1)), width, 1.min(height));
    let left = if width >= 80 {
        SEGMENTS_WIDE
    } else {
        SEGMENTS_NARROW.min(width / 3)
    };
    // The title, the names of the columns, and the last two lines.
    let inner = height.saturating_sub(4);
    let is_wide = width >= WIDE;
    let least = (inner / 2).min(LOWER_LEAST);
    let lower_height = if is_wide {
        0
    } else {
        (inner * 2 / 5).max(least)
    };
    let upper = inner - lower_height;
    let right = width - left;
    let rows_width = if is_wide { right / 2 } else { right };
    let below = 2 + upper;
    let (lower_head, lower) = if is_wide {
        let (x, width) = (left + rows_width + 1, right - rows_width - 1);
        (Rect::new(x, 1, width, 1), Rect::new(x, 2, width, upper))
    } else {
        let rest = lower_height.saturating_sub(1);
        (
            Rect::new(0, below, width, lower_height.min(1)),
            Rect::new(0, below + lower_height.min(1), width, rest),
        )
    };
    // A column of the left pane is the border.
    let segments_width = left.saturating_sub(1);
    Areas {
        title: line(0),
        segments_head: Rect::new(0, 1, segments_width, 1.min(inner)),
        segments: Rect::new(0, 2, segments_width, upper),
        rows_head: Rect::new(left, 1, rows_width, 1.min(inner)),
        rows: Rect::new(left, 2, rows_width, upper),
        lower_head,
        lower,
        place: line(height.saturating_sub(2)),
        bottom: line(height.saturating_sub(1)),
    }
}
