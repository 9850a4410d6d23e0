//! The cursor: all series at one step.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Clear, Widget};

use super::cells::{block, put, width};
use super::layout::inner;
use crate::format;
use crate::history::History;
use crate::model::Model;
use crate::viewport::Axis;
use lookahead_run::format::safe;

/// Most rows of numbers by name: more than any screen has room for.
const ROWS: usize = 100;
/// Fewest rows of a plot with the box.
const ROOM: u16 = 11;

struct Row {
    name: String,
    value: String,
    style: Style,
}

/// Draws a line through the plot, and beside it a box with all values.
pub(crate) fn draw(model: &Model, step: u64, plot: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let Some(x) = draw_line(model, step, plot, buffer) else { return };
    // Without room for a box, the legend has the values.
    if plot.height < ROOM {
        let title = format!(" step {} ", format::count(step));
        let x = (x + 1).min(plot.right().saturating_sub(width(&title)));
        put(buffer, plot, x, plot.y, &title, theme.cursor.reversed());
        return;
    }
    let rows = rows(model, step);
    let widest = rows.iter().map(|row| width(&row.name) + width(&row.value) + 3).max();
    let across = (widest.unwrap_or(0) + 2).min(plot.width);
    let down = (rows.len() as u16 + 2).min(plot.height);
    if across < 12 || down < 3 {
        return;
    }
    let left = x < plot.x + plot.width / 2;
    let x = if left { plot.right() - across } else { plot.x };
    let area = Rect { x, y: plot.y, width: across, height: down };
    Clear.render(area, buffer);
    block(theme, &format!("step {}", format::count(step))).render(area, buffer);
    let inside = inner(area);
    for (row, y) in rows.iter().zip(inside.top()..inside.bottom()) {
        put(buffer, inside, inside.x, y, &row.name, theme.dim);
        let x = inside.right().saturating_sub(width(&row.value)).max(inside.x);
        put(buffer, inside, x, y, &row.value, row.style);
    }
}

/// Draws a line through the plot; returns its column, none if it is outside.
pub(super) fn draw_line(model: &Model, step: u64, plot: Rect, buffer: &mut Buffer) -> Option<u16> {
    let position = model.run().position(model.view.viewport.axis, step);
    let x = plot.x + model.span().column(position, usize::from(plot.width))? as u16;
    for y in plot.top()..plot.bottom() {
        // The curves stay visible.
        if buffer.cell((x, y)).is_some_and(|cell| cell.symbol() == " ") {
            put(buffer, plot, x, y, "│", model.theme.cursor);
        }
    }
    Some(x)
}

fn rows(model: &Model, step: u64) -> Vec<Row> {
    let (run, theme) = (model.run(), &model.theme);
    let series = &run.series;
    let mut rows = Vec::new();
    let time = format::clock(run.position(Axis::Time, step));
    let epoch = format!("{:.3}", run.position(Axis::Epoch, step));
    rows.push(Row { name: "epoch".into(), value: epoch, style: theme.plain });
    rows.push(Row { name: "time".into(), value: time, style: theme.plain });
    let mut row = |name: &str, history: &History, write: &dyn Fn(f64) -> String, style| {
        let Some(bucket) = history.at(step) else { return };
        // In a long run one value covers several steps.
        let about = if bucket.count > 1 && bucket.last_step != step { "≈ " } else { "" };
        let value = format!("{about}{}", write(bucket.last));
        rows.push(Row { name: name.to_owned(), value, style });
    };
    let number = |value: f64| format::significant(value, 5);
    let metric = run.chart_metric();
    let of_metric = |value| metric.format(value);
    let loss = &format::exact_loss;
    row("training loss", &series.loss, loss, theme.plain);
    row("learning rate", &series.learning_rate, &number, theme.plain);
    row("samples/s", &series.throughput, &format::rate, theme.plain);
    row("probe loss fast", &series.probe.fast, loss, theme.fast);
    row("probe loss slow", &series.probe.slow, loss, theme.slow);
    row("gain", &series.gain, &format::difference, theme.plain);
    row("α", &series.alpha, &number, theme.plain);
    row("distance", &series.distance, &number, theme.plain);
    row("gradient norm", &series.gradient_norm, &number, theme.plain);
    for (name, history) in run.series.scalars.iter().take(ROWS) {
        row(&safe(name), history, &|value| run.scalar_metric(name).format(value), theme.plain);
    }
    let short = format::short(&metric);
    let slow = if run.averages() { "average" } else { "slow" };
    for (evaluations, weights, style) in
        [(&series.validation.slow, slow, theme.slow), (&series.validation.fast, "fast", theme.fast)]
    {
        row(&format!("{short} {weights}"), evaluations.metric(&metric.name), &of_metric, style);
        row(&format!("val. loss {weights}"), &evaluations.loss, loss, style);
    }
    rows
}
