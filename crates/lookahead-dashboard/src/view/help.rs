//! What the keys do and what the lines mean, over everything else.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, Clear, Widget};

use super::{block, put, width};
use crate::keys::KEYS;
use crate::model::Model;

/// The words of the chart.
const LINES: [(&str, &str); 4] = [
    ("⣿", "Training loss of each step, at the fast weights θ."),
    ("⠒", "The same, averaged over about 50 steps."),
    ("○", "Loss at θ on the probe batch, just before a sync."),
    ("●", "Loss at the slow weights φ there, just after it."),
];

/// Draws the help in the middle of `area`.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let mut rows: Vec<(String, &str, Style)> = Vec::new();
    for binding in KEYS {
        let keys: Vec<String> = binding.keys.iter().map(|key| key.label()).collect();
        rows.push((keys.join(" "), binding.help, theme.key));
    }
    let keys_end = rows.len();
    let styles = [theme.raw, theme.smoothed, theme.fast, theme.slow];
    for ((sample, text), style) in LINES.into_iter().zip(styles) {
        rows.push((sample.into(), text, style));
    }
    // A line between the two tables, where there is one to spare.
    if rows.len() + 3 <= usize::from(area.height) {
        rows.insert(keys_end, (String::new(), "", theme.plain));
    }
    let first = rows.iter().map(|(key, ..)| width(key)).max().unwrap_or(0);
    if rows.iter().any(|(_, text, _)| first + width(text) + 3 + 4 > area.width) {
        for (_, text, _) in &mut rows {
            *text = clause(text);
        }
    }
    let second = rows.iter().map(|(_, text, _)| width(text)).max().unwrap_or(0);
    // The smallest screens have room for the words only.
    let framed = rows.len() + 2 <= usize::from(area.height);
    let frame = if framed { block(theme, "help") } else { Block::new() };
    // One cell more than the words at either side, and the frame.
    let (across, down) = (first + second + 3 + 4, rows.len() as u16 + 2 * u16::from(framed));
    let (across, down) = (across.min(area.width), down.min(area.height));
    let area = Rect {
        x: area.x + (area.width - across) / 2,
        y: area.y + (area.height - down) / 2,
        width: across,
        height: down,
    };
    Clear.render(area, buffer);
    let inner = frame.inner(area);
    frame.render(area, buffer);
    for ((key, text, style), y) in rows.iter().zip(inner.top()..inner.bottom()) {
        put(buffer, inner, inner.x + 1, y, key, *style);
        put(buffer, inner, inner.x + first + 4, y, text, theme.plain);
    }
}

/// A sentence up to its first stop, for where the whole has no room.
fn clause(sentence: &str) -> &str {
    sentence.split([',', ';', '.']).next().unwrap_or(sentence)
}
