//! The reported number by one key or two.

use lookahead_chart::{Cell, Figure, Heatmap, Line, Panel, Point};
use serde_json::Value;

use super::style::{Drawn, LOG_FROM, look, nothing};
use crate::compare::comparison::Comparison;
use crate::compare::grouping::best;
use crate::compare::numbers::{decimals, number};
use crate::compare::options::split_name;
use crate::compare::run::Outcome;
use crate::compare::settings::{self, Settings};

impl Comparison {
    /// The different values of a key that are numbers, in their order.
    pub(super) fn numbers_of(&self, key: &str) -> Vec<f64> {
        let values = self.points.iter().filter_map(|point| point.settings.get(key)?.as_f64());
        let mut numbers: Vec<f64> = values.filter(|number| number.is_finite()).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        numbers
    }

    /// The reported number against a numeric key like `optimizer.lr`, one line for each
    /// combination of the other keys that differ: means with bars of one standard deviation over
    /// seeds. An × at the bottom marks that a run diverged.
    ///
    /// # Errors
    /// [`CompareError::NoFigure`](crate::compare::CompareError::NoFigure) if the key has fewer than two numbers.
    pub fn against_key(&self, key: &str) -> Drawn {
        let numbers = self.numbers_of(key);
        let (Some(first), Some(last)) = (numbers.first(), numbers.last()) else {
            return Err(nothing(format!(
                "`{key}` is not a number in any of these configurations."
            )));
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
                        let sd = spread.deviation.unwrap_or(0.0);
                        let (low, high) = (spread.mean - sd, spread.mean + sd);
                        line.points.push(Point { x, low, high, y: spread.mean, gap_before: gap });
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
                "Means and standard deviations over the seeds that finished.{crosses}"
            )),
            ..Panel::default()
        };
        Ok(Figure { title: String::new(), panels: vec![panel] })
    }

    /// The reported number by two keys, for example `lookahead.k` and `lookahead.alpha`. Of several
    /// points in one cell the figure has the best on validation data.
    ///
    /// # Errors
    /// [`CompareError::NoFigure`](crate::compare::CompareError::NoFigure) if no point has both keys.
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
            let point = &self.points[best(&self.points, &members, &self.metric)];
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
            note += " Of several points in one cell, the number is that of the best on validation data.";
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
}
