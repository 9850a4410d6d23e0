//! Numbers by name, of hooks and of recorded runs.

use lookahead_run::event::{MetricInfo, RunInfo, Scalars, Task, TaskInfo};

use super::*;
use crate::chart::Chart;
use crate::keys::on_key;

/// A recorded run that logs these names in each of 30 steps.
fn recorded(names: &[&str]) -> Model {
    let within = MetricInfo { name: "within".to_owned(), higher_is_better: true, percent: true };
    let task = TaskInfo::new(Task::Recorded, vec![within]);
    let info = RunInfo { task, lookahead: None, ..fixture::info() };
    let mut model = fixture::model(true);
    feed(&mut model, [record(0.0, 0, Event::RunStarted(info))]);
    for step in 1..=30u64 {
        let value = 0.5 + step as f64 / 100.0;
        let scalars = Scalars::new(names.iter().map(|name| (*name, value)));
        feed(&mut model, [record(step as f64, step, Event::Scalars(scalars))]);
    }
    model
}

fn press(model: &mut Model, key: char) {
    let code = crossterm::event::KeyCode::Char(key);
    on_key(model, crossterm::event::KeyEvent::from(code));
}

#[test]
fn each_number_has_a_chart_and_a_row() {
    let mut model = recorded(&["loss", "lr", "within", "zeta", "alpha"]);
    let screen = shown(&model, 120, 50);
    assert_shows(&screen, &["1 training loss", "├ logged ─", "80.00 %", "step"]);
    assert!(!screen.contains("without Lookahead"), "{screen}");
    assert_eq!(model.charts().len(), 5);
    let mut titles = Vec::new();
    for _ in 0..4 {
        press(&mut model, 'n');
        let Chart::Scalar(index) = model.view.chart else { panic!("{:?}", model.view.chart) };
        titles.push(model.scalar_name(index).to_owned());
        assert_shows(&shown(&model, 120, 50), &[&format!(" {} ", titles.last().unwrap())]);
    }
    assert_eq!(titles, ["alpha", "within", "zeta", "alpha"]);
    press(&mut model, '4');
    assert_shows(&shown(&model, 120, 36), &["4 within", "70 %"]);
    press(&mut model, '2');
    assert_eq!(model.view.chart, Chart::LearningRate);
    press(&mut model, 'N');
    assert_shows(&shown(&model, 40, 12), &["zeta"]);
}

#[test]
fn a_run_without_a_loss_shows_its_first_number() {
    let mut model = recorded(&["reward"]);
    assert_shows(&shown(&model, 120, 36), &["1 reward"]);
    model.view.cursor = Some(10);
    assert_shows(&shown(&model, 120, 36), &["0.6000"]);
}

/// A hook of the trainer may use any name: the trainer's own curves stay its own.
#[test]
fn numbers_of_hooks_have_charts_after_those_of_the_trainer() {
    let mut model = fixture::run(true, 100);
    let before = model.run().series.loss.newest();
    let scalars = Scalars::new([("loss", 77.0), ("noise", f64::NAN)]);
    feed(&mut model, [record(11.0, 100, Event::Scalars(scalars))]);
    assert_eq!(model.run().series.loss.newest(), before);
    assert_eq!(model.charts().len(), 12);
    press(&mut model, 'n');
    assert_shows(&shown(&model, 120, 36), &[" loss ", "77.00"]);
    press(&mut model, 'n');
    assert_shows(&shown(&model, 120, 36), &[" noise ", "×"]);
    press(&mut model, '1');
    assert_eq!(model.view.chart, Chart::Loss);
}

#[test]
fn names_of_any_characters_are_shown_safely() {
    let names = ["\u{1b}[2J\u{7}", "\u{202e}abc", &"漢字".repeat(60), "a\nb", "\u{200b}"];
    let mut model = recorded(&names);
    for _ in names {
        press(&mut model, 'n');
        for (width, height) in [(200, 60), (120, 36), (80, 24), (40, 12), (7, 3)] {
            for cell in &screen(&model, width, height).content {
                let symbol = cell.symbol();
                let unsafe_ = |c: char| c.is_control() || "\u{202e}\u{200b}".contains(c);
                assert!(!symbol.contains(unsafe_), "{symbol:?}");
            }
        }
    }
    model.view.chart = Chart::Scalar(model.scalar_names.index_of("\u{202e}abc").unwrap());
    assert_shows(&shown(&model, 120, 36), &["\\u{202e}abc"]);
}

#[test]
fn too_many_names_are_reported_once_and_take_bounded_memory() {
    let names: Vec<String> = (0..1200).map(|number| format!("name {number:04}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let model = recorded(&names);
    assert_eq!(model.run().series.scalars.len(), crate::run::series::NAMES);
    let warnings = model
        .run()
        .messages
        .newest_first()
        .filter(|note| note.text.contains("more than 1,000 metrics"));
    assert_eq!(warnings.count(), 1);
    assert_shows(&shown(&model, 120, 36), &["name 0000"]);
}

/// The trainer's keys are not those of another program.
#[test]
fn settings_of_a_recorded_run_are_completed() {
    let task = TaskInfo::new(Task::Recorded, Vec::new());
    let config = serde_json::json!({"lr": 0.1, "flag": true, "mode": "a", "k": 1});
    let info = RunInfo { task, config, lookahead: None, ..fixture::info() };
    let mut session = fixture::Session(fixture::model(true));
    fixture::feed(&mut session, [record(0.0, 0, Event::RunStarted(info))]);
    session.press(":set l");
    session.key(crossterm::event::KeyCode::Tab);
    assert_eq!(session.dialogs.prompt.as_ref().unwrap().text, "set lr=");
}

#[test]
fn without_a_number_of_steps_there_is_no_bar() {
    let task = TaskInfo::new(Task::Recorded, Vec::new());
    let info = RunInfo { task, total_steps: 0, ..fixture::info() };
    let mut model = fixture::model(true);
    feed(
        &mut model,
        [record(0.0, 0, Event::RunStarted(info)), record(1.0, 7, fixture::step(7, 1.0))],
    );
    for (width, height) in [(120, 36), (80, 24)] {
        let screen = shown(&model, width, height);
        assert!(screen.contains("step") && !screen.contains(" %"), "{screen}");
        assert!(!screen.contains('░') && !screen.contains('█'), "{screen}");
    }
}
