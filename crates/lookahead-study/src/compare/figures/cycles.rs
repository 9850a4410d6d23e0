//! Losses inside the cycle, and their variance towards the end.

use lookahead_chart::{Figure, Line, Marker, Panel, Point};

use super::style::{Drawn, LOG_FROM, look, nothing};
use crate::compare::comparison::Comparison;
use crate::compare::run::Run;
use crate::compare::stability::is_late;
use crate::compare::statistics::Spread;

impl Comparison {
    /// Inside the cycle, over the last third of the runs: the step loss by the steps since the sync,
    /// less that of the cycle's first step, and the probe's loss before and after the sync. Means over
    /// the cycles of all seeds, with bands and bars of one standard error.
    ///
    /// # Errors
    /// [`CompareError::NoFigure`](crate::compare::CompareError::NoFigure) if no run of these points has whole cycles.
    pub fn cycles(&self, points: &[usize]) -> Drawn {
        let (mut steps, mut probes) = (Vec::new(), Vec::new());
        for (index, point) in points.iter().enumerate() {
            let runs = self.drawn(*point);
            let within = cycle_points(&runs);
            if within.is_empty() {
                continue;
            }
            steps.push(Line { points: within, ..look(index, self.name_of(*point)) });
            let late = runs.iter().flat_map(|run| {
                let all = run.summary.probes.iter();
                all.filter(|(step, _)| is_late(*step, run.summary.steps)).map(|(_, probe)| probe)
            });
            let (fast, slow): (Vec<f64>, Vec<f64>) =
                late.map(|probe| (probe.fast_loss, probe.slow_loss)).unzip();
            let ends = [fast, slow].map(|losses| Spread::of(&losses));
            if let [Some(fast), Some(slow)] = ends {
                let points = vec![error_point(0.0, &fast), error_point(1.0, &slow)];
                probes.push(Line { points, bars: true, ..look(index, self.name_of(*point)) });
            }
        }
        if steps.is_empty() {
            return Err(nothing(
                "no run of these points has whole cycles of Lookahead in its last third.",
            ));
        }
        let longest = steps.iter().map(|line| line.points.len()).max().unwrap_or(0);
        let mut panels = vec![Panel {
            title: "Training loss of each step, less that of the cycle's first step".into(),
            x_label:
                "inner steps since the sync; the last point is the first step after the next sync"
                    .into(),
            y_label: "loss".into(),
            // Whole numbers: steps have no halves.
            x_names: (0..longest).map(|place| place.to_string()).collect(),
            lines: steps,
            legend: true,
            ..Panel::default()
        }];
        if !probes.is_empty() {
            panels.push(Panel {
                title: "Loss on one validation batch around the sync".into(),
                x_names: vec![
                    "fast weights, before the sync".into(),
                    "slow weights, after it".into(),
                ],
                y_label: "loss".into(),
                lines: probes,
                ..Panel::default()
            });
        }
        if let Some(last) = panels.last_mut() {
            last.note = Some(
                "Means over all cycles of the last third of the runs, with one standard error on \
                 either side."
                    .into(),
            );
        }
        Ok(Figure { title: String::new(), panels })
    }

    /// The variance of the last epoch's step losses: a ring for each seed of the best point of each
    /// group, a line over all of them, and a disc for their mean.
    ///
    /// # Errors
    /// [`CompareError::NoFigure`](crate::compare::CompareError::NoFigure) if no run has one.
    pub fn last_epoch_variance(&self) -> Drawn {
        let rows: Vec<(&str, Vec<f64>)> = self
            .groups
            .iter()
            .map(|group| {
                let runs = self.finished(self.best_of(group));
                (group.label.as_str(), runs.filter_map(|run| run.stability.loss_variance).collect())
            })
            .collect();
        let all: Vec<f64> = rows.iter().flat_map(|(_, values)| values.iter().copied()).collect();
        let Some(spread) = Spread::of(&all) else {
            return Err(nothing("no run that finished has step losses of a last epoch."));
        };
        let mut lines = Vec::new();
        for (index, (_, values)) in rows.iter().enumerate() {
            // The first group is at the top, as in the tables.
            let y = (rows.len() - 1 - index) as f64;
            let Some(spread) = Spread::of(values) else { continue };
            let line = |points: Vec<f64>| Line {
                points: points.into_iter().map(|x| Point::new(x, y)).collect(),
                marker: None,
                ..look(index, "")
            };
            lines.push(line(vec![spread.min, spread.max]));
            let marker = Some(Marker::Circle);
            lines.push(Line { joined: false, width: 1, marker, ..line(values.clone()) });
            let marker = Some(Marker::Disc);
            lines.push(Line { joined: false, width: 5, marker, ..line(vec![spread.mean]) });
        }
        let panel = Panel {
            x_label: "variance of the last epoch's step losses".into(),
            y_names: rows.iter().rev().map(|(label, _)| (*label).to_owned()).collect(),
            log_x: spread.min > 0.0 && spread.max / spread.min > LOG_FROM,
            lines,
            note: Some("Rings are seeds, discs their means.".into()),
            ..Panel::default()
        };
        Ok(Figure { title: String::new(), panels: vec![panel] })
    }
}

/// A point with its standard error.
fn error_point(x: f64, spread: &Spread) -> Point {
    let error = spread.standard_error().unwrap_or(0.0);
    Point { low: spread.mean - error, high: spread.mean + error, ..Point::new(x, spread.mean) }
}

/// The losses of whole cycles less their first, by the steps since the sync; the last one is the
/// first of the next cycle. Empty if the runs have cycles of different lengths.
fn cycle_points(runs: &[&Run]) -> Vec<Point> {
    let mut by_place: Vec<Vec<f64>> = Vec::new();
    let mut length = None;
    for run in runs {
        let (losses, phases) = (&run.summary.losses, &run.summary.phases);
        let begins: Vec<usize> = (0..phases.len())
            .filter(|index| phases[*index] == 1 && is_late(*index as u64 + 1, run.summary.steps))
            .collect();
        for pair in begins.windows(2) {
            let cycle: Vec<f64> =
                losses[pair[0]..=pair[1]].iter().copied().map(f64::from).collect();
            // A cycle that lost steps to a crash does not have the length of its last phase.
            let whole = usize::from(phases[pair[1] - 1]) == pair[1] - pair[0];
            if !whole || cycle.iter().any(|loss| !loss.is_finite()) {
                continue;
            }
            if *length.get_or_insert(cycle.len()) != cycle.len() {
                return Vec::new();
            }
            by_place.resize(cycle.len(), Vec::new());
            for (place, loss) in by_place.iter_mut().zip(&cycle) {
                place.push(loss - cycle[0]);
            }
        }
    }
    let spreads = by_place.iter().enumerate();
    spreads
        .filter_map(|(place, values)| Some(error_point(place as f64, &Spread::of(values)?)))
        .collect()
}
