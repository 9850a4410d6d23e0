//! The messages, newest at the bottom: the last ones in a pane, or all of them over the charts.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Widget};

use super::cells::{block, put, width};
use crate::format;
use crate::messages::Severity;
use crate::model::Model;
use crate::model::dialogs::MessageList;

/// Draws as many messages as fit, long ones wrapped so that no remedy is cut off.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let frame = block(&model.theme, "messages");
    let inner = frame.inner(area);
    frame.render(area, buffer);
    draw_list(model, inner, &MessageList::default(), buffer);
}

/// Draws all messages over everything else, from the position of the list.
pub(crate) fn draw_all(model: &Model, list: &MessageList, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    Clear.render(area, buffer);
    let count = model.run().messages.len();
    let mut title = format!("{} messages of {}", format::count(count as u64), model.run().name);
    if list.bottom > 0 {
        title.push_str(&format!(", {} newer below", format::count(list.bottom as u64)));
    }
    let mut frame = block(theme, &title);
    if let Some(words) = &list.search {
        let text = format!(" /{words}  n older  N newer ");
        frame = frame.title_bottom(Line::styled(text, theme.warning).right_aligned());
    }
    let inner = frame.inner(area);
    frame.render(area, buffer);
    draw_list(model, inner, list, buffer);
}

fn draw_list(model: &Model, inner: Rect, list: &MessageList, buffer: &mut Buffer) {
    let theme = &model.theme;
    let mut bottom = inner.bottom();
    for note in model.run().messages.newest_first().skip(list.bottom) {
        if bottom <= inner.top() {
            return;
        }
        let time = format::clock(note.at);
        let (sign, style) = match note.severity {
            Severity::Info => (" ", theme.plain),
            Severity::Good => ("✓", theme.good),
            Severity::Warning => ("!", theme.warning),
            Severity::Error => ("✗", theme.bad),
        };
        let x = inner.x + width(&time) + 4;
        let lines = format::wrap(&note.text, usize::from(inner.right().saturating_sub(x)));
        let fit = (lines.len() as u16).min(bottom - inner.top());
        bottom -= fit;
        put(buffer, inner, inner.x + 1, bottom, &time, theme.dim);
        put(buffer, inner, inner.x + width(&time) + 2, bottom, sign, style);
        let is_match =
            list.search.as_ref().is_some_and(|words| note.text.to_lowercase().contains(words));
        let text = match note.severity {
            _ if is_match => theme.strong.reversed(),
            Severity::Info | Severity::Warning => theme.plain,
            Severity::Good | Severity::Error => style,
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
