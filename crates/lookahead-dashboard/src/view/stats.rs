//! The numbers of the run.

mod table;

use lookahead_run::event::Rank;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::cells::block;
use super::legend::looks_of_weights;
use crate::format::{self, NONE};
use crate::history::History;
use crate::model::Model;
use crate::run::Run;
use lookahead_run::format::safe;
use table::{Group, Place, fitting};

/// Formats a value that may be unknown.
fn or_none<T>(value: Option<T>, write: impl FnOnce(T) -> String) -> String {
    value.map_or(NONE.into(), write)
}

/// Draws as many rows as fit, the least important left out.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (run, theme) = (model.run(), &model.theme);
    let frame = block(theme, "progress");
    let inner = frame.inner(area);
    frame.render(area, buffer);
    let groups = [
        Some(progress(model)),
        lookahead(model),
        if run.is_recorded() { scalars(run) } else { Some(validation(model)) },
        test(model),
        Some(checkpoint(model)),
        ranks(run),
        system(run),
        timing(run),
    ];
    let groups = fitting(groups.into_iter().flatten().collect(), usize::from(inner.height));
    Place { theme, frame: area, inner }.draw(&groups, buffer);
}

fn progress(model: &Model) -> Group<'_> {
    let (run, theme) = (model.run(), &model.theme);
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
    let last = run.latest.step;
    let rate = or_none(last, |step| format::rate(step.samples_per_second));
    let learning_rate =
        or_none(run.series.learning_rate.newest(), |rate| format::significant(rate, 4));
    let warnings = run.summary.warnings;
    let (rank, style) = if warnings > 0 { (0, theme.warning) } else { (3, theme.plain) };
    let mut group = Group::of_pane();
    // A program of one's own may not say how many steps there will be.
    if total > 0 || run.info().is_none() {
        group.gauge(0, done, if run.stopped_early() { "stopped early" } else { "" });
    }
    group.one(0, &["step"], steps);
    group.one(1, &["epoch"], epoch);
    group.one(0, &["time left"], or_none(left, format::duration));
    group.one(1, &["elapsed"], elapsed);
    if run.is_recorded() {
        let loss = or_none(run.series.loss.newest(), format::loss);
        group.one(1, &["training loss", "loss"], loss);
    } else {
        group.one(1, &["training samples per second", "samples per second", "samples/s"], rate);
    }
    group.one(1, &["learning rate"], learning_rate);
    group.one(rank, &["warnings"], Line::styled(format::count(warnings), style));
    group
}

fn lookahead(model: &Model) -> Option<Group<'_>> {
    let (run, theme) = (model.run(), &model.theme);
    let settings = run.info().and_then(|info| info.lookahead)?;
    let (series, latest) = (&run.series, &run.latest);
    let phase = latest.step.map_or(0, |step| step.phase).min(settings.k);
    let syncs = series.syncs.newest().map_or(0, |count| count as u64);
    let alpha = format::significant(series.alpha.newest().unwrap_or(settings.alpha), 4);
    // Green if the slow weights have the smaller loss.
    let gain = |value: Option<f64>| {
        let good = value.is_some_and(|value| value > 0.0);
        let style = if good { theme.good } else { theme.plain };
        Line::styled(or_none(value, format::difference), style)
    };
    let last_gain = gain(latest.probe.map(|probe| probe.fast_loss - probe.slow_loss));
    let distance = or_none(series.distance.newest(), format::loss);
    let cost = or_none(run.probing_cost(model.now), |part| format::percent(part, 1));
    let mut group = Group::headed(&["lookahead"]);
    group.ticks(1, &["steps since the sync", "steps since sync", "since sync"], phase, settings.k);
    group.one(2, &["syncs"], format::count(syncs));
    group.one(4, &["slow step size α"], alpha);
    group.one(1, &["gain of the last sync", "gain of last sync", "last gain"], last_gain);
    group.one(3, &["mean gain of all syncs", "mean gain"], gain(series.gain.mean()));
    group.one(4, &["distance, fast to slow", "fast to slow"], distance);
    group.one(4, &["time spent on probes", "time on probes"], cost);
    Some(group)
}

/// The two columns of weights, or only one if the run has no others than the fast ones.
fn by_weights(model: &Model, texts: &[&str]) -> (Group<'static>, bool) {
    let run = model.run();
    if !run.has_lookahead() && !run.averages() {
        return (Group::headed(texts), false);
    }
    let names = [if run.averages() { "average" } else { "slow" }, "fast"];
    let [slow, fast] = looks_of_weights(model);
    let column = |(style, sign), name| Span::styled(format!("{sign} {name}"), style);
    let columns = [column(slow, names[0]), column(fast, names[1])];
    (Group::of_two(texts, columns), true)
}

fn validation(model: &Model) -> Group<'static> {
    let (run, theme) = (model.run(), &model.theme);
    let (mut group, both) = by_weights(model, &["validation"]);
    let mut add = |rank: u8, names: &[&str], values: [String; 2], style: Style| {
        let [slow, fast] = values;
        if both {
            group.two(rank, names, [slow, fast], [style, theme.plain]);
        } else {
            group.one(rank, names, Line::styled(fast, style));
        }
    };
    let of = &run.series.validation;
    let charted = run.chart_metric().name;
    for (metric, index) in run.metrics().iter().zip(0..) {
        let (name, label) = (&metric.name, metric.label());
        let write = |value| metric.format(value);
        let newest = of.map(|weights| or_none(weights.metric(name).newest(), write));
        add(if index < 2 { 0 } else { 2 }, &[&label], newest, theme.strong);
        if *name == charted {
            let best = |history: &History| {
                if metric.higher_is_better { history.max() } else { history.min() }
            };
            let best = of.map(|weights| or_none(best(weights.metric(name)), write));
            add(2, &[&format!("best {label}"), "best"], best, theme.plain);
        }
    }
    add(1, &["loss"], of.map(|e| or_none(e.loss.newest(), format::loss)), theme.plain);
    if run.has_lookahead() {
        let probe = run.latest.probe.map(|probe| [probe.slow_loss, probe.fast_loss]);
        let values = [0, 1].map(|index| or_none(probe, |losses| format::loss(losses[index])));
        add(0, &["loss, one batch", "probe loss", "probe"], values, theme.plain);
    }
    if let Some(step) = of.map(|weights| weights.loss.last_step()).into_iter().flatten().max() {
        group.one(5, &["last evaluated at step", "at step"], format::count(step));
    }
    group
}

/// The newest numbers by name, as many as any screen has rows for.
fn scalars(run: &Run) -> Option<Group<'static>> {
    const MOST: usize = 100;
    let mut group = Group::headed(&["logged"]);
    for (name, history) in run.series.scalars.iter().take(MOST) {
        let value = or_none(history.newest(), |value| run.scalar_metric(name).format(value));
        group.one(2, &[&safe(name)], value);
    }
    (!run.series.scalars.is_empty()).then_some(group)
}

/// The evaluation on the test set, once it is done.
fn test(model: &Model) -> Option<Group<'static>> {
    let (run, theme) = (model.run(), &model.theme);
    let test = &run.latest.test;
    if test.slow.is_none() && test.fast.is_none() {
        return None;
    }
    let headline = run.headline();
    let [slow, fast] = test.map(|test| or_none(*test, |value| headline.format(value)));
    let texts = if run.stopped_early() {
        ["test of the best model", "test, best model", "best"]
    } else {
        ["test"; 3]
    };
    let (mut group, both) = by_weights(model, &texts);
    if both {
        group.two(0, &[&headline.label()], [slow, fast], [theme.strong, theme.plain]);
    } else {
        group.one(0, &[&headline.label()], Line::styled(fast, theme.strong));
    }
    Some(group)
}

fn checkpoint(model: &Model) -> Group<'_> {
    let last = model.run().latest.checkpoint.as_ref();
    let name = last.map_or("none yet".into(), |last| last.name.clone());
    let age = or_none(last, |last| format!("{} ago", format::duration(model.now - last.time)));
    let cost = last.and_then(|last| last.cost);
    let [waited, written] = [0, 1].map(|index| or_none(cost, |cost| format::cost(cost[index])));
    let mut group = Group::headed(&["checkpoint"]);
    group.one(2, &["newest"], name);
    group.one(4, &["saved"], age);
    group.one(5, &["training waited for it", "training waited"], waited);
    group.one(5, &["written in the background in", "written in"], written);
    group
}

fn system(run: &Run) -> Option<Group<'static>> {
    let system = run.latest.system.as_ref()?;
    let mut group = Group::headed(&["system"]);
    group.one(5, &["processor"], format!("{:.1} cores", system.cpu));
    group.one(5, &["memory"], format::bytes(system.memory));
    if let Some(gpu) = &system.gpu {
        let memory =
            format!("{} of {}", format::bytes(gpu.memory_used), format::bytes(gpu.memory_total));
        group.one(5, &["GPU"], format::percent(gpu.utilization, 0));
        group.one(6, &["GPU memory"], memory);
    }
    Some(group)
}

/// The processes of a distributed run: how far apart they are, and which one is slowest.
fn ranks(run: &Run) -> Option<Group<'static>> {
    let ranks = &run.latest.ranks;
    let range = |of: fn(&Rank) -> f64, write: &dyn Fn(f64) -> String| {
        let low = ranks.iter().map(of).min_by(f64::total_cmp)?;
        let high = ranks.iter().map(of).max_by(f64::total_cmp)?;
        Some(format!("{} to {}", write(low), write(high)))
    };
    let milliseconds = |seconds: f64| format!("{} ms", format::significant(seconds * 1e3, 3));
    let slowest =
        ranks.iter().zip(0..).max_by(|(a, _), (b, _)| a.step_seconds.total_cmp(&b.step_seconds));
    let losses = range(|rank| rank.loss, &format::loss)?;
    let waits = range(|rank| rank.wait_seconds, &milliseconds)?;
    let (slowest, index) = slowest?;
    let slowest = format!("rank {index}, {} a step", milliseconds(slowest.step_seconds));
    let mut group = Group::headed(&[&format!("{} processes", ranks.len())]);
    group.one(3, &["losses"], losses);
    group.one(3, &["slowest"], slowest);
    group.one(3, &["waiting"], waits);
    // The root mean square of the distances.
    let squares: Option<Vec<f64>> = ranks.iter().map(|rank| Some(rank.distance?.powi(2))).collect();
    if let Some(squares) = squares {
        let spread = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
        let spread = format::significant(spread, 3);
        group.one(3, &["distance, fast to their mean", "fast to mean"], spread);
    }
    Some(group)
}

/// How the time of the last second was spent.
fn timing(run: &Run) -> Option<Group<'static>> {
    let timing = run.latest.timing.as_ref()?;
    let phases = [
        ("waiting for data", timing.data),
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
        return None;
    }
    let step = or_none(Some(timing.steps).filter(|steps| *steps > 0), |steps| {
        format!("{} ms", format::significant(1000.0 * timing.seconds / steps as f64, 3))
    });
    let mut group = Group::headed(&["time of a step"]);
    group.one(6, &["one step takes", "one step"], step);
    for (name, seconds) in phases.into_iter().chain([("everything else", whole - sum)]) {
        group.one(7, &[name], format::percent(seconds / whole, 1));
    }
    Some(group)
}

#[cfg(test)]
mod tests;
