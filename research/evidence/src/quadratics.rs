//! Runs on quadratic functions against theory.

use std::collections::BTreeMap;

use lookahead_run::event::Split;

use crate::chart::{Axes, Curve, Measured, curves_and_points};
use crate::findings::{Claim, Findings};
use crate::page::Page;
use crate::steadiness::factor;
use crate::study::{Study, number, paired, written};
use crate::theory::{Direction, Momentum, Stepper, geometric, harmonic};
use lookahead_study::Summary;
use lookahead_study::compare::ComparedPoint;
use lookahead_study::compare::numbers::significant;
use lookahead_study::compare::settings::Settings;
use lookahead_study::compare::statistics::{Better, Spread, Verdict};
use lookahead_study::compare::table::{Side, Table};

/// Measured means are within this many standard errors over seeds of the theory.
pub const STANDARD_ERRORS: f64 = 5.0;
/// A measured rate lies within this fraction of the predicted one.
pub const PART: f64 = 0.02;

/// What takes the steps of a run of the noisy quadratic model, and its directions.
///
/// `None` if the settings describe another problem, or the inner optimizer isn't plain SGD.
pub fn noisy_model(settings: &Settings) -> Option<(Stepper, Vec<Direction>)> {
    let number = |key| number(settings, key);
    if number("optimizer.momentum")? != 0.0 || number("data.batch_size")? != 1.0 {
        return None;
    }
    let lookahead = number("lookahead.k").zip(number("lookahead.alpha"));
    let lookahead = lookahead.map(|(k, alpha)| (k as u32, alpha));
    let stepper = Stepper { learning_rate: number("optimizer.lr")?, lookahead };
    Some((stepper, harmonic(number("data.dimensions")? as u32, number("data.noise")?)))
}

/// The mean of the loss above the least one over the evaluations in the second half of a run, as it was
/// measured, and as theory expects it at the same steps.
pub fn late_risk(run: &Summary, stepper: Stepper, directions: &[Direction]) -> Option<(f64, f64)> {
    let weights = run.final_weights()?;
    let late: Vec<(u64, f64)> = run
        .evaluations
        .iter()
        .filter(|(step, found)| {
            found.split == Split::Validation && found.weights == weights && 2 * step > run.steps
        })
        .map(|(step, found)| (*step, found.loss))
        .collect();
    let periods = |step: u64| step / u64::from(stepper.period());
    let last = late.last().map(|(step, _)| periods(*step))?;
    let course = stepper.expected_risk(directions, usize::try_from(last).ok()?);
    let count = late.len() as f64;
    let measured = late.iter().map(|(_, loss)| loss).sum::<f64>() / count;
    let expected =
        late.iter().map(|(step, _)| course[periods(*step) as usize]).sum::<f64>() / count;
    Some((measured, expected))
}

/// How much of the distance to the minimum a step takes over the second half of a run on a quadratic
/// function without noise, as it was measured and as theory has it at the same steps: 1 less the slope of
/// the loss's logarithm. In the long run this is 1 − ρ.
pub fn late_rate(run: &Summary, momentum: Momentum, curvatures: &[f64]) -> Option<(f64, f64)> {
    let weights = run.final_weights()?;
    let of = |(step, found): &(u64, lookahead_run::event::Evaluation)| {
        let wanted = found.split == Split::Validation && found.weights == weights;
        // Squares of numbers below 1e-19 have left the range of f32.
        (wanted && found.loss > 1e-36).then_some((*step, found.loss))
    };
    let all: Vec<(u64, f64)> = run.evaluations.iter().filter_map(of).collect();
    let late = &all[all.len() / 2..];
    if late.len() < 5 {
        return None;
    }
    let course = momentum.losses(curvatures, usize::try_from(late.last()?.0).ok()?);
    let theory: Vec<(u64, f64)> =
        late.iter().map(|(step, _)| (*step, course[*step as usize])).collect();
    Some((rate_of(late), rate_of(&theory)))
}

/// By least squares.
fn rate_of(losses: &[(u64, f64)]) -> f64 {
    let points: Vec<(f64, f64)> =
        losses.iter().map(|(step, loss)| (*step as f64, 0.5 * loss.ln())).collect();
    let count = points.len() as f64;
    let mean = |value: fn(&(f64, f64)) -> f64| points.iter().map(value).sum::<f64>() / count;
    let (x, y) = (mean(|of| of.0), mean(|of| of.1));
    let (mut xy, mut xx) = (0.0, 0.0);
    for (step, log) in &points {
        xy += (step - x) * (log - y);
        xx += (step - x).powi(2);
    }
    1.0 - (xy / xx).exp()
}

pub(super) fn noisy(study: &Study, page: &mut Page, findings: &mut Findings) {
    page.heading("The noisy quadratic model against theory");
    page.text(&format!(
        "SGD in directions of curvature 1/i, each with its own noise, alone and inside Lookahead \
         (k 5), as runs of this trainer in single precision. The loss above the least one is \
         known exactly; measured are means over the evaluations of the second half of each run \
         and over seeds, and theory is the exact expectation at the same steps. Measured means \
         must lie within {STANDARD_ERRORS} standard errors of it. (`lookahead sweep \
         configs/sweeps/{}.toml`)",
        study.name
    ));
    let mut table = Table::of(&[
        ("learning rate", Side::Right),
        ("α", Side::Right),
        ("theory", Side::Right),
        ("measured", Side::Right),
        ("standard errors apart", Side::Right),
    ]);
    let mut by_name: BTreeMap<String, Vec<(f64, f64, f64, f64)>> = BTreeMap::new();
    let (mut rows, mut agreeing, mut risks) = (0, 0, Vec::new());
    let mut courses = Vec::new();
    let mut steppers: Vec<(String, Stepper)> = Vec::new();
    let mut directions = Vec::new();
    for point in study.points(|_| true) {
        let Some((stepper, of_run)) = noisy_model(&point.settings) else { continue };
        directions = of_run;
        let found: Vec<(f64, f64)> = study
            .runs
            .finished(point)
            .filter_map(|run| late_risk(&run.summary, stepper, &directions))
            .collect();
        let measured: Vec<f64> = found.iter().map(|(measured, _)| *measured).collect();
        let (Some(spread), Some(&(_, expected))) = (Spread::of(&measured), found.first()) else {
            continue;
        };
        let Some(error) = spread.standard_error().filter(|error| *error > 0.0) else { continue };
        let apart = (spread.mean - expected).abs() / error;
        let alpha = stepper.lookahead.map(|(_, alpha)| alpha);
        table.rows.push(vec![
            written(stepper.learning_rate),
            alpha.map_or_else(|| "SGD alone".to_owned(), written),
            significant(expected),
            format!("{} ± {}", significant(spread.mean), significant(error)),
            format!("{apart:.1}"),
        ]);
        let name = name_of(alpha);
        (rows, agreeing) = (rows + 1, agreeing + usize::from(apart <= STANDARD_ERRORS));
        let by_seed = study.values(point, |run| Some(late_risk(run, stepper, &directions)?.0.ln()));
        risks.push((stepper, by_seed));
        let bar = (stepper.learning_rate, spread.mean - error, spread.mean, spread.mean + error);
        by_name.entry(name.clone()).or_default().push(bar);
        if stepper.learning_rate == 0.5 {
            courses.push((name.clone(), stepper, point));
        }
        if !steppers.iter().any(|(known, _)| *known == name) {
            steppers.push((name, stepper));
        }
    }
    page.table(&table);
    page.text(&format!(
        "In {agreeing} of {rows} rows runs and theory agree within that bound. (Runs of one seed share their \
         noise, so the rows are not independent of each other.)"
    ));
    for (stepper, risk) in &risks {
        let Some((_, alpha)) = stepper.lookahead else { continue };
        let alone = risks.iter().find(|(other, _)| {
            other.lookahead.is_none() && other.learning_rate == stepper.learning_rate
        });
        let found = alone.and_then(|(_, alone)| paired(risk, alone, Better::Lower));
        if let Some(found) = &found {
            let rate = written(stepper.learning_rate);
            let text = format!(
                "learning rate {rate}, α {}: {} times",
                written(alpha),
                factor(Some(found))
            );
            findings.add(Claim::Variance, found.verdict(), text);
        }
    }
    let steps = study.runs.runs.iter().map(|run| run.summary.steps).max().unwrap_or(0);
    let rates: Vec<f64> =
        (0..=60).map(|i| 0.02 * (1.9f64 / 0.02).powf(f64::from(i) / 60.0)).collect();
    let curves: Vec<Curve> = steppers
        .iter()
        .map(|(name, stepper)| Curve {
            name: name.clone(),
            points: rates
                .iter()
                .map(|&learning_rate| {
                    let stepper = Stepper { learning_rate, ..*stepper };
                    let periods = (steps * 3 / 4) as u32 / stepper.period();
                    (learning_rate, stepper.expected_risk_after(&directions, periods))
                })
                .collect(),
            dashed: false,
        })
        .collect();
    let measured = by_name.into_iter().map(|(name, points)| Measured { name, points });
    let axes = Axes {
        title: "Expected loss above the least one, late in a run".into(),
        x_label: "learning rate".into(),
        y_label: "loss above the least one".into(),
        log_x: true,
        log_y: true,
        note: Some(format!(
            "Lines: theory after {} steps. Points: means over the second half, ± 1 standard error.",
            steps * 3 / 4
        )),
    };
    page.figure(
        "noisy-quadratic-rates",
        curves_and_points(axes, &curves, &measured.collect::<Vec<_>>()),
    );
    page.figure("noisy-quadratic-course", course(study, &courses, &directions));
    page.figure("noisy-quadratic-best", best_over_alpha(&directions));
}

fn name_of(alpha: Option<f64>) -> String {
    alpha.map_or_else(|| "SGD".to_owned(), |alpha| format!("Lookahead, α = {}", written(alpha)))
}

/// How the expected loss falls at one learning rate.
fn course(
    study: &Study,
    courses: &[(String, Stepper, &ComparedPoint)],
    directions: &[Direction],
) -> lookahead_chart::Figure {
    const SHOWN: u64 = 2000;
    let (mut curves, mut measured) = (Vec::new(), Vec::new());
    for (name, stepper, point) in courses {
        let period = u64::from(stepper.period());
        let all = stepper.expected_risk(directions, (SHOWN / period) as usize).into_iter();
        let points = all.zip(0u64..).map(|(risk, i)| ((i * period) as f64, risk));
        curves.push(Curve { name: name.clone(), points: points.collect(), dashed: false });
        let mut at: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for run in study.runs.finished(point) {
            let weights = run.summary.final_weights();
            for (step, found) in &run.summary.evaluations {
                let wanted = found.split == Split::Validation && Some(found.weights) == weights;
                if wanted && *step <= SHOWN {
                    at.entry(*step).or_default().push(found.loss);
                }
            }
        }
        let bar = |(step, values): (u64, Vec<f64>)| {
            let spread = Spread::of(&values)?;
            let error = spread.standard_error().unwrap_or(0.0);
            Some((step as f64, spread.mean - error, spread.mean, spread.mean + error))
        };
        let points = at.into_iter().filter_map(bar).collect();
        measured.push(Measured { name: name.clone(), points });
    }
    let axes = Axes {
        title: "Course of the expected loss at learning rate 0.5".into(),
        x_label: "step".into(),
        y_label: "loss above the least one".into(),
        log_y: true,
        note: Some("Lines: theory. Points: means over seeds, ± 1 standard error.".into()),
        ..Axes::default()
    };
    curves_and_points(axes, &curves, &measured)
}

/// The least expected loss after a number of steps that any learning rate reaches, over α: analytic.
fn best_over_alpha(directions: &[Direction]) -> lookahead_chart::Figure {
    let best = |lookahead: Option<(u32, f64)>, steps: u32| {
        let rates = (0..=200).map(|i| 0.005 * (1.99f64 / 0.005).powf(f64::from(i) / 200.0));
        rates
            .map(|learning_rate| {
                let stepper = Stepper { learning_rate, lookahead };
                stepper.expected_risk_after(directions, steps / stepper.period())
            })
            .fold(f64::INFINITY, f64::min)
    };
    let alphas: Vec<f64> = (1..=20).map(|i| f64::from(i) / 20.0).collect();
    let curves: Vec<Curve> = [100, 1000, 10_000]
        .into_iter()
        .flat_map(|steps| {
            let over = alphas.iter().map(|&alpha| (alpha, best(Some((5, alpha)), steps)));
            let alone = best(None, steps);
            [
                Curve {
                    name: format!("Lookahead, {steps} steps"),
                    points: over.collect(),
                    dashed: false,
                },
                Curve {
                    name: format!("SGD, {steps} steps"),
                    points: vec![(alphas[0], alone), (1.0, alone)],
                    dashed: true,
                },
            ]
        })
        .collect();
    let axes = Axes {
        title: "The least expected loss that any learning rate reaches, over α (k 5; theory)"
            .into(),
        x_label: "α".into(),
        y_label: "loss above the least one".into(),
        log_y: true,
        ..Axes::default()
    };
    curves_and_points(axes, &curves, &[])
}

/// What a run on a quadratic function without noise steps by, and the curvatures of that.
pub fn deterministic_model(settings: &Settings) -> Option<(Momentum, Vec<f64>)> {
    let number = |key| number(settings, key);
    let lookahead = number("lookahead.k").zip(number("lookahead.alpha"));
    let momentum = Momentum {
        learning_rate: number("optimizer.lr")?,
        momentum: number("optimizer.momentum")?,
        lookahead: lookahead.map(|(k, alpha)| (k as u32, alpha)),
    };
    Some((momentum, geometric(number("data.dimensions")? as u32, number("data.condition")?)))
}

pub(super) fn deterministic(study: &Study, page: &mut Page, findings: &mut Findings) {
    page.heading("Narrow valleys against theory");
    page.text(&format!(
        "Classical momentum 0.99 on quadratic functions without noise, alone and inside Lookahead \
         (k 20, α 0.5, velocity kept), against the condition number. 1 − ρ is the fraction of the \
         distance to the minimum that a step covers in the long run. For each function: the best \
         learning rate of the grid according to theory, and what the run at that rate measured; \
         the lines are theory at the best of all learning rates. *Measured* is the part over the \
         second half of the run, and beside it what theory says for these steps, where directions \
         that die out later are still in it: the two must lie within {:.0} % of each other. \
         (`lookahead sweep configs/sweeps/{}.toml`)",
        100.0 * PART,
        study.name
    ));
    let mut table = Table::of(&[
        ("condition number", Side::Right),
        ("around momentum", Side::Left),
        ("learning rate", Side::Right),
        ("1 − ρ", Side::Right),
        ("measured", Side::Right),
        ("theory for it", Side::Right),
        ("apart", Side::Right),
    ]);
    let points = study.points(|_| true);
    let mut conditions: Vec<f64> =
        points.iter().filter_map(|point| number(&point.settings, "data.condition")).collect();
    conditions.sort_by(f64::total_cmp);
    conditions.dedup();
    let mut rates: Vec<f64> =
        points.iter().filter_map(|point| number(&point.settings, "optimizer.lr")).collect();
    rates.dedup();
    let (mut curves, mut measured) = (Vec::new(), Vec::new());
    let (mut rows, mut agreeing, mut alone) = (0, 0, BTreeMap::new());
    for is_lookahead in [false, true] {
        let name = if is_lookahead { "Lookahead" } else { "momentum alone" };
        let (mut line, mut grid, mut bars) = (Vec::new(), Vec::new(), Vec::new());
        let mut any = None;
        for &condition in &conditions {
            let best = points
                .iter()
                .filter(|point| number(&point.settings, "data.condition") == Some(condition))
                .filter_map(|point| {
                    let (momentum, curvatures) = deterministic_model(&point.settings)?;
                    let fits = momentum.lookahead.is_some() == is_lookahead;
                    fits.then(|| (1.0 - momentum.rate(&curvatures), *point, momentum))
                })
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let Some((theory, point, momentum)) = best else { continue };
            any = Some(momentum);
            let Some((_, curvatures)) = deterministic_model(&point.settings) else { continue };
            let mut of_runs = study
                .runs
                .finished(point)
                .filter_map(|run| late_rate(&run.summary, momentum, &curvatures));
            let Some((rate, expected)) = of_runs.next() else { continue };
            let apart = (rate / expected - 1.0).abs();
            table.rows.push(vec![
                format!("{condition:.0}"),
                name.to_owned(),
                written(momentum.learning_rate),
                significant(theory),
                significant(rate),
                significant(expected),
                format!("{:.1} %", 100.0 * apart),
            ]);
            (rows, agreeing) = (rows + 1, agreeing + usize::from(apart <= PART));
            if !is_lookahead {
                alone.insert(condition as u64, rate);
            } else if let Some(alone) = alone.get(&(condition as u64)) {
                let ratio = rate / alone;
                let verdict = match ratio {
                    _ if ratio > 1.0 + PART => Verdict::Better,
                    _ if ratio < 1.0 - PART => Verdict::Worse,
                    _ => Verdict::Undecided,
                };
                let text = format!("condition number {condition:.0}: {ratio:.2} times as fast");
                findings.add(Claim::Valley, verdict, text);
            }
            bars.push((condition, rate, rate, rate));
        }
        let Some(momentum) = any else { continue };
        let dimensions =
            points.first().and_then(|point| number(&point.settings, "data.dimensions"));
        for i in 0..=24 {
            let condition = 10f64.powf(1.0 + f64::from(i) / 6.0);
            let curvatures = geometric(dimensions.unwrap_or(100.0) as u32, condition);
            line.push((condition, 1.0 - momentum.at_its_best(&curvatures).0));
            let of_grid = rates.iter().map(|&learning_rate| {
                1.0 - Momentum { learning_rate, ..momentum }.rate(&curvatures)
            });
            grid.push((condition, of_grid.fold(f64::NEG_INFINITY, f64::max)));
        }
        curves.push(Curve { name: name.to_owned(), points: grid, dashed: false });
        let name_of_all = format!("{name}, best of all rates");
        curves.push(Curve { name: name_of_all, points: line, dashed: true });
        measured.push(Measured { name: name.to_owned(), points: bars });
    }
    page.table(&table);
    page.text(&format!(
        "In {agreeing} of {rows} rows the run and theory agree within that bound. Lookahead is \
         faster if the valley is wide, because momentum 0.99 is too much there, and slower if it \
         is narrow: the claims count both."
    ));
    let axes = Axes {
        title: "How fast momentum 0.99 gets along a valley, alone and inside Lookahead".into(),
        x_label: "condition number".into(),
        y_label: "1 − ρ".into(),
        log_x: true,
        log_y: true,
        note: Some(
            "Lines: theory in the long run, at the best learning rate of the grid, and of all (dashed). \
             Points: measured over the second half of a run."
                .into(),
        ),
    };
    page.figure("quadratic-rates", curves_and_points(axes, &curves, &measured));
}
