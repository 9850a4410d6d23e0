use lookahead_run::event::{Task, TaskInfo, Weights};
use serde_json::json;

use super::*;
use crate::compare::testing::Made;

/// A regression whose error falls and rises again.
fn regression(best_by: &str) -> Numbers {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"lookahead": {"k": 5, "alpha": 0.5}, "train": {"best_by": best_by}});
    let path = Made::new(config, 0, f64::NAN, f64::NAN).write(folder.path(), "run");
    let mut summary = Summary::read(&path).unwrap();
    let r2 = MetricInfo { name: "r2".into(), higher_is_better: true, percent: false };
    let mae = MetricInfo { name: "mae".into(), ..MetricInfo::loss() };
    summary.info.task = TaskInfo::new(Task::Regression, vec![mae, r2]);
    let values = [(0.5, 0.1), (0.25, 0.6), (0.75, 0.7), (f64::NAN, f64::INFINITY)];
    for ((_, found), (mae, r2)) in summary.evaluations.iter_mut().zip(values) {
        found.metrics = [("mae".to_owned(), mae), ("r2".to_owned(), r2)].into();
    }
    Numbers::of(&summary)
}

#[test]
fn the_best_is_by_the_metric_of_the_config_in_its_direction() {
    for (metric, value, step) in [("mae", 0.25, 20), ("r2", 0.7, 30)] {
        let best = regression(metric).best.unwrap();
        assert_eq!((best.metric.as_str(), best.value, best.step), (metric, value, step));
    }
}

#[test]
fn every_metric_has_a_column() {
    let numbers = regression("loss");
    assert!(numbers.evaluations["validation_mae_slow"].is_nan());
    assert_eq!(numbers.evaluations["validation_r2_slow"], f64::INFINITY);
    assert!(numbers.evaluations["validation_accuracy_slow"].is_nan());
    assert_eq!(numbers.best.unwrap().metric, "loss");
}

/// Of an average also without Lookahead.
#[test]
fn the_best_is_of_the_final_model() {
    for (kind, lookahead, expected) in
        [("none", false, 0.5), ("primal", false, 0.25), ("ema", true, 0.25)]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut config = json!({"averaging": {"kind": kind}, "train": {"best_by": "loss"}});
        if lookahead {
            config["lookahead"] = json!({"k": 5, "alpha": 0.5});
        }
        let path = Made::new(config, 0, f64::NAN, f64::NAN).write(folder.path(), "run");
        let mut summary = Summary::read(&path).unwrap();
        let values = [(Weights::Fast, 0.5), (Weights::Average, 0.25)];
        for ((_, found), (weights, loss)) in summary.evaluations.iter_mut().zip(values) {
            (found.split, found.weights, found.loss) = (Split::Validation, weights, loss);
        }
        summary.evaluations.truncate(2);
        assert_eq!(Numbers::of(&summary).best.unwrap().value, expected, "{kind}");
    }
}
