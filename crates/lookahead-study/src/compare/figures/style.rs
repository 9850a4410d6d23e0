//! What figures share: the style of a line, and the runs and the name of a point.

use lookahead_chart::{Figure, Line, series};

use crate::compare::comparison::Comparison;
use crate::compare::error::CompareError;
use crate::compare::run::Run;

/// The ratio of greatest to least number from which an axis is logarithmic.
pub(super) const LOG_FROM: f64 = 19.0;

pub(super) type Drawn = Result<Figure, CompareError>;

/// A line as the `index`th of a panel has it.
pub(super) fn look(index: usize, name: impl Into<String>) -> Line {
    let (color, marker) = series(index);
    Line { name: name.into(), color, marker: Some(marker), ..Line::default() }
}

pub(super) fn nothing(why: impl Into<String>) -> CompareError {
    CompareError::NoFigure(why.into())
}

impl Comparison {
    /// The runs of a point that are drawn: those that finished, or all if none did.
    pub(super) fn drawn(&self, point: usize) -> Vec<&Run> {
        let Some(point) = self.points.get(point) else { return Vec::new() };
        let finished: Vec<&Run> = self.finished(point).collect();
        if finished.is_empty() {
            return point.runs.iter().map(|index| &self.runs[*index]).collect();
        }
        finished
    }

    /// Indices of the best points of all groups.
    pub fn best_points(&self) -> Vec<usize> {
        self.groups.iter().map(|group| group.best).collect()
    }

    /// The name of a point among the best points of other groups.
    pub(super) fn name_of(&self, point: usize) -> String {
        let group = self.groups.iter().find(|group| group.best == point);
        group.map_or_else(|| self.points[point].label.clone(), |group| group.label.clone())
    }
}
