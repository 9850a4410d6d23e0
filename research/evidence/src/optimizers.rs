//! Each inner optimizer alone, inside Lookahead, and averaged, at its best.

use std::collections::BTreeMap;

use lookahead_run::event::Weights;

use crate::findings::{Claim, Findings, difference, verdict};
use crate::page::Page;
use crate::study::{
    Around, INNER, Study, accuracy, accuracy_at, inner, loss, number, paired, written,
};
use lookahead_study::compare::numbers::mean_and_deviation;
use lookahead_study::compare::statistics::{Better, Spread};
use lookahead_study::compare::table::{Side, Table};

pub(super) fn chapter(study: &Study, page: &mut Page, findings: &mut Findings) {
    let data = study.data().to_owned();
    let model = study.runs.runs.first().map_or("", |run| &run.summary.info.model).to_owned();
    let rates = study.runs.groups.iter().map(|group| group.points.len()).max().unwrap_or(0);
    page.heading(&format!("Inner optimizers on {data}, {model}"));
    page.text(&format!(
        "Each row: the learning rate that was best on validation data in a common grid, and means \
         ± standard deviations over seeds on test data there. θ is taken just before the last \
         sync. The difference is that of the final model from the inner optimizer alone at *its* \
         best rate, seed by seed, with its 95 % interval. Averages are not tuned: Polyak's covers \
         the second half of the run, the exponential one has a decay of 0.99. Each had {rates} \
         learning rates to choose from. (`lookahead sweep configs/sweeps/{}.toml`)",
        study.name
    ));
    let mut table = Table::of(&[
        ("inner optimizer", Side::Left),
        ("around it", Side::Left),
        ("lr", Side::Right),
        ("accuracy % at φ, or final", Side::Right),
        ("at θ", Side::Right),
        ("loss", Side::Right),
        ("accuracy against alone", Side::Right),
        ("verdict", Side::Left),
        ("loss against alone", Side::Right),
        ("verdict", Side::Left),
        ("failed", Side::Right),
    ]);
    for name in INNER {
        let best = |around| {
            study.best(|settings| inner(settings) == name && Around::of(settings) == around)
        };
        let Some(alone) = best(Around::Nothing) else { continue };
        let (alone_accuracy, alone_loss) =
            (study.values(alone, accuracy), study.values(alone, loss));
        let lookahead = best(Around::Lookahead).map(|point| study.values(point, accuracy));
        for around in [Around::Nothing, Around::Lookahead, Around::Polyak, Around::Ema] {
            let Some(point) = best(around) else { continue };
            let (accuracies, losses) = (study.values(point, accuracy), study.values(point, loss));
            let fast = study.values(point, accuracy_at(Some(Weights::Fast)));
            let mut row = vec![name.to_owned(), around.name().to_owned()];
            row.push(written(number(&point.settings, "optimizer.lr").unwrap_or(f64::NAN)));
            row.push(shown(&accuracies, 2));
            row.push(if around == Around::Nothing { "–".to_owned() } else { shown(&fast, 2) });
            row.push(shown(&losses, 4));
            let better = paired(&accuracies, &alone_accuracy, Better::Higher);
            let lower = paired(&losses, &alone_loss, Better::Lower);
            match around {
                Around::Nothing => row.extend(["", "", "", ""].map(str::to_owned)),
                _ => row.extend([
                    difference(better.as_ref(), 2),
                    verdict(better.as_ref()).to_owned(),
                    difference(lower.as_ref(), 4),
                    verdict(lower.as_ref()).to_owned(),
                ]),
            }
            row.push(format!("{} of {}", point.failed.len(), point.runs.len()));
            table.rows.push(row);
            let what = format!("{data}, {model}, {name}");
            match around {
                Around::Nothing => {}
                Around::Lookahead => {
                    let points = " points";
                    findings.compare(Claim::Accuracy, &what, better.as_ref(), 2, points);
                    findings.compare(Claim::Loss, &what, lower.as_ref(), 4, "");
                    let over = paired(&accuracies, &fast, Better::Higher);
                    findings.compare(Claim::SlowOverFast, &what, over.as_ref(), 2, points);
                }
                Around::Polyak | Around::Ema => {
                    let over = lookahead
                        .as_ref()
                        .and_then(|lookahead| paired(lookahead, &accuracies, Better::Higher));
                    let what = format!("{what}, against the {}", around.name());
                    findings.compare(Claim::Averages, &what, over.as_ref(), 2, " points");
                }
            }
        }
    }
    page.table(&table);
    let momentum = |around| {
        let wanted = |point: &lookahead_study::compare::ComparedPoint| {
            inner(&point.settings) == INNER[1] && Around::of(&point.settings) == around
        };
        study.runs.best_points().into_iter().find(|&point| wanted(&study.runs.points[point]))
    };
    let both: Vec<usize> =
        [Around::Nothing, Around::Lookahead].into_iter().filter_map(momentum).collect();
    if let Ok(mut figure) = study.runs.loss_curves(&both) {
        figure.title = format!("SGD with momentum, alone and inside Lookahead, {data}, {model}");
        // The keys in which they differ are too many for a legend.
        rename(&mut figure, &[Around::Nothing, Around::Lookahead].map(Around::name));
        page.figure(&format!("{}-curves", study.name), figure);
    }
}

/// Renames the named lines of each panel, in their order.
pub(super) fn rename(figure: &mut lookahead_chart::Figure, names: &[&str]) {
    for panel in &mut figure.panels {
        let named = panel.lines.iter_mut().filter(|line| !line.name.is_empty());
        for (line, name) in named.zip(names) {
            line.name = (*name).to_owned();
        }
    }
}

/// Mean ± standard deviation over seeds.
pub(super) fn shown(values: &BTreeMap<u64, f64>, decimals: usize) -> String {
    let values: Vec<f64> = values.values().copied().collect();
    mean_and_deviation(Spread::of(&values), decimals)
}
