//! The numbers of the run.

use lookahead_run::event::{Rank, Task};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::{block, put, width};
use crate::format::{self, NONE};
use crate::history::History;
use crate::model::Model;
use crate::run::{Evaluations, perplexity};

/// Ticks of the phase that fit beside their numbers.
const TICKS: u64 = 10;

/// One row of the pane.
enum Row<'a> {
    /// A line across with a title.
    Title(String),
    /// A name at the left, a value at the right.
    Pair(&'static str, Line<'a>),
    /// A name and the values at the slow and the fast weights.
    Two(&'static str, String, String, [Style; 2]),
    /// The part of all steps that is taken, and whether no more will be.
    Gauge(f64, bool),
}

/// A row, and in which turn it goes where the pane is too low: the highest first.
type Ranked<'a> = (u8, Row<'a>);

/// Draws as many rows as fit, the least important left out.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let frame = block(&model.theme, "progress");
    let inner = frame.inner(area);
    frame.render(area, buffer);
    let mut rows = progress(model);
    rows.extend(speed(model));
    rows.extend(lookahead(model));
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
    let steps = if total > 0 {
        format!("{} of {}", format::count(step), format::count(total))
    } else {
        format::count(step)
    };
    let per_epoch = run.info().map_or(0, |info| info.steps_per_epoch);
    let epoch = if per_epoch > 0 {
        let [now, all] = [step, total].map(|steps| steps as f64 / per_epoch as f64);
        format!("{now:.2} of {}", format::significant(all, 3))
    } else {
        NONE.into()
    };
    let left = match run.clock.left(total) {
        Some(left) if !run.is_over() => format::duration(left),
        _ => NONE.into(),
    };
    vec![
        (0, Row::Gauge(done, run.stopped_early())),
        (0, Row::Pair("step", steps.into())),
        (1, Row::Pair("epoch", epoch.into())),
        (0, Row::Pair("time left", left.into())),
        (1, Row::Pair("elapsed", format::duration(model.elapsed()).into())),
    ]
}

fn speed(model: &Model) -> Vec<Ranked<'_>> {
    let last = model.run().last;
    let rate = last.map_or(NONE.into(), |step| format::rate(step.samples_per_second));
    let learning_rate = last.map_or(NONE.into(), |step| format::significant(step.learning_rate, 4));
    vec![
        (9, Row::Title("speed".into())),
        (1, Row::Pair("samples/s", rate.into())),
        (1, Row::Pair("learning rate", learning_rate.into())),
    ]
}

fn lookahead(model: &Model) -> Vec<Ranked<'_>> {
    let (run, theme) = (model.run(), &model.theme);
    let Some(settings) = run.info().and_then(|info| info.lookahead) else {
        return Vec::new();
    };
    let phase = run.last.map_or(0, |step| step.phase).min(settings.k);
    let ticks = settings.k.clamp(1, TICKS);
    let full = (phase as f64 / settings.k.max(1) as f64 * ticks as f64).round() as usize;
    let phase = Line::from(vec![
        Span::styled("●".repeat(full), theme.plain),
        Span::styled("○".repeat((ticks as usize).saturating_sub(full)), theme.dim),
        Span::raw(format!(" {phase}/{}", settings.k)),
    ]);
    let syncs = run.syncs.newest().map_or(0, |count| count as u64);
    let alpha = format::significant(run.alpha.newest().unwrap_or(settings.alpha), 4);
    let (values, gain) = match run.last_probe {
        Some(probe) => (
            vec![
                Span::styled("θ ", theme.fast),
                Span::raw(format::loss(probe.fast_loss)),
                Span::styled(" → φ ", theme.slow),
                Span::raw(format::loss(probe.slow_loss)),
            ],
            difference(model, probe.fast_loss - probe.slow_loss),
        ),
        None => (vec![Span::raw(NONE)], NONE.into()),
    };
    let mean_gain = run.gain.mean().map_or(NONE.into(), |mean| difference(model, mean));
    let distance = run.distance.newest().map_or(NONE.into(), format::loss);
    let cost = run
        .probing_cost(model.now)
        .map_or(NONE.into(), |part| format!("{} of the time", format::percent(part, 1)));
    vec![
        (9, Row::Title("lookahead".into())),
        (1, Row::Pair("phase", phase)),
        (2, Row::Pair("syncs", format!("{}   α {alpha}", format::count(syncs)).into())),
        (0, Row::Pair("probe", values.into())),
        (2, Row::Pair("gain", gain)),
        (3, Row::Pair("mean gain", mean_gain)),
        (4, Row::Pair("‖θ − φ‖", distance.into())),
        (2, Row::Pair("probing", cost.into())),
    ]
}

/// Green where the slow weights have the smaller loss.
fn difference(model: &Model, value: f64) -> Line<'_> {
    let style = if value > 0.0 { model.theme.good } else { model.theme.plain };
    Line::styled(format::difference(value), style)
}

fn validation(model: &Model) -> Vec<Ranked<'_>> {
    let (run, theme) = (model.run(), &model.theme);
    let both = &run.validation;
    let of = |history: fn(&Evaluations) -> &History, write: fn(f64) -> String| {
        [&both.slow, &both.fast].map(|weights| {
            let value = history(weights).newest();
            value.map_or(NONE.into(), write)
        })
    };
    let accuracy = |value| format::percent(value, 2);
    let best = [&both.slow, &both.fast]
        .map(|weights| weights.accuracy.max().map_or(NONE.into(), accuracy));
    let step = [&both.slow, &both.fast].map(|weights| weights.loss.last_step()).into_iter().max();
    let title = match step.flatten() {
        Some(step) => format!("validation at step {}", format::count(step)),
        None => "validation".into(),
    };
    let plain = [theme.plain; 2];
    let row = |name, [slow, fast]: [String; 2], styles| Row::Two(name, slow, fast, styles);
    let heads = [if run.averages() { "mean" } else { "φ slow" }, "θ fast"].map(str::to_owned);
    let strong = [theme.strong, theme.plain];
    let mut rows = vec![(8, Row::Title(title)), (1, row("", heads, [theme.slow, theme.fast]))];
    if run.task() == Task::Language {
        rows.push((0, row("perplexity", of(|e| &e.loss, perplexity), strong)));
    }
    if run.task() != Task::Quadratic {
        rows.push((0, row("accuracy", of(|e| &e.accuracy, accuracy), strong)));
        rows.push((2, row("best", best, plain)));
    }
    rows.push((1, row("loss", of(|e| &e.loss, format::loss), plain)));
    if run.test.slow.is_some() || run.test.fast.is_some() {
        let test = [run.test.slow, run.test.fast].map(|test| match (test, run.task()) {
            (None, _) => NONE.into(),
            (Some((_, value, _)), Task::Classification) => accuracy(value),
            (Some((.., loss)), Task::Language) => perplexity(loss),
            (Some((.., loss)), Task::Quadratic) => format::loss(loss),
        });
        let name = if run.stopped_early() { "test, best" } else { "test" };
        rows.push((0, row(name, test, strong)));
    }
    rows
}

fn checkpoint(model: &Model) -> Vec<Ranked<'_>> {
    let (run, theme) = (model.run(), &model.theme);
    let name = match &run.checkpoint {
        Some((name, ..)) => name.clone(),
        None => "none yet".into(),
    };
    let age = match &run.checkpoint {
        Some((_, time, _)) => format!("{} ago", format::duration(model.now - time)),
        None => NONE.into(),
    };
    let cost = match &run.checkpoint {
        Some((.., Some(saved))) => {
            format!("{}, {}", format::cost(saved.seconds), format::cost(saved.write_seconds))
        }
        _ => NONE.into(),
    };
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
    let Some(system) = &model.run().system else { return Vec::new() };
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

/// The processes of a run of several: how far apart they are, and who holds the others up.
fn ranks(model: &Model) -> Vec<Ranked<'_>> {
    let ranks = &model.run().ranks;
    let by = |of: fn(&Rank) -> f64| {
        let mut sorted: Vec<(f64, usize)> = ranks.iter().map(of).zip(0..).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        sorted
    };
    let [losses, steps, waits] =
        [by(|rank| rank.loss), by(|rank| rank.step_seconds), by(|rank| rank.wait_seconds)];
    let ends = |sorted: &[(f64, usize)], show: &dyn Fn(f64) -> String| {
        let (low, high) = (sorted.first()?.0, sorted.last()?.0);
        Some(format!("{} to {}", show(low), show(high)))
    };
    let milliseconds = |seconds: f64| format!("{} ms", format::significant(seconds * 1e3, 3));
    let (Some(losses), Some(waits)) = (ends(&losses, &format::loss), ends(&waits, &milliseconds))
    else {
        return Vec::new();
    };
    let Some(&(slowest, who)) = steps.last() else { return Vec::new() };
    let mut rows = vec![
        (9, Row::Title(format!("{} processes", ranks.len()))),
        (3, Row::Pair("losses", losses.into())),
        (3, Row::Pair("slowest", format!("rank {who}, {} a step", milliseconds(slowest)).into())),
        (3, Row::Pair("waiting", waits.into())),
    ];
    // As far as they are from each other, in the mean of squares.
    let squares: Option<Vec<f64>> = ranks.iter().map(|rank| Some(rank.distance?.powi(2))).collect();
    if let Some(squares) = squares {
        let spread = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
        rows.push((3, Row::Pair("θ to mean", format::significant(spread, 3).into())));
    }
    rows
}

/// Where the time of the last second went; what took none is left out.
fn timing(model: &Model) -> Vec<Ranked<'_>> {
    let Some(timing) = &model.run().timing else { return Vec::new() };
    let parts = [
        ("wait for data", timing.data),
        ("forward, backward", timing.forward_backward),
        ("inner step", timing.inner_step),
        ("sync", timing.sync),
        ("probe", timing.probe),
        ("evaluation", timing.evaluation),
        ("checkpoint", timing.checkpoint),
    ];
    let sum: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
    let whole = timing.seconds.max(sum);
    if whole <= 0.0 {
        return Vec::new();
    }
    let step = match timing.steps {
        0 => NONE.into(),
        steps => format!("{} ms", format::significant(1000.0 * timing.seconds / steps as f64, 3)),
    };
    let mut rows =
        vec![(9, Row::Title("time of a step".into())), (6, Row::Pair("all", step.into()))];
    for (name, seconds) in parts {
        rows.push((7, Row::Pair(name, format::percent(seconds / whole, 1).into())));
    }
    rows.push((7, Row::Pair("rest", format::percent((whole - sum) / whole, 1).into())));
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
        Row::Two(name, slow, fast, styles) => {
            put(buffer, inside, inside.x, y, name, theme.dim);
            let x = right(fast);
            put(buffer, inside, x, y, fast, styles[1]);
            let column = inside.right().saturating_sub(10);
            let x = column.saturating_sub(width(slow)).max(inside.x);
            put(buffer, inside, x, y, slow, styles[0]);
        }
        Row::Gauge(done, stopped_early) => {
            let percent = format::percent(*done, 1);
            let label = match stopped_early {
                true => format!(" {percent}, stopped early"),
                false => format!(" {percent:>7}"),
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
mod tests {
    use super::gauge;

    #[test]
    fn a_gauge_always_fills_its_cells() {
        assert_eq!(gauge(0.0, 4), "░░░░");
        assert_eq!(gauge(0.5, 3), "█▌░");
        assert_eq!(gauge(2.0, 3), "███");
        assert_eq!(gauge(f64::NAN, 2), "░░");
        for part in 0..=100 {
            for cells in 0..40 {
                let bar = gauge(f64::from(part) / 100.0, cells);
                assert_eq!(bar.chars().count(), usize::from(cells));
            }
        }
    }
}
