//! A chart: lines over steps, epochs or time.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use super::axes::{self, Scale};
use super::columns::{Columns, columns, gaps};
use super::layout::inner;
use super::raster::{ACROSS, DOWN, Raster};
use super::{block, cursor, cycle, put, width};
use crate::charts::{Chart, Look, Series, series};
use crate::format;
use crate::model::Model;
use crate::run::State;
use crate::smoothing::DECAYS;
use crate::theme::Theme;
use crate::viewport::{Range, Span};

/// Columns of a value in the legend, where names are left out, and between two entries of it.
const VALUE: u16 = 7;
const SHORT_VALUE: u16 = 6;
const GAP: u16 = 3;
/// Cells between two markers on a line: they tell lines apart without colours.
const MARKER_EVERY: u16 = 14;

/// How a line looks: its style, its sample in the legend, and the marker that is drawn on it.
fn look(theme: &Theme, look: Look) -> (Style, &'static str, Option<&'static str>) {
    match look {
        Look::Raw => (theme.raw, "⣿", None),
        Look::Smoothed => (theme.smoothed, "⠒", None),
        Look::Fast => (theme.fast, "○", Some("○")),
        Look::Slow => (theme.slow, "●", Some("●")),
        Look::Run(index) => {
            let (style, marker) = theme.run(index);
            (style, marker, Some(marker))
        }
    }
}

/// Draws a chart in a frame with a title; `main` is the one that the keys are about.
pub(crate) fn draw_framed(
    model: &Model,
    chart: Chart,
    area: Rect,
    main: bool,
    buffer: &mut Buffer,
) {
    let theme = &model.theme;
    let title = match main {
        true => format!("{} {}", chart.digit(), chart.title()),
        false => chart.title().to_owned(),
    };
    let mut frame = block(theme, &title);
    if main {
        let lost = model.run().loss.non_finite();
        let right = if lost > 0 && chart == Chart::Loss && model.runs.len() == 1 {
            let plural = if lost == 1 { "loss" } else { "losses" };
            Line::styled(format!(" {} non-finite {plural} ", format::count(lost)), theme.bad)
        } else {
            Line::styled(settings(model, chart), theme.dim)
        };
        frame = frame.title_top(right.right_aligned());
    }
    frame.render(area, buffer);
    if main {
        draw(model, chart, inner(area), buffer);
    } else {
        draw_small(model, chart, inner(area), buffer);
    }
    if main && model.run().state() == State::Paused {
        let text = " PAUSED ";
        let x = area.x + area.width.saturating_sub(width(text)) / 2;
        put(buffer, area, x, area.bottom().saturating_sub(1), text, theme.warning.reversed());
    }
}

/// In what way the picture is not the plain one.
fn settings(model: &Model, chart: Chart) -> String {
    let mut words = Vec::new();
    if chart != Chart::Cycle {
        if series(model, chart).iter().any(|line| line.smooth.is_some()) {
            words.push(format!("β {}", DECAYS[model.smoothing]));
        }
        if model.viewport.range != Range::All {
            let times = model.whole().width() / model.span().width();
            words.push(format!("×{}", format::significant(times, 2)));
        }
        if matches!(model.viewport.range, Range::Fixed(_)) {
            words.push("not following".into());
        }
    }
    if model.log_y {
        words.push("log".into());
    }
    if words.is_empty() { String::new() } else { format!(" {} ", words.join(" · ")) }
}

/// Draws legend, axes and lines.
pub(crate) fn draw(model: &Model, chart: Chart, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    if chart == Chart::Cycle {
        cycle::draw(model, area, buffer);
        return;
    }
    let series = series(model, chart);
    let rows = legend(model, chart, &series, area, buffer);
    let below = Rect {
        y: area.y + rows.min(area.height),
        height: area.height.saturating_sub(rows),
        ..area
    };
    let plot = draw_lines(model, chart, &series, below, buffer);
    if let Some(step) = model.cursor {
        cursor::draw(model, step, plot, buffer);
    }
}

/// As [`draw`], without a legend, for a glance.
fn draw_small(model: &Model, chart: Chart, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    if chart == Chart::Cycle {
        cycle::draw(model, area, buffer);
        return;
    }
    draw_lines(model, chart, &series(model, chart), area, buffer);
}

/// Draws axes and lines; returns where the lines are.
fn draw_lines(
    model: &Model,
    chart: Chart,
    series: &[Series],
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let theme = &model.theme;
    let plot = axes::plot(area);
    let (axis, span) = (model.viewport.axis, model.span());
    let count = usize::from(plot.width) * ACROSS;
    let lines: Vec<(&Series, Columns)> = series
        .iter()
        .map(|line| {
            let run = &model.runs[line.run];
            (line, columns(run, line.history, line.smooth, axis, span, count))
        })
        .collect();
    // A running mean goes on for long about a wild value, so its points decide.
    let hidden: Vec<Columns> = series
        .iter()
        .filter(|line| line.smooth.is_some())
        .filter(|mean| {
            let is_theirs = |line: &&Series| std::ptr::eq(line.history, mean.history);
            !series.iter().filter(is_theirs).any(|line| line.smooth.is_none())
        })
        .map(|mean| columns(&model.runs[mean.run], mean.history, None, axis, span, count))
        .collect();
    let points = lines.iter().filter(|(line, _)| line.smooth.is_none());
    let ranges: Vec<(&Columns, bool)> = points
        .map(|(line, columns)| (columns, line.to_extremes))
        .chain(hidden.iter().map(|columns| (columns, false)))
        .collect();
    let scale = axes::scale(&ranges, model.log_y);
    axes::draw_y(theme, area, plot, buffer, scale, chart == Chart::Accuracy);
    axes::draw_x(theme, area, plot, buffer, axis, span);
    sync_marks(model, plot, area, span, buffer);
    if chart.has_zero_line() && !scale.log && scale.bottom < 0.0 && scale.top > 0.0 {
        let y = plot.y + scale.row(0.0, usize::from(plot.height)) as u16;
        put(buffer, plot, plot.x, y, &"┄".repeat(usize::from(plot.width)), theme.frame);
    }
    if series.iter().all(|line| line.history.is_empty()) {
        nothing_yet(model, chart, plot, buffer);
    }
    for (index, (line, columns)) in lines.iter().enumerate() {
        let (style, _, marker) = look(theme, line.look);
        trace(columns, scale, plot, buffer, style);
        if let Some(marker) = marker {
            let phase = (index as u16 * MARKER_EVERY / 2 + line.run as u16 * 3) % MARKER_EVERY;
            mark(columns, scale, plot, buffer, (marker, phase), style);
        }
    }
    // Last, so that no line hides that something was cut off or is no number.
    for (line, columns) in &lines {
        mark_outside(columns, scale, plot, buffer, look(theme, line.look).0);
        if line.smooth.is_none() {
            let run = &model.runs[line.run];
            for cell in gaps(run, line.history, axis, span, usize::from(plot.width)) {
                let y = plot.bottom().saturating_sub(1);
                put(buffer, plot, plot.x + cell as u16, y, "×", theme.bad);
            }
        }
    }
    plot
}

fn nothing_yet(model: &Model, chart: Chart, plot: Rect, buffer: &mut Buffer) {
    let run = model.run();
    let text = match (run.state(), chart) {
        (State::Waiting, _) => "waiting for the run",
        (_, Chart::Accuracy | Chart::ValidationLoss) => "no evaluation yet",
        (_, Chart::Gain | Chart::Distance | Chart::Gradient) if !run.has_lookahead() => {
            "without Lookahead"
        }
        (_, Chart::Gain | Chart::Distance | Chart::Gradient) => "no probe yet",
        (_, Chart::Alpha) => "no sync yet",
        _ => "no step yet",
    };
    let x = plot.x + plot.width.saturating_sub(width(text)) / 2;
    put(buffer, plot, x, plot.y + plot.height / 2, text, model.theme.dim);
}

/// Marks the syncs on the x axis, where they are far enough apart to be told from each other.
fn sync_marks(model: &Model, plot: Rect, area: Rect, span: Span, buffer: &mut Buffer) {
    let (run, axis) = (model.run(), model.viewport.axis);
    let cells = usize::from(plot.width);
    let [first, last] = [span.start, span.end].map(|place| run.step_at(axis, place));
    let syncs = run.syncs.slice(first, last, cells);
    if syncs.len() * 3 > cells {
        return;
    }
    for sync in syncs.iter().filter(|sync| sync.count == 1) {
        if let Some(x) = span.column(run.position(axis, sync.first_step), cells) {
            put(buffer, area, plot.x + x as u16, plot.bottom(), "┸", model.theme.slow);
        }
    }
}

/// The value of a line: at the cursor, or the newest.
fn value(model: &Model, chart: Chart, line: &Series) -> String {
    let run = &model.runs[line.run];
    let value = match (line.smooth, model.cursor) {
        (Some(decay), None) => run.smoothed(line.history, decay),
        (None, None) => line.history.newest(),
        (_, Some(step)) => cursor::value(line, step),
    };
    value.map_or(format::NONE.into(), |value| chart.write(value))
}

/// Names and values, in as few rows as fit; returns how many these are.
fn legend(model: &Model, chart: Chart, series: &[Series], area: Rect, buffer: &mut Buffer) -> u16 {
    let series: Vec<&Series> = match model.runs.len() {
        1 => series.iter().collect(),
        // The list of runs has the names, where it is shown; the points have no value of interest.
        _ => series.iter().filter(|line| line.look != Look::Raw).collect(),
    };
    if series.is_empty() {
        return 0;
    }
    let label = |line: &Series, short: bool| match short {
        true if line.short.is_empty() => String::new(),
        true => line.short.to_owned(),
        false => line.name.clone(),
    };
    let entry = |line: &Series, short: bool| {
        let name = width(&label(line, short));
        if short { 1 + name + SHORT_VALUE + 1 } else { 4 + name + VALUE }
    };
    // One row of all, two rows of two, and where that is too wide one row without the names.
    let half = series.len().div_ceil(2);
    let layouts = [(series.len(), false), (half, false), (series.len(), true)];
    let widths = |(across, short): (usize, bool)| -> Vec<u16> {
        let columns = series.chunks(series.len().div_ceil(across));
        columns
            .map(|lines| lines.iter().map(|line| entry(line, short)).max().unwrap_or(0))
            .collect()
    };
    let total = |widths: &[u16]| {
        widths.iter().fold(0_u16, |sum, width| sum.saturating_add(*width))
            + GAP * (widths.len().max(1) as u16 - 1)
    };
    let fitting = layouts.into_iter().find(|layout| total(&widths(*layout)) < area.width);
    let (across, short) = fitting.unwrap_or(layouts[2]);
    let gap = if short { 1 } else { GAP };
    let mut x = area.x + u16::from(!short);
    let rows = series.len().div_ceil(across);
    // Down first, so that both losses of training stand together, and both probes.
    for (lines, width) in series.chunks(rows).zip(widths((across, short))) {
        for (line, y) in lines.iter().zip(area.top()..area.bottom()) {
            let (style, sample, _) = look(&model.theme, line.look);
            let start = put(buffer, area, x, y, sample, style);
            let start = if short { start } else { start + 1 };
            let end = put(buffer, area, start, y, &label(line, short), model.theme.plain);
            let text = value(model, chart, line);
            let right = (x + width).saturating_sub(super::width(&text)).max(end);
            put(buffer, area, right, y, &text, model.theme.plain);
        }
        x += width + gap;
    }
    rows as u16
}

/// Draws each column from its smallest to its largest value, and lines from one to the next.
pub(crate) fn trace(
    columns: &Columns,
    scale: Scale,
    plot: Rect,
    buffer: &mut Buffer,
    style: Style,
) {
    let mut raster = Raster::new(plot);
    let height = usize::from(plot.height) * DOWN;
    let row = |value| scale.row(value, height);
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
    columns: &Columns,
    scale: Scale,
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
            let y = scale.row(column.last, usize::from(plot.height) * DOWN) / DOWN;
            put(buffer, plot, plot.x + x, plot.y + y as u16, marker, style);
        }
    }
}

/// Marks at the edge the columns whose values lie outside of it.
fn mark_outside(columns: &Columns, scale: Scale, plot: Rect, buffer: &mut Buffer, style: Style) {
    for (index, column) in columns.iter().enumerate() {
        let Some(column) = column else { continue };
        let x = plot.x + (index / ACROSS) as u16;
        if column.max > scale.top {
            put(buffer, plot, x, plot.y, "▲", style);
        }
        if column.min < scale.bottom {
            put(buffer, plot, x, plot.bottom().saturating_sub(1), "▼", style);
        }
    }
}
