//! The cursor: all series at one step.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Clear, Widget};

use super::layout::inner;
use super::{block, put, width};
use crate::charts::Series;
use crate::format;
use crate::history::History;
use crate::model::Model;
use crate::viewport::Axis;

/// The value of a line at a step, or at the last one before it of which it is known.
pub(crate) fn value(line: &Series, step: u64) -> Option<f64> {
    if let Some(decay) = line.smooth {
        let buckets = line.history.slice_after(step, step, 1, crate::smoothing::warm_up(decay));
        let mut ema = crate::smoothing::Ema::new(decay);
        return buckets
            .iter()
            .filter(|b| b.first_step <= step)
            .map(|bucket| ema.push(bucket))
            .last();
    }
    line.history.at(step).map(|bucket| bucket.last)
}

/// Rows of a plot from which on the box is shown.
const ROOM: u16 = 11;

/// One line of the box.
struct Row {
    name: &'static str,
    value: String,
    style: Style,
}

/// Draws a line through the plot, and beside it a box with all values.
pub(crate) fn draw(model: &Model, step: u64, plot: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let run = model.run();
    let position = run.position(model.viewport.axis, step);
    let Some(x) = model.span().column(position, usize::from(plot.width)) else { return };
    let x = plot.x + x as u16;
    for y in plot.top()..plot.bottom() {
        // What is drawn there stays to be seen.
        if buffer.cell((x, y)).is_some_and(|cell| cell.symbol() == " ") {
            put(buffer, plot, x, y, "│", theme.cursor);
        }
    }
    // Where there is no room for a box, the legend has its values.
    if plot.height < ROOM {
        let title = format!(" step {} ", format::count(step));
        let x = (x + 1).min(plot.right().saturating_sub(width(&title)));
        put(buffer, plot, x, plot.y, &title, theme.cursor.reversed());
        return;
    }
    let rows = rows(model, step);
    let across =
        rows.iter().map(|row| width(row.name) + width(&row.value) + 3).max().unwrap_or(0) + 2;
    let down = rows.len() as u16 + 2;
    let (across, down) = (across.min(plot.width), down.min(plot.height));
    if across < 12 || down < 3 {
        return;
    }
    let left = x < plot.x + plot.width / 2;
    let area = Rect {
        x: if left { plot.right() - across } else { plot.x },
        y: plot.y,
        width: across,
        height: down,
    };
    Clear.render(area, buffer);
    let title = format!("step {}", format::count(step));
    block(theme, &title).render(area, buffer);
    let inside = inner(area);
    for (row, y) in rows.iter().zip(inside.top()..inside.bottom()) {
        put(buffer, inside, inside.x, y, row.name, theme.dim);
        let x = inside.right().saturating_sub(width(&row.value)).max(inside.x);
        put(buffer, inside, x, y, &row.value, row.style);
    }
}

fn rows(model: &Model, step: u64) -> Vec<Row> {
    let (run, theme) = (model.run(), &model.theme);
    let mut rows = Vec::new();
    let mut row = |name, value: Option<String>, style| {
        if let Some(value) = value {
            rows.push(Row { name, value, style });
        }
    };
    // Of a long run neighbouring steps are kept together: then the value is of a step close by.
    let near = |history: &History, write: &dyn Fn(f64) -> String| {
        let bucket = history.at(step)?;
        let about = if bucket.count > 1 && bucket.last_step != step { "≈ " } else { "" };
        Some(format!("{about}{}", write(bucket.last)))
    };
    let number = |value: f64| format::significant(value, 5);
    let loss = &format::exact_loss;
    row("epoch", Some(format!("{:.3}", run.position(Axis::Epoch, step))), theme.plain);
    row("time", Some(format::clock(run.position(Axis::Time, step))), theme.plain);
    row("loss at θ", near(&run.loss, loss), theme.plain);
    row("lr", near(&run.learning_rate, &number), theme.plain);
    row("samples/s", near(&run.speed, &format::rate), theme.plain);
    row("probe θ", near(&run.probes.fast, loss), theme.fast);
    row("probe φ", near(&run.probes.slow, loss), theme.slow);
    row("gain", near(&run.gain, &format::difference), theme.plain);
    row("α", near(&run.alpha, &number), theme.plain);
    row("‖θ − φ‖", near(&run.distance, &number), theme.plain);
    row("‖gradient‖", near(&run.gradient, &number), theme.plain);
    let slow = match run.averages() {
        true => ["acc. mean", "val. loss mean"],
        false => ["acc. φ", "val. loss φ"],
    };
    for (evaluations, [accuracy, validation], style) in [
        (&run.validation.slow, slow, theme.slow),
        (&run.validation.fast, ["acc. θ", "val. loss θ"], theme.fast),
    ] {
        let percent = |value| format::percent(value, 2);
        row(accuracy, near(&evaluations.accuracy, &percent), style);
        row(validation, near(&evaluations.loss, loss), style);
    }
    rows
}
