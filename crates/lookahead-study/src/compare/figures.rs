//! What the figures of a comparison show: data only, which `lookahead_chart` draws.
//!
//! Each function gives a figure or says why there is nothing to draw; [`Comparison::figures`] gives
//! all that have something to show. The same comparison gives the same figures.

use std::collections::BTreeMap;

use lookahead_chart::{Cell, Figure, Heatmap, Line, Marker, Panel, Point, series};
use lookahead_run::event::Split;
use serde_json::Value;

use super::numbers::{decimals, number};
use super::settings::{self, Settings};
use super::stability::is_late;
use super::statistics::Spread;
use super::{CompareError, Comparison, Outcome, Run, best, split_name};

/// Places at which a curve of steps is drawn: about one for each two pixels.
const COLUMNS: usize = 500;
/// Numbers whose greatest is so many times the least are drawn on a logarithmic axis.
const LOG_FROM: f64 = 19.0;

type Drawn = Result<Figure, CompareError>;

/// What a band around a mean covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// From the least to the greatest of the seeds.
    Extremes,
    /// One standard deviation over seeds on either side.
    Deviation,
}

/// How curves of losses are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curves {
    /// What the bands cover.
    pub band: Band,
    /// How much of the running mean stays from one step to the next, from 0 (no smoothing) to below
    /// 1; of none as much as averages over about a hundredth of the run.
    pub smoothing: Option<f64>,
    /// Whether the vertical axes are logarithmic.
    pub log_y: bool,
}

impl Default for Curves {
    fn default() -> Self {
        Curves { band: Band::Extremes, smoothing: None, log_y: false }
    }
}

/// A line as the `index`th of a panel has it.
fn look(index: usize, name: impl Into<String>) -> Line {
    let (color, marker) = series(index);
    Line { name: name.into(), color, marker: Some(marker), ..Line::default() }
}

fn nothing(why: impl Into<String>) -> CompareError {
    CompareError::NoFigure(why.into())
}

/// A point for a mean over seeds.
fn spread_point(x: f64, spread: &Spread, band: Band) -> Point {
    let (low, high) = match (band, spread.deviation) {
        (Band::Extremes, _) => (spread.min, spread.max),
        (Band::Deviation, Some(sd)) => (spread.mean - sd, spread.mean + sd),
        (Band::Deviation, None) => (spread.mean, spread.mean),
    };
    Point { x, low, high, y: spread.mean, gap_before: false }
}

impl Comparison {
    /// The runs of a point that are drawn: those that finished, or all where none did.
    fn drawn(&self, point: usize) -> Vec<&Run> {
        let Some(point) = self.points.get(point) else { return Vec::new() };
        let finished: Vec<&Run> = self.finished(point).collect();
        if finished.is_empty() {
            return point.runs.iter().map(|index| &self.runs[*index]).collect();
        }
        finished
    }

    /// Places of the best points of all groups.
    pub fn best_points(&self) -> Vec<usize> {
        self.groups.iter().map(|group| group.best).collect()
    }

    /// What a point is called beside the best points of other groups.
    fn name_of(&self, point: usize) -> String {
        let group = self.groups.iter().find(|group| group.best == point);
        group.map_or_else(|| self.points[point].label.clone(), |group| group.label.clone())
    }

    /// All figures that have something to show, with names for their files.
    pub fn figures(&self) -> Vec<(String, Figure)> {
        let mut figures = Vec::new();
        let mut add = |name: String, figure: Drawn| {
            if let Ok(figure) = figure {
                figures.push((name, figure));
            }
        };
        let best = self.best_points();
        add("loss".into(), self.loss_curves(&best, Curves::default()));
        let numeric: Vec<&String> =
            self.keys.iter().filter(|key| self.numbers_of(key).len() > 1).collect();
        for key in &numeric {
            // Where each optimizer has its own rate and no other, there is no course to be seen.
            let has_course = |figure: &Figure| {
                let lines = figure.panels.iter().flat_map(|panel| &panel.lines);
                lines.into_iter().any(|line| line.points.len() > 1)
            };
            let figure = self.against_key(key).and_then(|figure| match has_course(&figure) {
                true => Ok(figure),
                false => Err(nothing(format!("no two points differ in `{key}` alone."))),
            });
            add(format!("by-{}", key.replace('.', "-")), figure);
        }
        if numeric.iter().any(|key| *key == "lookahead.k")
            && numeric.iter().any(|key| *key == "lookahead.alpha")
        {
            add("k-alpha".into(), self.heat_map("lookahead.k", "lookahead.alpha"));
        }
        add("cycle".into(), self.cycles(&best));
        add("variance".into(), self.last_epoch_variance());
        figures
    }

    /// The training loss by step and, below it, the validation loss at evaluations: means over seeds
    /// with bands, of the points at these places.
    ///
    /// # Errors
    /// [`CompareError::NoFigure`] where no run of them has taken a step.
    pub fn loss_curves(&self, points: &[usize], curves: Curves) -> Drawn {
        let (mut training, mut validation) = (Vec::new(), Vec::new());
        let points: Vec<usize> =
            points.iter().copied().filter(|point| *point < self.points.len()).collect();
        let steps = points.iter().flat_map(|point| self.drawn(*point));
        let steps = steps.map(|run| run.summary.losses.len()).max().unwrap_or(0);
        if steps == 0 {
            return Err(nothing("no run of these points has taken a step."));
        }
        let usual = 1.0 - 1.0 / (steps as f64 / 100.0).max(1.0);
        let beta = curves.smoothing.unwrap_or(usual).clamp(0.0, 0.99999);
        for (index, point) in points.iter().enumerate() {
            let runs = self.drawn(*point);
            let smoothed: Vec<Vec<(usize, f64)>> =
                runs.iter().map(|run| sampled(&run.summary.losses, beta, steps)).collect();
            let all = smoothed.into_iter().flatten();
            let points = means(all.map(|(step, loss)| (step as u64, loss)), curves.band);
            training.push(Line { points, ..look(index, self.name_of(*point)) });
            let evaluations = runs.iter().flat_map(|run| {
                let weights = run.summary.final_weights();
                let all = run.summary.evaluations.iter();
                all.filter(move |(_, found)| {
                    found.split == Split::Validation && Some(found.weights) == weights
                })
            });
            let points = means(evaluations.map(|(step, found)| (*step, found.loss)), curves.band);
            validation.push(Line { points, ..look(index, self.name_of(*point)) });
        }
        let smoothing = if beta > 0.0 {
            format!("Training losses are running means with β = {beta:.3}. ")
        } else {
            String::new()
        };
        let band = match curves.band {
            Band::Extremes => "from the least to the greatest seed",
            Band::Deviation => "one standard deviation over seeds on either side",
        };
        let note = format!("{smoothing}Lines are means over seeds, bands reach {band}.");
        let has_validation = validation.iter().any(|line| !line.points.is_empty());
        let panel = |title: &str, lines: Vec<Line>, legend: bool| Panel {
            title: title.into(),
            y_label: "loss".into(),
            log_y: curves.log_y,
            x_ends: Some((0.0, steps as f64)),
            lines,
            legend,
            ..Panel::default()
        };
        let mut panels = vec![panel("Training loss", training, true)];
        if has_validation {
            panels.push(panel("Validation loss of the final weights", validation, false));
        }
        if let Some(last) = panels.last_mut() {
            (last.x_label, last.note) = ("step".into(), Some(note));
        }
        Ok(Figure { title: String::new(), panels })
    }

    /// The different values of a key that are numbers, in their order.
    fn numbers_of(&self, key: &str) -> Vec<f64> {
        let values = self.points.iter().filter_map(|point| point.settings.get(key)?.as_f64());
        let mut numbers: Vec<f64> = values.filter(|number| number.is_finite()).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        numbers
    }

    /// The reported number against a numeric key such as `optimizer.lr`, one line for each
    /// combination of the other keys that differ: means with bars of one standard deviation over
    /// seeds. An × at the bottom stands where a run diverged.
    ///
    /// # Errors
    /// [`CompareError::NoFigure`] where the key has no two numbers.
    pub fn against_key(&self, key: &str) -> Drawn {
        let numbers = self.numbers_of(key);
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
            return Err(nothing(format!("`{key}` is no number in any of these configurations.")));
        };
        if numbers.len() < 2 {
            return Err(nothing(format!("`{key}` is {first} in all of these configurations.")));
        }
        let others: Vec<String> = self.keys.iter().filter(|other| *other != key).cloned().collect();
        let mut by_name: Vec<(String, Vec<(f64, usize)>)> = Vec::new();
        for (index, point) in self.points.iter().enumerate() {
            let Some(x) = point.settings.get(key).and_then(Value::as_f64) else { continue };
            let name = settings::label(&point.settings, &others);
            match by_name.iter_mut().find(|(known, _)| *known == name) {
                Some((_, members)) => members.push((x, index)),
                None => by_name.push((name, vec![(x, index)])),
            }
        }
        let only = by_name.len() == 1;
        let mut lines = Vec::new();
        let mut lost = Vec::new();
        for (index, (name, mut members)) in by_name.into_iter().enumerate() {
            members.sort_by(|a, b| a.0.total_cmp(&b.0));
            let name = if name.is_empty() && !only { "all else".to_owned() } else { name };
            let mut line = Line { bars: true, ..look(index, name) };
            let mut crosses =
                Line { in_legend: false, joined: false, marker: None, ..look(index, "") };
            let mut gap = false;
            for (x, point) in members {
                let point = &self.points[point];
                match point.spread() {
                    Some(spread) => {
                        let found = spread_point(x, &spread, Band::Deviation);
                        line.points.push(Point { gap_before: gap, ..found });
                    }
                    None if !line.points.is_empty() => gap = true,
                    None => {}
                }
                gap = gap && point.spread().is_none();
                let diverged =
                    point.failed.iter().any(|run| self.runs[*run].outcome == Outcome::Diverged);
                if diverged {
                    crosses.points.push(Point::new(x, f64::NAN));
                }
            }
            lines.push(line);
            if !crosses.points.is_empty() {
                lost.push(crosses);
            }
        }
        let crosses = if lost.is_empty() { "" } else { " × at the bottom: a run diverged there." };
        lines.append(&mut lost);
        let (split, metric) = (split_name(self.split), self.metric.title());
        let panel = Panel {
            x_label: key.to_owned(),
            y_label: format!("{split} {metric}"),
            log_x: *first > 0.0 && last / first > LOG_FROM,
            lost_below: true,
            lines,
            legend: !only,
            note: Some(format!(
                "Means and standard deviations over the seeds that came through.{crosses}"
            )),
            ..Panel::default()
        };
        Ok(Figure { title: String::new(), panels: vec![panel] })
    }

    /// The reported number by two keys, such as `lookahead.k` and `lookahead.alpha`. Of several points
    /// in one cell the best on validation data is shown.
    ///
    /// # Errors
    /// [`CompareError::NoFigure`] where no point has both keys.
    pub fn heat_map(&self, x_key: &str, y_key: &str) -> Drawn {
        let (columns, rows) = (self.values_of(x_key, y_key), self.values_of(y_key, x_key));
        if columns.is_empty() || rows.is_empty() {
            return Err(nothing(format!("no configuration has both `{x_key}` and `{y_key}`.")));
        }
        let spreads = self.points.iter().filter_map(|point| point.spread());
        let decimals = decimals(spreads).min(2);
        let mut several = false;
        let mut cell = |x: &Value, y: &Value| {
            let has = |settings: &Settings| {
                settings.get(x_key) == Some(x) && settings.get(y_key) == Some(y)
            };
            let all = self.points.iter().enumerate();
            let members: Vec<usize> =
                all.filter(|(_, point)| has(&point.settings)).map(|(index, _)| index).collect();
            several |= members.len() > 1;
            if members.is_empty() {
                return Cell { value: f64::NAN, text: String::new() };
            }
            let point = &self.points[best(&self.points, &members, self.metric)];
            let mean = point.spread().map(|spread| spread.mean);
            let lost = point.failed.len();
            let text = match (mean, lost) {
                (Some(mean), 0) => number(mean, decimals),
                (Some(mean), lost) => format!("{} ×{lost}", number(mean, decimals)),
                (None, lost) => format!("×{lost}"),
            };
            Cell { value: mean.unwrap_or(f64::NAN), text }
        };
        let cells: Vec<Vec<Cell>> =
            rows.iter().map(|y| columns.iter().map(|x| cell(x, y)).collect()).collect();
        let mut note = "Means over seeds.".to_owned();
        if several {
            note += " Of all else that differs, the best on validation data is shown.";
        }
        if cells.iter().flatten().any(|cell| cell.text.contains('×')) {
            note += " ×n: n of the runs failed.";
        }
        let without: Vec<String> = self
            .groups
            .iter()
            .map(|group| (group, self.best_of(group)))
            .filter(|(_, point)| !point.settings.contains_key(x_key))
            .filter_map(|(group, point)| Some((&group.label, point.spread()?.mean)))
            .map(|(label, mean)| format!("{label}: {}", number(mean, decimals)))
            .collect();
        if !without.is_empty() {
            note += &format!(" Without {x_key}: {}.", without.join(", "));
        }
        let panel = Panel {
            x_label: x_key.to_owned(),
            y_label: y_key.to_owned(),
            x_names: columns.iter().map(settings::written).collect(),
            y_names: rows.iter().map(settings::written).collect(),
            heatmap: Some(Heatmap {
                rows: cells,
                label: format!("{} {}", split_name(self.split), self.metric.title()),
            }),
            note: Some(note),
            ..Panel::default()
        };
        Ok(Figure { title: String::new(), panels: vec![panel] })
    }

    /// The different values of a key, of the points that have another key too, in their order.
    fn values_of(&self, key: &str, other: &str) -> Vec<Value> {
        let points = self.points.iter().filter(|point| point.settings.contains_key(other));
        let mut all: Vec<Settings> = points
            .filter_map(|point| {
                Some(Settings::from([(key.to_owned(), point.settings.get(key)?.clone())]))
            })
            .collect();
        all.sort_by(|a, b| settings::order(a, b, &[key.to_owned()]));
        all.dedup();
        all.into_iter().flat_map(Settings::into_values).collect()
    }

    /// Inside the cycle, over the last third of the runs: the step loss by the steps since the sync,
    /// less that of the cycle's first step, and the probe's loss before and after the sync. Means over
    /// the cycles of all seeds, with bands and bars of one standard error.
    ///
    /// # Errors
    /// [`CompareError::NoFigure`] where no run of these points has whole cycles.
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
            title: "Step loss less that of the cycle's first step".into(),
            x_label:
                "inner steps since the sync; the last point is the first step after the next sync"
                    .into(),
            y_label: "loss".into(),
            // Whole numbers: there is no half of a step.
            x_names: (0..longest).map(|place| place.to_string()).collect(),
            lines: steps,
            legend: true,
            ..Panel::default()
        }];
        if !probes.is_empty() {
            panels.push(Panel {
                title: "Loss on the probe batch around the sync".into(),
                x_names: vec!["θ before the sync".into(), "φ after it".into()],
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
    /// [`CompareError::NoFigure`] where no run has one.
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

/// Running means of a run's losses at about [`COLUMNS`] steps, of which all runs have the same.
fn sampled(losses: &[f32], beta: f64, steps: usize) -> Vec<(usize, f64)> {
    let stride = steps.div_ceil(COLUMNS).max(1);
    let (mut mean, mut weight) = (0.0, 0.0);
    let mut kept = Vec::new();
    for (index, loss) in losses.iter().enumerate() {
        if loss.is_finite() {
            mean = beta * mean + (1.0 - beta) * f64::from(*loss);
            // What the mean began with, 0, must not count.
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

/// Means of values at equal steps. Where not as many runs have a value as at the first step, the mean
/// would jump: such steps are left out.
fn means(values: impl Iterator<Item = (u64, f64)>, band: Band) -> Vec<Point> {
    let mut at: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (step, value) in values {
        at.entry(step).or_default().push(value);
    }
    let most = at.values().map(Vec::len).max().unwrap_or(0);
    at.into_iter()
        .filter(|(_, values)| values.len() == most)
        .map(|(step, values)| match Spread::of(&values) {
            Some(spread) => spread_point(step as f64, &spread, band),
            None => Point::new(step as f64, f64::NAN),
        })
        .collect()
}

/// A point with its standard error.
fn error_point(x: f64, spread: &Spread) -> Point {
    let error = spread.standard_error().unwrap_or(0.0);
    Point {
        x,
        low: spread.mean - error,
        high: spread.mean + error,
        y: spread.mean,
        gap_before: false,
    }
}

/// The losses of whole cycles less their first, by the steps since the sync; the last one is the
/// first of the next cycle. Nothing where the runs have cycles of different lengths.
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
            // One whose steps were lost to a crash is shorter or longer than its last phase says.
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
