//! The last messages, newest at the bottom.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

use super::{block, put, width};
use crate::format;
use crate::messages::Kind;
use crate::model::Model;

/// Draws as many messages as fit, long ones folded so that no remedy is cut off.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let frame = block(theme, "messages");
    let inner = frame.inner(area);
    frame.render(area, buffer);
    let mut bottom = inner.bottom();
    for note in model.run.messages.newest_first() {
        if bottom <= inner.top() {
            return;
        }
        let time = format::clock(note.at);
        let (sign, style) = match note.kind {
            Kind::Plain => (" ", theme.plain),
            Kind::Good => ("✓", theme.good),
            Kind::Warning => ("!", theme.warning),
            Kind::Bad => ("✗", theme.bad),
        };
        let x = inner.x + width(&time) + 4;
        let room = inner.right().saturating_sub(x);
        let lines = format::wrap(&note.text, usize::from(room));
        let fit = (lines.len() as u16).min(bottom - inner.top());
        bottom -= fit;
        put(buffer, inner, inner.x + 1, bottom, &time, theme.dim);
        put(buffer, inner, inner.x + width(&time) + 2, bottom, sign, style);
        let text = if note.kind == Kind::Plain || note.kind == Kind::Warning {
            theme.plain
        } else {
            style
        };
        for (line, y) in lines.iter().zip(bottom..bottom + fit) {
            put(buffer, inner, x, y, line, text);
        }
        if lines.len() > usize::from(fit) {
            let last = inner.right().saturating_sub(1);
            put(buffer, inner, last, bottom + fit - 1, "…", theme.dim);
        }
    }
}
