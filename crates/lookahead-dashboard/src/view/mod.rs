//! How the model looks: one pane a file, and here where each stands.
//!
//! A pane is a function of the model, an area and a buffer. It may be given any area, also an
//! empty one, and draws what fits.

mod axes;
mod chart;
mod columns;
mod footer;
mod header;
mod help;
mod messages;
mod raster;
mod stats;
mod status_line;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType};

use crate::model::Model;
use crate::theme::Theme;

/// Draws the whole screen.
pub(crate) fn view(model: &Model, frame: &mut Frame) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    match (area.width, area.height) {
        (70.., 20..) => full(model, area, buffer),
        (40.., 12..) => small(model, area, buffer),
        _ => status_line::draw(model, area, buffer),
    }
    if model.help {
        help::draw(model, area, buffer);
    }
}

/// Header, chart beside the numbers, messages, footer.
fn full(model: &Model, area: Rect, buffer: &mut Buffer) {
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)])
            .areas(area);
    let numbers = Constraint::Length(if area.width >= 100 { 38 } else { 30 });
    let across = |area| Layout::horizontal([Constraint::Fill(1), numbers]).areas(area);
    let down = |area, lines| {
        Layout::vertical([Constraint::Fill(1), Constraint::Length(lines)]).areas(area)
    };
    // A high screen has room for all numbers above the messages, which then get its whole width.
    let [chart, numbers, messages] = if area.height >= 36 {
        let [top, messages] = down(body, if area.height >= 44 { 12 } else { 7 });
        let [chart, numbers] = across(top);
        [chart, numbers, messages]
    } else {
        let [left, numbers] = across(body);
        let [chart, messages] = down(left, if area.height >= 28 { 7 } else { 5 });
        [chart, numbers, messages]
    };
    header::draw(model, header, buffer);
    chart::draw_framed(model, chart, buffer);
    messages::draw(model, messages, buffer);
    stats::draw(model, numbers, buffer);
    footer::draw(model, footer, buffer);
}

/// The chart alone, over one line of numbers.
fn small(model: &Model, area: Rect, buffer: &mut Buffer) {
    let [chart, line] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    chart::draw(model, chart, buffer);
    status_line::draw(model, line, buffer);
}

/// The frame that every pane has.
fn block<'a>(theme: &Theme, title: &'a str) -> Block<'a> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.frame)
        .title(Line::styled(format!(" {title} "), theme.title))
}

/// Writes `text` from `x` on, cut at the right edge of `area`; returns where it ends.
fn put(buffer: &mut Buffer, area: Rect, x: u16, y: u16, text: &str, style: Style) -> u16 {
    if y < area.top() || y >= area.bottom() || x < area.left() || x >= area.right() {
        return x;
    }
    let room = usize::from(area.right() - x);
    buffer.set_stringn(x, y, text, room, style).0
}

/// The columns that a text takes.
fn width(text: &str) -> u16 {
    u16::try_from(ratatui::text::Span::raw(text).width()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
