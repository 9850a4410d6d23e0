//! What the keys do and what the lines mean, over everything else.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Widget};

use super::{block, put, width};
use crate::charts::Chart;
use crate::format;
use crate::keys::KEYS;
use crate::model::Model;

/// The words of the chart of losses.
const LINES: [(&str, &str); 7] = [
    ("⣿", "Training loss of each step, at the fast weights θ."),
    ("⠒", "Its running mean; β is how much of it stays from one step to the next."),
    ("○", "Loss at θ on the probe batch, just before a sync."),
    ("●", "Loss at the slow weights φ there, just after it."),
    ("▲ ▼", "Here the values go beyond the edge."),
    ("×", "Here a value is no finite number."),
    ("┸", "A sync, where there is room to tell them apart."),
];

/// Draws the help over the area, from line `from` on.
pub(crate) fn draw(model: &Model, from: usize, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let mut rows: Vec<(String, &str, Style)> = Vec::new();
    for binding in KEYS {
        rows.push((binding.label(), binding.help, theme.key));
    }
    rows.push((String::new(), "", theme.plain));
    let styles =
        [theme.raw, theme.smoothed, theme.fast, theme.slow, theme.raw, theme.bad, theme.slow];
    for ((sample, text), style) in LINES.into_iter().zip(styles) {
        rows.push((sample.into(), text, style));
    }
    rows.push((String::new(), "", theme.plain));
    for chart in Chart::ALL {
        rows.push((chart.digit().to_string(), chart.help(), theme.key));
    }
    let first = rows.iter().map(|(key, ..)| width(key)).max().unwrap_or(0);
    let second = rows.iter().map(|(_, text, _)| width(text)).max().unwrap_or(0);
    let room = area.width.saturating_sub(first + 7);
    // One line for each piece of a sentence that is too long.
    let mut lines: Vec<(String, String, Style)> = Vec::new();
    for (key, text, style) in rows {
        let mut key = key;
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
    let rows = usize::from(down.saturating_sub(2));
    let last = lines.len().saturating_sub(rows);
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
