//! The legend of a chart: names and values of its lines.

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

/// The names in a legend.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Names {
    All,
    /// Only fast and slow.
    Weights,
    None,
}

impl Names {
    fn of<'a>(self, line: &'a Series) -> &'a str {
        match (self, line.look) {
            (Names::All, _) => &line.name,
            (Names::Weights, Look::Fast) => "fast",
            (Names::Weights, Look::Slow) => "slow",
            _ => "",
        }
    }

    /// Columns of an entry.
    fn width(self, line: &Series) -> u16 {
        // Sign and value, with blanks between if all names are drawn.
        width(self.of(line)) + if self == Names::All { 4 + 7 } else { 1 + 6 + 1 }
    }

    /// Columns between two entries.
    fn gap(self) -> u16 {
        if self == Names::All { 3 } else { 1 }
    }
}

/// The style of a line, its sign in the legend, and the marker drawn on it.
pub(super) fn look(theme: &Theme, look: Look) -> (Style, &'static str, Option<&'static str>) {
    match look {
        Look::Raw => (theme.raw, "⣿", None),
        Look::Smoothed => (theme.plain, "⠒", None),
        Look::Fast => (theme.fast, "○", Some("○")),
        Look::Slow => (theme.slow, "●", Some("●")),
        Look::Run(index) => {
            let (style, marker) = theme.run(index);
            (style, marker, Some(marker))
        }
    }
}

/// The value of a line: at the cursor, or the newest.
fn value(model: &Model, chart: Chart, line: &Series) -> String {
    let value = match (line.decay, model.view.cursor) {
        (Some(decay), None) => smoothing::newest_mean(line.history, decay),
        (None, None) => line.history.newest(),
        (Some(decay), Some(step)) => smoothing::mean_at(line.history, step, decay),
        (None, Some(step)) => line.history.at(step).map(|bucket| bucket.last),
    };
    value.map_or(format::NONE.into(), |value| chart.format(&model.run().chart_metric(), value))
}

/// Draws names and values in as few rows as fit; returns how many.
pub(super) fn draw(
    model: &Model,
    chart: Chart,
    series: &[Series],
    area: Rect,
    buffer: &mut Buffer,
) -> u16 {
    // With several runs, the values of single points are of no interest.
    let several = model.runs.len() > 1;
    let series: Vec<&Series> =
        series.iter().filter(|line| !several || line.look != Look::Raw).collect();
    if series.is_empty() {
        return 0;
    }
    // One row, or two rows, or one row with the weights only, or without names.
    let half = series.len().div_ceil(2);
    let layouts = [
        (series.len(), Names::All),
        (half, Names::All),
        (series.len(), Names::Weights),
        (series.len(), Names::None),
    ];
    let widths = |(across, names): (usize, Names)| -> Vec<u16> {
        let columns = series.chunks(series.len().div_ceil(across));
        columns.map(|lines| lines.iter().map(|line| names.width(line)).max().unwrap_or(0)).collect()
    };
    let fits = |layout: &(usize, Names)| {
        let widths = widths(*layout);
        let gaps = layout.1.gap() * (widths.len() as u16 - 1);
        widths.iter().fold(gaps, |sum, width| sum.saturating_add(*width)) < area.width
    };
    let fitting = layouts.into_iter().find(fits);
    let (across, names) = fitting.unwrap_or(layouts[3]);
    let spacious = names == Names::All;
    let mut x = area.x + u16::from(spacious);
    let rows = series.len().div_ceil(across);
    // Column by column, so that both training losses are together, and both probes.
    for (lines, column) in series.chunks(rows).zip(widths((across, names))) {
        for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
            let (style, sign, _) = look(&model.theme, line.look);
            let start = put(buffer, area, x, y, sign, style) + u16::from(spacious);
            let end = put(buffer, area, start, y, names.of(line), model.theme.plain);
            let text = value(model, chart, line);
            let right = (x + column).saturating_sub(width(&text)).max(end);
            put(buffer, area, right, y, &text, model.theme.plain);
        }
        x += column + names.gap();
    }
    rows as u16
}
