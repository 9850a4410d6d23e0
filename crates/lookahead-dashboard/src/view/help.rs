//! What the keys do and what the lines mean, over everything else.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Widget};

use super::cells::{block, put, width};
use crate::chart::Chart;
use crate::format;
use crate::keys::KEYS;
use crate::model::Model;

/// Draws the help over the area, from line `from` on.
pub(crate) fn draw(model: &Model, from: usize, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let mut rows = Vec::new();
    rows.extend(KEYS.iter().map(|binding| (binding.label(), binding.help, theme.strong)));
    let blank = (String::new(), "", theme.plain);
    rows.push(blank.clone());
    // The signs in the charts.
    rows.extend(
        [
            ("⣿", "Training loss of each step, at the fast weights θ.", theme.raw),
            (
                "⠒",
                "Its running mean; β is the fraction kept from one step to the next.",
                theme.plain,
            ),
            ("○", "Probe loss of the fast weights θ, just before a sync.", theme.fast),
            ("●", "Probe loss of the slow weights φ, just after the sync.", theme.slow),
            ("▲ ▼", "Values beyond the edge of the chart.", theme.raw),
            ("×", "A value is NaN or infinite.", theme.bad),
            ("┸", "A sync, if there is room to tell syncs apart.", theme.slow),
        ]
        .map(|(sign, text, style)| (sign.to_owned(), text, style)),
    );
    rows.push(blank);
    rows.extend(Chart::keys().map(|(key, chart)| (key.to_string(), chart.help(), theme.strong)));
    let first = rows.iter().map(|(key, ..)| width(key)).max().unwrap_or(0);
    let second = rows.iter().map(|(_, text, _)| width(text)).max().unwrap_or(0);
    let room = area.width.saturating_sub(first + 7);
    let mut lines = Vec::new();
    for (mut key, text, style) in rows {
        for piece in format::wrap(text, usize::from(room.min(second))) {
            lines.push((std::mem::take(&mut key), piece, style));
        }
    }
    let across = (first + second.min(room) + 3 + 4).min(area.width);
    let down = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let area = Rect {
        x: area.x + (area.width - across) / 2,
        y: area.y + (area.height - down) / 2,
        width: across,
        height: down,
    };
    Clear.render(area, buffer);
    let last = lines.len().saturating_sub(usize::from(down.saturating_sub(2)));
    let from = from.min(last);
    let mut frame = block(theme, "help");
    if last > 0 {
        let more = if from < last { " ↓ more, Esc closes " } else { " ↑ back, Esc closes " };
        frame = frame.title_bottom(Line::styled(more, theme.title).right_aligned());
    }
    let inner = frame.inner(area);
    frame.render(area, buffer);
    for ((key, text, style), y) in lines.iter().skip(from).zip(inner.top()..inner.bottom()) {
        put(buffer, inner, inner.x + 1, y, key, *style);
        put(buffer, inner, inner.x + first + 4, y, text, theme.plain);
    }
}
