//! k, α and the inner optimizer's moments at a sync.

use serde_json::Value;

use crate::findings::{Claim, Findings, difference, verdict};
use crate::optimizers::shown;
use crate::page::Page;
use crate::study::{INNER, Study, accuracy, inner, number, paired, written};
use lookahead_study::compare::settings::Settings;
use lookahead_study::compare::statistics::Better;
use lookahead_study::compare::table::{Side, Table};

pub(super) fn periods(study: &Study, page: &mut Page, findings: &mut Findings) {
    page.heading(&format!("k and α on {}", study.data()));
    page.text(&format!(
        "Test accuracy at φ of SGD with momentum, each pair at its own best learning rate of five \
         (validation data). α = 1 is the inner optimizer itself, with any k. The difference is from \
         α = 1. (`lookahead sweep configs/sweeps/{}.toml`)",
        study.name
    ));
    if let Ok(mut figure) = study.runs.heat_map("lookahead.k", "lookahead.alpha") {
        figure.title = format!("Test accuracy in % by k and α, {}", study.data());
        page.figure(&study.name, figure);
    }
    let at = |settings: &Settings| {
        Some((number(settings, "lookahead.alpha")?, number(settings, "lookahead.k")?))
    };
    let mut pairs: Vec<(f64, f64)> =
        study.points(|_| true).iter().filter_map(|point| at(&point.settings)).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    pairs.dedup();
    // With α = 1 every k is the same training, to the bit.
    let Some(alone) = study.best(|settings| at(settings).is_some_and(|(alpha, _)| alpha == 1.0))
    else {
        return;
    };
    let alone = study.values(alone, accuracy);
    let mut table = Table::of(&[
        ("α", Side::Right),
        ("k", Side::Right),
        ("lr", Side::Right),
        ("accuracy %", Side::Right),
        ("against α = 1", Side::Right),
        ("verdict", Side::Left),
    ]);
    for pair in pairs {
        let Some(point) = study.best(|settings| at(settings) == Some(pair)) else { continue };
        let values = study.values(point, accuracy);
        let found = paired(&values, &alone, Better::Higher);
        let whole = pair.0 == 1.0;
        table.rows.push(vec![
            written(pair.0),
            written(pair.1),
            written(number(&point.settings, "optimizer.lr").unwrap_or(f64::NAN)),
            shown(&values, 2),
            if whole { String::new() } else { difference(found.as_ref(), 2) },
            if whole { String::new() } else { verdict(found.as_ref()).to_owned() },
        ]);
        if !whole {
            let what = format!("α {}, k {}", written(pair.0), written(pair.1));
            findings.compare(Claim::Period, &what, found.as_ref(), 2, " points");
        }
    }
    page.table(&table);
}

pub(super) fn policies(study: &Study, page: &mut Page, findings: &mut Findings) {
    page.heading(&format!("Moments at a sync, and α chosen at each, on {}", study.data()));
    page.text(&format!(
        "Test accuracy at φ, each at its own best learning rate (validation data), and the difference \
         from the default, which keeps the moments and α. (`lookahead sweep configs/sweeps/{}.toml`)",
        study.name
    ));
    let policy = |settings: &Settings| -> String {
        if number(settings, "lookahead.adaptive_alpha").is_some_and(|low| low > 0.0) {
            return "α chosen at each sync".to_owned();
        }
        let policy = settings.get("lookahead.momentum_policy").and_then(Value::as_str);
        policy.unwrap_or("maintain").to_owned()
    };
    let mut table = Table::of(&[
        ("inner optimizer", Side::Left),
        ("at a sync", Side::Left),
        ("lr", Side::Right),
        ("accuracy %", Side::Right),
        ("against maintain", Side::Right),
        ("verdict", Side::Left),
    ]);
    for name in INNER {
        let best = |wanted: &str| {
            study.best(|settings| inner(settings) == name && policy(settings) == wanted)
        };
        let Some(usual) = best("maintain") else { continue };
        let usual_values = study.values(usual, accuracy);
        for wanted in ["maintain", "reset", "pullback", "α chosen at each sync"] {
            let Some(point) = best(wanted) else { continue };
            let values = study.values(point, accuracy);
            let found = paired(&values, &usual_values, Better::Higher);
            let is_usual = wanted == "maintain";
            table.rows.push(vec![
                name.to_owned(),
                wanted.to_owned(),
                written(number(&point.settings, "optimizer.lr").unwrap_or(f64::NAN)),
                shown(&values, 2),
                if is_usual { String::new() } else { difference(found.as_ref(), 2) },
                if is_usual { String::new() } else { verdict(found.as_ref()).to_owned() },
            ]);
            if matches!(wanted, "reset" | "pullback") {
                // The claim is the default's.
                let kept = paired(&usual_values, &values, Better::Higher);
                let what = format!("{name}, against {wanted}");
                findings.compare(Claim::Moments, &what, kept.as_ref(), 2, " points");
            }
        }
    }
    page.table(&table);
}
