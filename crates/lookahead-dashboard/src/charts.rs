//! The charts that there are, and which series each of them has.

use std::str::FromStr;

use crate::cycles::Cycle;
use crate::format;
use crate::history::History;
use crate::model::Model;
use crate::run::Run;
use crate::smoothing::DECAYS;

/// The charts, in the order of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chart {
    /// Training loss, and the loss on the probe batch at θ and at φ.
    Loss,
    /// Accuracy on validation data.
    Accuracy,
    /// Loss on validation data.
    ValidationLoss,
    /// The last inner cycles over each other.
    Cycle,
    /// Probe loss at θ minus that at φ.
    Gain,
    /// ‖θ − φ‖ just before syncs.
    Distance,
    /// Norm of the last gradient before syncs.
    Gradient,
    /// Learning rate of the inner optimizer.
    LearningRate,
    /// The α of each sync.
    Alpha,
    /// Training samples a second.
    Speed,
}

impl Chart {
    /// All of them.
    pub const ALL: [Chart; 10] = [
        Chart::Loss,
        Chart::Accuracy,
        Chart::ValidationLoss,
        Chart::Cycle,
        Chart::Gain,
        Chart::Distance,
        Chart::Gradient,
        Chart::LearningRate,
        Chart::Alpha,
        Chart::Speed,
    ];

    fn number(self) -> usize {
        Chart::ALL.iter().position(|chart| *chart == self).unwrap_or(0)
    }

    /// The chart of a key from 1 to 9, and then 0.
    pub(crate) fn of_digit(digit: char) -> Option<Chart> {
        let digit = digit.to_digit(10)? as usize;
        Chart::ALL.get((digit + 9) % 10).copied()
    }

    pub(crate) fn digit(self) -> char {
        char::from(b'0' + ((self.number() + 1) % 10) as u8)
    }

    pub(crate) fn next(self) -> Chart {
        Chart::ALL[(self.number() + 1) % Chart::ALL.len()]
    }

    pub(crate) fn previous(self) -> Chart {
        Chart::ALL[(self.number() + Chart::ALL.len() - 1) % Chart::ALL.len()]
    }

    /// The word for it, as on the command line and in names of files.
    pub fn name(self) -> &'static str {
        match self {
            Chart::Loss => "loss",
            Chart::Accuracy => "accuracy",
            Chart::ValidationLoss => "validation-loss",
            Chart::Cycle => "cycles",
            Chart::Gain => "gain",
            Chart::Distance => "distance",
            Chart::Gradient => "gradient",
            Chart::LearningRate => "learning-rate",
            Chart::Alpha => "alpha",
            Chart::Speed => "speed",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Chart::Loss => "loss",
            Chart::Accuracy => "validation accuracy",
            Chart::ValidationLoss => "validation loss",
            Chart::Cycle => "cycles",
            Chart::Gain => "gain of a sync",
            Chart::Distance => "‖θ − φ‖ at syncs",
            Chart::Gradient => "gradient norm at syncs",
            Chart::LearningRate => "learning rate",
            Chart::Alpha => "α used",
            Chart::Speed => "samples/s",
        }
    }

    /// A sentence for the help.
    pub(crate) fn help(self) -> &'static str {
        match self {
            Chart::Loss => "Training loss, and the loss on the probe batch around syncs.",
            Chart::Accuracy => "Accuracy on validation data, at φ and at θ.",
            Chart::ValidationLoss => "Loss on validation data, at φ and at θ.",
            Chart::Cycle => "The last inner cycles over each other, and the drop from θ to φ.",
            Chart::Gain => "Probe loss at θ minus that at φ: what each sync gains.",
            Chart::Distance => "How far θ is from φ just before a sync.",
            Chart::Gradient => "Norm of the last gradient before a sync.",
            Chart::LearningRate => "Learning rate of the inner optimizer.",
            Chart::Alpha => "How far φ moves towards θ at a sync.",
            Chart::Speed => "Training samples a second.",
        }
    }

    /// How its values are written.
    pub(crate) fn write(self, value: f64) -> String {
        match self {
            Chart::Accuracy => format::percent(value, 2),
            Chart::LearningRate | Chart::Alpha => format::significant(value, 4),
            Chart::Speed => format::rate(value),
            Chart::Gain => format::difference(value),
            _ => format::loss(value),
        }
    }

    /// Whether zero means something in it, such as that nothing is gained.
    pub(crate) fn has_zero_line(self) -> bool {
        self == Chart::Gain
    }
}

impl FromStr for Chart {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Chart::ALL.into_iter().find(|chart| chart.name() == word).ok_or_else(|| {
            let names = Chart::ALL.map(Chart::name).join(", ");
            format!("`{word}` is no chart: there are {names}.")
        })
    }
}

/// What a line stands for, and so how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The single points behind a smoothed line.
    Raw,
    Smoothed,
    Fast,
    Slow,
    /// The line of a run among others, by its number.
    Run(usize),
}

/// One line of a chart.
#[derive(Debug, Clone)]
pub(crate) struct Series<'a> {
    pub(crate) run: usize,
    pub(crate) history: &'a History,
    pub(crate) name: String,
    /// What stands for it where there is no room for the name.
    pub(crate) short: &'static str,
    pub(crate) look: Look,
    /// The decay of its running mean, where it is one.
    pub(crate) smooth: Option<f64>,
    /// Whether the chart reaches to its extremes, and not just to where it usually is.
    pub(crate) to_extremes: bool,
}

/// The lines of a chart, in the order in which they are drawn: the later wins where two share a
/// cell, so points come before lines, fast before slow, and the selected run last.
pub(crate) fn series(model: &Model, chart: Chart) -> Vec<Series<'_>> {
    let decay = Some(DECAYS[model.smoothing]).filter(|decay| *decay > 0.0);
    let mut found = match model.runs.len() {
        1 => of_one(&model.runs[0], chart, decay),
        _ => of_many(model, chart, decay),
    };
    if !model.raw && decay.is_some() {
        found.retain(|line| line.look != Look::Raw);
    }
    found
}

fn line<'a>(history: &'a History, name: &str, short: &'static str, look: Look) -> Series<'a> {
    let name = name.to_owned();
    Series { run: 0, history, name, short, look, smooth: None, to_extremes: false }
}

/// Points and their running mean, or the points alone where nothing is to be averaged.
fn smoothed<'a>(
    history: &'a History,
    name: &str,
    mean: &str,
    decay: Option<f64>,
) -> Vec<Series<'a>> {
    let points = line(history, name, "", Look::Raw);
    match decay {
        None => vec![Series { look: Look::Smoothed, ..points }],
        Some(_) => {
            vec![points, Series { smooth: decay, ..line(history, mean, "", Look::Smoothed) }]
        }
    }
}

fn of_one(run: &Run, chart: Chart, decay: Option<f64>) -> Vec<Series<'_>> {
    let both = |fast, slow, names: [&str; 2]| {
        let mut lines = vec![
            Series { to_extremes: true, ..line(fast, names[0], "θ", Look::Fast) },
            Series { to_extremes: true, ..line(slow, names[1], "φ", Look::Slow) },
        ];
        if !run.has_lookahead() {
            lines.pop();
        }
        lines
    };
    match chart {
        Chart::Loss => {
            let mut lines = smoothed(&run.loss, "loss at θ", "smoothed", decay);
            if run.has_lookahead() {
                let probes = &run.probes;
                lines.extend(both(
                    &probes.fast,
                    &probes.slow,
                    ["probe θ (fast)", "probe φ (slow)"],
                ));
            }
            lines
        }
        Chart::Accuracy => both(
            &run.validation.fast.accuracy,
            &run.validation.slow.accuracy,
            ["θ (fast)", "φ (slow)"],
        ),
        Chart::ValidationLoss => {
            both(&run.validation.fast.loss, &run.validation.slow.loss, ["θ (fast)", "φ (slow)"])
        }
        Chart::Cycle => Vec::new(),
        Chart::Gain => smoothed(&run.gain, "θ − φ on the probe", "smoothed", decay),
        Chart::Distance => smoothed(&run.distance, "‖θ − φ‖", "smoothed", decay),
        Chart::Gradient => smoothed(&run.gradient, "‖gradient‖", "smoothed", decay),
        Chart::LearningRate => vec![line(&run.learning_rate, "learning rate", "", Look::Smoothed)],
        Chart::Alpha => vec![line(&run.alpha, "α", "", Look::Smoothed)],
        Chart::Speed => smoothed(&run.speed, "samples/s", "smoothed", decay),
    }
}

/// One line for each run that is shown: of its final model where there are two sets of weights.
fn of_many(model: &Model, chart: Chart, decay: Option<f64>) -> Vec<Series<'_>> {
    let mut lines = Vec::new();
    for (index, run) in model.runs.iter().enumerate().filter(|(_, run)| run.shown) {
        let evaluations = match run.has_lookahead() {
            true => &run.validation.slow,
            false => &run.validation.fast,
        };
        let (history, smooth) = match chart {
            Chart::Loss => (&run.loss, decay),
            Chart::Accuracy => (&evaluations.accuracy, None),
            Chart::ValidationLoss => (&evaluations.loss, None),
            Chart::Cycle => continue,
            Chart::Gain => (&run.gain, decay),
            Chart::Distance => (&run.distance, decay),
            Chart::Gradient => (&run.gradient, decay),
            Chart::LearningRate => (&run.learning_rate, None),
            Chart::Alpha => (&run.alpha, None),
            Chart::Speed => (&run.speed, decay),
        };
        let (short, to_extremes) = ("", smooth.is_none());
        let name = run.name.clone();
        let one = Series {
            run: index,
            history,
            name,
            short,
            look: Look::Run(index),
            smooth,
            to_extremes,
        };
        if smooth.is_some() && index == model.selected {
            // Under all lines, and without a place in the legend.
            lines.insert(0, Series { look: Look::Raw, smooth: None, ..one.clone() });
        }
        lines.push(one);
    }
    lines.sort_by_key(|line| (line.look != Look::Raw, line.run == model.selected));
    lines
}

/// The mean of some cycles: loss by phase, and at θ and φ on the probe batch.
#[derive(Debug, Default)]
pub(crate) struct MeanCycle {
    pub(crate) losses: Vec<(u64, f64)>,
    pub(crate) probe: Option<(f64, f64)>,
    pub(crate) count: usize,
}

/// The mean of those cycles that have k inner steps.
pub(crate) fn mean_cycle<'a>(cycles: impl Iterator<Item = &'a Cycle>, k: u64) -> MeanCycle {
    let mut sums: std::collections::BTreeMap<u64, (f64, u32)> = Default::default();
    let (mut fast, mut slow, mut probes, mut count) = (0.0, 0.0, 0_u32, 0);
    for cycle in cycles.filter(|cycle| cycle.k == k) {
        count += 1;
        for (phase, loss) in cycle.losses.iter().filter(|(_, loss)| loss.is_finite()) {
            let sum = sums.entry(*phase).or_default();
            *sum = (sum.0 + loss, sum.1 + 1);
        }
        if let Some((at_theta, at_phi)) = cycle.probe.filter(|p| p.0.is_finite() && p.1.is_finite())
        {
            (fast, slow, probes) = (fast + at_theta, slow + at_phi, probes + 1);
        }
    }
    let mean = |(phase, (sum, count)): (u64, (f64, u32))| (phase, sum / f64::from(count));
    let both = |count| (fast / f64::from(count), slow / f64::from(count));
    MeanCycle {
        losses: sums.into_iter().map(mean).collect(),
        probe: (probes > 0).then(|| both(probes)),
        count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chart_has_its_digit() {
        for chart in Chart::ALL {
            assert_eq!(Chart::of_digit(chart.digit()), Some(chart));
            assert_eq!(chart.next().previous(), chart);
            assert_eq!(chart.name().parse(), Ok(chart));
        }
        assert_eq!(Chart::of_digit('1'), Some(Chart::Loss));
        assert_eq!(Chart::of_digit('0'), Some(Chart::Speed));
        assert_eq!(Chart::of_digit('x'), None);
        let error = "moon".parse::<Chart>().unwrap_err();
        assert!(error.contains("`moon`") && error.contains("validation-loss"), "{error}");
    }

    /// By hand: phases 1 and 2 of two cycles, of which one loss is no number; a cycle of another k.
    #[test]
    fn the_mean_is_over_cycles_of_the_same_length() {
        let cycle = |losses: &[(u64, f64)], probe, k| Cycle {
            losses: losses.to_vec(),
            probe,
            k,
            ..Cycle::default()
        };
        let cycles = [
            cycle(&[(1, 4.0), (2, 2.0)], Some((3.0, 2.0)), 2),
            cycle(&[(1, f64::NAN), (2, 1.0)], None, 2),
            cycle(&[(1, 100.0)], Some((9.0, 9.0)), 1),
        ];
        let mean = mean_cycle(cycles.iter(), 2);
        assert_eq!(mean.losses, [(1, 4.0), (2, 1.5)]);
        assert_eq!((mean.probe, mean.count), (Some((3.0, 2.0)), 2));
        assert!(mean_cycle(cycles.iter(), 7).probe.is_none());
    }
}
