//! Learning rates and momenta other than the best.

use std::collections::BTreeMap;

use lookahead_chart::Figure;

use crate::chart::{Axes, Measured, curves_and_points};
use crate::findings::{Claim, Findings, difference, verdict};
use crate::optimizers::shown;
use crate::page::Page;
use crate::study::{Around, INNER, Study, accuracy, inner, number, paired, written};
use lookahead_study::compare::ComparedPoint;
use lookahead_study::compare::statistics::{Better, Spread};
use lookahead_study::compare::table::{Side, Table};

/// The accuracy that counts for a diverged run: guessing one of ten classes.
const CHANCE: f64 = 10.0;
/// Learning rates from a tenth to ten times the best; rounding must not put one outside.
const DECADE: f64 = 10.001;

/// How many points below the best an accuracy may be and still count as the best.
const AS_GOOD: f64 = 2.0;

pub(super) fn learning_rates(study: &Study, page: &mut Page, findings: &mut Findings) {
    page.subheading("Learning rates beside the best");
    page.text(&format!(
        "*Mean*: test accuracy over the learning rates of the grid from a tenth to ten times the \
         best one, each one's own; a run that diverged counts {CHANCE} %. If the top is flat, \
         chance decides which rate is best, and so which rates are in that mean: it is for \
         information only. *Width*: over how many decades of the whole grid a seed stays within \
         {AS_GOOD} points of its best accuracy, which is what is compared."
    ));
    let mut table = columns(&[
        "inner optimizer",
        "mean, alone",
        "mean, Lookahead",
        "width, alone",
        "width, Lookahead",
        "difference of widths",
    ]);
    let mut lines = Vec::new();
    for name in INNER {
        let of = |around| {
            let wanted = |settings: &_| inner(settings) == name && Around::of(settings) == around;
            let best = study.best(wanted)?;
            Some((number(&best.settings, "optimizer.lr")?, study.points(wanted)))
        };
        let (Some((alone_best, alone)), Some((best, lookahead))) =
            (of(Around::Nothing), of(Around::Lookahead))
        else {
            continue;
        };
        let (alone_width, width) = (widths(study, &alone), widths(study, &lookahead));
        let found = paired(&width, &alone_width, Better::Higher);
        table.rows.push(vec![
            name.to_owned(),
            shown(&over_window(study, &alone, alone_best), 2),
            shown(&over_window(study, &lookahead, best), 2),
            shown(&alone_width, 2),
            shown(&width, 2),
            difference(found.as_ref(), 2),
            verdict(found.as_ref()).to_owned(),
        ]);
        let what = format!("{}, {name}", study.data());
        findings.compare(Claim::LearningRate, &what, found.as_ref(), 2, " decades");
        for (around, points) in [(Around::Nothing, alone), (Around::Lookahead, lookahead)] {
            lines.push((name, around, against(study, &points, "optimizer.lr")));
        }
    }
    page.table(&table);
    for name in INNER {
        let measured: Vec<Measured> = lines
            .iter()
            .filter(|(inner, ..)| *inner == name)
            .map(|(_, around, points)| Measured {
                name: around.name().to_owned(),
                points: points.clone(),
            })
            .collect();
        if measured.iter().all(|of| of.points.is_empty()) {
            continue;
        }
        let axes = Axes {
            title: format!("{name} on {}", study.data()),
            x_label: "learning rate".into(),
            y_label: "test accuracy in %".into(),
            log_x: true,
            note: Some(
                "Means and standard deviations over seeds; a run that diverged is 10 %.".into(),
            ),
            ..Axes::default()
        };
        let file = format!("{}-lr-{}", study.name, name.to_lowercase().replace(' ', "-"));
        page.figure(&file, joined(axes, &measured));
    }
}

/// Test accuracies by seed at one momentum.
struct AtMomentum {
    momentum: f64,
    /// At the learning rate that is best for 0.9.
    fixed: BTreeMap<u64, f64>,
    /// At its own best.
    own: BTreeMap<u64, f64>,
}

pub(super) fn momenta(study: &Study, page: &mut Page, findings: &mut Findings) {
    page.heading(&format!("Momenta from 0 to 0.99 on {}", study.data()));
    page.text(&format!(
        "SGD at each momentum, with the learning rate that is best for momentum 0.9 (validation data), \
         each one's own; below it, with the best learning rate for each momentum. Test accuracy; a run \
         that diverged counts {CHANCE} %. (`lookahead sweep configs/sweeps/{}.toml`)",
        study.name
    ));
    let around = |wanted| move |settings: &_| Around::of(settings) == wanted;
    let momenta: Vec<f64> = {
        let mut all: Vec<f64> = study
            .points(around(Around::Nothing))
            .iter()
            .filter_map(|point| number(&point.settings, "optimizer.momentum"))
            .collect();
        all.sort_by(f64::total_cmp);
        all.dedup();
        all
    };
    let mut table = columns(&["momentum", "alone", "Lookahead", "difference"]);
    let mut measured = Vec::new();
    let mut means = Vec::new();
    for wanted in [Around::Nothing, Around::Lookahead] {
        let at = |momentum: f64| {
            move |settings: &_| {
                Around::of(settings) == wanted
                    && number(settings, "optimizer.momentum") == Some(momentum)
            }
        };
        let rate = |point: &ComparedPoint| number(&point.settings, "optimizer.lr");
        let Some(fixed) = study.best(at(0.9)).and_then(rate) else { return };
        let by_momentum: Vec<AtMomentum> = momenta
            .iter()
            .map(|&momentum| {
                let points = study.points(at(momentum));
                let same = points.iter().find(|point| rate(point) == Some(fixed));
                let fixed = same.map(|point| with_chance(study, point)).unwrap_or_default();
                let own = study.best(at(momentum));
                let own = own.map(|point| with_chance(study, point)).unwrap_or_default();
                AtMomentum { momentum, fixed, own }
            })
            .collect();
        let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
        for at in &by_momentum {
            for (seed, value) in &at.fixed {
                *sums.entry(*seed).or_default() += value / momenta.len() as f64;
            }
        }
        measured.push(Measured {
            name: format!("{}, lr {}", wanted.name(), written(fixed)),
            points: by_momentum
                .iter()
                .filter_map(|at| {
                    let (low, mean, high) = deviation(&at.fixed)?;
                    // On a scale of 1 − momentum, since momenta close to 1 differ most.
                    Some((1.0 / (1.0 - at.momentum), low, mean, high))
                })
                .collect(),
        });
        means.push((by_momentum, sums));
    }
    let [(alone, alone_mean), (lookahead, mean)] = &means[..] else { return };
    for (own, kind) in [(false, "lr of 0.9"), (true, "its best lr")] {
        for (a, b) in alone.iter().zip(lookahead) {
            let (a_values, b_values) = if own { (&a.own, &b.own) } else { (&a.fixed, &b.fixed) };
            let found = paired(b_values, a_values, Better::Higher);
            if !own {
                let what = format!("{}, SGD with momentum {}", study.data(), written(a.momentum));
                findings.compare(Claim::Momentum, &what, found.as_ref(), 2, " points");
            }
            table.rows.push(vec![
                format!("{}, {kind}", written(a.momentum)),
                shown(a_values, 2),
                shown(b_values, 2),
                difference(found.as_ref(), 2),
                verdict(found.as_ref()).to_owned(),
            ]);
        }
    }
    let found = paired(mean, alone_mean, Better::Higher);
    table.rows.push(vec![
        "mean over momenta, lr of 0.9".to_owned(),
        shown(alone_mean, 2),
        shown(mean, 2),
        difference(found.as_ref(), 2),
        verdict(found.as_ref()).to_owned(),
    ]);
    page.table(&table);
    page.text("The last row is the mean over all momenta: if one of them is far out, it decides the mean.");
    let axes = Axes {
        title: "SGD at the learning rate that is best for momentum 0.9".into(),
        x_label: "1 / (1 − momentum): how many steps it averages over".into(),
        log_x: true,
        y_label: "test accuracy in %".into(),
        note: Some("Means and standard deviations over seeds; a run that diverged is 10 %.".into()),
        ..Axes::default()
    };
    page.figure(&format!("{}-momentum", study.name), joined(axes, &measured));
}

/// Measured points with lines between them.
fn joined(axes: Axes, measured: &[Measured]) -> Figure {
    let mut figure = curves_and_points(axes, &[], measured);
    for line in figure.panels.iter_mut().flat_map(|panel| &mut panel.lines) {
        line.joined = true;
    }
    figure
}

fn columns(names: &[&str]) -> Table {
    let side = |i| if i == 0 { Side::Left } else { Side::Right };
    let named = names.iter().enumerate().map(|(i, name)| (*name, side(i)));
    Table::of(&named.chain([("verdict", Side::Left)]).collect::<Vec<_>>())
}

/// The test accuracy of each seed; if the run diverged, that of guessing.
fn with_chance(study: &Study, point: &ComparedPoint) -> BTreeMap<u64, f64> {
    let mut values = study.values(point, accuracy);
    for index in &point.failed {
        values.insert(study.runs.runs[*index].summary.info.seed, CHANCE);
    }
    values
}

/// Over how many decades of learning rates each seed is as good as at its best: each rate of the grid
/// counts for the interval up to the next one.
fn widths(study: &Study, points: &[&ComparedPoint]) -> BTreeMap<u64, f64> {
    let rates: Vec<f64> =
        points.iter().filter_map(|point| number(&point.settings, "optimizer.lr")).collect();
    let (Some(first), Some(last)) = (rates.first(), rates.last()) else { return BTreeMap::new() };
    let step = (last / first).log10() / (rates.len().max(2) - 1) as f64;
    let all: Vec<BTreeMap<u64, f64>> =
        points.iter().map(|point| with_chance(study, point)).collect();
    let mut best: BTreeMap<u64, f64> = BTreeMap::new();
    for (seed, value) in all.iter().flatten() {
        let best = best.entry(*seed).or_insert(f64::NEG_INFINITY);
        *best = best.max(*value);
    }
    let width = |(seed, best): (u64, f64)| {
        let good = all.iter().filter_map(|values| values.get(&seed));
        let good = good.filter(|value| **value >= best - AS_GOOD).count();
        (seed, step * good as f64)
    };
    best.into_iter().map(width).collect()
}

/// The mean over the points around the best learning rate, of each seed.
fn over_window(study: &Study, points: &[&ComparedPoint], best: f64) -> BTreeMap<u64, f64> {
    let within: Vec<BTreeMap<u64, f64>> = points
        .iter()
        .filter(|point| {
            let rate = number(&point.settings, "optimizer.lr").unwrap_or(f64::NAN);
            (best / DECADE..=best * DECADE).contains(&rate)
        })
        .map(|point| with_chance(study, point))
        .collect();
    let mut sums: BTreeMap<u64, (f64, usize)> = BTreeMap::new();
    for (seed, value) in within.iter().flatten() {
        let sum = sums.entry(*seed).or_default();
        *sum = (sum.0 + value, sum.1 + 1);
    }
    // A seed that lacks one of them has another mean.
    let whole = sums.into_iter().filter(|(_, (_, count))| *count == within.len());
    whole.map(|(seed, (sum, count))| (seed, sum / count as f64)).collect()
}

fn against(study: &Study, points: &[&ComparedPoint], key: &str) -> Vec<(f64, f64, f64, f64)> {
    let of = |point: &&ComparedPoint| {
        let (low, mean, high) = deviation(&with_chance(study, point))?;
        Some((number(&point.settings, key)?, low, mean, high))
    };
    points.iter().filter_map(of).collect()
}

/// The mean and one standard deviation on either side.
fn deviation(values: &BTreeMap<u64, f64>) -> Option<(f64, f64, f64)> {
    let spread = Spread::of(&values.values().copied().collect::<Vec<_>>())?;
    let deviation = spread.deviation.unwrap_or(0.0);
    Some((spread.mean - deviation, spread.mean, spread.mean + deviation))
}
