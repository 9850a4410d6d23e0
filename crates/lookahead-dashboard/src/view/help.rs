//! What the keys do, and what signs and words mean, over everything else.

use std::borrow::Cow;

use lookahead_run::program_name;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Widget};

use super::cells::{block, put, width};
use crate::chart::Chart;
use crate::format;
use crate::keys::KEYS;
use crate::model::Model;
use crate::words::WORDS;
use lookahead_run::format::safe;

/// Most columns of the help, so that its lines are easy to read.
const WIDEST: u16 = 120;
/// Columns of a text from which on it is beside its word; a narrower one is below it, indented.
const NARROW: u16 = 20;
const INDENT: u16 = 2;

/// A key, a sign or a word, and what it does or means.
struct Row {
    key: String,
    text: Cow<'static, str>,
    style: Style,
}

/// A line of the help.
struct Entry {
    key: String,
    style: Style,
    /// The column of the text.
    at: u16,
    text: String,
}

/// The parts of the help with their titles.
fn parts(model: &Model) -> [(&'static str, Vec<Row>); 5] {
    let theme = &model.theme;
    let strong = |key, text: &'static str| Row { key, text: text.into(), style: theme.strong };
    let keys = |of_table| {
        let of = KEYS.iter().filter(|binding| binding.is_of_table() == of_table);
        of.map(|binding| strong(binding.label(), binding.help)).collect()
    };
    let of_chart = |(key, chart): (char, Chart)| match chart {
        Chart::Scalar(index) => {
            let text = format!("{}: {}", safe(model.scalar_name(index)), chart.help());
            Row { key: key.to_string(), text: text.into(), style: theme.strong }
        }
        _ => strong(key.to_string(), chart.help()),
    };
    let signs = [
        ("⣿", "Single values, for example the training loss of each batch.", theme.raw),
        ("⠒", "Their running mean.", theme.plain),
        ("○", "The fast weights θ; their line is dashed.", theme.fast),
        ("●", "The slow weights φ.", theme.slow),
        (
            "△ ▲",
            "With several runs, after b: a run's fast weights, dashed, and its slow weights.",
            theme.plain,
        ),
        ("↑ ↓", "Values beyond the edge of the chart; y shows all.", theme.raw),
        ("×", "A value is NaN or infinite.", theme.bad),
        ("┸", "A sync, if there is room to tell syncs apart.", theme.slow),
    ];
    let mut of_keys = [("Keys", keys(false)), ("Keys in the table of runs", keys(true))];
    if model.is_table_open() {
        of_keys.reverse();
    }
    let [first, second] = of_keys;
    [
        first,
        second,
        (
            "Signs",
            signs
                .map(|(key, text, style)| Row { key: key.to_owned(), text: text.into(), style })
                .into(),
        ),
        ("Words", WORDS.iter().map(|word| strong(word.word.to_owned(), word.meaning)).collect()),
        ("Charts", model.keys().map(of_chart).collect()),
    ]
}

/// The text with commands of this program, which has another name if it is one's own.
pub(super) fn named(text: &str, program: &str) -> String {
    text.replace("`lookahead ", &format!("`{program} "))
}

/// The lines of the help, wrapped for a screen of this many columns.
fn entries(model: &Model, columns: u16) -> Vec<Entry> {
    let theme = &model.theme;
    let mut entries = Vec::new();
    for (title, rows) in parts(model) {
        if !entries.is_empty() {
            entries.push(Entry {
                key: String::new(),
                style: theme.plain,
                at: 0,
                text: String::new(),
            });
        }
        entries.push(Entry {
            key: title.to_owned(),
            style: theme.title,
            at: 0,
            text: String::new(),
        });
        let mut at = rows.iter().map(|row| width(&row.key)).max().unwrap_or(0) + 3;
        // Within the frame and a blank at each side.
        let below = columns.saturating_sub(at + 4) < NARROW;
        if below {
            at = INDENT;
        }
        let room = usize::from(columns.saturating_sub(at + 4));
        for Row { mut key, text, style } in rows {
            if below {
                let key = std::mem::take(&mut key);
                entries.push(Entry { key, style, at, text: String::new() });
            }
            let text = named(&text, program_name());
            for text in format::wrap(&text, room) {
                entries.push(Entry { key: std::mem::take(&mut key), style, at, text });
            }
        }
    }
    entries
}

/// Draws the help over the area, from line `from` on.
pub(crate) fn draw(model: &Model, from: usize, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let lines = entries(model, area.width.min(WIDEST));
    let widest = lines.iter().map(|line| (line.at + width(&line.text)).max(width(&line.key))).max();
    let across = (widest.unwrap_or(0) + 4).min(area.width);
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
        let more = [" ↓ signs, words, charts; Esc closes ", " ↓ more, Esc closes "];
        let more = if from == 0 && width(more[0]) + 2 < across { more[0] } else { more[1] };
        let more = if from < last { more } else { " ↑ back, Esc closes " };
        frame = frame.title_bottom(Line::styled(more, theme.title).right_aligned());
    }
    let inner = frame.inner(area);
    frame.render(area, buffer);
    for (line, y) in lines.iter().skip(from).zip(inner.top()..inner.bottom()) {
        put(buffer, inner, inner.x + 1, y, &line.key, line.style);
        put(buffer, inner, inner.x + 1 + line.at, y, &line.text, theme.plain);
    }
}
