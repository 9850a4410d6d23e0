//! The legend of a chart: names and values of its lines.
//!
//! Lines of one group, for example the fast and the slow weights on a validation batch, are together behind
//! what they have in common.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::cells::{put, width};
use crate::chart::Chart;
use crate::format;
use crate::model::Model;
use crate::series::{Look, Series};
use crate::smoothing;
use crate::theme::Theme;

/// Rows of a chart for each row of its legend, and the most rows of a legend.
const CHART_ROWS: u16 = 4;
const MOST_ROWS: u16 = 3;
/// Columns that a value has at least, so that the legend stays where it is when the value changes.
const VALUE: u16 = 6;

/// The style of a line, its sign in the legend, and the marker drawn on it.
pub(super) fn look(theme: &Theme, look: Look) -> (Style, &'static str, Option<&'static str>) {
    match look {
        Look::Raw => (theme.raw, "⣿", None),
        Look::Smoothed => (theme.plain, "⠒", None),
        Look::Fast => (theme.fast, "○", Some("○")),
        Look::Slow => (theme.slow, "●", Some("●")),
        Look::Run(index) | Look::RunSlow(index) => {
            let (style, marker) = theme.run(index);
            (style, marker, Some(marker))
        }
        Look::RunFast(index) => {
            let (style, marker) = (theme.run(index).0, Theme::open_marker(index));
            (style, marker, Some(marker))
        }
    }
}

/// Whether a line is dashed.
pub(super) fn is_dashed(look: Look) -> bool {
    matches!(look, Look::Fast | Look::RunFast(_))
}

/// Style and sign of the slow and of the fast weights of the selected run, as its lines have them.
pub(super) fn looks_of_weights(model: &Model) -> [(Style, &'static str); 2] {
    let looks = match model.runs.len() {
        1 => [Look::Slow, Look::Fast],
        _ => [Look::RunSlow(model.selected), Look::RunFast(model.selected)],
    };
    looks.map(|of| {
        let (style, sign, _) = look(&model.theme, of);
        (style, sign)
    })
}

/// The value of a line: at the cursor, or the newest.
pub(super) fn value(model: &Model, chart: Chart, line: &Series) -> String {
    let value = match (line.decay, model.view.cursor) {
        (Some(decay), None) => smoothing::newest_mean(line.history, decay),
        (None, None) => line.history.newest(),
        (Some(decay), Some(step)) => smoothing::mean_at(line.history, step, decay),
        (None, Some(step)) => line.history.at(step).map(|bucket| bucket.last),
    };
    value.map_or(format::NONE.into(), |value| chart.format(&model.metric_of(chart), value))
}

/// One line: its sign, its name within the group, and its value.
struct Entry {
    sign: &'static str,
    style: Style,
    name: &'static str,
    value: String,
}

impl Entry {
    fn width(&self) -> u16 {
        let name = width(self.name);
        2 + name + u16::from(name > 0) + width(&self.value).max(VALUE)
    }
}

/// Lines with what they have in common.
struct Group<'a> {
    key: (usize, &'a [Cow<'static, str>; 3]),
    label: &'a str,
    entries: Vec<Entry>,
}

impl Group<'_> {
    /// Whether the label is the name of its only line.
    fn is_line(&self) -> bool {
        matches!(&self.entries[..], [entry] if entry.name.is_empty())
    }
}

/// Groups in columns, all with the same amount of words.
struct Legend<'a> {
    columns: Vec<Vec<Group<'a>>>,
    /// Columns between two entries; one more is between two groups.
    gap: u16,
}

impl<'a> Legend<'a> {
    /// A legend with the names at index `words`, in this number of rows.
    fn new(model: &Model, chart: Chart, lines: &[&'a Series], (words, rows): (usize, u16)) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        for line in lines {
            let (style, sign, _) = look(&model.theme, line.look);
            let (key, name) = ((line.run, &line.name.group), line.name.line[words]);
            let entry = Entry { sign, style, name, value: value(model, chart, line) };
            match groups.iter_mut().find(|group| group.key == key) {
                Some(group) => group.entries.push(entry),
                None => {
                    let label = &*line.name.group[words];
                    groups.push(Group { key, label, entries: vec![entry] });
                }
            }
        }
        let mut columns = Vec::new();
        while !groups.is_empty() {
            let rest = groups.split_off(groups.len().min(usize::from(rows)));
            columns.push(std::mem::replace(&mut groups, rest));
        }
        Legend { columns, gap: [3, 2, 1][words] }
    }

    /// The columns of a column's labels and of its entries, with the gaps after them.
    fn widths(&self, column: &[Group]) -> (u16, Vec<u16>) {
        let labels = column.iter().filter(|group| !group.is_line());
        let label = labels.map(|group| width(group.label) + self.gap.min(2)).max().unwrap_or(0);
        let count = column.iter().map(|group| group.entries.len()).max().unwrap_or(0);
        let entries = (0..count).map(|index| {
            let widths = column.iter().filter_map(|group| {
                let own = if group.is_line() { width(group.label) + 1 } else { 0 };
                Some(group.entries.get(index)?.width() + own)
            });
            widths.max().unwrap_or(0) + self.gap
        });
        (label, entries.collect())
    }

    fn width(&self) -> u16 {
        let columns = self.columns.iter().map(|column| {
            let (label, entries) = self.widths(column);
            entries.into_iter().fold(label, u16::saturating_add)
        });
        let all = columns.fold(0, |sum: u16, width| sum.saturating_add(width + 1));
        all.saturating_sub(self.gap + 1)
    }

    fn draw(&self, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let mut left = area.x + u16::from(self.width() < area.width);
        for column in &self.columns {
            let (label, entries) = self.widths(column);
            for (group, y) in column.iter().zip(area.top()..area.bottom()) {
                let mut x = left + label;
                if !group.is_line() {
                    put(buffer, area, left, y, group.label, theme.dim);
                }
                for (entry, across) in group.entries.iter().zip(&entries) {
                    let right = x + across - self.gap;
                    // Part of a number would mislead.
                    if right <= area.right() {
                        let name = if group.is_line() { group.label } else { entry.name };
                        let start = put(buffer, area, x, y, entry.sign, entry.style) + 1;
                        put(buffer, area, start, y, name, theme.plain);
                        let start = right.saturating_sub(width(&entry.value));
                        put(buffer, area, start, y, &entry.value, theme.plain);
                    }
                    x += across;
                }
            }
            left += entries.iter().fold(label, |sum, width| sum + width) + 1;
        }
    }
}

/// Draws names and values, in full words if they fit; returns the rows that they take.
pub(super) fn draw(
    model: &Model,
    chart: Chart,
    series: &[Series],
    area: Rect,
    buffer: &mut Buffer,
) -> u16 {
    // With several runs, the values of single points are of no interest.
    let several = model.runs.len() > 1;
    let mut lines: Vec<&Series> =
        series.iter().filter(|line| !several || line.look != Look::Raw).collect();
    // As in the list of runs, whichever is selected.
    lines.sort_by_key(|line| line.run);
    if lines.is_empty() {
        return 0;
    }
    let most = (area.height / CHART_ROWS).clamp(1, MOST_ROWS);
    let layouts = (0..3).flat_map(|words| (1..=most).map(move |rows| (words, rows)));
    let mut legends = layouts.map(|layout| Legend::new(model, chart, &lines, layout));
    let legend = legends
        .find(|legend| legend.width() <= area.width)
        .unwrap_or_else(|| Legend::new(model, chart, &lines, (2, most)));
    legend.draw(&model.theme, area, buffer);
    legend.columns.iter().map(|column| column.len() as u16).max().unwrap_or(0)
}
