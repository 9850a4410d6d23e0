//! How the model looks: one pane a file, and here where each stands.
//!
//! A pane is a function of the model, an area and a buffer. It may be given any area, also an
//! empty one, and draws what fits.

mod ascii;
mod axes;
mod chart;
pub(crate) mod columns;
mod cursor;
mod cycle;
mod footer;
mod header;
mod help;
pub(crate) mod layout;
mod messages;
mod notice;
mod prompt;
mod raster;
mod runs;
mod stats;
mod status_line;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Block, BorderType};

use crate::model::{Model, Overlay};
use crate::theme::Theme;
use layout::layout_in;

/// Draws the whole screen.
pub(crate) fn view(model: &Model, frame: &mut Frame) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    draw(model, area, buffer);
    if model.ascii {
        ascii::asciify(buffer);
    }
}

fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let panes = layout_in(model, area);
    if !panes.line.is_empty() {
        status_line::draw(model, panes.line, buffer);
    }
    if panes.framed {
        header::draw(model, panes.header, buffer);
        runs::draw(model, &panes, buffer);
        chart::draw_framed(model, model.chart, panes.chart, true, buffer);
        for (chart, area) in &panes.small {
            chart::draw_framed(model, *chart, *area, false, buffer);
        }
        messages::draw(model, panes.messages, buffer);
        stats::draw(model, panes.numbers, buffer);
        footer::draw(model, panes.footer, buffer);
    } else {
        chart::draw(model, model.chart, panes.chart, buffer);
    }
    match &model.overlay {
        Some(Overlay::Help(from)) => help::draw(model, *from, area, buffer),
        Some(Overlay::Messages(list)) => messages::draw_all(model, list, area, buffer),
        None => {}
    }
    if let Some(question) = &model.question {
        notice::draw(model, &notice::of_question(model, question), area, buffer);
    } else if let Some((text, _)) = model.notice.as_ref().filter(|_| !model.closing) {
        notice::draw(model, text, area, buffer);
    }
    if let Some(line) = &model.prompt {
        prompt::draw(model, line, area, buffer);
    }
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
