//! Tasks with other metrics than the accuracy.

use lookahead_run::event::{MetricInfo, RunInfo, Task, TaskInfo};

use super::*;

/// A run with evaluations of φ on validation and test data.
fn of_task(task: TaskInfo, loss: f64, metrics: &[&[(&str, f64)]]) -> Model {
    let mut model = fixture::model(true);
    let info = RunInfo { task, ..fixture::info() };
    feed(&mut model, [record(0.0, 0, Event::RunStarted(info))]);
    for (step, values) in (1..).zip(metrics) {
        feed(&mut model, [record(0.1, step, fixture::step(step, loss))]);
        for split in [Split::Validation, Split::Test] {
            let metrics = values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
            let new = Evaluation::new(Weights::Slow, split);
            let found = Event::Evaluation(Evaluation { loss, metrics, ..new });
            feed(&mut model, [record(0.2, step, found)]);
        }
    }
    model.view.chart = Chart::Accuracy;
    model
}

fn row<'a>(screen: &'a str, name: &str) -> &'a str {
    let is_row = |line: &&str| line.split('│').any(|part| part.trim_start().starts_with(name));
    screen.lines().find(is_row).unwrap_or_else(|| panic!("{name} is missing in\n{screen}"))
}

/// The first row below a heading.
fn below<'a>(screen: &'a str, heading: &str) -> &'a str {
    let line = format!("├ {heading} ─");
    let mut lines = screen.lines().skip_while(|text| !text.contains(&line)).skip(1);
    lines.next().unwrap_or_else(|| panic!("{heading} is missing in\n{screen}"))
}

#[test]
fn a_regression_shows_its_errors_and_no_accuracy() {
    let mse = MetricInfo { name: "mse".to_owned(), ..MetricInfo::loss() };
    let r2 = MetricInfo { name: "r2".to_owned(), higher_is_better: true, percent: false };
    let task = TaskInfo::new(Task::Regression, vec![mse, r2]);
    let values = [("mse", 12.5), ("r2", 0.625)];
    let better = [("mse", 2.5), ("r2", 0.75)];
    let model = of_task(task, 0.5, &[&better, &values]);
    let screen = shown(&model, 120, 50);
    assert!(!screen.contains("accuracy") && !screen.contains("50 %"), "{screen}");
    assert_shows(&screen, &["2 validation mse", "slow mse 12.50 loss 0.5000"]);
    assert!(row(&screen, "mse").contains("12.50") && row(&screen, "r2").contains("0.6250"));
    assert!(row(&screen, "best").contains("2.5000"), "the lowest is the best\n{screen}");
    assert!(below(&screen, "test").contains("12.50"), "{screen}");
}

/// The perplexity looks like the loss, so the chart is of the accuracy. Logs of earlier versions have neither metrics
/// nor their names.
#[test]
fn a_text_shows_its_perplexity_and_charts_its_accuracy() {
    let loss = 2f64.ln();
    let mut model = of_task(Task::Language.into(), loss, &[&[]]);
    let earlier =
        Evaluation { loss, accuracy: 0.25, ..Evaluation::new(Weights::Slow, Split::Validation) };
    feed(&mut model, [record(0.3, 2, Event::Evaluation(earlier))]);
    let screen = shown(&model, 120, 50);
    assert_shows(&screen, &["2 validation accuracy", "slow perplexity 2.0000 loss 0.6931"]);
    assert!(row(&screen, "perplexity").contains("2.0000"), "{screen}");
    assert!(row(&screen, "accuracy").contains("25.00 %"), "{screen}");
}

#[test]
fn a_quadratic_problem_shows_only_its_loss() {
    let screen = shown(&of_task(Task::Quadratic.into(), 0.5, &[&[]]), 120, 50);
    assert!(below(&screen, "test").contains("0.5000"), "{screen}");
    for name in ["perplexity", "best"] {
        assert!(!screen.contains(name), "{screen}");
    }
}
