//! The numbers of the run.

use lookahead_run::event::Rank;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::cells::{block, put, width};
use crate::format::{self, NONE};
use crate::history::History;
use crate::model::Model;

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
    Two(String, [String; 2], [Style; 2]),
    /// The fraction of steps taken, and whether the run stopped early.
    Gauge(f64, bool),
}

/// Rows with their ranks: if the pane is too low, rows of the highest rank are left out first.
#[derive(Default)]
struct Rows<'a>(Vec<(u8, Row<'a>)>);

impl<'a> Rows<'a> {
    fn title(&mut self, title: impl Into<String>) {
        self.0.push((9, Row::Title(title.into())));
    }

    fn pair(&mut self, rank: u8, name: &'static str, value: impl Into<Line<'a>>) {
        self.0.push((rank, Row::Pair(name, value.into())));
    }

    fn two(&mut self, rank: u8, name: &str, values: [String; 2], styles: [Style; 2]) {
        self.0.push((rank, Row::Two(name.to_owned(), values, styles)));
    }
}

/// Formats a value that may be unknown.
fn or_none<T>(value: Option<T>, write: impl FnOnce(T) -> String) -> String {
    value.map_or(NONE.into(), write)
}

/// Draws as many rows as fit, the least important left out.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let frame = block(&model.theme, "progress");
    let inner = frame.inner(area);
    frame.render(area, buffer);
    let mut rows = Rows::default();
    progress(model, &mut rows);
    speed(model, &mut rows);
    lookahead(model, inner.width >= WIDE, &mut rows);
    validation(model, &mut rows);
    checkpoint(model, &mut rows);
    ranks(model, &mut rows);
    system(model, &mut rows);
    timing(model, &mut rows);
    let Rows(mut rows) = rows;
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

fn progress(model: &Model, rows: &mut Rows) {
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
    rows.0.push((0, Row::Gauge(done, run.stopped_early())));
    rows.pair(0, "step", steps);
    rows.pair(1, "epoch", epoch);
    rows.pair(0, "time left", or_none(left, format::duration));
    rows.pair(1, "elapsed", elapsed);
}

fn speed(model: &Model, rows: &mut Rows) {
    let last = model.run().latest.step;
    let rate = or_none(last, |step| format::rate(step.samples_per_second));
    let learning_rate = or_none(last, |step| format::significant(step.learning_rate, 4));
    rows.title("speed");
    rows.pair(1, "samples/s", rate);
    rows.pair(1, "learning rate", learning_rate);
}

fn lookahead(model: &Model, wide: bool, rows: &mut Rows) {
    let (run, theme) = (model.run(), &model.theme);
    let Some(settings) = run.info().and_then(|info| info.lookahead) else {
        return;
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
    rows.title("lookahead");
    rows.pair(1, "phase", phase);
    rows.pair(2, "syncs", format!("{}   α {alpha}", format::count(syncs)));
    rows.pair(0, words[0], probe);
    rows.pair(2, "gain", last_gain);
    rows.pair(3, "mean gain", gain(series.gain.mean()));
    rows.pair(4, "distance", or_none(series.distance.newest(), format::loss));
    rows.pair(2, "probing", cost);
}

fn validation(model: &Model, rows: &mut Rows) {
    let (run, theme) = (model.run(), &model.theme);
    let both = &run.series.validation;
    let step = both.map(|weights| weights.loss.last_step()).into_iter().flatten().max();
    let title = match step {
        Some(step) => format!("validation at step {}", format::count(step)),
        None => "validation".into(),
    };
    let plain = [theme.plain; 2];
    let strong = [theme.strong, theme.plain];
    let heads = [if run.averages() { "mean" } else { "slow" }, "fast"].map(str::to_owned);
    rows.0.push((8, Row::Title(title)));
    rows.two(1, "", heads, [theme.slow, theme.fast]);
    let charted = run.chart_metric().name;
    for (metric, index) in run.metrics().iter().zip(0..) {
        let name = &metric.name;
        let write = |value| format::metric(metric, value);
        let newest = both.map(|weights| or_none(weights.metric(name).newest(), write));
        rows.two(if index < 2 { 0 } else { 2 }, &metric.label(), newest, strong);
        if *name == charted {
            let best = |history: &History| {
                if metric.higher_is_better { history.max() } else { history.min() }
            };
            let best = both.map(|weights| or_none(best(weights.metric(name)), write));
            rows.two(2, "best", best, plain);
        }
    }
    rows.two(1, "loss", both.map(|e| or_none(e.loss.newest(), format::loss)), plain);
    let test = &run.latest.test;
    if test.slow.is_some() || test.fast.is_some() {
        let values =
            test.map(|test| or_none(*test, |value| format::metric(&run.headline(), value)));
        let name = if run.stopped_early() { "test, best" } else { "test" };
        rows.two(0, name, values, strong);
    }
}

fn checkpoint(model: &Model, rows: &mut Rows) {
    let (run, theme) = (model.run(), &model.theme);
    let last = run.latest.checkpoint.as_ref();
    let name = last.map_or("none yet".into(), |last| last.name.clone());
    let age = or_none(last, |last| format!("{} ago", format::duration(model.now - last.time)));
    let cost = or_none(last.and_then(|last| last.cost), |cost| cost.map(format::cost).join(", "));
    let style = if run.summary.warnings > 0 { theme.warning } else { theme.plain };
    let warnings = Line::styled(format::count(run.summary.warnings), style);
    rows.title("checkpoint");
    rows.pair(1, "last", name);
    rows.pair(3, "saved", age);
    rows.pair(5, "stall, writing", cost);
    rows.pair(1, "warnings", warnings);
}

fn system(model: &Model, rows: &mut Rows) {
    let Some(system) = &model.run().latest.system else { return };
    rows.title("system");
    rows.pair(4, "processor", format!("{:.1} cores", system.cpu));
    rows.pair(4, "memory", format::bytes(system.memory));
    if let Some(gpu) = &system.gpu {
        let memory =
            format!("{} of {}", format::bytes(gpu.memory_used), format::bytes(gpu.memory_total));
        rows.pair(4, "GPU", format::percent(gpu.utilization, 0));
        rows.pair(5, "GPU memory", memory);
    }
}

/// The processes of a distributed run: how far apart they are, and which one is slowest.
fn ranks(model: &Model, rows: &mut Rows) {
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
        return;
    };
    let slowest = format!("rank {index}, {} a step", milliseconds(slowest.step_seconds));
    rows.title(format!("{} processes", ranks.len()));
    rows.pair(3, "losses", losses);
    rows.pair(3, "slowest", slowest);
    rows.pair(3, "waiting", waits);
    // The root mean square of the distances.
    let squares: Option<Vec<f64>> = ranks.iter().map(|rank| Some(rank.distance?.powi(2))).collect();
    if let Some(squares) = squares {
        let spread = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
        rows.pair(3, "fast to mean", format::significant(spread, 3));
    }
}

/// How the time of the last second was spent.
fn timing(model: &Model, rows: &mut Rows) {
    let Some(timing) = &model.run().latest.timing else { return };
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
        return;
    }
    let step = or_none(Some(timing.steps).filter(|steps| *steps > 0), |steps| {
        format!("{} ms", format::significant(1000.0 * timing.seconds / steps as f64, 3))
    });
    rows.title("time of a step");
    rows.pair(6, "all", step);
    for (name, seconds) in phases.into_iter().chain([("rest", whole - sum)]) {
        rows.pair(7, name, format::percent(seconds / whole, 1));
    }
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
