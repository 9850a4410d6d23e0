//! Text in the cells of a screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType};

use crate::theme::Theme;

/// The frame of a pane.
pub(super) fn block<'a>(theme: &Theme, title: &str) -> Block<'a> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.frame)
        .title(Line::styled(format!(" {title} "), theme.title))
}

/// Writes `text` from `x` on, cut at the right edge of `area`; returns where it ends.
pub(super) fn put(
    buffer: &mut Buffer,
    area: Rect,
    x: u16,
    y: u16,
    text: &str,
    style: Style,
) -> u16 {
    if y < area.top() || y >= area.bottom() || x < area.left() || x >= area.right() {
        return x;
    }
    let room = usize::from(area.right() - x);
    buffer.set_stringn(x, y, text, room, style).0
}

/// Writes `text` in the middle of `area`.
pub(super) fn put_centered(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    let x = area.x + area.width.saturating_sub(width(text)) / 2;
    put(buffer, area, x, area.y + area.height / 2, text, style);
}

/// Writes lines over the rows of `area` from row `bottom` upwards, and clears these rows.
pub(super) fn put_lines_up(
    buffer: &mut Buffer,
    area: Rect,
    bottom: u16,
    lines: &[String],
    style: Style,
) {
    let blank = " ".repeat(usize::from(area.width));
    for (line, y) in lines.iter().rev().zip((area.top()..=bottom).rev()) {
        put(buffer, area, area.x, y, &blank, Style::new());
        put(buffer, area, area.x + 1, y, line, style);
    }
}

/// The columns that a text takes.
pub(super) fn width(text: &str) -> u16 {
    u16::try_from(Span::raw(text).width()).unwrap_or(u16::MAX)
}

/// A name in at most `room` columns. Its end is kept, since names that begin alike differ there.
pub(super) fn cut(name: &str, room: u16) -> String {
    if width(name) <= room {
        return name.to_owned();
    }
    let mut end = name;
    while width(end) + 1 > room && !end.is_empty() {
        end = &end[end.chars().next().map_or(0, char::len_utf8)..];
    }
    format!("…{end}")
}
