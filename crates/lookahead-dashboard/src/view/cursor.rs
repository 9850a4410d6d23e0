//! The cursor: all series at one step.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Clear, Widget};

use super::layout::inner;
use super::{block, put, width};
use crate::charts::{Look, Series};
use crate::format;
use crate::history::History;
use crate::model::Model;
use crate::run::Run;
use crate::viewport::Axis;

use lookahead_run::event::{Event, Record};

/// The value of a line at a step: exactly as the log has it where that has been read, else what the
/// picture has there.
pub(crate) fn value(model: &Model, line: &Series, step: u64) -> Option<f64> {
    let run = &model.runs[line.run];
    if let Some(decay) = line.smooth {
        let buckets = line.history.slice_after(step, step, 1, crate::smoothing::warm_up(decay));
        let mut ema = crate::smoothing::Ema::new(decay);
        return buckets
            .iter()
            .filter(|b| b.first_step <= step)
            .map(|bucket| ema.push(bucket))
            .last();
    }
    if line.look == Look::Raw
        && std::ptr::eq(line.history, &run.loss)
        && let Some(Record { event: Event::Step(exact), .. }) = exact(run, step, |e| &e.step)
    {
        return Some(exact.loss);
    }
    line.history.at(step).map(|bucket| bucket.last)
}

fn exact<'a>(
    run: &'a Run,
    step: u64,
    part: impl Fn(&'a lookahead_run::index::Exact) -> &'a Option<Record>,
) -> Option<&'a Record> {
    let (at, exact) = run.exact.as_ref()?;
    (*at == step).then(|| part(exact).as_ref()).flatten()
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
    // What the log has is exact; what only the picture has may be of some step close by.
    let near = |history: &History, write: &dyn Fn(f64) -> String| {
        let bucket = history.at(step)?;
        let about = if bucket.count > 1 && bucket.last_step != step { "≈ " } else { "" };
        Some(format!("{about}{}", write(bucket.last)))
    };
    let taken = match exact(run, step, |e| &e.step) {
        Some(Record { event: Event::Step(taken), step: at, .. }) if *at == step => Some(*taken),
        _ => None,
    };
    let number = |value: f64| format::significant(value, 5);
    let of = |exact: Option<f64>, history, write: &dyn Fn(f64) -> String| match exact {
        Some(value) => Some(write(value)),
        None => near(history, write),
    };
    row("epoch", Some(format!("{:.3}", run.position(Axis::Epoch, step))), theme.plain);
    row("time", Some(format::clock(run.position(Axis::Time, step))), theme.plain);
    row("loss at θ", of(taken.map(|t| t.loss), &run.loss, &format::exact_loss), theme.plain);
    row("lr", of(taken.map(|t| t.learning_rate), &run.learning_rate, &number), theme.plain);
    row(
        "samples/s",
        of(taken.map(|t| t.samples_per_second), &run.speed, &format::rate),
        theme.plain,
    );
    row("phase", taken.map(|t| t.phase.to_string()).filter(|_| run.has_lookahead()), theme.plain);
    let probe = match exact(run, step, |e| &e.probe) {
        Some(Record { event: Event::Probe(probe), .. }) => Some(*probe),
        _ => None,
    };
    let sync = match exact(run, step, |e| &e.sync) {
        Some(Record { event: Event::Sync(sync), .. }) => Some(*sync),
        _ => None,
    };
    let loss = &format::exact_loss;
    row("probe θ", of(probe.map(|p| p.fast_loss), &run.probes.fast, loss), theme.fast);
    row("probe φ", of(probe.map(|p| p.slow_loss), &run.probes.slow, loss), theme.slow);
    let gain = probe.map(|probe| probe.fast_loss - probe.slow_loss);
    row("gain", of(gain, &run.gain, &format::difference), theme.plain);
    row("α", of(sync.map(|sync| sync.alpha), &run.alpha, &number), theme.plain);
    row("‖θ − φ‖", of(sync.and_then(|s| s.distance), &run.distance, &number), theme.plain);
    let norm = sync.and_then(|sync| sync.gradient_norm);
    row("‖gradient‖", of(norm, &run.gradient, &number), theme.plain);
    let slow = match run.averages() {
        true => ["acc. mean", "val. loss mean"],
        false => ["acc. φ", "val. loss φ"],
    };
    let evaluations = [
        (exact(run, step, |e| &e.slow), &run.validation.slow, slow, theme.slow),
        (
            exact(run, step, |e| &e.fast),
            &run.validation.fast,
            ["acc. θ", "val. loss θ"],
            theme.fast,
        ),
    ];
    for (found, histories, [accuracy, loss], style) in evaluations {
        let found = match found {
            Some(Record { event: Event::Evaluation(found), .. }) => Some(*found),
            _ => None,
        };
        let percent = |value| format::percent(value, 2);
        let exact = found.map(|found| found.accuracy);
        row(accuracy, of(exact, &histories.accuracy, &percent), style);
        row(loss, of(found.map(|found| found.loss), &histories.loss, &format::exact_loss), style);
    }
    rows
}
