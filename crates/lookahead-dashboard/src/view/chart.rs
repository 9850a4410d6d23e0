//! The headline: loss against step, at the fast and at the slow weights.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use super::axes::{self, Losses};
use super::columns::columns;
use super::raster::{ACROSS, DOWN, Raster};
use super::{block, put, width};
use crate::format;
use crate::history::{Bucket, History};
use crate::model::{Model, Run, State};

/// Columns of a value in the legend, and between two entries of it.
const VALUE: u16 = 6;
const GAP: u16 = 3;
/// Cells between two markers on a line: they tell fast from slow without colours.
const MARKER_EVERY: u16 = 14;

/// One line of the chart.
struct Series<'a> {
    history: &'a History,
    name: &'static str,
    /// What stands for it where there is no room for the name.
    short: &'static str,
    sample: &'static str,
    /// Drawn now and then on the line, and in which cell of [`MARKER_EVERY`].
    marker: Option<(&'static str, u16)>,
    style: Style,
}

impl Series<'_> {
    fn value(&self) -> String {
        self.history.newest().map_or(format::NONE.into(), format::loss)
    }

    fn label(&self, short: bool) -> &'static str {
        if short { self.short } else { self.name }
    }

    /// Columns that the legend needs for it.
    fn width(&self, short: bool) -> u16 {
        let name = width(self.label(short));
        if short { 2 + name + VALUE } else { 4 + name + VALUE }
    }
}

/// The series in the order in which they are drawn: the later wins where two share a cell, so
/// fast comes before slow.
fn series(model: &Model) -> Vec<Series<'_>> {
    let (run, theme) = (&model.run, &model.theme);
    let raw = Series {
        history: &run.raw,
        name: "loss at θ",
        short: "",
        sample: "⣿",
        marker: None,
        style: theme.raw,
    };
    let smoothed = Series {
        history: &run.smoothed,
        name: "smoothed",
        short: "",
        sample: "⠒",
        marker: None,
        style: theme.smoothed,
    };
    let fast = Series {
        history: &run.probes.fast,
        name: "probe θ (fast)",
        short: "θ",
        sample: "○",
        marker: Some(("○", MARKER_EVERY / 2)),
        style: theme.fast,
    };
    let slow = Series {
        history: &run.probes.slow,
        name: "probe φ (slow)",
        short: "φ",
        sample: "●",
        marker: Some(("●", 0)),
        style: theme.slow,
    };
    let mut series = vec![raw, smoothed];
    if has_probes(run) {
        series.extend([fast, slow]);
    }
    series
}

/// Whether there are two sets of weights to compare.
fn has_probes(run: &Run) -> bool {
    let plain = run.info.as_ref().is_some_and(|info| info.lookahead.is_none());
    !plain || run.probes.slow.newest().is_some()
}

/// Draws the chart in a frame with a title.
pub(crate) fn draw_framed(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let mut frame = block(theme, "loss");
    let lost = model.run.raw.non_finite();
    if lost > 0 {
        let plural = if lost == 1 { "loss" } else { "losses" };
        let text = format!(" {} non-finite {plural} ", format::count(lost));
        frame = frame.title_top(Line::styled(text, theme.bad).right_aligned());
    }
    let inner = frame.inner(area);
    frame.render(area, buffer);
    draw(model, inner, buffer);
    if model.run.state == State::Paused {
        let text = " PAUSED ";
        let x = area.x + area.width.saturating_sub(width(text)) / 2;
        put(buffer, area, x, area.bottom().saturating_sub(1), text, theme.warning.reversed());
    }
}

/// Draws legend, axes and lines.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let series = series(model);
    let rows = legend(model, &series, area, buffer);
    let area = Rect {
        y: area.y + rows.min(area.height),
        height: area.height.saturating_sub(rows),
        ..area
    };
    let steps = axes::steps(&model.run);
    // The axis must be known to know the width of the labels beside it, and so of the plot. The
    // columns of the whole width serve for that: they hold the same values.
    let count = usize::from(area.width) * ACROSS;
    let rough: Vec<_> = series.iter().map(|s| columns(s.history, steps, count)).collect();
    let rough: Vec<&[Option<Bucket>]> = rough.iter().map(Vec::as_slice).collect();
    let losses = axes::losses(rough[0], &rough[2..]);
    let plot = axes::draw(&model.theme, area, buffer, steps, losses);
    if series.iter().all(|line| line.history.is_empty()) {
        let text =
            if model.run.state == State::Waiting { "waiting for the run" } else { "no loss yet" };
        let x = plot.x + plot.width.saturating_sub(width(text)) / 2;
        put(buffer, plot, x, plot.y + plot.height / 2, text, model.theme.dim);
    }
    for line in &series {
        let columns = columns(line.history, steps, usize::from(plot.width) * ACROSS);
        trace(&columns, losses, plot, buffer, line.style);
        if let Some((marker, phase)) = line.marker {
            mark(&columns, losses, plot, buffer, (marker, phase), line.style);
        }
    }
    // Last, so that no line hides that something was cut off.
    for line in &series {
        let columns = columns(line.history, steps, usize::from(plot.width) * ACROSS);
        mark_outside(&columns, losses, plot, buffer, line.style);
    }
}

/// Names and latest values, in as few rows as fit; returns how many these are.
fn legend(model: &Model, series: &[Series], area: Rect, buffer: &mut Buffer) -> u16 {
    // One row of all, two rows of two, and where that is too wide one row without the names.
    let layouts = [(series.len(), false), (2, false), (series.len(), true)];
    let widths = |(across, short): (usize, bool)| -> Vec<u16> {
        let columns = series.chunks(series.len().div_ceil(across));
        columns.map(|lines| lines.iter().map(|line| line.width(short)).max().unwrap_or(0)).collect()
    };
    let total = |widths: &[u16]| widths.iter().sum::<u16>() + GAP * (widths.len() as u16 - 1);
    let (across, short) = layouts
        .into_iter()
        .find(|layout| total(&widths(*layout)) < area.width)
        .unwrap_or(layouts[2]);
    let gap = if short { 2 } else { GAP };
    let mut x = area.x + u16::from(!short);
    let rows = series.len().div_ceil(across);
    // Down first, so that both losses of training stand together, and both probes.
    for (lines, width) in series.chunks(rows).zip(widths((across, short))) {
        for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
            let start = put(buffer, area, x, y, line.sample, line.style);
            let start = if short { start } else { start + 1 };
            put(buffer, area, start, y, line.label(short), model.theme.plain);
            put(buffer, area, x + width - VALUE, y, &line.value(), model.theme.plain);
        }
        x += width + gap;
    }
    rows as u16
}

/// Draws each column from its smallest to its largest value, and lines from one to the next.
fn trace(
    columns: &[Option<Bucket>],
    losses: Losses,
    plot: Rect,
    buffer: &mut Buffer,
    style: Style,
) {
    let mut raster = Raster::new(plot);
    let height = usize::from(plot.height) * DOWN;
    let row = |value| losses.row(value, height);
    let mut previous = None;
    for (x, column) in columns.iter().enumerate() {
        let Some(column) = column else { continue };
        raster.span(x, row(column.max), row(column.min));
        if let Some(previous) = previous.filter(|_| !column.gap_before) {
            raster.line(previous, (x, row(column.first)));
        }
        previous = Some((x, row(column.last)));
    }
    raster.paint(buffer, plot, style);
}

/// Puts a marker on the line now and then, and on its newest point.
fn mark(
    columns: &[Option<Bucket>],
    losses: Losses,
    plot: Rect,
    buffer: &mut Buffer,
    (marker, phase): (&str, u16),
    style: Style,
) {
    let newest = columns.iter().rposition(Option::is_some);
    let mut block = None;
    for (index, column) in columns.iter().enumerate() {
        let Some(column) = column else { continue };
        let x = (index / ACROSS) as u16;
        let this = (x + MARKER_EVERY - phase) / MARKER_EVERY;
        if block.replace(this) != Some(this) || Some(index) == newest {
            let y = losses.row(column.last, usize::from(plot.height) * DOWN) / DOWN;
            put(buffer, plot, plot.x + x, plot.y + y as u16, marker, style);
        }
    }
}

/// Marks at the edge the columns whose values lie outside of it.
fn mark_outside(
    columns: &[Option<Bucket>],
    losses: Losses,
    plot: Rect,
    buffer: &mut Buffer,
    style: Style,
) {
    for (index, column) in columns.iter().enumerate() {
        let Some(column) = column else { continue };
        let x = plot.x + (index / ACROSS) as u16;
        if column.max > losses.top {
            put(buffer, plot, x, plot.y, "▲", style);
        }
        if column.min < losses.bottom {
            put(buffer, plot, x, plot.bottom().saturating_sub(1), "▼", style);
        }
    }
}
