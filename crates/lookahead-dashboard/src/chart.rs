//! The charts.

use std::str::FromStr;

use lookahead_run::event::MetricInfo;

use crate::format;

/// The charts, in the order of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chart {
    /// Training loss, and the loss on the probe batch at the fast and the slow weights.
    Loss,
    /// Accuracy on the validation set, or the task's own metric if nothing is classified.
    Accuracy,
    /// Loss on the validation set.
    ValidationLoss,
    /// The last inner cycles, overlaid.
    Cycle,
    /// Probe loss at the fast weights minus that at the slow ones.
    Gain,
    /// Distance between the fast and the slow weights just before syncs.
    Distance,
    /// Norm of the last gradient before syncs.
    Gradient,
    /// Learning rate of the inner optimizer.
    LearningRate,
    /// The α of each sync.
    Alpha,
    /// Training samples per second.
    Speed,
}

impl Chart {
    /// All charts.
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

    /// Name, title, and a sentence for the help.
    #[rustfmt::skip]
    fn words(self) -> [&'static str; 3] {
        match self {
            Chart::Loss => ["loss", "loss", "Training loss, and the loss on the probe batch around syncs."],
            Chart::Accuracy => ["accuracy", "validation accuracy",
                "Accuracy, or the task's own metric, on the validation set, at the slow and the fast weights."],
            Chart::ValidationLoss => ["validation-loss", "validation loss",
                "Loss on the validation set, at the slow and the fast weights."],
            Chart::Cycle => ["cycles", "cycles",
                "The last inner cycles, overlaid, and the drop from the fast to the slow weights."],
            Chart::Gain => ["gain", "gain of a sync",
                "Probe loss at the fast weights minus that at the slow ones: what each sync gains."],
            Chart::Distance => ["distance", "distance at syncs",
                "‖θ − φ‖: how far the fast weights are from the slow ones just before a sync."],
            Chart::Gradient => ["gradient", "gradient norm at syncs", "Norm of the last gradient before a sync."],
            Chart::LearningRate => ["learning-rate", "learning rate", "Learning rate of the inner optimizer."],
            Chart::Alpha => ["alpha", "α at syncs", "How far the slow weights move towards the fast ones at a sync."],
            Chart::Speed => ["speed", "samples/s", "Training samples per second."],
        }
    }

    /// The name of the chart, as on the command line and in file names.
    pub fn name(self) -> &'static str {
        self.words()[0]
    }

    /// The title in a run whose evaluations have this metric.
    pub(crate) fn title(self, metric: &MetricInfo) -> String {
        match self {
            Chart::Accuracy => format!("validation {}", metric.label()),
            _ => self.words()[1].to_owned(),
        }
    }

    /// A sentence for the help.
    pub(crate) fn help(self) -> &'static str {
        self.words()[2]
    }

    /// The chart `by` places further on.
    pub(crate) fn step(self, by: isize) -> Chart {
        let number = Chart::ALL.iter().position(|chart| *chart == self).unwrap_or(0);
        Chart::ALL[(number as isize + by).rem_euclid(Chart::ALL.len() as isize) as usize]
    }

    /// The charts with their keys: 1 to 9, then 0.
    pub(crate) fn keys() -> impl Iterator<Item = (char, Chart)> {
        "1234567890".chars().zip(Chart::ALL)
    }

    pub(crate) fn of_key(key: char) -> Option<Chart> {
        Chart::keys().find(|(digit, _)| *digit == key).map(|(_, chart)| chart)
    }

    pub(crate) fn key(self) -> char {
        Chart::keys().find(|(_, chart)| *chart == self).map_or(' ', |(digit, _)| digit)
    }

    /// Whether its values are fractions, shown in percent.
    pub(crate) fn is_in_percent(self, metric: &MetricInfo) -> bool {
        self == Chart::Accuracy && metric.percent
    }

    /// Formats one of its values.
    pub(crate) fn format(self, metric: &MetricInfo, value: f64) -> String {
        match self {
            Chart::Accuracy => format::metric(metric, value),
            Chart::LearningRate | Chart::Alpha => format::significant(value, 4),
            Chart::Speed => format::rate(value),
            Chart::Gain => format::difference(value),
            _ => format::loss(value),
        }
    }
}

impl FromStr for Chart {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Chart::ALL.into_iter().find(|chart| chart.name() == word).ok_or_else(|| {
            let names = Chart::ALL.map(Chart::name).join(", ");
            format!("`{word}` is not a chart. Use one of {names}.")
        })
    }
}

#[cfg(test)]
mod tests;
