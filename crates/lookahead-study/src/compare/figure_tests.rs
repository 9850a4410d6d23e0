//! Figures of comparisons whose numbers are known.

use lookahead_chart::{Format, Line, Size, render, save};
use lookahead_run::event::{Evaluation, LookaheadInfo, Probe, RunEnded, Split, Status, Weights};
use serde_json::{Value, json};

use super::testing::summary;
use super::*;
use crate::summary::Summary;

/// A number from 0 to 1 that looks random and is not.
fn noise(seed: u64) -> f64 {
    let mixed = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

/// A run of 600 steps whose loss falls to `floor`; `None` diverges at step 100.
fn run(config: Value, seed: u64, floor: Option<f64>) -> Summary {
    let mut run = summary();
    let steps = if floor.is_some() { 600 } else { 100 };
    let k = config.get("lookahead").map(|section| section["k"].as_u64().unwrap());
    let name = format!("{}-{seed}", config["optimizer"]["kind"].as_str().unwrap());
    (run.info.run, run.info.seed, run.info.steps_per_epoch) = (name, seed, 100);
    run.info.lookahead = k.map(|k| LookaheadInfo { k, alpha: 0.5 });
    run.info.config = config;
    run.info.config["train"]["seed"] = json!(seed);
    run.steps = steps;
    let level = floor.unwrap_or(0.1);
    let spread = if k.is_some() { 0.1 } else { 0.25 };
    for step in 1..=steps {
        let phase = k.map_or(0, |k| (step - 1) % k + 1);
        let loss = level
            + 2.0 / (1.0 + step as f64 / 30.0)
            + 0.02 * phase as f64
            + spread * (noise(step * 31 + seed * 7919) - 0.5);
        run.losses.push(loss as f32);
        run.phases.push(phase as u16);
        if k == Some(phase) {
            let fast_loss = loss + 0.05;
            let probe = Probe { sync: 1, fast_loss, slow_loss: fast_loss - 0.08, seconds: 0.0 };
            run.probes.push((step, probe));
        }
        if step % 100 == 0 && floor.is_some() {
            let accuracy = 0.97 - level + 0.01 * noise(seed) - 0.1 / (step as f64 / 100.0);
            let weights = if k.is_some() { Weights::Slow } else { Weights::Fast };
            let found = |split, accuracy: f64| Evaluation {
                loss: 1.0 - accuracy,
                accuracy,
                samples: 10,
                ..Evaluation::new(weights, split)
            };
            run.evaluations.push((step, found(Split::Validation, accuracy)));
            run.evaluations.push((step, found(Split::Test, accuracy - 0.01)));
        }
    }
    let (status, message) = match floor {
        Some(_) => (Status::Finished, None),
        None => (Status::Failed, Some("the training diverged".to_owned())),
    };
    run.ended = Some(RunEnded { message, ..RunEnded::new(status) });
    run
}

fn config(kind: &str, lr: f64, lookahead: Option<(u64, f64)>) -> Value {
    let mut config = json!({"optimizer": {"kind": kind, "lr": lr}});
    if let Some((k, alpha)) = lookahead {
        config["lookahead"] = json!({"k": k, "alpha": alpha});
    }
    config
}

/// Three optimizers at six learning rates, of which the greatest diverge.
fn rates() -> Comparison {
    let mut runs = Vec::new();
    for seed in 0..5 {
        for (index, lr) in [0.001, 0.003, 0.01, 0.03, 0.1, 0.3].into_iter().enumerate() {
            let away = |best: usize| 0.03 * (index as f64 - best as f64).powi(2);
            let floor = |best, most: usize, level: f64| {
                let some = index < most || (index == most && seed > 1);
                some.then(|| level + away(best) + 0.05 * noise(seed * 64 + index as u64))
            };
            runs.push(run(config("sgd", lr, None), seed, floor(3, 4, 0.15)));
            runs.push(run(config("sgd", lr, Some((5, 0.5))), seed, floor(3, 6, 0.1)));
            runs.push(run(config("adam", lr, None), seed, floor(1, 3, 0.12)));
        }
    }
    of_summaries(runs, &Options::default(), false).unwrap()
}

/// Four periods and three step sizes, and SGD alone.
fn grid() -> Comparison {
    let mut runs = Vec::new();
    for seed in 0..3 {
        for (x, k) in [5, 10, 20, 50].into_iter().enumerate() {
            for (y, alpha) in [0.2, 0.5, 0.8].into_iter().enumerate() {
                let lost = (k, alpha) == (50, 0.8) || ((k, alpha) == (20, 0.8) && seed == 1);
                let level = 0.1 + 0.02 * x as f64 + 0.03 * y as f64 + 0.01 * noise(seed);
                runs.push(run(
                    config("sgd", 0.1, Some((k, alpha))),
                    seed,
                    (!lost).then_some(level),
                ));
            }
        }
        runs.push(run(config("sgd", 0.1, None), seed, Some(0.2)));
    }
    of_summaries(runs, &Options::default(), false).unwrap()
}

fn names(lines: &[Line]) -> Vec<&str> {
    lines.iter().filter(|line| line.in_legend).map(|line| line.name.as_str()).collect()
}

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-9, "{a} is not {b}");
}

#[test]
fn all_figures_are_drawn_the_same_twice() {
    let (rates, grid) = (rates(), grid());
    let names = |comparison: &Comparison| -> Vec<String> {
        comparison.figures().into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&rates), ["loss", "by-optimizer-lr", "cycle", "variance"]);
    assert_eq!(
        names(&grid),
        ["loss", "by-lookahead-alpha", "by-lookahead-k", "k-alpha", "cycle", "variance"]
    );
    for (name, figure) in rates.figures().into_iter().chain(grid.figures()) {
        // For eyes: LOOKAHEAD_FIGURES=folder cargo test -p lookahead-study figures
        if let Some(folder) = std::env::var_os("LOOKAHEAD_FIGURES") {
            let path = std::path::PathBuf::from(folder).join(format!("{name}.png"));
            save(&figure, &path, Size::default(), true).unwrap();
        }
        let draw = |format| render(&figure, format, Size::default()).unwrap();
        let svg = draw(Format::Svg);
        assert!(svg == draw(Format::Svg) && draw(Format::Png) == draw(Format::Png), "{name}");
        let text = String::from_utf8(svg).unwrap();
        assert!(roxmltree::Document::parse(&text).is_ok() && !text.contains("NaN"), "{name}");
    }
}

/// Two seeds of three steps, which are not smoothed: means, and extremes around them.
#[test]
fn curves_are_means_over_seeds() {
    let with = |seed: u64, losses: [f32; 3]| {
        let mut run = run(config("sgd", 0.1, None), seed, Some(0.1));
        (run.losses, run.phases, run.steps) = (losses.to_vec(), vec![0; 3], 3);
        run
    };
    let runs = vec![with(0, [4.0, 2.0, 1.0]), with(1, [6.0, 4.0, f32::NAN])];
    let comparison = of_summaries(runs, &Options::default(), false).unwrap();
    let figure = comparison.loss_curves(&[0]).unwrap();
    let points = &figure.panels[0].lines[0].points;
    let of =
        |index: usize| (points[index].x, points[index].low, points[index].y, points[index].high);
    assert_eq!([of(0), of(1)], [(1.0, 4.0, 5.0, 6.0), (2.0, 2.0, 3.0, 4.0)]);
    assert!(points[2].y.is_nan());
    // Both evaluations have 6 steps, of which the last: losses 1 − (0.87 + 0.01 · noise − 0.1 / 6).
    let last = figure.panels[1].lines[0].points.last().unwrap();
    near(last.y, 1.0 - (0.87 + 0.005 * (noise(0) + noise(1)) - 0.1 / 6.0));
}

#[test]
fn numbers_by_rate_have_bars_and_marks_of_divergence() {
    let comparison = rates();
    let figure = comparison.against_key("optimizer.lr").unwrap();
    let panel = &figure.panels[0];
    assert!(panel.log_x && panel.lost_below);
    let kinds = ["lookahead=false optimizer.kind=adam", "lookahead=false optimizer.kind=sgd"];
    assert_eq!(names(&panel.lines), [&kinds[..], &["lookahead=true optimizer.kind=sgd"]].concat());
    let places = |line: &Line| -> Vec<f64> { line.points.iter().map(|point| point.x).collect() };
    assert_eq!(places(&panel.lines[0]), [0.001, 0.003, 0.01, 0.03]);
    // Some seeds of 0.03 finished and some did not: the mean of the former, and a mark.
    assert_eq!(places(&panel.lines[3]), [0.03, 0.1, 0.3]);
    assert_eq!(places(&panel.lines[4]), [0.1, 0.3]);
    assert_eq!(panel.lines.len(), 5);
    let best = comparison.points[comparison.groups[0].best].spread().unwrap();
    let point = panel.lines[0].points[1];
    near(point.y, best.mean);
    near(point.high - point.low, 2.0 * best.deviation.unwrap());
    let error = comparison.against_key("optimizer.kind").unwrap_err().to_string();
    assert!(error.contains("`optimizer.kind` is not a number"), "{error}");
    let error = grid().against_key("optimizer.lr").unwrap_err().to_string();
    assert!(error.contains("is 0.1 in all"), "{error}");
}

#[test]
fn a_heat_map_has_a_cell_for_each_pair() {
    let comparison = grid();
    let figure = comparison.heat_map("lookahead.k", "lookahead.alpha").unwrap();
    let panel = &figure.panels[0];
    assert_eq!(
        (&panel.x_names[..], &panel.y_names[..]),
        (
            &["5", "10", "20", "50"].map(str::to_owned)[..],
            &["0.2", "0.5", "0.8"].map(str::to_owned)[..],
        )
    );
    let heat = panel.heatmap.as_ref().unwrap();
    let text = |row: usize, column: usize| heat.rows[row][column].text.as_str();
    assert_eq!([text(0, 0), text(2, 2), text(2, 3)], ["84.33", "74.33 ×1", "×3"]);
    assert!(heat.rows[2][3].value.is_nan());
    let note = panel.note.as_deref().unwrap();
    assert!(note.contains("Without lookahead.k: lookahead=false: 75."), "{note}");
    assert!(rates().heat_map("lookahead.k", "data.kind").is_err());
}

/// Cycles of two steps, 1 and 2 above the loss at their first; a third of twelve steps is four.
#[test]
fn a_cycle_is_drawn_from_its_first_step() {
    let mut run = run(config("sgd", 0.1, Some((2, 0.5))), 0, Some(0.1));
    run.steps = 12;
    run.phases = [1, 2].repeat(6);
    run.losses = vec![9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 5.0, 6.0, 4.0, 6.0];
    run.losses.extend([3.0]);
    run.phases.push(1);
    run.probes.retain(|(step, _)| *step <= 12);
    // A cycle that lost a step to a crash counts in no mean.
    let mut torn = run.clone();
    torn.info.seed = 1;
    (torn.phases[9], torn.phases[11]) = (0, 0);
    let comparison = of_summaries(vec![run, torn], &Options::default(), false).unwrap();
    let figure = comparison.cycles(&[0]).unwrap();
    let points = &figure.panels[0].lines[0].points;
    // From 5: 0, 1, and −1 after the sync; from 4: 0, 2, −1.
    let found: Vec<_> = points.iter().map(|point| (point.x, point.y)).collect();
    assert_eq!(found, [(0.0, 0.0), (1.0, 1.5), (2.0, -1.0)]);
    // Standard error of 1 and 2: √0.5 / √2.
    near(points[1].high - points[1].y, 0.5);
    let probe = &figure.panels[1].lines[0].points;
    near(probe[0].y - probe[1].y, 0.08);
    let alone = rates();
    let error = alone.cycles(&[alone.groups[0].best]).unwrap_err().to_string();
    assert!(error.contains("no run of these points has whole cycles"), "{error}");
}

#[test]
fn a_variance_has_a_row_for_each_group() {
    let figure = rates().last_epoch_variance().unwrap();
    let panel = &figure.panels[0];
    assert_eq!(panel.y_names[2], "lookahead=false optimizer.kind=adam");
    // A line, rings and a disc for each.
    assert_eq!(panel.lines.len(), 9);
    assert_eq!([0, 1, 2].map(|index| panel.lines[index].points.len()), [2, 5, 1]);
    let mean = panel.lines[1].points.iter().map(|point| point.x).sum::<f64>() / 5.0;
    near(panel.lines[2].points[0].x, mean);
    assert!(panel.lines[..3].iter().flat_map(|line| &line.points).all(|point| point.y == 2.0));
}

#[test]
fn what_has_nothing_to_draw_says_so() {
    let mut empty = run(config("sgd", 0.1, None), 0, Some(0.1));
    (empty.losses, empty.phases) = (vec![], vec![]);
    let comparison = of_summaries(vec![empty], &Options::default(), false).unwrap();
    assert!(comparison.figures().is_empty());
    for points in [vec![], vec![0], vec![99]] {
        let error = comparison.loss_curves(&points).unwrap_err();
        assert!(error.to_string().contains("There is nothing to draw: no run"), "{error}");
    }
    // One rate for each optimizer: no figure by the rate.
    let pair = vec![
        run(config("sgd", 0.1, None), 0, Some(0.1)),
        run(config("adam", 0.001, None), 0, Some(0.1)),
    ];
    let figures = of_summaries(pair, &Options::default(), false).unwrap().figures();
    assert_eq!(figures.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["loss", "variance"]);
    let comparison = rates();
    assert!(comparison.loss_curves(&[0, 99]).is_ok());
    assert!(comparison.cycles(&[99]).is_err());
}
