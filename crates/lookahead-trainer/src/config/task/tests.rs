use super::super::issue::check_all_bounds;
use super::*;
use crate::registry::Registry;

fn check(text: &str, task: Option<Task>) -> Result<(), String> {
    let config: TaskConfig = toml::from_str(text).unwrap();
    let registry = Registry::new();
    let written = toml::Table::try_from(&config).unwrap();
    check_all_bounds("task", KEYS, &written)
        .and_then(|()| config.check(registry.kinds(), task))
        .map_err(|issue| format!("{}: {}", issue.key, issue.message))
}

#[test]
fn each_fault_is_refused_with_what_would_do() {
    use Task::{Classification, Regression};
    for (text, task, expected) in [
        ("loss = 'mse'", Some(Classification), "classification. Use one of these: cross_entropy."),
        (
            "loss = 'cross_entropy'",
            Some(Regression),
            "regression. Use one of these: mse, mae and huber.",
        ),
        ("loss = 'hinge'", Some(Regression), "hinge, which is not a loss."),
        ("loss = 'hinge'", None, "mse, mae, huber"),
        ("metrics = ['mae', 'top5']", Some(Regression), "task.metrics: `task.metrics` names top5"),
        ("label_smoothing = 0.1", Some(Regression), "belongs to the loss cross_entropy only"),
        ("loss = 'mae'\nhuber_delta = 1.0", Some(Regression), "the loss is mae. Remove it, or set"),
        ("label_smoothing = 1.0", Some(Classification), "is 1. Use 0 to below 1."),
        (
            "class_weights = [1.0, -1.0]",
            Some(Classification),
            "[1.0, -1.0]. Use a number of 0 or more",
        ),
        ("class_weights = [0.0, 0.0]", Some(Classification), "one above 0"),
        ("loss = 'huber'\nhuber_delta = 0.0", Some(Regression), "is 0. Use above 0."),
    ] {
        let found = check(text, task).unwrap_err();
        assert!(found.contains(expected), "{text}: {found}");
    }
    for (text, task) in [
        (
            "loss = 'cross_entropy'\nlabel_smoothing = 0.1\nclass_weights = [1.0, 0.0]",
            Some(Classification),
        ),
        ("loss = 'huber'\nhuber_delta = 0.5\nmetrics = ['r2', 'rmse']", Some(Regression)),
        // What is learned is known only once the data is loaded.
        ("label_smoothing = 0.1", None),
        ("loss = 'huber'\nhuber_delta = 0.5", None),
    ] {
        assert_eq!(check(text, task), Ok(()), "{text}");
    }
    assert!(toml::from_str::<TaskConfig>("los = 'mse'").is_err());
}

#[test]
fn the_best_is_found_by_any_metric_of_the_task() {
    let (config, registry) = (TaskConfig::default(), Registry::new());
    let best_by = |given: Option<&str>, task| {
        config.best_by(given, registry.kinds(), task).map_err(|issue| issue.message)
    };
    let own = |name: &str| Ok(Some(name.to_owned()));
    assert_eq!(best_by(None, Some(Task::Classification)), own("accuracy"));
    assert_eq!(best_by(None, Some(Task::Language)), own("accuracy"));
    assert_eq!(best_by(None, Some(Task::Quadratic)), own("loss"));
    assert_eq!(best_by(None, Some(Task::Regression)), own("loss"));
    assert_eq!(best_by(Some("r2"), Some(Task::Regression)), own("r2"));
    assert_eq!(best_by(Some("loss"), Some(Task::Classification)), own("loss"));
    assert_eq!(best_by(None, None), Ok(None));
    assert_eq!(best_by(Some("r2"), None), own("r2"));
    let refused = best_by(Some("accuracy"), Some(Task::Regression)).unwrap_err();
    assert!(refused.ends_with("Use one of these: loss, mse, rmse, mae and r2."), "{refused}");
    let refused = best_by(Some("accuracy"), Some(Task::Quadratic)).unwrap_err();
    assert!(refused.ends_with("Use one of these: loss."), "{refused}");
    assert!(best_by(Some("f2"), None).unwrap_err().contains("f2, which is not a metric."));
}

#[test]
fn what_is_needed_is_measured_besides_the_metrics_of_the_config() {
    let metrics = |text: &str, task, best_by| {
        toml::from_str::<TaskConfig>(text).unwrap().metrics(task, best_by)
    };
    assert_eq!(metrics("", Task::Classification, Some("loss")), ["accuracy"]);
    assert_eq!(metrics("", Task::Classification, Some("top5")), ["accuracy", "top5"]);
    let chosen = "metrics = ['macro_f1']";
    assert_eq!(metrics(chosen, Task::Classification, None), ["macro_f1", "accuracy"]);
    assert_eq!(metrics("metrics = ['r2']", Task::Regression, Some("mae")), ["r2", "mae"]);
    assert_eq!(metrics("", Task::Quadratic, Some("loss")), [""; 0]);
}
