//! How the user looks at the charts.

use crate::chart::Chart;
use crate::smoothing::{self, DECAYS};
use crate::view::scale::Scales;
use crate::viewport::{Axis, Range, Viewport};

#[derive(Debug)]
pub(crate) struct ChartView {
    pub(crate) chart: Chart,
    pub(crate) viewport: Viewport,
    pub(crate) log_y: bool,
    /// Whether the y axis covers all values, not just the usual ones.
    pub(crate) all_values: bool,
    /// The scales of the last frame.
    pub(crate) scales: Scales,
    /// Index of [`DECAYS`].
    pub(crate) smoothing: usize,
    /// Whether several runs have a line for their fast and one for their slow weights, not just one line.
    pub(crate) both_weights: bool,
    /// Whether the points behind smoothed lines are drawn.
    pub(crate) raw: bool,
    /// The step of the selected run at which all series are read.
    pub(crate) cursor: Option<u64>,
    /// The last column of the mouse, while it drags.
    pub(crate) dragged: Option<u16>,
}

impl Default for ChartView {
    fn default() -> Self {
        ChartView {
            chart: Chart::Loss,
            viewport: Viewport { axis: Axis::Step, range: Range::All },
            log_y: false,
            all_values: false,
            scales: Vec::new(),
            smoothing: smoothing::DEFAULT,
            both_weights: false,
            raw: true,
            cursor: None,
            dragged: None,
        }
    }
}

impl ChartView {
    /// The β of running means.
    pub(crate) fn decay(&self) -> f64 {
        DECAYS[self.smoothing]
    }
}
