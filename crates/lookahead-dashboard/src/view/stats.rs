//! The numbers of the run.

use lookahead_run::event::{Rank, Task};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::cells::{block, put, width};
use crate::format::{self, NONE};
use crate::history::History;
use crate::model::Model;
use crate::run::series::Evaluations;

/// Fewest columns for the words fast and slow beside the probe losses.
const WIDE: u16 = 34;
/// Ticks of the phase that fit beside their numbers.
const TICKS: u64 = 10;

/// One row of the pane.
enum Row<'a> {
    /// A line across with a title.
    Title(String),
    /// A name at the left, a value at the right.
    Pair(&'static str, Line<'a>),
    /// A name and the values at the slow and the fast weights.
    Two(&'static str, [String; 2], [Style; 2]),
    /// The fraction of steps taken, and whether the run stopped early.
    Gauge(f64, bool),
}

/// A row, and its rank: if the pane is too low, rows of the highest rank are left out first.
type Ranked<'a> = (u8, Row<'a>);

/// Formats a value that may be unknown.
fn or_none<T>(value: Option<T>, write: impl FnOnce(T) -> String) -> String {
    value.map_or(NONE.into(), write)
}

/// Draws as many rows as fit, the least important left out.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let frame = block(&model.theme, "progress");
    let inner = frame.inner(area);
    frame.render(area, buffer);
    let mut rows = progress(model);
    rows.extend(speed(model));
    rows.extend(lookahead(model, inner.width >= WIDE));
    rows.extend(validation(model));
    rows.extend(checkpoint(model));
    rows.extend(ranks(model));
    rows.extend(system(model));
    rows.extend(timing(model));
    while rows.len() > usize::from(inner.height) {
        let highest = rows.iter().map(|(rank, _)| *rank).max();
        let Some(index) = rows.iter().rposition(|(rank, _)| Some(*rank) == highest) else {
            return;
        };
        rows.remove(index);
    }
    for ((_, row), y) in rows.iter().zip(inner.top()..) {
        draw_row(model, row, area, inner, y, buffer);
    }
}

fn progress(model: &Model) -> Vec<Ranked<'_>> {
    let run = model.run();
    let (step, total) = (run.step(), run.total_steps());
    let done = if total > 0 { step as f64 / total as f64 } else { 0.0 };
    let mut steps = format::count(step);
    if total > 0 {
        steps += &format!(" of {}", format::count(total));
    }
    let per_epoch = run.info().map(|info| info.steps_per_epoch).filter(|steps| *steps > 0);
    let epoch = or_none(per_epoch, |per_epoch| {
        let [now, all] = [step, total].map(|steps| steps as f64 / per_epoch as f64);
        format!("{now:.2} of {}", format::significant(all, 3))
    });
    let left = run.clock.left(total).filter(|_| !run.has_ended());
    let elapsed = format::duration(run.clock.elapsed(model.now));
    vec![
        (0, Row::Gauge(done, run.stopped_early())),
        (0, Row::Pair("step", steps.into())),
        (1, Row::Pair("epoch", epoch.into())),
        (0, Row::Pair("time left", or_none(left, format::duration).into())),
        (1, Row::Pair("elapsed", elapsed.into())),
    ]
}

fn speed(model: &Model) -> Vec<Ranked<'_>> {
    let last = model.run().latest.step;
    let rate = or_none(last, |step| format::rate(step.samples_per_second));
    let learning_rate = or_none(last, |step| format::significant(step.learning_rate, 4));
    vec![
        (9, Row::Title("speed".into())),
        (1, Row::Pair("samples/s", rate.into())),
        (1, Row::Pair("learning rate", learning_rate.into())),
    ]
}

fn lookahead(model: &Model, wide: bool) -> Vec<Ranked<'_>> {
    let (run, theme) = (model.run(), &model.theme);
    let Some(settings) = run.info().and_then(|info| info.lookahead) else {
        return Vec::new();
    };
    let (series, latest) = (&run.series, &run.latest);
    let phase = latest.step.map_or(0, |step| step.phase).min(settings.k);
    let ticks = settings.k.clamp(1, TICKS);
    let full = (phase as f64 / settings.k.max(1) as f64 * ticks as f64).round() as usize;
    let phase = Line::from(vec![
        Span::styled("●".repeat(full), theme.plain),
        Span::styled("○".repeat((ticks as usize).saturating_sub(full)), theme.dim),
        Span::raw(format!(" {phase}/{}", settings.k)),
    ]);
    let syncs = series.syncs.newest().map_or(0, |count| count as u64);
    let alpha = format::significant(series.alpha.newest().unwrap_or(settings.alpha), 4);
    let words = if wide { ["probe", "fast ", " → slow "] } else { ["fast→slow", "", " → "] };
    let probe = latest.probe.map_or(Line::raw(NONE), |probe| {
        Line::from(vec![
            Span::styled(words[1], theme.fast),
            Span::raw(format::loss(probe.fast_loss)),
            Span::styled(words[2], theme.slow),
            Span::raw(format::loss(probe.slow_loss)),
        ])
    });
    // Green if the slow weights have the smaller loss.
    let gain = |value: Option<f64>| {
        let good = value.is_some_and(|value| value > 0.0);
        let style = if good { theme.good } else { theme.plain };
        Line::styled(or_none(value, format::difference), style)
    };
    let last_gain = gain(latest.probe.map(|probe| probe.fast_loss - probe.slow_loss));
    let cost = or_none(run.probing_cost(model.now), |part| {
        format!("{} of the time", format::percent(part, 1))
    });
    vec![
        (9, Row::Title("lookahead".into())),
        (1, Row::Pair("phase", phase)),
        (2, Row::Pair("syncs", format!("{}   α {alpha}", format::count(syncs)).into())),
        (0, Row::Pair(words[0], probe)),
        (2, Row::Pair("gain", last_gain)),
        (3, Row::Pair("mean gain", gain(series.gain.mean()))),
        (4, Row::Pair("distance", or_none(series.distance.newest(), format::loss).into())),
        (2, Row::Pair("probing", cost.into())),
    ]
}

fn validation(model: &Model) -> Vec<Ranked<'_>> {
    let (run, theme) = (model.run(), &model.theme);
    let both = &run.series.validation;
    let newest = |history: fn(&Evaluations) -> &History, write: fn(f64) -> String| {
        both.map(|weights| or_none(history(weights).newest(), write))
    };
    let accuracy = |value| format::percent(value, 2);
    let step = both.map(|weights| weights.loss.last_step()).into_iter().flatten().max();
    let title = match step {
        Some(step) => format!("validation at step {}", format::count(step)),
        None => "validation".into(),
    };
    let plain = [theme.plain; 2];
    let strong = [theme.strong, theme.plain];
    let heads = [if run.averages() { "mean" } else { "slow" }, "fast"].map(str::to_owned);
    let mut rows = vec![(8, Row::Title(title)), (1, Row::Two("", heads, [theme.slow, theme.fast]))];
    if run.task() == Task::Language {
        rows.push((0, Row::Two("perplexity", newest(|e| &e.loss, format::perplexity), strong)));
    }
    if run.task() != Task::Quadratic {
        rows.push((0, Row::Two("accuracy", newest(|e| &e.accuracy, accuracy), strong)));
        let best = both.map(|weights| or_none(weights.accuracy.max(), accuracy));
        rows.push((2, Row::Two("best", best, plain)));
    }
    rows.push((1, Row::Two("loss", newest(|e| &e.loss, format::loss), plain)));
    let test = &run.latest.test;
    if test.slow.is_some() || test.fast.is_some() {
        let values = test.map(|test| {
            or_none(*test, |test| match run.task() {
                Task::Classification => accuracy(test.accuracy),
                Task::Language => format::perplexity(test.loss),
                Task::Quadratic => format::loss(test.loss),
            })
        });
        let name = if run.stopped_early() { "test, best" } else { "test" };
        rows.push((0, Row::Two(name, values, strong)));
    }
    rows
}

fn checkpoint(model: &Model) -> Vec<Ranked<'_>> {
    let (run, theme) = (model.run(), &model.theme);
    let last = run.latest.checkpoint.as_ref();
    let name = last.map_or("none yet".into(), |last| last.name.clone());
    let age = or_none(last, |last| format!("{} ago", format::duration(model.now - last.time)));
    let cost = or_none(last.and_then(|last| last.cost), |cost| cost.map(format::cost).join(", "));
    let style = if run.summary.warnings > 0 { theme.warning } else { theme.plain };
    let warnings = Line::styled(format::count(run.summary.warnings), style);
    vec![
        (9, Row::Title("checkpoint".into())),
        (1, Row::Pair("last", name.into())),
        (3, Row::Pair("saved", age.into())),
        (5, Row::Pair("stall, writing", cost.into())),
        (1, Row::Pair("warnings", warnings)),
    ]
}

fn system(model: &Model) -> Vec<Ranked<'_>> {
    let Some(system) = &model.run().latest.system else { return Vec::new() };
    let mut rows = vec![
        (9, Row::Title("system".into())),
        (4, Row::Pair("processor", format!("{:.1} cores", system.cpu).into())),
        (4, Row::Pair("memory", format::bytes(system.memory).into())),
    ];
    if let Some(gpu) = &system.gpu {
        let memory =
            format!("{} of {}", format::bytes(gpu.memory_used), format::bytes(gpu.memory_total));
        rows.push((4, Row::Pair("GPU", format::percent(gpu.utilization, 0).into())));
        rows.push((5, Row::Pair("GPU memory", memory.into())));
    }
    rows
}

/// The processes of a distributed run: how far apart they are, and which one is slowest.
fn ranks(model: &Model) -> Vec<Ranked<'_>> {
    let ranks = &model.run().latest.ranks;
    let range = |of: fn(&Rank) -> f64, write: &dyn Fn(f64) -> String| {
        let low = ranks.iter().map(of).min_by(f64::total_cmp)?;
        let high = ranks.iter().map(of).max_by(f64::total_cmp)?;
        Some(format!("{} to {}", write(low), write(high)))
    };
    let milliseconds = |seconds: f64| format!("{} ms", format::significant(seconds * 1e3, 3));
    let slowest =
        ranks.iter().zip(0..).max_by(|(a, _), (b, _)| a.step_seconds.total_cmp(&b.step_seconds));
    let (Some(losses), Some(waits), Some((slowest, index))) = (
        range(|rank| rank.loss, &format::loss),
        range(|rank| rank.wait_seconds, &milliseconds),
        slowest,
    ) else {
        return Vec::new();
    };
    let slowest = format!("rank {index}, {} a step", milliseconds(slowest.step_seconds));
    let mut rows = vec![
        (9, Row::Title(format!("{} processes", ranks.len()))),
        (3, Row::Pair("losses", losses.into())),
        (3, Row::Pair("slowest", slowest.into())),
        (3, Row::Pair("waiting", waits.into())),
    ];
    // The root mean square of the distances.
    let squares: Option<Vec<f64>> = ranks.iter().map(|rank| Some(rank.distance?.powi(2))).collect();
    if let Some(squares) = squares {
        let spread = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
        rows.push((3, Row::Pair("fast to mean", format::significant(spread, 3).into())));
    }
    rows
}

/// How the time of the last second was spent.
fn timing(model: &Model) -> Vec<Ranked<'_>> {
    let Some(timing) = &model.run().latest.timing else { return Vec::new() };
    let phases = [
        ("wait for data", timing.data),
        ("forward, backward", timing.forward_backward),
        ("inner step", timing.inner_step),
        ("sync", timing.sync),
        ("probe", timing.probe),
        ("evaluation", timing.evaluation),
        ("checkpoint", timing.checkpoint),
    ];
    let sum: f64 = phases.iter().map(|(_, seconds)| seconds).sum();
    let whole = timing.seconds.max(sum);
    if whole <= 0.0 {
        return Vec::new();
    }
    let step = or_none(Some(timing.steps).filter(|steps| *steps > 0), |steps| {
        format!("{} ms", format::significant(1000.0 * timing.seconds / steps as f64, 3))
    });
    let mut rows =
        vec![(9, Row::Title("time of a step".into())), (6, Row::Pair("all", step.into()))];
    for (name, seconds) in phases.into_iter().chain([("rest", whole - sum)]) {
        rows.push((7, Row::Pair(name, format::percent(seconds / whole, 1).into())));
    }
    rows
}

fn draw_row(model: &Model, row: &Row, area: Rect, inner: Rect, y: u16, buffer: &mut Buffer) {
    let theme = &model.theme;
    // One cell of air at either side.
    let inside = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let right = |text: &str| inside.right().saturating_sub(width(text)).max(inside.x);
    match row {
        Row::Title(title) => {
            let line = "─".repeat(usize::from(inner.width));
            put(buffer, area, area.x, y, "├", theme.frame);
            put(buffer, area, inner.x, y, &line, theme.frame);
            put(buffer, area, inner.right(), y, "┤", theme.frame);
            put(buffer, inner, inner.x, y, &format!(" {title} "), theme.title);
        }
        Row::Pair(name, value) => {
            let x = inside.right().saturating_sub(value.width() as u16);
            let start = put(buffer, inside, inside.x, y, name, theme.dim) + 1;
            let x = x.max(start);
            if x < inside.right() {
                buffer.set_line(x, y, value, inside.right() - x);
            }
        }
        Row::Two(name, [slow, fast], styles) => {
            put(buffer, inside, inside.x, y, name, theme.dim);
            let x = right(fast);
            put(buffer, inside, x, y, fast, styles[1]);
            let column = inside.right().saturating_sub(10);
            let x = column.saturating_sub(width(slow)).max(inside.x);
            put(buffer, inside, x, y, slow, styles[0]);
        }
        Row::Gauge(done, stopped_early) => {
            let percent = format::percent(*done, 1);
            let label = if *stopped_early {
                format!(" {percent}, stopped early")
            } else {
                format!(" {percent:>7}")
            };
            let bar = inside.width.saturating_sub(width(&label));
            put(buffer, inside, inside.x, y, &gauge(*done, bar), theme.gauge);
            put(buffer, inside, right(&label), y, &label, theme.strong);
        }
    }
}

/// A bar of that many cells, exact to an eighth of one.
fn gauge(done: f64, cells: u16) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let cells = usize::from(cells);
    let eighths = (done.clamp(0.0, 1.0) * (cells * 8) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(EIGHTHS[eighths % 8]);
    let used = eighths.div_ceil(8);
    bar.push_str(&"░".repeat(cells - used.min(cells)));
    bar
}

#[cfg(test)]
mod tests;
