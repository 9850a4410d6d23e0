//! Losses by step.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use lookahead_chart::{Figure, Line, Panel, Point, UsualRange, usual_range};
use lookahead_run::event::Split;

use super::style::{Drawn, look, nothing};
use crate::compare::comparison::Comparison;
use crate::compare::statistics::Spread;

/// Points of a curve of steps: about one for each two pixels.
const COLUMNS: usize = 500;

impl Comparison {
    /// The training loss by step and, below it, the validation loss at evaluations: means over seeds
    /// with bands from the least to the greatest seed, of the points with these indices. Training losses
    /// are running means over about a hundredth of the run.
    ///
    /// # Errors
    /// [`CompareError::NoFigure`](crate::compare::CompareError::NoFigure) if none of their runs has taken a step.
    pub fn loss_curves(&self, points: &[usize]) -> Drawn {
        let (mut training, mut validation) = (Vec::new(), Vec::new());
        let points: Vec<usize> =
            points.iter().copied().filter(|point| *point < self.points.len()).collect();
        let steps = points.iter().flat_map(|point| self.drawn(*point));
        let steps = steps.map(|run| run.summary.losses.len()).max().unwrap_or(0);
        if steps == 0 {
            return Err(nothing("no run of these points has taken a step."));
        }
        let beta = (1.0 - 1.0 / (steps as f64 / 100.0).max(1.0)).min(0.99999);
        for (index, point) in points.iter().enumerate() {
            let runs = self.drawn(*point);
            let smoothed: Vec<Vec<(usize, f64)>> =
                runs.iter().map(|run| sampled(&run.summary.losses, beta, steps)).collect();
            let all = smoothed.into_iter().flatten();
            let points = means(all.map(|(step, loss)| (step as u64, loss)));
            training.push(Line { points, ..look(index, self.name_of(*point)) });
            let evaluations = runs.iter().flat_map(|run| {
                let weights = run.summary.final_weights();
                let all = run.summary.evaluations.iter();
                all.filter(move |(_, found)| {
                    found.split == Split::Validation && Some(found.weights) == weights
                })
            });
            let points = means(evaluations.map(|(step, found)| (*step, found.loss)));
            validation.push(Line { points, ..look(index, self.name_of(*point)) });
        }
        let smoothing = if beta > 0.0 {
            format!("Training losses are running means with β = {beta:.3}. ")
        } else {
            String::new()
        };
        let band = "from the least to the greatest seed";
        let note = format!("{smoothing}Lines are means over seeds, bands reach {band}.");
        // A run's first steps must not flatten the rest.
        let range = usual(&training);
        let note = match &range {
            Some(range) => format!("{note} Values beyond the axis (▲) reach {:.4}.", range.all.1),
            None => note,
        };
        let has_validation = validation.iter().any(|line| !line.points.is_empty());
        let panel = |title: &str, lines: Vec<Line>, legend: bool| Panel {
            title: title.into(),
            y_label: "loss".into(),
            x_ends: Some((0.0, steps as f64)),
            lines,
            legend,
            ..Panel::default()
        };
        let y_ends = range.map(|range| range.ends);
        let mut panels = vec![Panel { y_ends, ..panel("Training loss", training, true) }];
        if has_validation {
            panels.push(panel("Validation loss of the final weights", validation, false));
        }
        if let Some(last) = panels.last_mut() {
            (last.x_label, last.note) = ("step".into(), Some(note));
        }
        Ok(Figure { title: String::new(), panels })
    }
}

/// The usual range of the lines, if some values are beyond it.
fn usual(lines: &[Line]) -> Option<UsualRange> {
    let extents = |line: &Line| -> Vec<(f64, f64)> {
        line.points.iter().map(|point| (point.low, point.high)).collect()
    };
    let measured: Vec<Vec<(f64, f64)>> = lines.iter().map(extents).collect();
    usual_range(&measured, &measured.concat(), false, None).filter(UsualRange::is_cut)
}

/// Running means of a run's losses at about [`COLUMNS`] steps, of which all runs have the same.
fn sampled(losses: &[f32], beta: f64, steps: usize) -> Vec<(usize, f64)> {
    let stride = steps.div_ceil(COLUMNS).max(1);
    let (mut mean, mut weight) = (0.0, 0.0);
    let mut kept = Vec::new();
    for (index, loss) in losses.iter().enumerate() {
        if loss.is_finite() {
            mean = beta * mean + (1.0 - beta) * f64::from(*loss);
            // The initial mean, 0, must not count.
            weight = beta * weight + (1.0 - beta);
        }
        let step = index + 1;
        let last = step == losses.len();
        if step == 1 || step % stride == 0 || last {
            kept.push((step, if loss.is_finite() { mean / weight } else { f64::NAN }));
        }
    }
    kept
}

/// Means of values at equal steps. Steps that not all runs have are left out: the
/// mean would jump there.
fn means(values: impl Iterator<Item = (u64, f64)>) -> Vec<Point> {
    let mut at: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (step, value) in values {
        at.entry(step).or_default().push(value);
    }
    let most = at.values().map(Vec::len).max().unwrap_or(0);
    at.into_iter()
        .filter(|(_, values)| values.len() == most)
        .map(|(step, values)| match Spread::of(&values) {
            Some(Spread { mean, min, max, .. }) => {
                Point { low: min, high: max, ..Point::new(step as f64, mean) }
            }
            None => Point::new(step as f64, f64::NAN),
        })
        .collect()
}
