//! The charts.

use lookahead_run::event::MetricInfo;

use crate::format;
use lookahead_run::format::safe;

/// The charts, in the order of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chart {
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
    /// Distance between the fast and the slow weights of each layer just before syncs.
    LayerDistance,
    /// Norm of the last gradient of each layer before syncs.
    LayerGradient,
    /// A number that the program logs by name: its index in the model's
    /// [`scalar_names`](crate::model::Model::scalar_names).
    Scalar(usize),
}

impl Chart {
    /// All charts but those of layers and those of numbers by name.
    pub(crate) const ALL: [Chart; 10] = [
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

    /// The charts of layers, which few runs measure.
    pub(crate) const LAYERS: [Chart; 2] = [Chart::LayerDistance, Chart::LayerGradient];

    /// The chart of the trainer with this name on the command line.
    pub(crate) fn named(name: &str) -> Option<Chart> {
        Chart::ALL.into_iter().chain(Chart::LAYERS).find(|chart| chart.name() == name)
    }

    /// Whether it is a heat map of layers.
    pub(crate) fn is_heat_map(self) -> bool {
        Chart::LAYERS.contains(&self)
    }

    /// Name, title, a title that says more, and a sentence for the help.
    #[rustfmt::skip]
    fn words(self) -> [&'static str; 4] {
        match self {
            Chart::Loss => ["loss", "loss", "loss: training batches, and one validation batch",
                "Loss of the training batches, and of the fast and slow weights on one validation batch."],
            Chart::Accuracy => ["accuracy", "validation accuracy", "",
                "Accuracy, or the task's own metric, of the slow and the fast weights on the validation set."],
            Chart::ValidationLoss => ["validation-loss", "validation loss", "",
                "Loss of the slow and the fast weights on the validation set."],
            Chart::Cycle => ["cycles", "cycles", "cycles: the loss between two syncs",
                "The last cycles from sync to sync, overlaid: training loss, and the drop from fast to slow."],
            Chart::Gain => ["gain", "gain of a sync", "gain of a sync: how far it lowers the loss on one validation batch",
                "Loss of the fast weights before a sync minus that of the slow weights after it. Above 0 the sync helps."],
            Chart::Distance => ["distance", "distance at syncs", "distance from the fast to the slow weights at syncs",
                "‖θ − φ‖: how far the fast weights are from the slow ones just before a sync."],
            Chart::Gradient => ["gradient", "gradient norm at syncs", "", "Norm of the last gradient before a sync."],
            Chart::LearningRate => ["learning-rate", "learning rate", "learning rate of the fast weights",
                "Learning rate of the inner optimizer, which trains the fast weights."],
            Chart::Alpha => ["alpha", "α at syncs", "slow step size α at syncs",
                "Slow step size: the part of the way to the fast weights that the slow weights move at a sync."],
            Chart::Speed => ["speed", "samples/s", "training samples per second", "Training samples per second."],
            Chart::LayerDistance => ["layer-distance", "distance of layers", "distance from the fast to the slow weights of each layer",
                "‖θ − φ‖ of each layer just before a sync, as a heat map."],
            Chart::LayerGradient => ["layer-gradient", "gradient norm of layers", "gradient norm of each layer at syncs",
                "Norm of the last gradient of each layer before a sync, as a heat map."],
            Chart::Scalar(_) => ["", "", "", "A number that the program logs by name."],
        }
    }

    /// The name of the chart on the command line; empty for a number by name, which has its own.
    pub(crate) fn name(self) -> &'static str {
        self.words()[0]
    }

    /// The title, if the chart is of this metric.
    pub(crate) fn title(self, metric: &MetricInfo) -> String {
        match self {
            Chart::Accuracy => format!("validation {}", metric.label()),
            Chart::Scalar(_) => safe(&metric.name),
            _ => self.words()[1].to_owned(),
        }
    }

    /// The title where there is much room.
    pub(crate) fn full_title(self, metric: &MetricInfo) -> String {
        match self.words()[2] {
            "" => self.title(metric),
            title => title.to_owned(),
        }
    }

    /// A sentence for the help.
    pub(crate) fn help(self) -> &'static str {
        self.words()[3]
    }

    /// Whether its values are settings, which change in steps and on purpose.
    pub(crate) fn is_of_settings(self) -> bool {
        matches!(self, Chart::LearningRate | Chart::Alpha)
    }

    /// Whether its values are fractions, shown in percent.
    pub(crate) fn is_in_percent(self, metric: &MetricInfo) -> bool {
        matches!(self, Chart::Accuracy | Chart::Scalar(_)) && metric.percent
    }

    /// Formats one of its values.
    pub(crate) fn format(self, metric: &MetricInfo, value: f64) -> String {
        match self {
            Chart::Accuracy | Chart::Scalar(_) => metric.format(value),
            Chart::LearningRate | Chart::Alpha => format::significant(value, 4),
            Chart::Speed => format::rate(value),
            Chart::Gain => format::difference(value),
            _ => format::loss(value),
        }
    }
}

#[cfg(test)]
mod tests;
