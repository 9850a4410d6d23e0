//! The run in a few lines, for small screens.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::cells::{put, width};
use super::legend::looks_of_weights;
use super::{footer, header};
use crate::format;
use crate::model::Model;
use crate::smoothing;
use lookahead_run::format::safe;

/// Most columns of a table, so that its values stay near their names.
const WIDEST: u16 = 34;

/// Draws state and progress in one line below a chart, or a table of what matters most.
pub(crate) fn draw(model: &Model, area: Rect, with_chart: bool, buffer: &mut Buffer) {
    let first = Rect { height: 1.min(area.height), ..area };
    if with_chart || area.height == 1 {
        draw_line(model, first, with_chart, buffer);
    } else {
        draw_table(model, area, buffer);
    }
}

/// The fraction of steps taken.
fn done(model: &Model) -> Option<String> {
    let (step, total) = (model.run().step(), model.run().total_steps());
    (total > 0).then(|| format::percent(step as f64 / total as f64, 0))
}

fn left(model: &Model) -> Option<String> {
    let run = model.run();
    let left = run.clock.left(run.total_steps()).filter(|_| !run.has_ended());
    left.map(format::duration)
}

fn training_loss(model: &Model) -> Option<String> {
    let loss = smoothing::newest_mean(&model.run().series.loss, model.view.decay());
    loss.map(format::loss)
}

/// Draws what fits into one line; the chart above it has the losses.
fn draw_line(model: &Model, area: Rect, with_chart: bool, buffer: &mut Buffer) {
    let (run, theme) = (model.run(), &model.theme);
    let (state, style) = header::state_label(theme, run);
    let mut x = put(buffer, area, area.x, area.y, state, style) + 1;
    let notice = footer::notice(model);
    if !notice.is_empty() {
        put(buffer, area, x, area.y, &notice, theme.warning);
        return;
    }
    let total = run.total_steps();
    let steps =
        (total > 0).then(|| format!("{}/{}", format::count(run.step()), format::count(total)));
    let loss = training_loss(model).map(|loss| format!("loss {loss}"));
    let mut parts = Vec::new();
    if model.runs.len() > 1 {
        parts.push(run.name.clone());
    }
    parts.extend(done(model));
    parts.extend(loss.filter(|_| !with_chart));
    parts.extend(steps);
    parts.extend(left(model).map(|left| format!("{left} left")));
    for part in parts {
        // Part of a number would mislead.
        if x + width(&part) > area.right() {
            return;
        }
        x = put(buffer, area, x, area.y, &part, theme.plain) + 1;
    }
}

/// A row of the table.
struct Row {
    /// If the screen is too low, rows of higher ranks are left out first.
    rank: u8,
    /// The longest first; the first that fits beside the value is drawn.
    names: Vec<String>,
    value: String,
    style: Style,
}

fn rows(model: &Model) -> Vec<Row> {
    let (run, theme) = (model.run(), &model.theme);
    let [slow_look, fast_look] = looks_of_weights(model);
    let mut rows = Vec::new();
    let mut add = |rank, names: &[&str], value: Option<String>, style| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        rows.extend(value.map(|value| Row { rank, names, value, style }));
    };
    let (state, style) = header::state_label(theme, run);
    add(0, &[state], Some(done(model).unwrap_or_default()), style);
    if model.runs.len() > 1 {
        add(4, &["run"], Some(run.name.clone()), theme.plain);
    }
    let total = run.total_steps();
    let steps = if total > 0 {
        format!("{}/{}", format::count(run.step()), format::count(total))
    } else {
        format::count(run.step())
    };
    add(4, &["step"], Some(steps), theme.plain);
    add(1, &["training loss", "loss"], training_loss(model), theme.plain);
    if let Some(probe) = run.latest.probe {
        let [fast, slow] = [probe.fast_loss, probe.slow_loss].map(format::loss).map(Some);
        for (value, rank, weights, (style, sign)) in
            [(fast, 2, "fast", fast_look), (slow, 3, "slow", slow_look)]
        {
            let names = ["on a validation batch", "validation", "val."]
                .map(|data| format!("{sign} {weights}, {data}"));
            let [full, short, shorter] = &names;
            add(rank, &[full, short, shorter, &format!("{sign} {weights}")], value, style);
        }
    }
    add(5, &["time left", "left"], left(model), theme.plain);
    let metric = run.chart_metric();
    if run.is_recorded() {
        // By rank, so that a low screen has the first ones.
        for ((name, history), rank) in run.series.scalars.iter().zip(6..u8::MAX) {
            let value = history.newest().map(|value| run.scalar_metric(name).format(value));
            add(rank, &[&safe(name)], value, theme.plain);
        }
    }
    let weights = run.series.validation.map(|weights| weights.metric(&metric.name).newest());
    let [slow, fast] = weights.map(|value| value.map(|value| metric.format(value)));
    let label = metric.label();
    let slow_name = if run.averages() { "average" } else { "slow" };
    for (value, rank, weights, (style, sign)) in
        [(fast, 7, "fast", fast_look), (slow, 6, slow_name, slow_look)]
    {
        add(
            rank,
            &[&format!("{sign} {weights}, {label}"), &format!("{sign} {label}")],
            value,
            style,
        );
    }
    rows
}

/// Draws names at the left and values at the right; in the last row what is being waited for.
fn draw_table(model: &Model, area: Rect, buffer: &mut Buffer) {
    let notice = footer::notice(model);
    let across = Rect { width: area.width.min(WIDEST), ..area };
    let height = usize::from(area.height) - usize::from(!notice.is_empty()).min(1);
    let mut rows = rows(model);
    while rows.len() > height {
        let highest = rows.iter().map(|row| row.rank).max();
        rows.retain(|row| Some(row.rank) != highest);
    }
    for (row, y) in rows.iter().zip(area.top()..) {
        let room = across.width.saturating_sub(width(&row.value) + 1);
        let name = row.names.iter().find(|name| width(name) <= room).or(row.names.last());
        let name = name.map_or("", |name| name.as_str());
        let start = put(buffer, across, across.x, y, name, row.style) + 1;
        let x = across.right().saturating_sub(width(&row.value));
        // Part of a number would mislead.
        if x >= start {
            put(buffer, across, x, y, &row.value, model.theme.plain);
        }
    }
    let y = area.y + rows.len() as u16;
    put(buffer, area, area.x, y, &notice, model.theme.warning);
}
