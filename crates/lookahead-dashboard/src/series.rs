//! The lines of each chart.

use std::borrow::Cow;

use lookahead_run::event::MetricInfo;

use crate::chart::Chart;
use crate::history::History;
use crate::model::Model;
use crate::run::Run;
use lookahead_run::format::safe;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The single points behind a smoothed line.
    Raw,
    Smoothed,
    Fast,
    Slow,
    /// A run among several, by its number.
    Run(usize),
    /// The fast weights of such a run.
    RunFast(usize),
    /// The slow weights of such a run.
    RunSlow(usize),
}

/// One text for much room, one for less and one for little.
type Texts = [&'static str; 3];

/// What a legend calls a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// What was measured, or the run; lines of the same group are together.
    pub(crate) group: [Cow<'static, str>; 3],
    /// Which line of its group; empty if it is the only one.
    pub(crate) line: Texts,
}

impl Name {
    fn new(group: Texts, line: Texts) -> Self {
        Name { group: group.map(Cow::Borrowed), line }
    }

    /// A line of a run among several.
    fn of_run(name: &str, line: Texts) -> Self {
        Name { group: [(); 3].map(|()| Cow::Owned(name.to_owned())), line }
    }

    /// Group and line together.
    pub(crate) fn full(&self) -> String {
        let [group, ..] = &self.group;
        match self.line[0] {
            "" => group.to_string(),
            line => format!("{group}, {line}"),
        }
    }
}

/// One line of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Series<'a> {
    pub(crate) run: usize,
    pub(crate) history: &'a History,
    pub(crate) name: Name,
    pub(crate) look: Look,
    /// The β of its running mean, if it is one.
    pub(crate) decay: Option<f64>,
}

/// The lines of a chart, in the order in which they are drawn. The later one wins a shared cell, so
/// points come before lines, fast before slow, and the selected run last.
pub(crate) fn series(model: &Model, chart: Chart) -> Vec<Series<'_>> {
    let decay = Some(model.view.decay()).filter(|decay| *decay > 0.0);
    let mut lines = match &model.runs[..] {
        [run] => of_one(run, chart, &model.metric_of(chart), decay),
        _ => of_several(model, chart, decay),
    };
    if !model.view.raw && decay.is_some() {
        lines.retain(|line| line.look != Look::Raw);
    }
    lines
}

const MEAN: Texts = ["running mean", "mean", "mean"];
const FAST: Texts = ["fast weights", "fast", "fast"];
const SLOW: Texts = ["slow weights", "slow", "slow"];
const AVERAGE: Texts = ["averaged weights", "average", "average"];
const TRAINING: Texts = ["training loss", "training batches", "training"];
const PROBE: Texts = ["loss on one validation batch", "validation batch", "validation"];

/// The curve behind a chart.
struct Curve<'a> {
    history: &'a History,
    /// What it is, as the group of a [`Name`].
    group: [Cow<'static, str>; 3],
    /// What one of its points is of, if a running mean is drawn over them.
    point: Option<Texts>,
}

/// The curve behind a chart; none for a chart of evaluations or of cycles.
fn curve<'a>(run: &'a Run, chart: Chart, metric: &MetricInfo) -> Option<Curve<'a>> {
    const BATCH: Option<Texts> = Some(["each batch", "each", "each"]);
    const SYNC: Option<Texts> = Some(["each sync", "each", "each"]);
    const STEP: Option<Texts> = Some(["each step", "each", "each"]);
    let series = &run.series;
    if let Chart::Scalar(_) = chart {
        // A declared metric is one of evaluations, of which each counts.
        let is_metric = run.metrics().iter().any(|known| known.name == metric.name);
        let point = Some(["each value", "each", "each"]).filter(|_| !is_metric);
        let group = [(); 3].map(|()| Cow::Owned(safe(&metric.name)));
        return Some(Curve { history: series.scalar(&metric.name), group, point });
    }
    #[rustfmt::skip]
    let (history, group, point) = match chart {
        Chart::Loss => (&series.loss, TRAINING, BATCH),
        Chart::Gain => (&series.gain, ["gain, fast loss − slow loss", "fast − slow", "gain"], SYNC),
        Chart::Distance => (&series.distance, ["distance, fast to slow weights", "distance", "distance"], SYNC),
        Chart::Gradient => (&series.gradient_norm, ["gradient norm"; 3], SYNC),
        Chart::LearningRate => (&series.learning_rate, ["learning rate"; 3], None),
        Chart::Alpha => (&series.alpha, ["slow step size α", "slow step size α", "α"], None),
        Chart::Speed => (&series.throughput, ["training samples per second", "samples per second", "samples/s"], STEP),
        Chart::Accuracy | Chart::ValidationLoss | Chart::Cycle => return None,
        Chart::LayerDistance | Chart::LayerGradient | Chart::Scalar(_) => return None,
    };
    Some(Curve { history, group: group.map(Cow::Borrowed), point })
}

/// Evaluations on the validation set: slow, then fast.
fn evaluations<'a>(run: &'a Run, chart: Chart, metric: &str) -> Option<[&'a History; 2]> {
    let validation = &run.series.validation;
    match chart {
        Chart::Accuracy => Some([validation.slow.metric(metric), validation.fast.metric(metric)]),
        Chart::ValidationLoss => Some([&validation.slow.loss, &validation.fast.loss]),
        _ => None,
    }
}

fn of_one<'a>(
    run: &'a Run,
    chart: Chart,
    metric: &MetricInfo,
    decay: Option<f64>,
) -> Vec<Series<'a>> {
    let line = |history, name: Name, look| Series { run: 0, history, name, look, decay: None };
    let mut lines = Vec::new();
    if let Some(Curve { history, group, point }) = curve(run, chart, metric) {
        let name = |line| Name { group: group.clone(), line };
        if let Some(point) = point.filter(|_| decay.is_some()) {
            lines.push(line(history, name(point), Look::Raw));
            let mean = line(history, name(MEAN), Look::Smoothed);
            lines.push(Series { decay, ..mean });
        } else {
            lines.push(line(history, name(point.unwrap_or_default()), Look::Smoothed));
        }
    }
    if let Some([slow, fast]) = evaluations(run, chart, &metric.name) {
        let full = chart.title(metric);
        let group = [full.clone(), full, "validation".to_owned()].map(Cow::Owned);
        let name = |line| Name { group: group.clone(), line };
        lines.push(line(fast, name(FAST), Look::Fast));
        if run.averages() {
            lines.push(line(slow, name(AVERAGE), Look::Slow));
        } else if run.has_lookahead() {
            lines.push(line(slow, name(SLOW), Look::Slow));
        }
    } else if chart == Chart::Loss && run.has_lookahead() {
        let probe = &run.series.probe;
        lines.push(line(&probe.fast, Name::new(PROBE, FAST), Look::Fast));
        lines.push(line(&probe.slow, Name::new(PROBE, SLOW), Look::Slow));
    }
    lines
}

/// Whether a chart has values of the fast and the slow weights.
pub(crate) fn has_both(chart: Chart) -> bool {
    matches!(chart, Chart::Loss | Chart::Accuracy | Chart::ValidationLoss)
}

/// The series of the slow and the fast weights in a chart; none if a run has only one set of weights.
fn of_weights<'a>(run: &'a Run, chart: Chart, metric: &str) -> Option<[&'a History; 2]> {
    let probe = &run.series.probe;
    match chart {
        Chart::Loss => Some([&probe.slow, &probe.fast]).filter(|_| run.has_lookahead()),
        _ => evaluations(run, chart, metric).filter(|_| run.has_lookahead() || run.averages()),
    }
}

/// The lines of each visible run: one, of its final model if it has two sets of weights, or one for each set.
fn of_several(model: &Model, chart: Chart, decay: Option<f64>) -> Vec<Series<'_>> {
    let mut lines = Vec::new();
    // One scale is for one metric.
    let info = model.metric_of(chart);
    let metric = &info.name;
    let both = model.view.both_weights && has_both(chart);
    for (index, run) in model.visible() {
        let line = |history, line, look| {
            let name = Name::of_run(&run.name, line);
            Series { run: index, history, name, look, decay: None }
        };
        let weights = of_weights(run, chart, metric);
        if let Some([slow, fast]) = weights.filter(|_| both) {
            let name = if run.averages() { AVERAGE } else { SLOW };
            lines.push(line(fast, FAST, Look::RunFast(index)));
            lines.push(line(slow, name, Look::RunSlow(index)));
        } else if let Some(curve) = curve(run, chart, &info) {
            let decay = decay.filter(|_| curve.point.is_some());
            // Beside losses on the validation batch it says what it is.
            let name = if both { TRAINING } else { [""; 3] };
            let line = Series { decay, ..line(curve.history, name, Look::Run(index)) };
            if decay.is_some() && index == model.selected && !both {
                // Below all lines, and without a place in the legend.
                lines.insert(0, Series { look: Look::Raw, decay: None, ..line.clone() });
            }
            lines.push(line);
        } else if let Some([slow, fast]) = evaluations(run, chart, metric) {
            let history = if weights.is_some() { slow } else { fast };
            lines.push(line(history, [""; 3], Look::Run(index)));
        }
    }
    lines.sort_by_key(|line| (line.look != Look::Raw, line.run == model.selected));
    lines
}
