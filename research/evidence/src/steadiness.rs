//! How much losses move, at three batch sizes, with right and with wrong labels.

use std::collections::BTreeMap;

use lookahead_run::event::Weights;

use crate::findings::{Claim, Findings, difference, verdict};
use crate::optimizers::{rename, shown};
use crate::page::Page;
use crate::study::{Around, INNER, Study, accuracy, accuracy_at, inner, number, paired, written};
use lookahead_study::compare::numbers::significant;
use lookahead_study::compare::statistics::{Better, Paired, Spread};
use lookahead_study::compare::table::{Side, Table};

const LARGE: f64 = 1024.0;

pub(super) fn chapter(study: &Study, page: &mut Page, findings: &mut Findings) {
    page.heading(&format!("How steady the training is on {}, mlp", study.data()));
    page.text(&format!(
        "A constant learning rate, the best on validation data of four for each row. *Variance* is that \
         of the step losses of the last epoch, and its ratio the geometric mean over seeds of Lookahead's \
         to the inner optimizer's alone, with its 95 % interval. *Gain* is the loss on one fixed batch of \
         validation data at θ before a sync less that at φ after it, and *spread* the standard deviation \
         of each, over the last third of the run. (`lookahead sweep configs/sweeps/{}.toml`)",
        study.name
    ));
    let mut table = Table::of(&[
        ("batch", Side::Right),
        ("wrong labels", Side::Right),
        ("inner optimizer", Side::Left),
        ("variance alone", Side::Right),
        ("with Lookahead", Side::Right),
        ("ratio", Side::Right),
        ("verdict", Side::Left),
        ("gain at a sync", Side::Right),
        ("spread at θ", Side::Right),
        ("at φ", Side::Right),
        ("accuracy against alone", Side::Right),
        ("verdict", Side::Left),
    ]);
    let mut conditions: Vec<(f64, f64)> = study
        .points(|_| true)
        .iter()
        .filter_map(|point| {
            let of = |key| number(&point.settings, key);
            Some((of("data.label_noise")?, of("data.batch_size")?))
        })
        .collect();
    conditions.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    conditions.dedup();
    for (noise, batch) in conditions {
        for name in INNER {
            let best = |around| {
                study.best(|settings| {
                    inner(settings) == name
                        && Around::of(settings) == around
                        && number(settings, "data.batch_size") == Some(batch)
                        && number(settings, "data.label_noise") == Some(noise)
                })
            };
            let (Some(alone), Some(lookahead)) = (best(Around::Nothing), best(Around::Lookahead))
            else {
                continue;
            };
            let variance = |point| study.steadiness(point, |of| of.loss_variance);
            let (before, after) = (variance(alone), variance(lookahead));
            let ratio = paired(&logs(&after), &logs(&before), Better::Lower);
            let better = paired(
                &study.values(lookahead, accuracy),
                &study.values(alone, accuracy),
                Better::Higher,
            );
            let gain = study.steadiness(lookahead, |of| of.gain);
            let fast = study.steadiness(lookahead, |of| of.fast_deviation);
            let slow = study.steadiness(lookahead, |of| of.slow_deviation);
            table.rows.push(vec![
                written(batch),
                format!("{:.0} %", 100.0 * noise),
                name.to_owned(),
                mean(&before),
                mean(&after),
                factor(ratio.as_ref()),
                verdict(ratio.as_ref()).to_owned(),
                shown(&gain, 4),
                mean(&fast),
                mean(&slow),
                difference(better.as_ref(), 2),
                verdict(better.as_ref()).to_owned(),
            ]);
            let labels = if noise > 0.0 { "wrong labels" } else { "right labels" };
            let what = format!("{name}, batch {}, {labels}", written(batch));
            if let Some(ratio) = &ratio {
                let text = format!("{what}: {} times", factor(Some(ratio)));
                findings.add(Claim::Steadier, ratio.verdict(), text);
            }
            let nothing = |values: &BTreeMap<u64, f64>| values.keys().map(|&k| (k, 0.0)).collect();
            let helps = paired(&gain, &nothing(&gain), Better::Higher);
            findings.compare(Claim::SyncHelps, &format!("gain, {what}"), helps.as_ref(), 4, "");
            let narrower = paired(&logs(&slow), &logs(&fast), Better::Lower);
            if let Some(narrower) = &narrower {
                let text = format!("spread, {what}: {} times", factor(Some(narrower)));
                findings.add(Claim::SyncHelps, narrower.verdict(), text);
            }
            let points = " points";
            findings.compare(Claim::ConstantRate, &what, better.as_ref(), 2, points);
            let over = paired(
                &study.values(lookahead, accuracy),
                &study.values(lookahead, accuracy_at(Some(Weights::Fast))),
                Better::Higher,
            );
            findings.compare(Claim::SlowOverFast, &what, over.as_ref(), 2, points);
            if batch == LARGE {
                findings.compare(Claim::LargeBatch, &what, better.as_ref(), 2, points);
            }
            if noise > 0.0 {
                findings.compare(Claim::WrongLabels, &what, better.as_ref(), 2, points);
            }
        }
    }
    page.table(&table);
    let shown_condition = |settings: &_| {
        inner(settings) == INNER[1]
            && number(settings, "data.batch_size") == Some(32.0)
            && number(settings, "data.label_noise") == Some(0.0)
    };
    let all = study.runs.best_points().into_iter();
    let chosen: Vec<usize> = all
        .filter(|&point| {
            let settings = &study.runs.points[point].settings;
            shown_condition(settings) && Around::of(settings) == Around::Lookahead
        })
        .collect();
    if let Ok(mut figure) = study.runs.cycles(&chosen) {
        figure.title = "Inside a cycle: SGD with momentum in Lookahead, batch 32".into();
        rename(&mut figure, &[Around::Lookahead.name()]);
        page.figure(&format!("{}-cycle", study.name), figure);
    }
}

fn logs(values: &BTreeMap<u64, f64>) -> BTreeMap<u64, f64> {
    let positive = values.iter().filter(|(_, value)| **value > 0.0);
    positive.map(|(seed, value)| (*seed, value.ln())).collect()
}

fn mean(values: &BTreeMap<u64, f64>) -> String {
    let spread = Spread::of(&values.values().copied().collect::<Vec<_>>());
    spread.map_or_else(|| "–".to_owned(), |spread| significant(spread.mean))
}

/// A difference of logarithms as a factor.
pub(super) fn factor(paired: Option<&Paired>) -> String {
    let Some(paired) = paired else { return "–".to_owned() };
    match paired.interval() {
        None => format!("{:.2}", paired.mean.exp()),
        Some((low, high)) => {
            format!("{:.2} [{:.2}, {:.2}]", paired.mean.exp(), low.exp(), high.exp())
        }
    }
}
