//! How the user looks at the charts.

use crate::chart::Chart;
use crate::smoothing::{self, DECAYS};
use crate::viewport::{Axis, Range, Viewport};

#[derive(Debug)]
pub(crate) struct ChartView {
    pub(crate) chart: Chart,
    pub(crate) viewport: Viewport,
    pub(crate) log_y: bool,
    /// Index of [`DECAYS`].
    pub(crate) smoothing: usize,
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
            smoothing: smoothing::DEFAULT,
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
