//! The lines of each chart.

use crate::chart::Chart;
use crate::history::History;
use crate::model::Model;
use crate::run::Run;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The single points behind a smoothed line.
    Raw,
    Smoothed,
    Fast,
    Slow,
    /// A run among several, by its number.
    Run(usize),
}

/// One line of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Series<'a> {
    pub(crate) run: usize,
    pub(crate) history: &'a History,
    pub(crate) name: String,
    pub(crate) look: Look,
    /// The β of its running mean, if it is one.
    pub(crate) decay: Option<f64>,
    /// Whether the chart includes its extremes, not just its usual range.
    pub(crate) to_extremes: bool,
}

/// The lines of a chart, in the order in which they are drawn. The later one wins a shared cell, so
/// points come before lines, fast before slow, and the selected run last.
pub(crate) fn series(model: &Model, chart: Chart) -> Vec<Series<'_>> {
    let decay = Some(model.view.decay()).filter(|decay| *decay > 0.0);
    let mut lines = match &model.runs[..] {
        [run] => of_one(run, chart, decay),
        _ => of_several(model, chart, decay),
    };
    if !model.view.raw && decay.is_some() {
        lines.retain(|line| line.look != Look::Raw);
    }
    lines
}

/// The curve behind a chart, its name, and whether it is smoothed; none for a chart of evaluations or
/// of cycles.
fn curve(run: &Run, chart: Chart) -> Option<(&History, &'static str, bool)> {
    let series = &run.series;
    Some(match chart {
        Chart::Loss => (&series.loss, "training loss", true),
        Chart::Gain => (&series.gain, "probe, fast − slow", true),
        Chart::Distance => (&series.distance, "distance", true),
        Chart::Gradient => (&series.gradient_norm, "gradient norm", true),
        Chart::LearningRate => (&series.learning_rate, "learning rate", false),
        Chart::Alpha => (&series.alpha, "α", false),
        Chart::Speed => (&series.throughput, "samples/s", true),
        Chart::Accuracy | Chart::ValidationLoss | Chart::Cycle => return None,
    })
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

fn of_one(run: &Run, chart: Chart, decay: Option<f64>) -> Vec<Series<'_>> {
    let line = |history, name: &str, look| {
        let to_extremes = matches!(look, Look::Fast | Look::Slow);
        Series { run: 0, history, name: name.to_owned(), look, decay: None, to_extremes }
    };
    let mut lines = Vec::new();
    if let Some((history, name, smoothed)) = curve(run, chart) {
        if smoothed && decay.is_some() {
            lines.push(line(history, name, Look::Raw));
            lines.push(Series { decay, ..line(history, "smoothed", Look::Smoothed) });
        } else {
            lines.push(line(history, name, Look::Smoothed));
        }
    }
    if let Some([slow, fast]) = evaluations(run, chart, &run.chart_metric().name) {
        lines.push(line(fast, "fast", Look::Fast));
        lines.push(line(slow, "slow", Look::Slow));
    } else if chart == Chart::Loss {
        lines.push(line(&run.series.probe.fast, "probe fast", Look::Fast));
        lines.push(line(&run.series.probe.slow, "probe slow", Look::Slow));
    }
    if !run.has_lookahead() {
        let probe = chart == Chart::Loss;
        lines.retain(|line| line.look != Look::Slow && !(probe && line.look == Look::Fast));
    }
    lines
}

/// One line for each visible run: of its final model if it has two sets of weights.
fn of_several(model: &Model, chart: Chart, decay: Option<f64>) -> Vec<Series<'_>> {
    let mut lines = Vec::new();
    // One scale is for one metric.
    let metric = model.run().chart_metric().name;
    for (index, run) in model.visible() {
        let (history, decay) = match (curve(run, chart), evaluations(run, chart, &metric)) {
            (Some((history, _, smoothed)), _) => (history, decay.filter(|_| smoothed)),
            (None, Some([slow, fast])) => (if run.has_lookahead() { slow } else { fast }, None),
            (None, None) => continue,
        };
        let name = run.name.clone();
        let (look, to_extremes) = (Look::Run(index), decay.is_none());
        let line = Series { run: index, history, name, look, decay, to_extremes };
        if decay.is_some() && index == model.selected {
            // Below all lines, and without a place in the legend.
            lines.insert(0, Series { look: Look::Raw, decay: None, ..line.clone() });
        }
        lines.push(line);
    }
    lines.sort_by_key(|line| (line.look != Look::Raw, line.run == model.selected));
    lines
}
